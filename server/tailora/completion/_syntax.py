"""Asks a parser whether the statement at the cursor is complete.

The lines above the cursor are parsed once, together with what closes the blocks that are open there; each
question is then an incremental parse of the suggestion. Where the surroundings have syntax errors of their
own, or the language has no grammar, the parser cannot tell and says so. Knows nothing of streams. Invariant:
at most ``_window.MAX_PREFIX_CHARS`` + ``_window.MAX_SUFFIX_CHARS`` + the suggestion are ever parsed.
"""

from tree_sitter import Parser, Tree

from tailora.completion._scan import CLOSER, Scan
from tailora.completion._window import Window
from tailora_adapters import languages

__all__ = ["Syntax"]

_Point = tuple[int, int]


class Syntax:
    """The syntax around one cursor."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._parser: Parser | None = None
        self._tree: Tree | None = None
        self._head = window.before.encode(errors="replace")
        self._rows = window.before.count("\n")
        self._tail = b""
        """What the tree has after ``_head``."""
        self._closing = True
        """Whether the tail closes the open brackets; else it is what follows in the document."""
        language = languages.by_id(window.language)
        if language is None or not window.anchored or window.start.string or window.start.comment:
            return
        parser = languages.parser(language)
        if parser is None:
            return
        for tail in (self._closers(window.start), window.after.encode(errors="replace")):
            tree = parser.parse(self._head + tail)
            if not tree.root_node.has_error:
                self._parser, self._tree, self._tail = parser, tree, tail
                self._closing = tail != window.after.encode(errors="replace")
                return

    def complete(self, text: str, end: Scan) -> bool | None:
        """Whether the cursor's line with ``text`` added is complete; None when the parser cannot tell.

        ``end`` is the scan at the end of ``text``.
        """
        if self._parser is None or self._tree is None:
            return None
        rest = "" if self._closing else self._window.line_suffix
        middle = f"{self._window.line_prefix}{text}{rest}\n".encode(errors="replace")
        new_tail = self._closers(end) if self._closing else self._tail
        start = len(self._head)
        tree = self._tree.copy()
        point: _Point = (self._rows, 0)
        if self._closing:
            tree.edit(start, start + len(self._tail), start + len(middle) + len(new_tail), point,
                      _after(point, self._tail), _after(point, middle + new_tail))  # fmt: skip
        else:
            tree.edit(start, start, start + len(middle), point, point, _after(point, middle))
        return not self._parser.parse(self._head + middle + new_tail, tree).root_node.has_error

    @staticmethod
    def _closers(end: Scan) -> bytes:
        return ("\n" + "\n".join(CLOSER[opener] for opener in reversed(end.stack)) + "\n").encode()


def _after(point: _Point, text: bytes) -> _Point:
    newline = text.rfind(b"\n")
    return (
        (point[0] + text.count(b"\n"), len(text) - newline - 1)
        if newline >= 0
        else (point[0], point[1] + len(text))
    )
