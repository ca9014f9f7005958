"""Which lines two versions of a text share. Knows nothing of files or commits; the work is bounded."""

from collections.abc import Sequence
from difflib import SequenceMatcher

__all__ = ["shared_lines"]

_MOST_LINES = 4_000
"""Of the part that differs; where it is longer, nothing in it counts as shared."""


def shared_lines(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Line numbers of ``new``, from 0, to those of the same lines in ``old``, in order."""
    shortest = min(len(old), len(new))
    head = 0
    while head < shortest and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shortest - head and old[len(old) - 1 - tail] == new[len(new) - 1 - tail]:
        tail += 1
    result = {line: line for line in range(head)}
    before, after = old[head : len(old) - tail], new[head : len(new) - tail]
    if before and after and max(len(before), len(after)) <= _MOST_LINES:
        for start, other, size in SequenceMatcher(None, before, after).get_matching_blocks():
            result.update((head + other + step, head + start + step) for step in range(size))
    result.update((len(new) - step, len(old) - step) for step in range(tail, 0, -1))
    return result
