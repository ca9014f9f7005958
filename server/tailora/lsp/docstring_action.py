"""Code actions for docstrings: one is written, or brought in line with its function, in the repository's style."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.docstrings import find_target, make_docstring
from tailora.infill import Limits
from tailora.lsp.function_action import filler_of, offered_at, resolved
from tailora.lsp.repairs import Snapshot
from tailora.lsp.works import Report

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["KIND", "NAME", "offered", "resolve"]

NAME = "docstring"
KIND = "refactor.rewrite.tailora.docstring"


def offered(ls: TailoraServer, params: types.CodeActionParams) -> list[types.CodeAction]:
    """The action for the function that the cursor is in, where its docstring is missing or no longer fits."""

    def title(snapshot: Snapshot, line: int) -> str | None:
        found = find_target(snapshot.text, snapshot.language, line)
        if found is None:
            return None
        return f"Tailora: {'update the' if found.what == 'update' else 'write a'} docstring"

    return offered_at(
        ls, params, feature=NAME, kind=KIND, enabled=lambda options: options.docstring.enabled, title=title
    )


async def resolve(ls: TailoraServer, action: types.CodeAction) -> types.CodeAction:
    """The action with its edit."""

    async def make(snapshot: Snapshot, path: Path, line: int, report: Report) -> str | None:
        target = find_target(snapshot.text, snapshot.language, line)
        if target is None:
            return None
        root = ls.folders.place(path).root
        style = await asyncio.to_thread(ls.styles.of, root, snapshot.text, snapshot.language)
        limits = Limits.of(ls.settings.for_root(root).docstring)
        filler = filler_of(ls, path, snapshot.language, NAME)
        made = await make_docstring(snapshot.text, target, style, filler, limits, report)
        return made.text if made is not None else None

    return await resolved(
        ls,
        action,
        doing="Writing a docstring",
        nothing="no docstring came that agrees with the signature",
        make=make,
    )
