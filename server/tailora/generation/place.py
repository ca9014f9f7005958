"""Where a whole function can be written: into one that has no body, or below a comment that no function follows.

By the syntax tree, and by lines where a function without a body is no whole function for it yet. Knows nothing of
models.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tailora_adapters import languages
from tailora_adapters.corpus.functions import SUPPORTED, Function, find_functions
from tailora_adapters.generation.examples import leading_comment

__all__ = ["Place", "find_place"]

_FEWEST_WORDS = 3
_PYTHON_HEAD = re.compile(
    r"^[ \t]*(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(.*\)[ \t]*(?:->[^:]+)?:[ \t]*(?:#.*)?$"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a file that a function, or its body, is written into."""

    start: int
    """Characters; what stands from here to ``end`` says nothing and is replaced."""
    end: int
    lead: str
    """What goes before the written text: a line end and indentation, where they are not there yet."""
    tail: str
    """What goes behind it."""
    indent: str
    """Of the body's lines, or of the function's where the whole of it is written."""
    source: Literal["docstring", "comment", "signature"]
    whole: bool = False
    """Whether the signature is to be written, too."""


def find_place(text: str, language: str, line: int) -> Place | None:
    """The place for the function around, or below, a line (from 0)."""
    if language not in SUPPORTED:
        return None
    lines = text.split("\n")
    if not 0 <= line < len(lines):
        return None
    for function in reversed(find_functions(text, language)):
        first = text.count("\n", 0, function.doc.start if function.doc else function.start)
        comment = leading_comment(text, function)
        first = min(first, function.line - (comment.count("\n") + 1 if comment else 0))
        if first <= line <= _last_line(lines, function):
            return _in_function(text, function, bool(comment))
    if language == "python" and (found := _behind_head(text, lines, line)) is not None:
        return found
    return _below_comment(text, lines, line, language)


def _last_line(lines: Sequence[str], function: Function) -> int:
    """Blank and indented lines behind a function without a body are its, too: there the cursor is."""
    last = function.end_line
    if function.stub and function.language == "python":
        while (
            last + 1 < len(lines)
            and not lines[last + 1].strip()
            and len(lines[last + 1]) > len(function.indent)
        ):
            last += 1
    return last


def _in_function(text: str, function: Function, commented: bool) -> Place | None:
    if not function.stub:
        return None
    source: Literal["docstring", "comment", "signature"] = "comment" if commented else "signature"
    if function.doc is not None:
        source = "docstring"
    if function.language != "python":
        start, close = function.head_end + 1, text.rfind("}", function.head_end, function.end)
        if close < 0 or text[function.head_end] != "{":
            return None
        inner = function.indent + _unit(text)
        return Place(start, close, f"\n{inner}", f"\n{function.indent}", inner, source)
    if function.body_start < function.body_end:
        if function.own_lines or function.doc is not None:
            return Place(function.body_start, function.body_end, "", "", function.inner, source)
        start = text.rfind(":", function.head, function.body_start) + 1
        inner = function.indent + _unit(text)
        return Place(start, function.body_end, f"\n{inner}", "", inner, source)
    # Blank lines that are there already, as where the cursor waits, are used up.
    end = function.end
    rest = re.match(r"[ \t]*(?:\n[ \t]+(?=\n|$))*", text[end:])
    return Place(end, end + (rest.end() if rest else 0), f"\n{function.inner}", "", function.inner, source)


def _behind_head(text: str, lines: Sequence[str], line: int) -> Place | None:
    """Behind a head that nothing follows."""
    head = line
    while head > 0 and not lines[head].strip():
        head -= 1
    if not _PYTHON_HEAD.match(lines[head]):
        return None
    following = next((other for other in lines[head + 1 :] if other.strip()), "")
    outer = lines[head][: _indent(lines[head])]
    if following and _indent(following) > len(outer):
        return None
    start = sum(len(other) + 1 for other in lines[: head + 1]) - 1
    end = sum(len(other) + 1 for other in lines[: max(line, head) + 1]) - 1
    inner = outer + _unit(text)
    return Place(start, end, f"\n{inner}", "", inner, "signature")


def _below_comment(text: str, lines: Sequence[str], line: int, language: str) -> Place | None:
    """Below a comment, or on the blank line below it, where nothing follows right behind."""
    known = languages.by_id(language)
    marker = known.comment if known is not None else "#"
    last = line if lines[line].strip() or not line else line - 1
    if not lines[last].strip().startswith(marker):
        return None
    if last == line and last + 1 < len(lines) and lines[last + 1].strip():
        return None
    words = re.findall(r"\w+", lines[last].strip().removeprefix(marker))
    indent = lines[last][: _indent(lines[last])]
    if len(words) < _FEWEST_WORDS or (line + 1 < len(lines) and lines[line + 1].strip() and line != last):
        return None
    end = sum(len(other) + 1 for other in lines[: line + 1]) - 1
    start = sum(len(other) + 1 for other in lines[: last + 1]) - 1
    return Place(start, end, f"\n{indent}", "", indent, "comment", whole=True)


def _unit(text: str) -> str:
    """One step of indentation, as the file has it."""
    found = re.search(r"\n([ \t]+)\S", text)
    if found is None:
        return "    "
    return "\t" if found[1].startswith("\t") else found[1] if len(found[1]) in (2, 4) else "    "


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
