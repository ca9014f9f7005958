"""``textDocument/codeAction`` and ``codeAction/resolve``: quick fixes that are tried before they are offered.

The menu is answered at once, from what is known: for a diagnostic that was repaired already, the edits that held, with
what was verified in their titles; for others one action that looks for them when it is chosen. Invariants: nothing is
computed before it is asked for; no edit reaches the editor that was not tried; and an edit that no longer fits is
withdrawn, with a message.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from tailora.errors import EngineError
from tailora.lsp.repairs import Snapshot
from tailora.lsp.text import offset_of_units, path_of, units
from tailora.repair.edits import rebased
from tailora.repair.problem import Finding, Repair

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["FIX_ALL", "code_action", "register", "resolve"]

FIX_ALL = "source.fixAll.tailora"
_MOST_ACTIONS = 8
"""Diagnostics of one request that get an action."""
_TITLE_CHARS = 60
_log = logging.getLogger(__name__)


def register(server: TailoraServer) -> None:
    """Registers the handlers."""
    options = types.CodeActionOptions(
        code_action_kinds=[types.CodeActionKind.QuickFix, FIX_ALL], resolve_provider=True
    )
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)(code_action)
    server.feature(types.CODE_ACTION_RESOLVE)(resolve)


async def code_action(ls: TailoraServer, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    """The actions for the diagnostics at hand, whoever published them."""
    uri = params.text_document.uri
    snapshot = _snapshot(ls, uri)
    path = path_of(uri)
    if snapshot is None or path is None:
        return None
    if not ls.settings.for_root(ls.folders.place(path).root).repair.enabled:
        return None
    findings = _findings(ls, snapshot, params.context.diagnostics)
    if not findings:
        return None
    ls.repairs.keep(snapshot)
    actions: list[types.CodeAction] = []
    if _wanted(params.context.only, types.CodeActionKind.QuickFix):
        for finding, diagnostic in findings[:_MOST_ACTIONS]:
            actions += _for_finding(ls, snapshot, finding, diagnostic)
    if params.context.only and _wanted(params.context.only, FIX_ALL):
        data = {"uri": uri, "version": snapshot.version, "all": [asdict(finding) for finding, _ in findings]}
        actions.append(
            types.CodeAction(
                title="Tailora: apply all verified fixes", kind=FIX_ALL, data=data, tags=_tags(ls)
            )
        )
    return actions


async def resolve(ls: TailoraServer, action: types.CodeAction) -> types.CodeAction:
    """Computes an action's edit. Without one that holds, the action comes back as it was, and a message says why."""
    data = action.data
    try:
        if not isinstance(data, dict) or "uri" not in data:
            return action
        snapshot = ls.repairs.snapshot(data["uri"], data.get("version"))
        path = path_of(data["uri"])
        if snapshot is None or path is None:
            return _sorry(ls, action, "the file has changed since; ask again")
        if "finding" in data:
            return await _resolve_one(ls, action, snapshot, Finding(**data["finding"]))
        return await _resolve_all(ls, action, snapshot, [Finding(**values) for values in data["all"]])
    except EngineError as error:
        return _sorry(ls, action, str(error))
    except Exception as error:  # noqa: BLE001 - the protocol boundary: every request gets its answer
        _log.exception("A repair failed")
        return _sorry(ls, action, f"internal error ({type(error).__name__}); see the log")


async def _resolve_one(
    ls: TailoraServer, action: types.CodeAction, snapshot: Snapshot, finding: Finding
) -> types.CodeAction:
    path = path_of(snapshot.uri)
    assert path is not None
    report = await ls.repairs.repair(snapshot, finding, path)
    if not report.repairs:
        tried = len(report.attempts)
        said = f"no fix was found that holds ({tried} tried)" if tried else "the model has no fix to offer"
        return _sorry(ls, action, said)
    best = report.repairs[0]
    edit = _edit(ls, snapshot, best.candidate.text)
    if edit is None:
        return _sorry(ls, action, "the lines were changed meanwhile, so the fix was withdrawn")
    action.edit = edit
    action.title = _title(best)
    action.is_preferred = best.verified or None
    return action


async def _resolve_all(
    ls: TailoraServer, action: types.CodeAction, snapshot: Snapshot, findings: Sequence[Finding]
) -> types.CodeAction:
    """Verified fixes, one after the other, each in the text that the ones before it made."""
    path = path_of(snapshot.uri)
    assert path is not None
    text, fixed = snapshot.text, 0
    waiting = sorted(findings, key=lambda finding: finding.line)
    while waiting:  # from below: lines above stay where they are, but for an import that comes in
        finding = waiting.pop()
        report = await ls.repairs.repair(replace(snapshot, version=None, text=text), finding, path)
        if not report.repairs or not report.repairs[0].verified:
            continue
        made = report.repairs[0].candidate
        text, fixed = made.text, fixed + 1
        grown = len(made.lines) - len(made.span)
        waiting = [
            replace(other, line=other.line + grown, end_line=other.end_line + grown)
            if other.line >= made.span.end
            else other
            for other in waiting
        ]
    if not fixed:
        return _sorry(ls, action, f"none of {len(findings)} diagnostics has a verified fix")
    action.edit = _edit(ls, snapshot, text)
    if action.edit is None:
        return _sorry(ls, action, "the lines were changed meanwhile, so the fixes were withdrawn")
    action.title = f"Tailora: {fixed} of {len(findings)} fixed, verified"
    return action


def _snapshot(ls: TailoraServer, uri: str) -> Snapshot | None:
    document = ls.workspace.opened(uri)
    if document is None or document.oversize:
        return None
    text = document.source.replace("\r\n", "\n").replace("\r", "\n")
    return Snapshot(uri, document.version, text, document.language_id or "plaintext")


def _findings(
    ls: TailoraServer, snapshot: Snapshot, diagnostics: Sequence[types.Diagnostic]
) -> list[tuple[Finding, types.Diagnostic]]:
    """What is wrong, each once; hints and what a client marks as merely unnecessary are no faults."""
    lines = snapshot.text.split("\n")
    encoding = ls.workspace.position_encoding
    found: dict[Finding, types.Diagnostic] = {}
    for diagnostic in diagnostics:
        if diagnostic.severity == types.DiagnosticSeverity.Hint:
            continue
        begin, end = diagnostic.range.start, diagnostic.range.end
        message = diagnostic.message if isinstance(diagnostic.message, str) else diagnostic.message.value
        finding = Finding(
            diagnostic.source or "",
            "" if diagnostic.code is None else str(diagnostic.code),
            message,
            *_place(lines, begin, encoding),
            *_place(lines, end, encoding),
        )
        found.setdefault(finding, diagnostic)
    return list(found.items())


def _place(lines: Sequence[str], position: types.Position, encoding: Any) -> tuple[int, int]:
    text = lines[position.line] if position.line < len(lines) else ""
    return position.line, offset_of_units(text, position.character, encoding)


def _for_finding(
    ls: TailoraServer, snapshot: Snapshot, finding: Finding, diagnostic: types.Diagnostic
) -> list[types.CodeAction]:
    """The edits that are known to hold, else one action that looks for them."""
    made = ls.repairs.made(snapshot, finding)
    if made is None:
        data = {"uri": snapshot.uri, "version": snapshot.version, "finding": asdict(finding)}
        title = f"Tailora: find a fix that holds for “{_short(finding.message)}”"
        return [
            types.CodeAction(
                title=title,
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[diagnostic],
                data=data,
                tags=_tags(ls),
            )
        ]
    actions = []
    for place, repair in enumerate(made.repairs):
        edit = _edit(ls, snapshot, repair.candidate.text)
        if edit is not None:
            actions.append(
                types.CodeAction(
                    title=_title(repair),
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[diagnostic],
                    is_preferred=(place == 0 and repair.verified) or None,
                    edit=edit,
                    tags=_tags(ls),
                )
            )
    return actions


def _title(repair: Repair) -> str:
    """What is written, and what was verified of it."""
    lines = [line.strip() for line in repair.candidate.lines if line.strip()]
    what = f"“{_short(lines[0])}”" if lines else "remove the lines"
    more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    checks = (
        [check for check in repair.checks if check != "parses"] if repair.verified else list(repair.checks)
    )
    return f"Fix: {what}{more} · {', '.join(checks) or 'not checked'}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_CHARS else line[: _TITLE_CHARS - 1] + "…"


def _edit(ls: TailoraServer, snapshot: Snapshot, text: str) -> types.WorkspaceEdit | None:
    """The edit that brings the document, as it is now, what ``text`` brings to the snapshot; None if it cannot."""
    document = ls.workspace.opened(snapshot.uri)
    now = _snapshot(ls, snapshot.uri)
    if document is None or now is None:
        return None
    changes = rebased(snapshot.text, text, now.text)
    if changes is None:
        return None
    newline = "\r\n" if "\r\n" in document.source else "\n"
    lines, encoding = now.text.split("\n"), ls.workspace.position_encoding
    edits: list[types.TextEdit | types.AnnotatedTextEdit | types.SnippetTextEdit] = [
        types.TextEdit(
            range=types.Range(
                types.Position(change.line, units(lines[change.line][: change.column], encoding)),
                types.Position(change.end_line, units(lines[change.end_line][: change.end_column], encoding)),
            ),
            new_text=change.new.replace("\n", newline),
        )
        for change in changes
    ]
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.workspace_edit and workspace.workspace_edit.document_changes:
        versioned = types.OptionalVersionedTextDocumentIdentifier(uri=snapshot.uri, version=document.version)
        return types.WorkspaceEdit(
            document_changes=[types.TextDocumentEdit(text_document=versioned, edits=edits)]
        )
    plain = [edit for edit in edits if isinstance(edit, types.TextEdit)]
    return types.WorkspaceEdit(changes={snapshot.uri: plain})


def _wanted(only: Sequence[types.CodeActionKind | str] | None, kind: str) -> bool:
    """Whether a request that asks for ``only`` these kinds wants ``kind``."""
    if not only:
        return True
    names = [str(getattr(wanted, "value", wanted)) for wanted in only]
    return any(kind == name or kind.startswith(name + ".") or not name for name in names)


def _tags(ls: TailoraServer) -> list[types.CodeActionTag] | None:
    """That a model wrote it, where the client knows that tag."""
    text = ls.client_capabilities.text_document
    support = text.code_action.tag_support if text is not None and text.code_action is not None else None
    if support is not None and types.CodeActionTag.LlmGenerated in support.value_set:
        return [types.CodeActionTag.LlmGenerated]
    return None


def _sorry(ls: TailoraServer, action: types.CodeAction, why: str) -> types.CodeAction:
    ls.window_show_message(types.ShowMessageParams(type=types.MessageType.Info, message=f"Tailora: {why}"))
    return action
