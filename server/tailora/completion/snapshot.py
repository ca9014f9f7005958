"""What a completion is asked for: one document at one moment, with the cursor in it.

A snapshot is taken before the first await and is all that the rest of the completion sees. It knows nothing
of LSP positions or of models. Invariant: everything but ``prefix`` and ``suffix`` looks at a bounded part of
the text around the cursor, so that a 50 MB file, even on one line, costs no more than a small one.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tailora_adapters import languages

__all__ = ["MAX_LINE_CHARS", "Snapshot"]

MAX_LINE_CHARS = 65_536
"""Of a longer line only this much on either side of the cursor counts."""
_STYLE_CHARS = 131_072
"""Line endings and indentation are judged by this much text on either side of the cursor."""
_DEFAULT_INDENT = {
    "go": "\t",
    "makefile": "\t",
    "javascript": "  ",
    "javascriptreact": "  ",
    "typescript": "  ",
    "typescriptreact": "  ",
    "ruby": "  ",
    "lua": "  ",
    "haskell": "  ",
    "scala": "  ",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document and the cursor in it, as the editor has them."""

    uri: str
    path: Path | None
    language: str
    """LSP language identifier."""
    version: int | None
    text: str
    """With the editor's own line endings."""
    offset: int
    """The cursor, in characters, within ``text``."""

    @property
    def prefix(self) -> str:
        """All text before the cursor."""
        return self.text[: self.offset]

    @property
    def suffix(self) -> str:
        """All text after the cursor."""
        return self.text[self.offset :]

    @property
    def line_start(self) -> int:
        """Where the cursor's line begins, at most ``MAX_LINE_CHARS`` before the cursor."""
        low = max(0, self.offset - MAX_LINE_CHARS)
        return max(self.text.rfind("\n", low, self.offset) + 1, low)

    @property
    def line_end(self) -> int:
        """Where the cursor's line ends, before the line ending, at most ``MAX_LINE_CHARS`` on."""
        high = min(len(self.text), self.offset + MAX_LINE_CHARS)
        end = self.text.find("\n", self.offset, high)
        if end < 0:
            return high
        return end - 1 if end > self.offset and self.text[end - 1] == "\r" else end

    @property
    def line_prefix(self) -> str:
        """The cursor's line before the cursor."""
        line = self.text[self.line_start : self.offset]
        inside_ending = line.endswith("\r") and self.text.startswith("\n", self.offset)
        return line[:-1] if inside_ending else line

    @property
    def line_suffix(self) -> str:
        """The cursor's line after the cursor, without its line ending."""
        return self.text[self.offset : self.line_end]

    @property
    def newline(self) -> str:
        """The line ending that most lines have: ``"\\r\\n"`` or ``"\\n"``."""
        low, high = max(0, self.offset - _STYLE_CHARS), self.offset + _STYLE_CHARS
        crlf = self.text.count("\r\n", low, high)
        return "\r\n" if crlf > self.text.count("\n", low, high) - crlf else "\n"

    @property
    def indent_unit(self) -> str:
        """One level of indentation: a tab or some spaces.

        In a file that mixes both, the cursor's own line decides where it is indented, else the majority.
        """
        line = self.line_prefix
        before = self.text[max(0, self.offset - _STYLE_CHARS) : self.line_start]
        after = self.text[self.line_end : self.offset + _STYLE_CHARS]
        widths, tabs, spaces = _indentation([*before.split("\n"), line + "|", *after.split("\n")])
        if line[:1] == "\t" or (line[:1] != " " and tabs > spaces):
            return "\t"
        if widths:
            return " " * max(widths, key=lambda width: (widths[width], width == 4, width == 2))
        default = _DEFAULT_INDENT.get(_known(self.language), "    ")
        return "    " if line[:1] == " " and default == "\t" else default


def _known(language: str) -> str:
    known = languages.by_id(language)
    return known.id if known else language


def _indentation(lines: list[str]) -> tuple[Counter[int], int, int]:
    """How often each width of a step to the right occurs, lines indented by tabs, lines by spaces."""
    widths: Counter[int] = Counter()
    tabs = spaces = previous = 0
    for line in lines:
        body = line.lstrip(" \t")
        if not body.strip() or body.startswith(
            "*"
        ):  # the second lines of a block comment stand one column in
            continue
        if line[0] == "\t":
            tabs += 1
            continue
        width = len(line) - len(body)
        spaces += width > 0
        step = width - previous
        if 2 <= step <= 8 and width % step == 0:
            widths[step] += 1
        previous = width
    return widths, tabs, spaces
