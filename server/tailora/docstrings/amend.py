"""A docstring's entries brought in line with its function, by rules: renamed, dropped, added, their types corrected.

Words that still fit stay as they are. Knows nothing of models; a description that is missing comes from the caller.
"""

import re
from collections.abc import Sequence

from tailora_adapters.corpus.functions import Function, Parameter
from tailora_adapters.docstrings.check import problems
from tailora_adapters.docstrings.entries import Entry, Parsed, parse

__all__ = ["GAP", "amended", "missing", "summary", "with_gap"]

GAP = "\0"
"""Stands where a description is to be written."""

_MOST_ROUNDS = 40


def amended(function: Function, text: str, *, rename: bool, raises: bool) -> str:
    """The docstring without what contradicts the function, except parameters that are not described.

    Args:
        rename: A parameter that is gone and one that is new in its place count as one that was renamed.
        raises: Whether exceptions that cannot be seen raised are dropped.
    """
    if rename:
        text = _renamed(function, text)
    for _ in range(_MOST_ROUNDS):
        changed = _one_change(function, parse(text, function.language), raises)
        if changed is None:
            break
        text = changed
    return text


def missing(function: Function, text: str) -> list[Parameter]:
    """The parameters that are to be described and are not, in the order of the signature."""
    told = parse(text, function.language).parameters
    return [one for one in function.parameters if told and _is_due(one) and one.name not in told]


def with_gap(function: Function, text: str, parameter: Parameter) -> str:
    """The docstring with an entry for ``parameter`` whose description is ``GAP``, in the signature's order."""
    parsed = parse(text, function.language)
    entries = parsed.of("parameter")
    order = [one.name for one in function.parameters]
    place = order.index(parameter.name)
    before = [entry for entry in entries if any(name in order[:place] for name in entry.names)]
    near = before[-1] if before else entries[0]
    lines = list(parsed.lines)
    at = near.end if before else near.first
    head = lines[near.first]
    # The text may begin right behind the quotes, where the line's indentation is not seen.
    lines[at:at] = _entry_lines(parsed, near, head, parameter)
    return "\n".join(lines)


def summary(text: str, language: str) -> str:
    """What stands before the first entry, without the heading of its section."""
    parsed = parse(text, language)
    if not parsed.entries:
        return text
    lines = list(parsed.lines[: min(entry.first for entry in parsed.entries)])
    while lines and (not lines[-1].strip(" *") or re.match(r"^\s*(-{3,}|[A-Z][\w ]+:?)\s*$", lines[-1])):
        if lines[-1].strip().endswith(".") or len(lines) == 1:
            break
        lines.pop()
    return "\n".join(lines)


def _is_due(parameter: Parameter) -> bool:
    return bool(parameter.name) and not parameter.stars and not parameter.name.startswith("_")


def _renamed(function: Function, text: str) -> str:
    parsed = parse(text, function.language)
    told = list(parsed.parameters)
    order = [one.name for one in function.parameters]
    gone = [name for name in told if name not in order]
    new = [one.name for one in missing(function, text)]
    if any(parameter.stars == "**" for parameter in function.parameters):
        return text
    lines = list(parsed.lines)
    for old in gone:
        place = told.index(old)
        alone = len(gone) == len(new) == 1
        name = new[0] if alone else order[place] if place < len(order) else ""
        if name not in new:
            continue
        for entry in parsed.of("parameter"):
            if old in entry.names:
                lines[entry.first] = re.sub(
                    rf"(?<![\w.]){re.escape(old)}\b", name, lines[entry.first], count=1
                )
        lines = [re.sub(rf"^(\s*:type\s+){re.escape(old)}(\s*:)", rf"\g<1>{name}\2", line) for line in lines]
    return "\n".join(lines)


def _one_change(function: Function, parsed: Parsed, raises: bool) -> str | None:
    """The text after the first thing that is not as it should be was changed; None where all is well."""
    now = set(problems(function, "\n".join(parsed.lines), raises=raises))
    seen: set[str] = set()
    for entry in parsed.entries:
        for name in entry.names or ("",):
            drop = _without(parsed, entry, name)
            fewer = set(problems(function, drop, raises=raises))
            gone = [one for one in now - fewer if not one.startswith("the parameter")]
            if name in seen and entry.kind == "parameter":
                return drop
            seen.add(name)
            if not gone:
                continue
            parameter = next((one for one in function.parameters if one.name == name), None)
            if parameter is not None and entry.type and parameter.annotation:
                lines = list(parsed.lines)
                lines[entry.first] = lines[entry.first].replace(entry.type, parameter.annotation, 1)
                changed = "\n".join(lines)
                if set(problems(function, changed, raises=raises)) < now:
                    return changed
            return drop
    return None


def _without(parsed: Parsed, entry: Entry, name: str) -> str:
    """The text without an entry, or without one of its names; a section that is left empty goes, too."""
    lines = list(parsed.lines)
    if len(entry.names) > 1:
        kept = ", ".join(other for other in entry.names if other != name)
        listed = r"\s*,\s*".join(rf"[*\\`]*{re.escape(other)}`?" for other in entry.names)
        lines[entry.first] = re.sub(listed, kept, lines[entry.first], count=1)
        return "\n".join(lines)
    del lines[entry.first : entry.end]
    if parsed.style == "sphinx":
        lines = [line for line in lines if not re.match(rf"^\s*:type\s+{re.escape(name or ' ')}\s*:", line)]
        if entry.kind == "returns":
            lines = [line for line in lines if not re.match(r"^\s*:(rtype|returns?)\b", line)]
    return "\n".join(_without_empty_section(lines, entry.first, parsed.style))


def _without_empty_section(lines: list[str], at: int, style: str) -> list[str]:
    head = at - 1
    while head >= 0 and not lines[head].strip():
        head -= 1
    below = next((line for line in lines[at:] if line.strip()), "")
    if head < 0:
        return lines
    if style == "numpy" and re.match(r"^\s*-{3,}\s*$", lines[head]):
        following = [line for line in lines[at:] if line.strip()]
        if not following or (len(following) > 1 and re.match(r"^\s*-{3,}\s*$", following[1])):
            first = head - 1
            while first > 0 and not lines[first - 1].strip():
                first -= 1
            return [*lines[:first], *([""] if following else []), *lines[at:]]
    if (
        style == "google"
        and re.match(r"^\s*[A-Z][\w ]+:\s*$", lines[head])
        and _indent(below) <= _indent(lines[head])
    ):
        first = head
        while first > 0 and not lines[first - 1].strip():
            first -= 1
        rest = lines[at:]
        return [*lines[:first], *rest] if not rest or not rest[0].strip() else [*lines[:first], "", *rest]
    return lines


def _entry_lines(parsed: Parsed, near: Entry, head: str, parameter: Parameter) -> Sequence[str]:
    indent = head[: _indent(head)]
    typed = parameter.annotation if near.type else None
    name = parameter.name
    if parsed.style == "google":
        return [f"{indent}{name} ({typed}): {GAP}" if typed else f"{indent}{name}: {GAP}"]
    if parsed.style == "numpy":
        below = parsed.lines[near.first + 1] if near.end > near.first + 1 else ""
        inner = below[: _indent(below)] if below.strip() else indent + "    "
        told = parameter.annotation
        return [f"{indent}{name} : {told}" if told else f"{indent}{name}", f"{inner}{GAP}"]
    if parsed.style == "jsdoc":
        match = re.match(r"^\s*\*?\s*", head)
        begin = match[0] if match is not None else " * "
        dash = "- " if re.search(r"\s-\s", head) else ""
        return [
            f"{begin}@param {{{typed}}} {name} {dash}{GAP}" if typed else f"{begin}@param {name} {dash}{GAP}"
        ]
    return [f"{indent}:param {name}: {GAP}"]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
