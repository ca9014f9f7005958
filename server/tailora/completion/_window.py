"""The bounded surroundings of the cursor that the stop rules and the post-processing look at.

Knows nothing of suggestions. Invariant: no more than ``MAX_PREFIX_LINES`` lines or ``MAX_PREFIX_CHARS``
characters before the cursor and ``MAX_SUFFIX_CHARS`` after it are read, whatever the size of the document.
"""

from dataclasses import dataclass

from tailora.completion._scan import Lexis, Scan, lexis_of, scan
from tailora.completion.snapshot import Snapshot
from tailora_adapters import languages

__all__ = ["MAX_PREFIX_CHARS", "MAX_PREFIX_LINES", "MAX_SUFFIX_CHARS", "Window", "indent_of", "width_of"]

MAX_PREFIX_LINES = 200
MAX_PREFIX_CHARS = 12_288
MAX_SUFFIX_CHARS = 4_096
_MAX_LINE = 4_096
_TAB = 8
_BLOCK_WORDS = {"ruby": ("do", "then", "else", "begin"), "lua": ("do", "then", "else", "repeat")}


def indent_of(line: str) -> str:
    """The white space that ``line`` begins with."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def width_of(line: str) -> int:
    """Columns of the indentation of ``line``; a tab goes to the next multiple of eight."""
    return len(indent_of(line).expandtabs(_TAB))


@dataclass(frozen=True, slots=True)
class Window:
    """What stands around the cursor, with LF line endings."""

    language: str
    lexis: Lexis
    before: str
    """Lines above the cursor's."""
    anchored: bool
    """Whether ``before`` begins where the language's top level does."""
    line_prefix: str
    line_suffix: str
    after: str
    """Lines below the cursor's."""
    start: Scan
    """What stands open where the cursor's line begins."""
    cursor: Scan
    """What stands open at the cursor."""

    @classmethod
    def around(cls, snapshot: Snapshot) -> "Window":
        """The window of a snapshot."""
        text, line_start = snapshot.text, snapshot.line_start
        low = max(0, line_start - MAX_PREFIX_CHARS)
        lines = text[low:line_start].replace("\r\n", "\n").split("\n")[:-1]
        at_start = low == 0
        if not at_start:
            lines = lines[1:]  # cut somewhere inside
        if len(lines) > MAX_PREFIX_LINES:
            at_start, lines = False, lines[-MAX_PREFIX_LINES:]
        lexis = lexis_of(snapshot.language)
        before, anchored, start = _begin([f"{line}\n" for line in lines], lexis, at_start)
        line_end = snapshot.line_end
        tail = text[line_end : line_end + MAX_SUFFIX_CHARS].replace("\r\n", "\n")
        after = tail.partition("\n")[2] if tail.startswith("\n") else ""
        line_prefix = snapshot.line_prefix[-_MAX_LINE:]
        known = languages.by_id(snapshot.language)
        return cls(
            known.id if known else snapshot.language,
            lexis,
            before,
            anchored,
            line_prefix,
            snapshot.line_suffix[:_MAX_LINE],
            after,
            start,
            scan(line_prefix, lexis, start),
        )

    @property
    def blank_line(self) -> bool:
        """Whether only white space stands before the cursor on its line."""
        return not self.line_prefix.strip()

    @property
    def previous(self) -> str | None:
        """The nearest line above that is not blank, without trailing white space."""
        return next((line.rstrip() for line in reversed(self.before.split("\n")) if line.strip()), None)

    @property
    def following(self) -> list[str]:
        """The lines below that are not blank, without trailing white space and without one cut short."""
        lines = self.after.split("\n")
        if len(self.after) >= MAX_SUFFIX_CHARS - 2:
            lines = lines[:-1]
        return [line.rstrip() for line in lines if line.strip()]

    @property
    def opener(self) -> str | None:
        """The line whose end opens the block that the cursor stands at the beginning of, or None."""
        line = self.previous if self.blank_line else self.line_prefix
        if line is None or self.cursor.string is not None or self.cursor.comment:
            return None
        known = languages.by_id(self.language)
        if known is not None and known.indented and self.cursor.stack:
            return None
        end = scan(line, self.lexis) if self.blank_line else self.cursor
        return line if opens_block(line, end, self.language) else None

    def scan(self, text: str) -> Scan:
        """What stands open after ``text`` at the cursor, counted from where the cursor's line begins."""
        return scan(self.line_prefix + text, self.lexis, self.start)

    def imbalance(self, text: str) -> int:
        """How unbalanced all is with ``text`` at the cursor; only comparisons mean something."""
        return scan(
            f"{self.line_prefix}{text}{self.line_suffix}\n{self.after}", self.lexis, self.start
        ).imbalance


def opens_block(line: str, end: Scan, language: str) -> bool:
    """Whether ``line``, whose end is as ``end`` says, opens a block."""
    known = languages.by_id(language)
    if end.string is not None or end.comment or not end.last:
        return False
    if known is not None and known.indented:
        return end.last == ":" and not end.stack
    words = line.split()
    return end.last == "{" or bool(words and words[-1] in _BLOCK_WORDS.get(language, ()))


def _begin(lines: list[str], lexis: Lexis, at_start: bool) -> tuple[str, bool, Scan]:
    """The lines from the first one on that begins something at top level, if any does, and what they leave open."""
    text = "".join(lines)
    if at_start:
        return text, True, scan(text, lexis)
    guess = _guess(text, lexis)
    state, seen, position = guess, 0, 0
    for line in lines:
        if line[0].isalpha() or line[0] in "_@":
            state, seen = scan(text[seen:position], lexis, state), position
            if state.string is None and not state.comment:
                return text[position:], True, scan(text[position:], lexis)
        position += len(line)
    return text, False, scan(text, lexis, guess)


def _guess(text: str, lexis: Lexis) -> Scan:
    """Whether text from the middle of a file begins in code, in a string or in a comment: what fits it best.

    Code read as a string hides its mistakes, prose read as code makes them (an apostrophe opens a string).
    """
    guesses = [Scan(), *(Scan(string=delimiter) for delimiter in sorted(lexis.multiline))]
    if lexis.block_comment:
        guesses.append(Scan(comment=True, block=True))

    def misfit(guess: Scan) -> int:
        end = scan(text, lexis, guess)
        return end.unterminated + end.unmatched + (end.string is not None) + (end.comment and end.block)

    return min(guesses, key=misfit)
