"""A small bracket matcher that knows strings and comments, for code that is not finished.

A parser needs a whole program; half a line has none. This counts what stands open, per language, from a table. It
is an approximation (here-documents, JSX text and Ruby's own quotes are not told apart), so its users compare two
scans instead of trusting one. Invariant: time is linear in the text, and nothing raises.
"""

import re
from dataclasses import dataclass, field

from tailora_adapters import languages

__all__ = ["Lexis", "Scan", "lexis_of", "scan"]

_OPENER = {")": "(", "]": "[", "}": "{"}
CLOSER = {"(": ")", "[": "]", "{": "}", "${": "}`"}
"""What closes each bracket; ``${`` is a hole in a template string."""


@dataclass(frozen=True)
class Lexis:
    """What a language's strings and comments look like."""

    token: re.Pattern[str]
    """Finds the next thing that matters outside strings and comments."""
    strings: tuple[str, ...]
    multiline: frozenset[str]
    """Delimiters of strings that may span lines."""
    unescaped: frozenset[str]
    """Delimiters of strings in which a backslash means nothing."""
    line_comments: tuple[str, ...]
    block_comment: tuple[str, str] | None
    loose_parens: bool
    """Whether ``)`` stands alone (the patterns of a shell's ``case``)."""


@dataclass(slots=True)
class Scan:
    """What stands open after some text."""

    stack: list[str] = field(default_factory=list)
    """Open brackets, outermost first."""
    unmatched: int = 0
    """Closing brackets that closed nothing seen."""
    unterminated: int = 0
    """Strings of one line that a line ending cut, and brackets left open inside closed ones."""
    string: str | None = None
    """Delimiter of the string that is open at the end."""
    comment: bool = False
    """Whether the end is in a comment."""
    block: bool = False
    """Whether that comment is a block comment."""
    closings: list[int] = field(default_factory=list)
    """Where this text closes a bracket or string that was opened before it."""
    code: bool = False
    """Whether anything but comments and white space was seen."""
    last: str = ""
    """Last character of code on the last line with any, comments left out."""

    @property
    def depth(self) -> int:
        """Open brackets minus those closed too often."""
        return len(self.stack) - self.unmatched

    @property
    def imbalance(self) -> int:
        """What is open and what was closed too often, as a number. Only comparisons mean something."""
        return len(self.stack) + self.unmatched + self.unterminated + (self.string is not None)

    def copy(self) -> "Scan":
        """The same end as the start of another scan."""
        return Scan(
            list(self.stack), self.unmatched, self.unterminated, self.string, self.comment, self.block
        )


def _lexis(
    strings: tuple[str, ...] = ('"',),
    *,
    multiline: tuple[str, ...] = (),
    unescaped: tuple[str, ...] = (),
    line: tuple[str, ...] = ("//",),
    block: tuple[str, str] | None = ("/*", "*/"),
    chars: bool = False,
    loose_parens: bool = False,
    extra: str = "",
) -> Lexis:
    parts = [extra] if extra else []
    if block:
        parts.append(re.escape(block[0]))
    parts += [r"(?<![^\s;(])#" if loose_parens and opener == "#" else re.escape(opener) for opener in line]
    if chars:  # a lone quote is a Rust lifetime or a digit separator
        parts.append(r"'(?:\\[^\n]{1,10}?|[^\\'\n])'")
    parts += [re.escape(delimiter) for delimiter in sorted(strings, key=len, reverse=True)]
    parts += [r"[()\[\]{}]", r"\\."]
    pattern = re.compile("|".join(parts), re.DOTALL)
    return Lexis(pattern, strings, frozenset(multiline), frozenset(unescaped), line, block, loose_parens)


_C = _lexis(chars=True)
_REGEX = (  # a regular expression literal: a slash where no value stands before it
    r"(?:(?<=[(,=:\[!&|?{;])|(?<=[(,=:\[!&|?{;] )|(?<=return ))"
    r"/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/"
)
_SCRIPT = _lexis(('"', "'", "`"), multiline=("`",), extra=_REGEX)
_RUST = _lexis(chars=True, multiline=('"',), extra=r'\br#*"')
_GENERIC = _lexis(('"', "'"), line=("//", "#"))
_TABLE = {
    "python": _lexis(('"""', "'''", '"', "'"), multiline=('"""', "'''"), line=("#",), block=None),
    "javascript": _SCRIPT,
    "javascriptreact": _SCRIPT,
    "typescript": _SCRIPT,
    "typescriptreact": _SCRIPT,
    "go": _lexis(('"', "`"), multiline=("`",), unescaped=("`",), chars=True),
    "rust": _RUST,
    "java": _lexis(('"""', '"'), multiline=('"""',), chars=True),
    "c": _C,
    "cpp": _C,
    "csharp": _C,
    "kotlin": _lexis(('"""', '"'), multiline=('"""',), chars=True),
    "swift": _lexis(('"""', '"'), multiline=('"""',)),
    "scala": _lexis(('"""', '"'), multiline=('"""',), chars=True),
    "zig": _lexis(chars=True, block=None),
    "shellscript": _lexis(
        ('"', "'"), multiline=('"', "'"), unescaped=("'",), line=("#",), block=None, loose_parens=True
    ),
    "ruby": _lexis(('"', "'"), line=("#",), block=None),
    "php": _lexis(('"', "'"), line=("//", "#")),
    "lua": _lexis(('"', "'"), line=("--",), block=("--[[", "]]")),
    "sql": _lexis(("'",), line=("--",)),
    "haskell": _lexis(chars=True, line=("--",), block=("{-", "-}")),
}


def lexis_of(language: str) -> Lexis:
    """The table's entry for an LSP language identifier; a generic one for others."""
    known = languages.by_id(language)
    return _TABLE.get(known.id if known else language, _GENERIC)


def scan(text: str, lexis: Lexis, before: Scan | None = None) -> Scan:
    """Scans ``text``, which follows what ``before`` scanned. ``before`` is not changed."""
    state = before.copy() if before else Scan()
    outer = len(state.stack)  # brackets below this index were opened before this text
    position = 0
    if state.string is not None:
        delimiter = state.string
        position, closed = _end_string(text, 0, state, lexis)
        if closed:
            state.closings.append(max(0, position - len(delimiter)))
        _note_code(state, text, 0, position)
    elif state.comment:
        position = _end_comment(text, 0, state, lexis)
    while position < len(text):
        match = lexis.token.search(text, position)
        _note_code(state, text, position, match.start() if match else len(text))
        if match is None:
            break
        token, position = match[0], match.end()
        if token in CLOSER:
            state.stack.append(token)
        elif token in _OPENER:
            outer = _close(token, match.start(), state, lexis, outer)
            if state.string is not None:  # the rest of a template string
                position, _ = _end_string(text, position, state, lexis)
        elif lexis.block_comment and token == lexis.block_comment[0]:
            state.comment = state.block = True
            position = _end_comment(text, position, state, lexis)
            continue
        elif token in lexis.line_comments or token == "#":
            state.comment, state.block = True, False
            position = _end_comment(text, position, state, lexis)
            continue
        elif token in lexis.strings or token.startswith("r"):
            state.string = token
            position, _ = _end_string(text, position, state, lexis)
        _note_code(state, text, match.start(), position)
    return state


def _note_code(state: Scan, text: str, start: int, end: int) -> None:
    code = text[start:end].rstrip()
    if code:
        state.code, state.last = True, code[-1]


def _close(token: str, at: int, state: Scan, lexis: Lexis, outer: int) -> int:
    """Closes a bracket; returns how many brackets from before the text are still open."""
    opener = _OPENER[token]
    if token == "}" and "${" in state.stack and "{" not in state.stack[_last(state.stack, "${") :]:
        opener, state.string = "${", "`"
    if opener not in state.stack:
        if not (lexis.loose_parens and token == ")"):
            state.unmatched += 1
            state.closings.append(at)
        return outer
    while state.stack.pop() != opener:  # brackets left open inside do not hide the one that is closed
        state.unterminated += 1
    if len(state.stack) < outer:
        state.closings.append(at)
        return len(state.stack)
    return outer


def _last(stack: list[str], opener: str) -> int:
    return len(stack) - 1 - stack[::-1].index(opener)


def _end_string(text: str, position: int, state: Scan, lexis: Lexis) -> tuple[int, bool]:
    """Moves behind the end of the open string, or to the end of ``text``; and whether it was closed."""
    delimiter = state.string or ""
    if delimiter.startswith("r"):  # Rust: r#"..."#
        closing, multiline, escaped = '"' + "#" * (len(delimiter) - 2), True, False
    else:
        closing, multiline = delimiter, delimiter in lexis.multiline
        escaped = delimiter not in lexis.unescaped
    while position < len(text):
        ends = text.find(closing, position)
        stop = ends if ends >= 0 else len(text)
        hole = text.find("${", position, stop) if delimiter == "`" and not lexis.unescaped else -1
        stop = hole if hole >= 0 else stop
        if escaped and (backslash := text.find("\\", position, stop)) >= 0:
            if not multiline and (newline := text.find("\n", position, backslash)) >= 0:
                return _cut_string(state, newline)
            position = backslash + 2
            continue
        if not multiline and (newline := text.find("\n", position, stop)) >= 0:
            return _cut_string(state, newline)
        if hole >= 0:
            state.stack.append("${")
            state.string = None
            return hole + 2, False
        if ends < 0:
            break
        state.string = None
        return ends + len(closing), True
    return len(text), False


def _cut_string(state: Scan, newline: int) -> tuple[int, bool]:
    state.string = None
    state.unterminated += 1
    return newline, False


def _end_comment(text: str, position: int, state: Scan, lexis: Lexis) -> int:
    closing = lexis.block_comment[1] if state.block and lexis.block_comment else "\n"
    end = text.find(closing, position)
    if end < 0:
        return len(text)
    state.comment = state.block = False
    return end + len(closing)
