"""Asking for quick fixes as editors do, and applying what comes of it."""

import asyncio
import copy
from typing import Any

import clients
from lsprotocol import types

TEXT = "def area(width, height):\n    return breadth * height\n"
FIXED = TEXT.replace("breadth", "width")


def capabilities(**window: Any) -> types.ClientCapabilities:
    """VS Code's, which resolves edits lazily and takes versioned ones."""
    return copy.deepcopy(clients.vscode())


def diagnostic(
    text: str = TEXT,
    word: str = "breadth",
    *,
    source: str | None = "Ruff",
    code: Any = "F821",
    message: Any = None,
    units: Any = len,
) -> types.Diagnostic:
    """What a checker says of the first ``word``."""
    before, _, _ = text.partition(word)
    line, column = before.count("\n"), units(before.rpartition("\n")[2])
    there = types.Range(types.Position(line, column), types.Position(line, column + units(word)))
    said = f"Undefined name `{word}`" if message is None else message
    return types.Diagnostic(there, said, severity=types.DiagnosticSeverity.Error, code=code, source=source)


async def menu(
    editor: clients.Editor,
    uri: str,
    *diagnostics: types.Diagnostic,
    only: list[str] | None = None,
    at: types.Range | None = None,
    trigger: types.CodeActionTriggerKind | None = types.CodeActionTriggerKind.Invoked,
) -> list[types.CodeAction]:
    """The actions that are offered."""
    here = at or (
        diagnostics[0].range if diagnostics else types.Range(types.Position(0, 0), types.Position(0, 0))
    )
    context = types.CodeActionContext(list(diagnostics), only, trigger)
    params = types.CodeActionParams(types.TextDocumentIdentifier(uri), here, context)
    return list(await editor.client.text_document_code_action_async(params) or [])


async def resolve(editor: clients.Editor, action: types.CodeAction) -> types.CodeAction:
    """The action as it comes back when it was chosen."""
    return await editor.client.code_action_resolve_async(action)


def choose(editor: clients.Editor, action: types.CodeAction) -> "asyncio.Task[types.CodeAction]":
    """Chooses an action, and waits for nothing."""
    return asyncio.create_task(resolve(editor, action))


def applied(edit: types.WorkspaceEdit | None, text: str, encoding: str = "utf-16") -> str:
    """The text of the one document that ``edit`` is of, afterwards."""
    assert edit is not None
    if edit.document_changes is not None:
        (change,) = edit.document_changes
        edits = change.edits
    else:
        (edits,) = edit.changes.values()
    lines = text.split("\n")

    def offset(place: types.Position) -> int:
        line = lines[place.line].encode(f"{encoding}-le" if encoding != "utf-8" else encoding)
        width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
        codec = encoding if encoding == "utf-8" else f"{encoding}-le"
        column = len(line[: place.character * width].decode(codec))
        return sum(len(before) + 1 for before in lines[: place.line]) + column

    for one in sorted(edits, key=lambda it: (it.range.start.line, it.range.start.character), reverse=True):
        text = text[: offset(one.range.start)] + one.new_text + text[offset(one.range.end) :]
    return text
