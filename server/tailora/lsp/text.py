"""The text of open documents, and positions in it.

Lines end at a line feed, a carriage return or both, and nowhere else, as LSP defines them (``str.splitlines``
also splits at form feeds and Unicode separators, after which every later edit would land on the wrong line).
Knows nothing of completion. Invariants: any position maps to a place inside the text, and nothing is ever
read from disk.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import to_fs_path
from pygls.workspace import PositionCodec, TextDocument, Workspace

from tailora.lsp.edits import Edit

__all__ = ["LARGEST_KEPT", "Document", "Documents", "offset_of_units", "path_of", "plain_lines", "units"]

LARGEST_KEPT = 8192 * 1024
"""Documents longer than this, in characters, are known but their text is not kept (the bound of
``completion.max_file_kb``): every edit would cost time in proportion to their size."""

_LINE_END = re.compile(r"\r\n|\n|\r")
_UTF8, _UTF16 = types.PositionEncodingKind.Utf8, types.PositionEncodingKind.Utf16


def units(text: str, encoding: str | None) -> int:
    """Length of ``text`` in code units of a position encoding."""
    if encoding == types.PositionEncodingKind.Utf32 or text.isascii():
        return len(text)
    if encoding == _UTF8:
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def offset_of_units(line: str, character: int, encoding: str | None) -> int:
    """How many characters the first ``character`` code units of ``line`` are; never part of a character."""
    if encoding == types.PositionEncodingKind.Utf32 or line.isascii():
        return max(0, min(character, len(line)))
    if encoding == _UTF8:
        data = line.encode("utf-8", "surrogatepass")
        cut = max(0, min(character, len(data)))
        while cut < len(data) and data[cut] & 0xC0 == 0x80:
            cut -= 1
        return len(data[:cut].decode("utf-8", "surrogatepass"))
    data = line.encode("utf-16-le", "surrogatepass")
    cut = max(0, min(2 * character, len(data)))
    inside_pair = cut >= 2 and data[cut - 1] & 0xFC == 0xD8 and data[cut + 1 : cut + 2] >= b"\xdc"
    if inside_pair and data[cut + 1] & 0xFC == 0xDC:
        cut -= 2
    return len(data[:cut].decode("utf-16-le", "surrogatepass"))


def plain_lines(text: str) -> str:
    """A text whose lines end with LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def path_of(uri: str) -> Path | None:
    """The file of a ``file:`` URI, else None."""
    try:
        path = to_fs_path(uri)
    except ValueError:  # such as file://[
        return None
    return Path(path) if path else None


class Document(TextDocument):
    """One open document. ``oversize`` is its length in characters if it is too long to keep, else 0."""

    def __init__(
        self, uri: str, source: str, version: int | None, language_id: str | None, codec: PositionCodec
    ) -> None:
        super().__init__(uri, source="", version=version, language_id=language_id, position_codec=codec)
        self.oversize = 0
        self._starts: list[int] | None = None
        self._replace(source)

    @property
    def source(self) -> str:
        """The text; empty if it is too long to keep."""
        return self._source or ""

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their ends; the last one is empty if the text ends with a line end."""
        bounds = [*self._line_starts(), len(self.source)]
        return tuple(self.source[start:end] for start, end in itertools.pairwise(bounds))

    def apply_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        """Applies one ``didChange`` event. Edits of a document that is too long to keep are skipped."""
        self.edit(change)

    def edit(self, change: types.TextDocumentContentChangeEvent) -> Edit | None:
        """The same, and what it did; None if it was skipped."""
        before = self.source
        if not isinstance(change, types.TextDocumentContentChangePartial):
            self._replace(change.text)
            return Edit(0, before, self.source)
        if self.oversize:
            return None
        places = (change.range.start, change.range.end)
        start, end = sorted(self.offset_at_position(place) for place in places)
        self._replace(before[:start] + change.text + before[end:])
        return Edit(start, before[start:end], change.text)

    def offset_at_position(self, client_position: types.Position) -> int:
        """Index into ``source``; past a line's end: its end, past the last line: the end of the text."""
        starts = self._line_starts()
        if client_position.line >= len(starts):
            return len(self.source)
        start, end = self._line_bounds(client_position.line)
        encoding = self.position_codec.encoding
        return start + offset_of_units(self.source[start:end], client_position.character, encoding)

    def client_position_at_offset(self, offset: int) -> types.Position:
        """The client's position of an index into ``source``."""
        starts = self._line_starts()
        line = _last_at_most(starts, offset)
        before = self.source[starts[line] : offset]
        return types.Position(line=line, character=units(before, self.position_codec.encoding))

    def _replace(self, text: str) -> None:
        self.oversize = len(text) if len(text) > LARGEST_KEPT else 0
        self._source = "" if self.oversize else text
        self._starts = None

    def _line_starts(self) -> list[int]:
        if self._starts is None:
            self._starts = [0, *(match.end() for match in _LINE_END.finditer(self.source))]
        return self._starts

    def _line_bounds(self, line: int) -> tuple[int, int]:
        """Start and end of a line, without its line end."""
        starts = self._line_starts()
        if line + 1 >= len(starts):
            return starts[line], len(self.source)
        end = starts[line + 1] - 1
        if self.source[end - 1 : end + 1] == "\r\n" and end > starts[line]:
            end -= 1
        return starts[line], end


def _last_at_most(starts: list[int], offset: int) -> int:
    low, high = 0, len(starts)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if starts[middle] <= offset else (low, middle)
    return low


class Documents(Workspace):
    """The open documents and the workspace's folders."""

    on_edit: Callable[[str, Edit], None] | None = None
    """Called with the URI after each single change."""
    on_close: Callable[[str], None] | None = None
    """Called with the URI before a document is forgotten."""

    def opened(self, uri: str) -> Document | None:
        """The open document, or None: one that was never opened is never read from disk."""
        document = self._text_documents.get(unquote(uri))
        return document if isinstance(document, Document) else None

    def update_text_document(
        self, text_doc: types.VersionedTextDocumentIdentifier, change: types.TextDocumentContentChangeEvent
    ) -> None:
        """Applies a change; one to a document that is not open is dropped."""
        document = self.opened(text_doc.uri)
        if document is not None:
            edit = document.edit(change)
            document.version = text_doc.version
            if edit is not None and self.on_edit is not None:
                self.on_edit(text_doc.uri, edit)

    def remove_text_document(self, doc_uri: str) -> None:
        """Forgets a document."""
        if self.on_close is not None:
            self.on_close(doc_uri)
        super().remove_text_document(doc_uri)

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> Document:
        return Document(doc_uri, source or "", version, language_id, self.position_codec)
