"""What of other files helps to complete this one: the definitions it imports, and what was edited lately.

Knows nothing of prompts or tokens. Invariants: nothing outside the root and nothing that looks secret is
read or handed on; the same inputs give the same snippets in the same order, the most stable ones first, so
that a model's KV cache of them survives from keystroke to keystroke; an unreadable file is as good as none.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tailora.completion._imports import MAX_FILE_BYTES, Import, find_imports, inside, looks_secret, resolve
from tailora.completion._outline import MAX_SIGNATURE_CHARS, Outline, outline
from tailora.completion.snapshot import Snapshot
from tailora_adapters import languages

__all__ = ["ContextSnippet", "Place", "RecentEdits", "gather"]

_MAX_PLACES = 32
_MAX_RECENT = 4
_LINES_AROUND = 6
_MAX_WINDOW_CHARS = 2_000
_MAX_IMPORTS = 64
_MAX_HOPS = 3
_MAX_OUTLINES = 256


@dataclass(frozen=True, slots=True)
class ContextSnippet:
    """A piece of another file."""

    path: str
    """Relative to the root, with forward slashes."""
    text: str
    """LF line endings, none at the end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was edited."""

    path: Path
    start: int
    """Offset of ``text`` in the document, in characters, when it was edited."""
    text: str


class RecentEdits:
    """The places that were edited last, over all documents; one for edits next to each other."""

    def __init__(self, max_places: int = _MAX_PLACES) -> None:
        self._max_places = max(1, max_places)
        self._places: list[Place] = []

    def note(self, path: Path, text: str, offset: int) -> None:
        """Remembers an edit at ``offset`` of the document that now holds ``text``."""
        if looks_secret(path):
            return
        offset = min(max(0, offset), len(text))
        start, window = _window(text, offset)
        self._places = [
            place
            for place in self._places
            if place.path != path or not start - _MAX_WINDOW_CHARS // 4 <= place.start <= start + len(window)
        ]
        if window.strip():
            self._places.append(Place(path, start, window))
        del self._places[: -self._max_places]

    def places(self, exclude: Path | None, limit: int) -> tuple[Place, ...]:
        """The newest ``limit`` places that are not in ``exclude``, oldest first."""
        if limit <= 0:
            return ()
        return tuple([place for place in self._places if place.path != exclude][-limit:])


def _window(text: str, offset: int) -> tuple[int, str]:
    """About twelve lines around ``offset``, cut at line borders, and where they begin.

    Of longer lines no more than ``_MAX_WINDOW_CHARS`` in all.
    """
    low, high = max(0, offset - _MAX_WINDOW_CHARS // 2), offset + _MAX_WINDOW_CHARS // 2
    before, after = text[low:offset].split("\n"), text[offset:high].split("\n")
    if low > 0 and len(before) > 1:
        del before[0]
    if high < len(text) and len(after) > 1:
        del after[-1]
    head = "\n".join(before[-_LINES_AROUND - 1 :])
    window = head + "\n".join(after[:_LINES_AROUND])
    return offset - len(head), window.replace("\r\n", "\n").rstrip("\r\n")


class _Outlines:
    """Outlines by path, good as long as the text is the same."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Path, tuple[int, int, Outline]] = OrderedDict()

    def get(self, path: Path, text: str) -> Outline:
        identity = (hash(text), len(text))
        entry = self._entries.get(path)
        if entry is None or entry[:2] != identity:
            language = languages.by_path(path)
            entry = (*identity, outline(text, language.id if language else ""))
            self._entries[path] = entry
        self._entries.move_to_end(path)
        while len(self._entries) > _MAX_OUTLINES:
            self._entries.popitem(last=False)
        return entry[2]


_outlines = _Outlines()


def gather(
    snapshot: Snapshot,
    *,
    root: Path | None,
    recent: RecentEdits,
    read: Callable[[Path], str | None],
    budget_chars: int,
    used: Collection[str] | None = None,
) -> tuple[ContextSnippet, ...]:
    """What helps at the snapshot's cursor, at most ``budget_chars`` characters of text in all.

    ``read`` gives a file's text, an open document's as the editor has it, or None; it may raise OSError or
    ValueError. Two thirds of the budget are for definitions, whether or not there are recent edits, so that
    the first edit in another file does not change them. Without a root there is nothing to look at. ``used``: only
    definitions of what is imported under one of these names.
    """
    if root is None or budget_chars <= 0:
        return ()
    real_root = Path(root).resolve()
    own = inside(snapshot.path, real_root) if snapshot.path is not None else None
    snippets = []
    left = budget_chars * 2 // 3
    if own is not None:
        for path, text in _Gathering(real_root, read).definitions(own, snapshot, used):
            if len(text) <= left:
                snippets.append(ContextSnippet(path.relative_to(real_root).as_posix(), text))
                left -= len(text)
    left += budget_chars - budget_chars * 2 // 3
    edits: list[ContextSnippet] = []
    for place in reversed(recent.places(snapshot.path, _MAX_PLACES)):
        real = inside(place.path, real_root)
        if real is None or real == own or len(place.text) > left or len(edits) == _MAX_RECENT:
            continue
        edits.append(ContextSnippet(real.relative_to(real_root).as_posix(), place.text))
        left -= len(place.text)
    return (*snippets, *reversed(edits))


def _only(imported: Import, used: Collection[str]) -> Import:
    """What an import statement brings under one of the names."""
    names = tuple((original, local) for original, local in imported.names if local in used)
    whole = imported.whole and re.split(r"[./]", imported.module)[-1] in used
    return replace(imported, names=names, whole=whole)


class _Gathering:
    """One look at the modules around a file; each of them is read once."""

    def __init__(self, root: Path, read: Callable[[Path], str | None]) -> None:
        self._root = root
        self._read = read
        self._known: dict[Path, Outline | None] = {}

    def definitions(
        self, file: Path, snapshot: Snapshot, used: Collection[str] | None
    ) -> Iterator[tuple[Path, str]]:
        """Signatures of what the snapshot imports, by defining file, in the order of the imports."""
        found: dict[Path, dict[str, None]] = {}
        for imported in find_imports(snapshot.text, snapshot.language)[:_MAX_IMPORTS]:
            if used is not None:
                imported = _only(imported, used)
            for path, signature in self._of_import(imported, file, snapshot.language):
                if path != file:
                    found.setdefault(path, {})[signature] = None
        for path, signatures in found.items():
            yield path, "\n".join(signatures)

    def _of_import(self, imported: Import, file: Path, language: str) -> Iterator[tuple[Path, str]]:
        module = resolve(imported, None, file, language, self._root)
        if imported.whole and module is not None:
            yield from self._public(module)
        for name, _ in imported.names:
            definition = self._definition(module, name, _MAX_HOPS) if module is not None else None
            if definition is not None:
                yield definition
            elif (submodule := resolve(imported, name, file, language, self._root)) is not None:
                yield from self._public(submodule)

    def _public(self, module: Path) -> Iterator[tuple[Path, str]]:
        left = MAX_SIGNATURE_CHARS
        shape = self._outline(module)
        for signature in shape.public() if shape else ():
            left -= len(signature)
            if left < 0:
                return
            yield module, signature

    def _definition(self, module: Path, name: str, hops: int) -> tuple[Path, str] | None:
        """Where ``name`` of ``module`` is defined, also where it is only handed on, and its signature."""
        shape = self._outline(module)
        if shape is None:
            return None
        if name in shape.signatures:
            return module, shape.signatures[name]
        language = languages.by_path(module)
        if hops == 0 or language is None:
            return None
        for imported in shape.imports:
            originals = [original for original, local in imported.names if local == name]
            if not originals and not imported.star:
                continue
            source = resolve(imported, None, module, language.id, self._root)
            if source is not None and (found := self._definition(source, (originals or [name])[0], hops - 1)):
                return found
        return None

    def _outline(self, path: Path) -> Outline | None:
        if path not in self._known:
            try:
                text = self._read(path)
            except (OSError, ValueError):  # ValueError: not UTF-8
                text = None
            small = text is not None and len(text) <= MAX_FILE_BYTES
            self._known[path] = _outlines.get(path, text) if text is not None and small else None
        return self._known[path]
