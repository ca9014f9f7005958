"""The bounded surroundings of the cursor that the stop rules and the post-processing look at.

Knows nothing of suggestions. Invariant: no more than ``MAX_PREFIX_LINES`` lines or ``MAX_PREFIX_CHARS``
characters before the cursor and ``MAX_SUFFIX_CHARS`` after it are read, whatever the size of the document.
"""

from dataclasses import dataclass

from tailora.completion._scan import CLOSER, Lexis, Scan, lexis_of, scan
from tailora.completion.snapshot import Snapshot
from tailora_adapters import languages

__all__ = ["MAX_PREFIX_CHARS", "MAX_PREFIX_LINES", "MAX_SUFFIX_CHARS", "Window", "indent_of", "width_of"]

MAX_PREFIX_LINES = 200
MAX_PREFIX_CHARS = 12_288
MAX_SUFFIX_CHARS = 8_192
_MAX_LINE = 4_096
_MAX_HEADER_LINES = 20
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
    closers: tuple[tuple[str, int | None], ...]
    """Brackets that ``after`` closes without opening them, each with the column if it begins a line there."""
    countable: bool
    """Whether openers before the cursor and closers after it can be counted against each other: neither side
    is cut inside of something."""

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
        after = tail[1:] if tail.startswith("\n") else ""
        line_prefix = snapshot.line_prefix[-_MAX_LINE:]
        known = languages.by_id(snapshot.language)
        at_end = line_end + MAX_SUFFIX_CHARS >= len(text)
        if not at_end:
            after = after[: after.rfind("\n") + 1]
        own, whole = _own_part(after, lexis, cut=not (at_start and at_end))
        closings = scan(own, lexis).closings
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
            tuple((own[index], _column(own, index)) for index in closings),
            anchored and (whole or at_end),
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
        """The lines below that are not blank, without trailing white space."""
        return [line.rstrip() for line in self.after.split("\n") if line.strip()]

    @property
    def opener(self) -> str | None:
        """Where the cursor stands at the beginning of a block, the first line of what opens it; else None."""
        line = self.previous if self.blank_line else self.line_prefix
        if line is None or self.cursor.string is not None or self.cursor.comment:
            return None
        known = languages.by_id(self.language)
        if known is not None and known.indented and self.cursor.stack:
            return None
        end = scan(f"{line}\n", self.lexis) if self.blank_line else self.cursor
        return self._header(line) if opens_block(line, end, self.language) else None

    def _header(self, line: str) -> str:
        """The first line of the statement that ends with ``line``, where its parentheses are balanced.

        ``line`` itself where that is not found, and where it closes a block before it opens one.
        """
        if line.lstrip().startswith("}"):
            return line
        lines = self.before.rstrip("\n").split("\n")
        if self.blank_line:
            while lines and lines.pop().rstrip() != line:
                pass
        header = line
        for _ in range(_MAX_HEADER_LINES):
            if not scan(header, self.lexis).unmatched:
                return header.split("\n")[0]
            if not lines:
                break
            header = f"{lines.pop()}\n{header}"
        return line

    def scan(self, text: str) -> Scan:
        """What stands open after ``text`` at the cursor, counted from where the cursor's line begins."""
        return scan(self.line_prefix + text, self.lexis, self.start)

    def imbalance(self, text: str) -> int:
        """How unbalanced all is with ``text`` at the cursor; only comparisons mean something."""
        end = scan(f"{self.line_prefix}{text}{self.line_suffix}\n", self.lexis, self.start)
        if not self.countable:
            # What the line itself leaves open, against what was open before it.
            return abs(end.depth - self.start.depth) + end.unterminated + (end.string is not None)
        stack, errors = list(end.stack), end.unmatched + end.unterminated + (end.string is not None)
        for closer, _ in self.closers:
            if stack and CLOSER[stack[-1]][0] == closer:
                stack.pop()
            else:
                errors += 1
        return errors + len(stack)

    def closes_again(self, text: str, index: int) -> bool:
        """Whether the closing bracket or quote at ``index`` of ``text`` is there after the cursor anyway."""
        closer, rest = text[index], self.line_suffix.strip()
        column = _column(self.line_prefix + text, len(self.line_prefix) + index)
        if rest:
            return closer in rest and self.imbalance(text[:index]) < self.imbalance(text)
        if column is None or not self.closers or self.closers[0][0] != closer:
            return False
        if self.countable:
            return self.imbalance(text[:index]) < self.imbalance(text)
        return column == self.closers[0][1]


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
    """The lines from the first at top level on, whether there is such a one, and what stands open after them."""
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
        return end.unterminated + (end.string is not None) + (end.comment and end.block)

    return min(guesses, key=misfit)


def _own_part(after: str, lexis: Lexis, *, cut: bool) -> tuple[str, bool]:
    """The lines before the next thing at top level, and whether there is one; all of them unless ``cut``."""
    if not cut:
        return after, True
    state, seen, position = Scan(), 0, 0
    for line in after.splitlines(keepends=True):
        begins = line[0].isalpha() or line[0] in "_@"
        if begins and not line.rstrip().endswith(":"):  # a label of C stands at the margin, too
            state, seen = scan(after[seen:position], lexis, state), position
            if not state.stack and state.string is None and not state.comment:
                return after[:position], True
        position += len(line)
    return after, False


def _column(text: str, index: int) -> int | None:
    """The column of ``index``, if nothing but white space stands before it on its line."""
    before = text[text.rfind("\n", 0, index) + 1 : index]
    return None if before.strip() else width_of(before + "|")
