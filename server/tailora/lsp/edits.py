"""Edits of a text, and stretches of it that are followed through them.

Offsets are characters; a text's place moves with what is edited before it. Knows nothing of LSP or of suggestions.
Invariant: a ``Stretch`` costs the same at every edit however long the document is.
"""

import difflib
import re
from dataclasses import dataclass, replace

__all__ = ["Edit", "Stretch", "common_length", "share_left"]

_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Edit:
    """``removed`` stood at ``start``, and ``inserted`` stands there now."""

    start: int
    removed: str
    inserted: str

    @property
    def end(self) -> int:
        """Where ``removed`` ended."""
        return self.start + len(self.removed)

    @property
    def delta(self) -> int:
        """By how much all that follows has moved."""
        return len(self.inserted) - len(self.removed)

    def trimmed(self) -> "Edit":
        """The same edit without what is the same before and after it: a client may send the whole document."""
        if not self.removed or not self.inserted:
            return self
        head = common_length(self.removed, self.inserted)
        removed, inserted = self.removed[head:], self.inserted[head:]
        tail = common_length(removed[::-1], inserted[::-1])
        return Edit(self.start + head, removed[: len(removed) - tail], inserted[: len(inserted) - tail])


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a document: ``text`` as it was at first, and where what is left of it lies now."""

    text: str
    start: int
    end: int

    def moved(self, edit: Edit) -> "Stretch":
        """Where it lies after ``edit`` (trimmed). What is written at its ends is no part of it."""
        if self.start == self.end == edit.start and self.text and edit.inserted.startswith(self.text):
            return replace(self, end=self.start + len(self.text))  # an undo was undone
        if edit.end <= self.start:
            return replace(self, start=self.start + edit.delta, end=self.end + edit.delta)
        if edit.start >= self.end:
            return self
        if edit.start >= self.start and edit.end <= self.end:
            return replace(self, end=self.end + edit.delta)
        if (found := edit.inserted.find(self.text)) >= 0:
            return replace(self, start=edit.start + found, end=edit.start + found + len(self.text))
        # It was replaced together with what is beside it: as much of the new text as was ours, counted from there.
        size = len(edit.inserted)
        start, end = self.start, self.end + edit.delta
        if edit.start < self.start:
            start = edit.start + max(0, size - (min(edit.end, self.end) - self.start))
        if edit.end > self.end:
            end = edit.start + min(size, self.end - max(edit.start, self.start))
        return replace(self, start=min(start, end), end=end)

    def share(self, source: str) -> float:
        """Share of ``text`` that is left in ``source``, the document now."""
        return share_left(self.text, source[self.start : self.end])


def common_length(one: str, other: str) -> int:
    """Length of what both begin with; in logarithmically many comparisons, as texts may be whole documents."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one.startswith(other[:middle]):
            low = middle
        else:
            high = middle - 1
    return low


def share_left(before: str, now: str) -> float:
    """Share of the characters of ``before`` that are still in ``now``, in order, word by word; from 0 to 1."""
    if not before or before == now:
        return 1.0
    ours, theirs = _TOKEN.findall(before), _TOKEN.findall(now)
    blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    left = sum(len(token) for block in blocks for token in ours[block.a : block.a + block.size])
    return left / len(before)
