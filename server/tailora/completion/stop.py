"""Decides, while text streams in, where a suggestion ends.

Fed with whatever the model emits, in pieces of any size; looks at syntax only when a line ends. Knows
nothing of tokens or of who streams. Invariants: the text kept is always a beginning of what was fed (line
endings as LF), how the stream was cut into pieces changes nothing, and no control token of a model is ever
in it.
"""

import re
from typing import Literal

from tailora.completion import _special
from tailora.completion._scan import Scan, scan
from tailora.completion._syntax import Syntax
from tailora.completion._window import Window, width_of
from tailora.completion.snapshot import Snapshot

__all__ = ["MAX_CHARS", "Multiline", "StopReason", "StopRule"]

Multiline = Literal["auto", "never", "always"]
StopReason = Literal[
    "line", "statement", "block", "suffix", "repetition", "special_token", "max_lines", "max_chars"
]

MAX_CHARS = 4_096
"""No suggestion is longer."""

_ONLY_CLOSING = re.compile(r"""[\s)\]}>:,;'"`]*\Z""")
_FIRST_WORD = re.compile(r"[ \t]*(?:(\w+)|([^\w\s]))")
_CONTINUES: dict[str, frozenset[str]] = {
    "python": frozenset({"else", "elif", "except", "finally"}),
    "ruby": frozenset({"else", "elsif", "when", "in", "rescue", "ensure", "end"}),
    "lua": frozenset({"else", "elseif", "end", "until"}),
    "shellscript": frozenset({"then", "do", "else", "elif", "fi", "done", "esac"}),
}
"""Words that go on with a statement at its own indentation, in languages where no bracket closes it."""
_ENDS_BLOCK = {"end", "until", "fi", "done", "esac"}
_BY_INDENTATION = {"python", "ruby", "lua"}
_KEYWORD_BLOCK = re.compile(
    r"\s*(?:local\s+)?(?:def|class|module|if|unless|while|until|for|case|begin|function|repeat)\b"
    r"(?!.*\bend\s*\Z)"
    r"|.*\b(?:do(?:\s*\|[^|]*\|)?|function\s*\([^)]*\)|then)\s*\Z"
)
"""A line of Ruby or Lua whose block ends with a word."""
_SHELL_BLOCK = re.compile(r"\b(?:then|do|in|else)\s*\Z")
_GOES_ON = re.compile(
    r"(?:[=(\[{:+\-*%&|^.]|=>|->|\belse|\bdo)\Z(?<!\+\+)(?<!--)"
    r"|^\s*@\w+\Z"
)
"""A line after which a statement goes on, where no parser can tell."""
_HEADER = re.compile(r"[\s}]*(?:else\s+)?(?:if|for|(?<!}\s)while)\s*\(")
"""What may be all of a statement's first line in C and the like, its body on the next."""
_TERMINATORS = {"python": "", "ruby": "", "lua": "", "shellscript": ""}
"""What ends a statement whatever a parser says, in the languages where that is not ``;`` or ``}``."""
_MAX_PERIOD = 3


class StopRule:
    """When the suggestion for one cursor is complete.

    ``multiline``: ``auto`` stops at the end of the line where code follows the cursor on it, at the end of
    the block where the cursor stands at the beginning of one, and else at the end of the statement;
    ``never`` always stops at the first line ending; ``always`` never does so without another reason.
    """

    def __init__(self, snapshot: Snapshot, *, multiline: Multiline = "auto", max_lines: int = 12) -> None:
        self._snapshot = snapshot
        self._window = Window.around(snapshot)
        self._max_lines = max(1, max_lines)
        self._opener = self._window.opener
        self._mode = self._choose(multiline)
        self._following = self._window.following
        self._words = _CONTINUES.get(self._window.language, frozenset())
        self._indented = self._window.language in _BY_INDENTATION
        self._syntax = Syntax(self._window) if self._mode == "statement" else None
        line = self._window.line_prefix
        outer = self._opener if self._opener is not None else line
        self._floor = width_of(outer) + (self._opener is not None or self._mode == "statement")
        """Indentation below which a line is no longer part of the suggestion."""
        cursor = self._window.cursor
        outside = self._window.start.depth - len(cursor.closings)
        self._base = cursor.depth if self._mode == "block" else outside
        """Brackets open around what is completed."""
        self._raw = ""
        self._line_start = 0
        self._lines: list[str] = []
        self._echo: list[int] = []
        """Where the last lines begin that are the next lines of the document, too."""
        self._line_checked = False
        self._undecided = False
        """Whether it takes more text to tell if the last line belongs to the suggestion."""
        self._compound = False
        self._keep: int | None = None
        self._reason: StopReason | None = None

    @property
    def mode(self) -> Literal["line", "statement", "block"]:
        """What is being completed."""
        return self._mode

    @property
    def reason(self) -> StopReason | None:
        """Why the suggestion is complete, None while it is not."""
        return self._reason

    @property
    def text(self) -> str:
        """What to keep so far."""
        keep = self._keep
        if keep is None and self._undecided:
            keep = self._line_start
        return _special.cut(self._raw[:keep], self._snapshot)

    def feed(self, delta: str) -> bool:
        """Takes the next piece of the model's text; true when the suggestion is complete."""
        if self._reason is not None:
            return True
        seen = len(self._raw)
        self._raw += delta.replace("\r", "")
        special = _special.find(self._raw, self._snapshot, max(0, seen - _special.LONGEST))
        limit = len(self._raw) if special < 0 else special
        self._read(min(limit, MAX_CHARS))
        if self._reason is None and special >= 0:
            self._stop("special_token", special)
        if self._reason is None and len(self._raw) >= MAX_CHARS:
            self._stop("max_chars", MAX_CHARS)
        return self._reason is not None

    def _choose(self, multiline: Multiline) -> Literal["line", "statement", "block"]:
        window = self._window
        if multiline == "never":
            return "line"
        if multiline == "always":
            return "block"
        if not _ONLY_CLOSING.match(window.line_suffix):
            return "line"
        if window.start.string is not None or window.cursor.comment:
            return "line"  # prose
        begins = self._opener is not None and not window.line_suffix.strip(" \t)]};,")
        return "block" if begins else "statement"

    def _stop(self, reason: StopReason, keep: int) -> None:
        self._reason, self._keep = reason, keep

    def _read(self, limit: int) -> None:
        """Looks at the lines that begin or end before ``limit``."""
        while self._reason is None:
            if not self._line_checked and self._begin_line(limit):
                return
            newline = self._raw.find("\n", self._line_start, limit)
            if newline < 0:
                return
            self._end_line(newline)
            self._line_start, self._line_checked = newline + 1, False

    def _begin_line(self, limit: int) -> bool:
        """Stops before a line outside of what is completed, as soon as its beginning shows that."""
        self._undecided = False
        checks = self._mode == "block" and (self._lines or self._window.blank_line)
        if not (self._compound or (self._indented and checks)):
            self._line_checked = True
            return False
        match = _FIRST_WORD.match(self._raw, self._line_start, limit)
        if match is None:
            return False  # still blank
        before = self._window.scan(self._raw[: self._line_start])
        width = width_of(("" if self._lines else self._window.line_prefix) + match[0])
        inside = before.string is not None or before.depth > self._base or width >= self._floor
        if not inside and self._compound and width == self._floor - 1 and match[1]:
            words = self._words
            if match.end() == limit and any(word.startswith(match[1]) for word in words):
                self._undecided = True  # the word may go on
                return False
            inside = match[1] in words
        self._line_checked = True
        if not inside and match[2] not in (")", "]", "}"):
            self._stop("block", self._line_start)
            return True
        return False

    def _end_line(self, newline: int) -> None:
        first = not self._lines
        line = (self._window.line_prefix if first else "") + self._raw[self._line_start : newline]
        self._lines.append(line.rstrip())
        if (echoed := self._repeats_suffix(newline)) is not None:
            self._stop("suffix", echoed)
        elif self._mode == "line":
            self._stop("line", newline)
        elif period := self._period():
            kept = len(self._lines) - 2 * period
            self._stop("repetition", self._end_of_line(kept))
        elif not self._ends_syntax(newline) and len(self._lines) >= self._max_lines:
            self._stop("max_lines", newline)

    def _repeats_suffix(self, newline: int) -> int | None:
        """Where the text begins to be what follows in the document, if its last lines are that."""
        if self._window.line_suffix.strip():
            return None  # the rest of the cursor's line comes first
        line, count = self._lines[-1], len(self._echo)
        if not line.strip():
            return None
        if count >= len(self._following) or line != self._following[count]:
            self._echo, count = [], 0
        if not self._following or line != self._following[count]:
            return None
        self._echo.append(self._line_start)
        if len(self._echo) == 1 and _GOES_ON.search(line):
            return None  # many statements begin like that
        start = self._echo[0]
        before, after = self._raw[:start], self._raw[:newline]
        return start if self._window.imbalance(before) <= self._window.imbalance(after) else None

    def _period(self) -> int:
        """After how many lines the text repeats itself, three times in all; 0 if it does not."""
        for period in range(1, _MAX_PERIOD + 1):
            tail = self._lines[-3 * period :]
            if len(tail) == 3 * period and any(tail) and tail[:period] * 3 == tail:
                return period
        return 0

    def _end_of_line(self, count: int) -> int:
        """Index in the text where its first ``count`` lines end, before the line ending."""
        end = -1
        for _ in range(count):
            end = self._raw.find("\n", end + 1)
        return max(0, end)

    def _ends_syntax(self, newline: int) -> bool:
        text = self._raw[:newline]
        state = self._window.scan(text)
        if self._mode == "block":
            self._end_block(newline, state)
        elif self._statement_complete(text, state):
            self._stop("statement", newline)
        return self._reason is not None

    def _end_block(self, newline: int, state: Scan) -> None:
        if state.string is not None or state.depth >= self._base:
            return
        # The line closed the block. Whether it stays depends on whether the document closes it already.
        text = self._raw[:newline]
        closing = next(iter(scan(text, self._window.lexis, self._window.cursor).closings), newline)
        if closing < newline and self._window.closes_again(text, closing):
            blank = not text[self._line_start : closing].strip()
            self._stop("block", self._line_start if blank else closing)
        else:
            self._stop("block", newline)

    def _statement_complete(self, text: str, state: Scan) -> bool:
        line = self._lines[-1]
        if self._compound:
            word = line.split(maxsplit=1)[0] if line.strip() else ""
            return word in _ENDS_BLOCK and width_of(line) < self._floor
        if not state.code and state.string is None:
            return not self._window.blank_line  # a comment alone helps nobody
        if state.string is not None or state.depth > self._base:
            return False
        if text.endswith("\\") and not state.comment:
            return False
        if self._indented and self._opens_compound(line, state):
            return self._begin_compound()
        if state.last in _TERMINATORS.get(self._window.language, ";}"):
            return True
        if not self._indented and _is_header(line):
            return False
        assert self._syntax is not None  # statement mode
        complete = self._syntax.complete(text, state)
        if complete is None and self._window.language == "shellscript" and _SHELL_BLOCK.search(line):
            return self._begin_compound()
        return not _GOES_ON.search(line) if complete is None else complete

    def _begin_compound(self) -> bool:
        """From here on the lines that are indented deeper than the statement belong to it."""
        self._compound = True
        self._floor = width_of(next(line for line in self._lines if line.strip())) + 1
        return False

    def _opens_compound(self, line: str, state: Scan) -> bool:
        if self._window.language == "python":
            return state.last == ":"
        return bool(_KEYWORD_BLOCK.match(line))


def _is_header(line: str) -> bool:
    """Whether ``line`` is a condition in parentheses and nothing else."""
    match = _HEADER.match(line)
    if match is None:
        return False
    depth = 1
    for index in range(match.end(), len(line)):
        depth += (line[index] == "(") - (line[index] == ")")
        if depth == 0:
            return index == len(line) - 1
    return False
