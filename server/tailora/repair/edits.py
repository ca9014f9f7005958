"""From two texts to the smallest edit between them, and that edit moved to a text that was changed meanwhile.

The edit is always computed here, never written by the model. Lines end with LF here; columns are characters. Knows
nothing of LSP.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["TextChange", "changes_between", "common_ends", "rebased"]

_CONTEXT = 1
"""Lines before and after an edit that must stand as they did for it to be moved."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """What stands from one place to another is replaced by ``new``."""

    line: int
    column: int
    end_line: int
    end_column: int
    new: str


@dataclass(frozen=True, slots=True)
class _Block:
    """Whole lines ``first`` to before ``end`` become ``lines``."""

    first: int
    end: int
    lines: tuple[str, ...]


def changes_between(before: str, after: str) -> list[TextChange]:
    """The edits that make ``after`` of ``before``, without what stays at their ends, in order."""
    old = before.split("\n")
    return [_trimmed(old, block) for block in _blocks(old, after.split("\n"))]


def rebased(before: str, after: str, now: str) -> list[TextChange] | None:
    """The same edits for ``now``, which was made of ``before`` meanwhile; None if they touch what was changed, or lines
    next to it."""
    if now == before:
        return changes_between(before, after)
    old, current = before.split("\n"), now.split("\n")
    same = _same(old, current)
    moved: list[TextChange] = []
    for block in _blocks(old, after.split("\n")):
        first, end = max(0, block.first - _CONTEXT), min(len(old), block.end + _CONTEXT)
        by = next((other - at for at, other, size in same if at <= first and end <= at + size), None)
        if by is None:
            return None
        moved.append(_trimmed(current, _Block(block.first + by, block.end + by, block.lines)))
    return moved


def _blocks(old: Sequence[str], new: Sequence[str]) -> list[_Block]:
    found: list[_Block] = []
    at = to = 0
    for first, other, size in [*_same(old, new), (len(old), len(new), 0)]:
        if first > at or other > to:
            found.append(_Block(at, first, tuple(new[to:other])))
        at, to = first + size, other + size
    return found


def _same(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int]]:
    """The runs of lines that both have: where in ``old``, where in ``new``, how many.

    Equal lines at both ends are left out of the search, which takes time with the square of what is left.
    """
    head, tail = common_ends(old, new)
    inner = difflib.SequenceMatcher(
        None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False
    )
    runs = [(head + block.a, head + block.b, block.size) for block in inner.get_matching_blocks()]
    runs = [(0, 0, head), *runs, (len(old) - tail, len(new) - tail, tail)]
    return [run for run in runs if run[2]]


def common_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many lines are equal at the beginning, and behind those at the end."""
    shorter = min(len(old), len(new))
    head = next((line for line in range(shorter) if old[line] != new[line]), shorter)
    tail = next((line for line in range(shorter - head) if old[-1 - line] != new[-1 - line]), shorter - head)
    return head, tail


def _trimmed(old: Sequence[str], block: _Block) -> TextChange:
    """A block as an edit within ``old``, without what it leaves as it is."""
    if block.first == block.end:  # lines that are put in between
        if block.first < len(old):
            return TextChange(block.first, 0, block.first, 0, "".join(line + "\n" for line in block.lines))
        last = len(old) - 1
        return TextChange(
            last, len(old[last]), last, len(old[last]), "".join("\n" + line for line in block.lines)
        )
    if not block.lines:
        if block.end < len(old):
            return TextChange(block.first, 0, block.end, 0, "")
        before = max(block.first - 1, 0)
        column = len(old[before]) if block.first else 0
        return TextChange(before, column, len(old) - 1, len(old[-1]), "")
    was, text = "\n".join(old[block.first : block.end]), "\n".join(block.lines)
    head = 0
    while head < min(len(was), len(text)) and was[head] == text[head]:
        head += 1
    tail = 0
    while tail < min(len(was), len(text)) - head and was[-1 - tail] == text[-1 - tail]:
        tail += 1
    begin, end = was[:head], was[: len(was) - tail]
    return TextChange(
        block.first + begin.count("\n"),
        len(begin.rpartition("\n")[2]),
        block.first + end.count("\n"),
        len(end.rpartition("\n")[2]),
        text[head : len(text) - tail],
    )
