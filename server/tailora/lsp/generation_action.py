"""The code action that writes a function's body from its docstring or comment, or a function from a comment alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.generation import find_place, write_function
from tailora.infill import Limits
from tailora.lsp.function_action import filler_of, offered_at, resolved
from tailora.lsp.repairs import Snapshot
from tailora.lsp.works import Report

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["KIND", "NAME", "offered", "resolve"]

NAME = "generation"
KIND = "refactor.rewrite.tailora.generation"


def offered(ls: TailoraServer, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The action for the function without a body, or the comment without a function, that the cursor is in."""

    def title(snapshot: Snapshot, line: int) -> str | None:
        found = find_place(snapshot.text, snapshot.language, line)
        return f"Tailora: write this function from its {found.source}" if found is not None else None

    return offered_at(
        ls, params, feature=NAME, kind=KIND, enabled=lambda options: options.generation.enabled, title=title
    )


async def resolve(ls: TailoraServer, action: types.CodeAction) -> types.CodeAction:
    """The action with its edit."""

    async def make(snapshot: Snapshot, path: Path, line: int, report: Report) -> str | None:
        place = find_place(snapshot.text, snapshot.language, line)
        if place is None:
            return None
        limits = Limits.of(ls.settings.for_root(ls.folders.place(path).root).generation)
        report(0.1, "writing")
        filler = filler_of(ls, path, snapshot.language, NAME)
        made = await write_function(snapshot.text, place, snapshot.language, filler, limits)
        return made.text if made is not None else None

    return await resolved(
        ls,
        action,
        doing="Writing a function",
        nothing="no whole function came that parses",
        make=make,
    )
