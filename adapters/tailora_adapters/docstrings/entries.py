"""A docstring as its entries: which parameters, results and exceptions it describes, and on which of its lines.

Styles: Google (``Args:``), NumPy (underlined ``Parameters``), Sphinx (``:param x:``), JSDoc (``@param``), and plain
prose without entries. Knows nothing of functions. Lines are counted from 0 in the docstring's text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Entry", "EntryKind", "Parsed", "StyleName", "parse", "style_of"]

StyleName = Literal["google", "numpy", "sphinx", "jsdoc", "plain"]
EntryKind = Literal["parameter", "returns", "yields", "raises"]

_GOOGLE_HEAD = re.compile(
    r"^(\s*)(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters|Returns?|Yields?|Raises)"
    r":\s*$"
)
_GOOGLE_ANY = re.compile(r"^(\s*)[A-Z][\w ]{2,30}:\s*$")
_NUMPY_HEAD = re.compile(r"^\s*(Parameters|Other Parameters|Returns|Yields|Raises)\s*$")
_UNDERLINE = re.compile(r"^\s*-{3,}\s*$")
_NUMPY_ENTRY = re.compile(r"^([^:]*?)\s*:(?:\s+(.*))?$")
_FIELD = re.compile(
    r"^(\s*):(param|parameter|arg|argument|key|keyword|type|returns?|rtype|yields?|raises?|except|exception)"
    r"(?:\s+([^:]*?))?\s*:(.*)$"
)
_TAG = re.compile(r"^\s*\*?\s*@(\w+)\s*(.*)$")
_KINDS: dict[str, EntryKind] = {
    "return": "returns", "returns": "returns", "rtype": "returns", "yield": "yields", "yields": "yields",
    "raise": "raises", "raises": "raises", "except": "raises", "exception": "raises", "throws": "raises",
}  # fmt: skip
_GOOGLE_ENTRY = re.compile(
    r"^\s*(\*{0,2}[\w.]+(?:\s*,\s*\*{0,2}\w+)*)\s*(?:\(([^)]*(?:\([^)]*\)[^)]*)*)\))?\s*:(.*)$"
)
_JS_PARAM = re.compile(r"^(?:\{((?:[^{}]|\{[^{}]*\})*)\}\s*)?(\[?[\w$.]+(?:\[\])?[^\]\s]*\]?)?\s*-?\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is described."""

    kind: EntryKind
    names: tuple[str, ...]
    """Parameters without their stars, or exceptions; empty for results."""
    type: str | None
    text: str
    """The description, on one line."""
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """A docstring's entries, in its order."""

    style: StyleName
    lines: tuple[str, ...]
    entries: tuple[Entry, ...]

    @property
    def parameters(self) -> tuple[str, ...]:
        """All that are described."""
        return tuple(name for entry in self.entries if entry.kind == "parameter" for name in entry.names)

    def of(self, kind: EntryKind) -> tuple[Entry, ...]:
        """The entries of a kind."""
        return tuple(entry for entry in self.entries if entry.kind == kind)


def style_of(text: str, language: str = "python") -> StyleName:
    """The style of a docstring's text; ``plain`` where nothing tells."""
    lines = text.split("\n")
    if language != "python":
        return "jsdoc" if any(_TAG.match(line) for line in lines) else "plain"
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if _NUMPY_HEAD.match(line) and _UNDERLINE.match(below):
            return "numpy"
        if _FIELD.match(line):
            return "sphinx"
        if (head := _GOOGLE_HEAD.match(line)) and len(below) - len(below.lstrip()) > len(head[1]):
            return "google"
    return "plain"


def parse(text: str, language: str = "python") -> Parsed:
    """The entries of a docstring's text, by its style."""
    style = style_of(text, language)
    lines = text.split("\n")
    readers = {"google": _google, "numpy": _numpy, "sphinx": _sphinx, "jsdoc": _jsdoc}
    entries = tuple(readers[style](lines)) if style in readers else ()
    return Parsed(style, tuple(lines), entries)


def _google(lines: Sequence[str]) -> Iterator[Entry]:
    number = 0
    while number < len(lines):
        head = _GOOGLE_HEAD.match(lines[number])
        number += 1
        if head is None:
            continue
        begin, outer = number, len(head[1])
        while number < len(lines) and (not lines[number].strip() or _indent(lines[number]) > outer):
            if _GOOGLE_ANY.match(lines[number]) and _indent(lines[number]) <= outer:
                break
            number += 1
        kind = _KINDS.get(head[2].lower(), "parameter")
        yield from _google_section(lines, begin, _trimmed(lines, begin, number), kind)


def _google_section(lines: Sequence[str], begin: int, end: int, kind: EntryKind) -> Iterator[Entry]:
    if begin >= end:
        return
    if kind in ("returns", "yields"):
        told = _GOOGLE_ENTRY.match(lines[begin])
        text = _joined(lines[begin:end])
        yield Entry(kind, (), told[1] if told and _is_type(told[1]) else None, text, begin, end)
        return
    column = _indent(lines[begin])
    starts = [
        number for number in range(begin, end) if lines[number].strip() and _indent(lines[number]) == column
    ]
    for first, after in zip(starts, [*starts[1:], end], strict=False):
        found = _GOOGLE_ENTRY.match(lines[first])
        if found is None:
            continue
        text = _joined([found[3], *lines[first + 1 : after]])
        yield Entry(kind, _names(found[1]), _type(found[2]), text, first, _trimmed(lines, first, after))


def _numpy(lines: Sequence[str]) -> Iterator[Entry]:
    number = 0
    while number + 1 < len(lines):
        head = _NUMPY_HEAD.match(lines[number])
        if head is None or not _UNDERLINE.match(lines[number + 1]):
            number += 1
            continue
        column = _indent(lines[number])
        begin = number = number + 2
        while number < len(lines) and not (
            number + 1 < len(lines) and lines[number].strip() and _UNDERLINE.match(lines[number + 1])
        ):
            number += 1
        end = _trimmed(lines, begin, number)
        kind = _KINDS.get(head[1].lower(), "parameter")
        starts = [at for at in range(begin, end) if lines[at].strip() and _indent(lines[at]) == column]
        for first, after in zip(starts, [*starts[1:], end], strict=False):
            split = _NUMPY_ENTRY.match(lines[first].strip())
            name, colon, told = (split[1], ":", split[2]) if split else (lines[first].strip(), "", "")
            text = _joined(lines[first + 1 : after])
            if kind in ("returns", "yields"):
                type_ = told if colon else name
                yield Entry(kind, (), _type(type_), text, first, _trimmed(lines, first, after))
            else:
                names = _names(name)
                yield Entry(kind, names, _type(told), text, first, _trimmed(lines, first, after))


def _sphinx(lines: Sequence[str]) -> Iterator[Entry]:
    types: dict[str, str] = {}
    found: list[Entry] = []
    for number, line in enumerate(lines):
        match = _FIELD.match(line)
        if match is None:
            continue
        after = number + 1
        while after < len(lines) and lines[after].strip() and _indent(lines[after]) > len(match[1]):
            after += 1
        role, argument, text = (
            match[2],
            (match[3] or "").strip(),
            _joined([match[4], *lines[number + 1 : after]]),
        )
        if role == "type":
            types[argument.lstrip("*\\")] = text
            continue
        kind = _KINDS.get(role, "parameter")
        *type_, name = argument.split() or [""]
        if role == "rtype":
            types[""] = text
            if any(entry.kind == "returns" for entry in found):
                continue
        names = () if kind in ("returns", "yields") else _names(name)
        told = " ".join(type_) if kind == "parameter" else ""
        found.append(Entry(kind, names, _type(told), text, number, after))
    for entry in found:
        name = entry.names[0] if entry.names else ""
        known = entry.type or (types.get(name) if entry.kind in ("parameter", "returns") else None)
        yield Entry(entry.kind, entry.names, known, entry.text, entry.first, entry.end)


def _jsdoc(lines: Sequence[str]) -> Iterator[Entry]:
    tags = [number for number, line in enumerate(lines) if _TAG.match(line)]
    for first, after in zip(tags, [*tags[1:], len(lines)], strict=False):
        match = _TAG.match(lines[first])
        assert match is not None
        tag, rest = match[1], match[2]
        more = [line.strip().removeprefix("*").strip() for line in lines[first + 1 : after]]
        end = _trimmed([line.strip().removeprefix("*") for line in lines], first, after)
        if tag in ("param", "arg", "argument"):
            told = _JS_PARAM.match(rest)
            if told is None or not told[2]:
                continue
            name = told[2].strip("[]").partition("=")[0].partition(".")[0].removesuffix("[]")
            yield Entry("parameter", (name,), _type(told[1]), _joined([told[3], *more]), first, end)
        elif tag in _KINDS:
            told = re.match(r"^(?:\{((?:[^{}]|\{[^{}]*\})*)\})?\s*(.*)$", rest)
            assert told is not None
            kind = _KINDS[tag]
            names = (told[1],) if kind == "raises" and told[1] else ()
            yield Entry(kind, names, _type(told[1]), _joined([told[2], *more]), first, end)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip().lstrip("*\\").strip("`") for name in text.split(",") if name.strip())


def _type(text: str | None) -> str | None:
    return text.strip() or None if text else None


def _is_type(text: str) -> bool:
    return re.fullmatch(r"[\w.\[\], |]+", text) is not None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: Sequence[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def _trimmed(lines: Sequence[str], first: int, end: int) -> int:
    """``end`` without blank lines before it."""
    while end > first and not lines[end - 1].strip():
        end -= 1
    return end
