"""Code actions of repair: quick fixes that are tried before they are offered.

The menu is answered at once, from what is known: for a diagnostic that was repaired already, the edits that held, with
what was verified in their titles; for others one action that looks for them when it is chosen. Invariants: nothing is
computed before it is asked for; no edit reaches the editor that was not tried; and an edit that no longer fits is
withdrawn, with a message.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from tailora.errors import EngineError, RepairError
from tailora.lsp.actions import (
    WITHDRAWN,
    can_resolve,
    edit_of,
    names,
    snapshot_of,
    sorry,
    tags,
    wanted,
)
from tailora.lsp.clones import SOURCE
from tailora.lsp.repairs import Snapshot
from tailora.lsp.text import offset_of_units, path_of
from tailora.lsp.works import Stopped
from tailora.repair.pipeline import Report
from tailora.repair.problem import Finding, Repair, Span
from tailora_adapters import languages
from tailora_adapters.corpus.secrets import is_secret_file

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["FIX_ALL", "REWRITE", "offered", "resolve", "title_of"]

FIX_ALL = "source.fixAll.tailora"
REWRITE = "refactor.rewrite.tailora"
_MOST_ACTIONS = 8
"""Diagnostics of one request that get an action."""
_MOST_FIXED = 20
"""Diagnostics that are fixed at once."""
_TITLE_CHARS = 60
_log = logging.getLogger(__name__)


async def offered(ls: TailoraServer, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    """The actions for the diagnostics at hand, whoever published them, or for the selected lines."""
    uri, context = params.text_document.uri, params.context
    path = path_of(uri)
    if path is None or not can_resolve(ls) or is_secret_file(path.name):
        return None
    options = ls.settings.for_root(ls.folders.place(path).root)
    snapshot = snapshot_of(ls, uri)
    if not options.repair.enabled or snapshot is None:
        return None
    if len(snapshot.text) > options.completion.max_file_kb * 1024:
        return None
    findings = _findings(ls, snapshot, context.diagnostics)
    actions: list[types.CodeAction] = []
    if wanted(context.only, types.CodeActionKind.QuickFix):
        for finding, diagnostic in findings[:_MOST_ACTIONS]:
            actions += _for_finding(ls, snapshot, finding, diagnostic)
    if findings and _wants_all(context):
        data = _data(snapshot, all=[asdict(finding) for finding, _ in findings[:_MOST_FIXED]])
        actions.append(
            types.CodeAction("Tailora: apply all verified fixes", kind=FIX_ALL, data=data, tags=tags(ls))
        )
    invoked = context.trigger_kind == types.CodeActionTriggerKind.Invoked
    if invoked and not context.diagnostics and wanted(context.only, REWRITE):
        lines = _selected(snapshot, params.range)
        if lines is not None:
            data = _data(snapshot, lines=[lines.first, lines.end])
            title = "Tailora: find another version of these lines that holds"
            actions.append(types.CodeAction(title, kind=REWRITE, data=data, tags=tags(ls)))
    if actions:
        ls.repairs.keep(snapshot)
    return actions or None


async def resolve(ls: TailoraServer, action: types.CodeAction) -> types.CodeAction:
    """Computes an action's edit. Without one that holds, the action comes back as it was, and a message says why."""
    data = action.data
    assert isinstance(data, dict)
    try:
        snapshot = ls.repairs.snapshot(data["uri"], data.get("version"))
        path = path_of(data["uri"])
        if snapshot is None or path is None:
            return sorry(ls, action, "the file has changed since; ask again")
        if "finding" in data:
            finding = Finding(**data["finding"])
            report = await ls.repairs.repair(snapshot, path, finding)
            _resolved(ls, action, snapshot, report)
            if action.edit is not None and not action.is_preferred:
                notes = report.repairs[0].notes or (f"no installed checker answers for “{finding.source}”",)
                return sorry(ls, action, f"this fix is not verified: {'; '.join(notes)}")
            return action
        if "lines" in data:
            report = await ls.repairs.rewrite(snapshot, path, Span(*data["lines"]))
            return _resolved(ls, action, snapshot, report)
        findings = [Finding(**values) for values in data["all"]]
        return await _resolve_all(ls, action, snapshot, path, findings)
    except Stopped:
        return action
    except (EngineError, RepairError) as error:
        return sorry(ls, action, str(error))
    except Exception as error:  # noqa: BLE001 - the protocol boundary: every request gets its answer
        _log.exception("A repair failed")
        return sorry(ls, action, f"internal error ({type(error).__name__}); see the log")


def _resolved(
    ls: TailoraServer, action: types.CodeAction, snapshot: Snapshot, report: Report
) -> types.CodeAction:
    """The action with the best edit."""
    if not report.repairs:
        tried = len(report.attempts)
        said = f"nothing was found that holds ({tried} tried)" if tried else "the model has nothing to offer"
        return sorry(ls, action, said)
    best = report.repairs[0]
    edit = edit_of(ls, snapshot, best.candidate.text)
    if edit is None:
        return sorry(ls, action, WITHDRAWN)
    action.edit = edit
    action.title = title_of(best)
    action.is_preferred = best.verified or None
    return action


async def _resolve_all(
    ls: TailoraServer,
    action: types.CodeAction,
    snapshot: Snapshot,
    path: Path,
    findings: Sequence[Finding],
) -> types.CodeAction:
    text, cleared = await ls.repairs.repair_all(snapshot, path, findings)
    if not cleared:
        return sorry(ls, action, f"none of {len(findings)} diagnostics has a verified fix")
    action.edit = edit_of(ls, snapshot, text)
    if action.edit is None:
        return sorry(ls, action, WITHDRAWN)
    action.title = f"Tailora: {cleared} of {len(findings)} fixed, verified"
    return action


def _data(snapshot: Snapshot, **more: Any) -> dict[str, Any]:
    """What ``resolve`` gets back."""
    return {"uri": snapshot.uri, "version": snapshot.version, **more}


def _selected(snapshot: Snapshot, selection: types.Range) -> Span | None:
    """The lines of a selection without blank ones at its ends; None where there are none, or no grammar for them."""
    begin, end = selection.start, selection.end
    known = languages.by_id(snapshot.language)
    if begin == end or known is None or languages.parser(known) is None:
        return None
    lines = snapshot.text.split("\n")
    first, after = begin.line, min(end.line + (end.character > 0), len(lines))
    while first < after and not lines[first].strip():
        first += 1
    while first < after and not lines[after - 1].strip():
        after -= 1
    return Span(first, after) if first < after else None


def _findings(
    ls: TailoraServer, snapshot: Snapshot, diagnostics: Sequence[types.Diagnostic]
) -> list[tuple[Finding, types.Diagnostic]]:
    """What is wrong, each once; hints, what we publish and what a client marks as unnecessary are no faults."""
    lines = snapshot.text.split("\n")
    encoding = ls.workspace.position_encoding
    found: dict[Finding, types.Diagnostic] = {}
    for diagnostic in diagnostics:
        if diagnostic.severity == types.DiagnosticSeverity.Hint or diagnostic.source == SOURCE:
            continue
        begin, end = diagnostic.range.start, diagnostic.range.end
        finding = Finding(
            diagnostic.source or "",
            "" if diagnostic.code is None else str(diagnostic.code),
            diagnostic.message,
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
        data = _data(snapshot, finding=asdict(finding))
        title = f"Tailora: find a fix that holds for “{_short(finding.message)}”"
        return [
            types.CodeAction(
                title=title,
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[diagnostic],
                data=data,
                tags=tags(ls),
            )
        ]
    actions = []
    for place, repair in enumerate(made.repairs):
        edit = edit_of(ls, snapshot, repair.candidate.text)
        if edit is not None:
            actions.append(
                types.CodeAction(
                    title=title_of(repair),
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[diagnostic],
                    is_preferred=(place == 0 and repair.verified) or None,
                    edit=edit,
                    tags=tags(ls),
                )
            )
    return actions


def title_of(repair: Repair) -> str:
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


def _wants_all(context: types.CodeActionContext) -> bool:
    """Whether the request is for fixing all. On saving, which waits for the answer, only by our own name."""
    if context.trigger_kind == types.CodeActionTriggerKind.Automatic:
        return FIX_ALL in names(context.only)
    return bool(context.only) and wanted(context.only, FIX_ALL)
