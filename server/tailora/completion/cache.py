"""Answers for free while the user types what was suggested.

Entries remember no documents, only hashes of what stands around the cursor, at most ``_HASHED_CHARS`` on
either side, and lengths beyond. Knows nothing of models but their key. Invariant: an answer is only ever the
rest of a suggestion that was made by the same model, adapter and settings at the same place.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from tailora.completion.snapshot import Snapshot

__all__ = ["CacheKey", "Found", "TypedThrough"]

_HASHED_CHARS = 65_536


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What a suggestion depends on besides the document."""

    model: str
    adapter: str | None
    """Adapter and version; None: no adapter."""
    settings: Hashable = ()
    """Whatever settings change suggestions."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known at a cursor."""

    text: str
    """Empty where it is known that there is nothing to suggest."""
    made_by: str | None
    """The adapter that made it, as the engine named it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A cursor between two texts."""

    key: CacheKey
    uri: str
    offset: int
    before: int
    """Hash of the text before the cursor."""
    length_after: int
    after: int
    """Hash of the text after the cursor."""


class TypedThrough:
    """The latest suggestions. Not thread-safe."""

    def __init__(self, max_entries: int = 64) -> None:
        self._max_entries = max(1, max_entries)
        self._entries: OrderedDict[_Place, Found] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: CacheKey, snapshot: Snapshot, suggestion: str, made_by: str | None = None) -> None:
        """Remembers ``suggestion`` as the answer at the snapshot's cursor; an empty one says that there is none."""
        offset = snapshot.offset
        place = _Place(
            key,
            snapshot.uri,
            offset,
            _before(snapshot.text, offset),
            len(snapshot.text) - offset,
            _after(snapshot.text, offset),
        )
        self._entries[place] = Found(suggestion, made_by)
        self._entries.move_to_end(place)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def get(self, key: CacheKey, snapshot: Snapshot) -> str | None:
        """The text of ``find``."""
        found = self.find(key, snapshot)
        return None if found is None else found.text

    def find(self, key: CacheKey, snapshot: Snapshot) -> Found | None:
        """The rest of a suggestion of which the user has typed the beginning (or nothing yet), newest first.

        None where nothing is known, or where all of a suggestion was typed.
        """
        text, offset = snapshot.text, snapshot.offset
        length_after = len(text) - offset
        after: int | None = None
        for place in reversed(self._entries):
            entry = self._entries[place]
            suggestion = entry.text
            typed = offset - place.offset
            if place.uri != snapshot.uri or place.key != key or place.length_after != length_after:
                continue
            if not 0 <= typed < max(1, len(suggestion)) or text[place.offset : offset] != suggestion[:typed]:
                continue
            after = _after(text, offset) if after is None else after
            if place.after == after and place.before == _before(text, place.offset):
                self._entries.move_to_end(place)
                return Found(suggestion[typed:], entry.made_by)
        return None

    def clear(self, keep: CacheKey | None = None) -> None:
        """Forgets all, or all that was not made under ``keep`` (after a change of model or adapter)."""
        for place in list(self._entries):
            if place.key != keep:
                del self._entries[place]


def _before(text: str, offset: int) -> int:
    return hash(text[max(0, offset - _HASHED_CHARS) : offset])


def _after(text: str, offset: int) -> int:
    return hash(text[offset : offset + _HASHED_CHARS])
