"""Where a new import goes in a Python file, as those who sort imports have it (PEP 8, isort).

In order within the block of its kind, with what is imported from the same module already, or as a block of its own.
Checkers complain about anything else. Knows nothing of which import is missing.
"""

import ast
import sys
from collections.abc import Sequence
from itertools import pairwise

from tailora.repair.problem import Span

__all__ = ["import_edits"]

_LONGEST = 88
_Import = ast.Import | ast.ImportFrom
_Edit = tuple[Span, tuple[str, ...]]


def import_edits(text: str, line: str) -> list[_Edit]:
    """Ways to put the import ``line`` in, the likeliest first: lines, and the span that they take the place of."""
    try:
        body, (new,) = ast.parse(text).body, ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [(Span(0, 0), (line,))]
    assert isinstance(new, _Import)
    lines = text.split("\n")
    blocks = _blocks(body)
    if not blocks:
        return [_first(lines, body, line)]
    found: list[_Edit] = []
    for block in blocks:
        found += [edit for node in block if (edit := _merged(lines, node, new)) is not None]
    kinds = [_kind(block[0]) for block in blocks]
    kind = _kind(new)
    if kind in kinds:
        chosen = blocks[kinds.index(kind)]
        if (
            kind == _OTHERS
        ):  # third parties or the project's own: where its package is imported, else the last
            others = [block for block, it in zip(blocks, kinds, strict=True) if it == kind]
            near = [block for block in others if any(_package(node) == _package(new) for node in block)]
            chosen = (near or others[-1:])[0]
        before = next((node.lineno - 1 for node in chosen if _order(node) > _order(new)), _end(chosen))
        found.append((Span(before, before), (line,)))
    after = next((block for block, it in zip(blocks, kinds, strict=True) if it > kind), None)
    if after is None:
        end = _end(blocks[-1])
        found.append((Span(end, end), ("", line)))
    elif kind not in kinds:
        found.append((Span(after[0].lineno - 1, after[0].lineno - 1), (line, "")))
    return list(dict.fromkeys(found))


_FUTURE, _STANDARD, _OTHERS, _RELATIVE = range(4)


def _kind(node: _Import) -> int:
    if isinstance(node, ast.ImportFrom) and node.level:
        return _RELATIVE
    package = _package(node)
    return (
        _FUTURE if package == "__future__" else _STANDARD if package in sys.stdlib_module_names else _OTHERS
    )


def _module(node: _Import) -> str:
    return (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name


def _package(node: _Import) -> str:
    return _module(node).partition(".")[0]


def _order(node: _Import) -> tuple[bool, int, str]:
    """Whole modules first, then by name; farther relatives first."""
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    return isinstance(node, ast.ImportFrom), -level, _module(node).lower()


def _blocks(body: Sequence[ast.stmt]) -> list[list[_Import]]:
    """The imports at the head of a file, those without a blank line between them together."""
    head: list[_Import] = []
    for node in body:
        if isinstance(node, _Import):
            head.append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            break
    blocks = [head[:1]] if head else []
    for before, node in pairwise(head):
        if node.lineno == (before.end_lineno or 0) + 1:
            blocks[-1].append(node)
        else:
            blocks.append([node])
    return blocks


def _end(block: Sequence[_Import]) -> int:
    """The line behind it."""
    return block[-1].end_lineno or 0


def _merged(lines: Sequence[str], node: _Import, new: _Import) -> _Edit | None:
    """``node`` with what ``new`` imports from the same module; None where that is not one short line of its own."""
    if not isinstance(node, ast.ImportFrom) or not isinstance(new, ast.ImportFrom):
        return None
    if (node.module, node.level) != (new.module, new.level) or node.lineno != node.end_lineno:
        return None
    plain = ast.ImportFrom(node.module, [*node.names, *new.names], node.level)
    if lines[node.lineno - 1] != ast.unparse(node):
        return None  # with a comment, or another statement
    plain.names.sort(key=lambda alias: (not alias.name.isupper(), not alias.name[:1].isupper(), alias.name))
    text = ast.unparse(plain)
    return (Span(node.lineno - 1, node.lineno), (text,)) if len(text) <= _LONGEST else None


def _first(lines: Sequence[str], body: Sequence[ast.stmt], line: str) -> _Edit:
    """In a file without imports: behind its documentation or the comments at its top, apart from what follows."""
    at = 0
    head = body[0] if body else None
    if (
        isinstance(head, ast.Expr)
        and isinstance(head.value, ast.Constant)
        and isinstance(head.value.value, str)
    ):
        at = head.end_lineno or 0
        body = body[1:]
    else:
        while at < len(lines) and lines[at].startswith("#"):
            at += 1
    blank = 0
    while at + blank < len(lines) and not lines[at + blank].strip():
        blank += 1
    defined = body and isinstance(body[0], ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    wanted = (2 if defined else 1) if body else 0
    before = [""] if at else []
    return Span(at, at), (*before, line, *[""] * max(0, wanted - blank))
