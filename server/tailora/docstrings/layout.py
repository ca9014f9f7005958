"""From what a model wrote to a docstring's text as it stands in the file: indented, wrapped, ended.

Invariant: the text cannot end the string that it stands in. Knows nothing of functions' parameters or of models.
"""

import re
import textwrap
from collections.abc import Sequence

from tailora_adapters.corpus.functions import Function
from tailora_adapters.docstrings.style import Style

__all__ = ["opening_for", "placed", "shaped"]

_ENTRY = re.compile(r"^(\s*)(?:[*\w.]+(?: \([^)]*\))?:|:\w+|@\w+|- )")


def shaped(raw: str, function: Function, style: Style, *, finished: bool = True) -> str:
    """The docstring's text for ``function``; empty where nothing is left. An unfinished end is left out."""
    python = function.language == "python"
    text = raw.partition(style.closing)[0]
    if python:
        text = text.replace('"""', "'''" if style.closing != "'''" else '"').rstrip("\\")
    lines = _without_ends(_plain(text, python))
    if not finished:
        lines = _to_a_stop(lines)
    lines = _without_ends(lines)
    if not lines:
        return ""
    indent = function.inner if python else function.indent + " * "
    lines = [wrapped for line in lines for wrapped in _wrapped(line, style.width - len(indent))]
    if python:
        return _in_quotes(lines, function.inner, style)
    if len(lines) == 1 and not lines[0].startswith("@"):
        return f" {lines[0]} "
    below = "".join(f"\n{indent}{line}".rstrip() for line in lines)
    return f"{below}\n{function.indent} "


def placed(text: str, function: Function, style: Style, doc: str) -> str:
    """The file with ``doc`` as the function's docstring, in place of what stood there."""
    if function.doc is not None:
        return text[: function.doc.start] + doc + text[function.doc.end :]
    if function.language != "python":
        at = function.start
        return f"{text[:at]}{style.opening}{doc}{style.closing}\n{function.indent}{text[at:]}"
    at = text.find("\n", function.head_end)
    at = len(text) if at < 0 else at
    return f"{text[:at]}\n{function.inner}{opening_for(style, doc)}{doc}{style.closing}{text[at:]}"


def opening_for(style: Style, doc: str) -> str:
    """The quotes; raw ones where backslashes are to be read as they stand."""
    plain = style.opening.lstrip("rRuU")
    return f"r{plain}" if "\\" in doc and style.opening != "/**" else plain


def _plain(text: str, python: bool) -> list[str]:
    """The lines without indentation in common, stars, or blank lines in a row."""
    lines = [line.rstrip() for line in text.split("\n")]
    if python:
        lines = [lines[0].strip(), *textwrap.dedent("\n".join(lines[1:])).split("\n")]
    else:
        lines = [re.sub(r"^\s*\*? ?", "", line) for line in lines]
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1].strip()):
            kept.append(line)
    return kept


def _without_ends(lines: Sequence[str]) -> list[str]:
    found = list(lines)
    while found and not found[0].strip():
        found.pop(0)
    while found and not found[-1].strip():
        found.pop()
    return found


def _to_a_stop(lines: list[str]) -> list[str]:
    if len(lines) > 1:
        return lines[:-1]
    head, stop, _ = lines[0].rpartition(". ") if lines else ("", "", "")
    return [head + "."] if stop else lines


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width or width < 30:
        return [line]
    entry = _ENTRY.match(line)
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=indent + "    " * (entry is not None),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _in_quotes(lines: Sequence[str], inner: str, style: Style) -> str:
    ends = lines[-1].endswith(('"', "\\"))
    if len(lines) == 1 and not style.below and not ends and len(inner + lines[0]) + 6 <= style.width + 6:
        return lines[0]
    first, *rest = lines
    begin = f"\n{inner}{first}" if style.below else first
    body = "".join(f"\n{inner}{line}" if line else "\n" for line in rest)
    return f"{begin}{body}\n{inner}"
