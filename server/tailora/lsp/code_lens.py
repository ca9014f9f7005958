"""``textDocument/codeLens``: "Repair with Tailora" on each of pytest's tests in a Python document.

Only where the user lets tests run (``repair.run_tests``) in a trusted workspace. Finds tests by the text alone and runs
nothing; the command that a lens names is ``repair_command``'s.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tailora.lsp.repair_command import COMMAND, refusal
from tailora.lsp.text import path_of, units
from tailora.repair.spectrum import is_test_file

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["code_lens", "refresh", "register"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def register(server: TailoraServer) -> None:
    """Registers the handler."""
    server.feature(types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensOptions())(code_lens)


async def code_lens(ls: TailoraServer, params: types.CodeLensParams) -> list[types.CodeLens] | None:
    """One lens on each test; None where the text does not parse."""
    uri = params.text_document.uri
    document, path = ls.workspace.opened(uri), path_of(uri)
    if document is None or path is None or not is_test_file(path.name) or path.name == "conftest.py":
        return []
    place = ls.folders.place(path)
    if place.root is None or place.relative is None or refusal(ls, place.root) is not None:
        return []
    if len(document.source) > ls.settings.for_root(place.root).completion.max_file_kb * 1024:
        return []
    try:
        body = ast.parse(document.source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    lines, encoding = document.lines, ls.workspace.position_encoding
    lenses = []
    for name, node in _tests(body, place.relative):
        line = node.lineno - 1
        begin = len(lines[line].encode(errors="replace")[: node.col_offset].decode(errors="replace"))
        end = begin + len("async def " if isinstance(node, ast.AsyncFunctionDef) else "def ") + len(node.name)
        there = types.Range(
            types.Position(line, units(lines[line][:begin], encoding)),
            types.Position(line, units(lines[line][:end], encoding)),
        )
        lenses.append(
            types.CodeLens(there, types.Command("Repair with Tailora", COMMAND, arguments=[uri, name]))
        )
    return lenses


def _tests(body: Sequence[ast.stmt], node: str) -> Iterator[tuple[str, _Function]]:
    """pytest's node ids of tests, and where they are."""
    for item in body:
        if isinstance(item, _Function) and item.name.startswith("test_"):
            yield f"{node}::{item.name}", item
        elif isinstance(item, ast.ClassDef) and item.name.startswith("Test"):
            yield from _tests(item.body, f"{node}::{item.name}")


async def refresh(ls: TailoraServer) -> None:
    """Has the client ask again: whether tests may run may have changed."""
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.code_lens is not None and workspace.code_lens.refresh_support:
        with contextlib.suppress(JsonRpcException):
            await ls.workspace_code_lens_refresh_async(None)
