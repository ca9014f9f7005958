"""Gives a suggestion the indentation of the file it goes into.

Knows nothing of syntax but where a block opens. Invariant: only white space at the beginning of lines
changes, never inside a string that spans lines, and a text that was fitted once is not changed again.
"""

import re
from functools import reduce
from math import gcd

from tailora.completion._scan import scan
from tailora.completion._window import Window, indent_of, opens_block, width_of
from tailora_adapters import languages

__all__ = ["fit_first_line", "fit_indentation"]

_OPENS = re.compile(r"[:{]\s*(?:(?://|#).*)?\Z")


def fit_first_line(text: str, window: Window, unit: str) -> str:
    """Takes away indentation of the first line that was typed already, or that would be too deep."""
    lead = indent_of(text)
    if not lead or not window.blank_line or lead == text:
        return text
    if text[len(lead)] == "\n":
        return text[len(lead) :]
    known = languages.by_id(window.language)
    nested = bool(window.cursor.stack) or window.cursor.string is not None
    if not window.line_prefix and (known is None or not known.indented or nested):
        return text  # nothing was typed, and any indentation is right somewhere
    typed, previous, opener = width_of(window.line_prefix), window.previous, window.opener
    allowed = 0
    if opener is not None and typed <= width_of(opener):
        allowed = width_of(opener) + width_of(unit) - typed
    elif previous is not None and not window.line_prefix:
        allowed = width_of(previous)
    keep = lead
    while width_of(keep) > allowed:
        keep = keep[:-1]
    return keep + text[len(lead) :]


def fit_indentation(text: str, window: Window, unit: str) -> str:
    """Gives all lines the file's own indentation: tabs or spaces, and as many.

    The first line takes part where only white space stands before it.
    """
    first, *rest = text.split("\n")
    fixed = _in_strings(text, window)
    movable = [index for index, line in enumerate(rest, 1) if index not in fixed and line.strip()]
    lines = [first, *rest]
    begins_line = window.blank_line and first.strip() and window.cursor.string is None
    indented = [0, *movable] if begins_line else movable
    if _mixes(window):
        pass
    elif unit == "\t":
        _to_tabs(lines, indented)
    else:
        for index in indented:
            lead = indent_of(lines[index])
            lines[index] = lead.replace("\t", unit) + lines[index][len(lead) :]
        _rescale(lines, movable, window, len(unit))
    return "\n".join(
        line if index in fixed or line.strip() or index == len(lines) - 1 else ""
        for index, line in enumerate(lines)
    )


def _mixes(window: Window) -> bool:
    """Whether lines indented by spaces and by tabs stand side by side (GNU's style: a tab is eight spaces).

    Where the cursor's line begins with a tab, or indentation is syntax, one of them is wanted all the same.
    """
    known = languages.by_id(window.language)
    if (known is not None and known.indented) or window.line_prefix[:1] == "\t":
        return False
    around = f"\n{window.before}\n{window.after}"
    return "\n\t" in around and "\n  " in around


def _in_strings(text: str, window: Window) -> set[int]:
    """Numbers of the lines of ``text`` that begin inside a string."""
    inside, position = set(), text.find("\n")
    state, start, number = window.cursor, 0, 1
    while position >= 0:
        state = scan(text[start : position + 1], window.lexis, state)
        if state.string is not None:
            inside.add(number)
        start, number = position + 1, number + 1
        position = text.find("\n", start)
    return inside


def _to_tabs(lines: list[str], movable: list[int]) -> None:
    """Turns leading spaces into tabs; lines that begin with a tab may be aligned with spaces and stay."""
    spaced = [index for index in movable if lines[index][0] == " "]
    common = reduce(gcd, (len(indent_of(lines[index]).expandtabs(4)) for index in spaced), 0)
    width = next((width for width in (4, 2, 3) if common and common % width == 0), 4)
    for index in spaced:
        lead = indent_of(lines[index])
        tabs, spaces = divmod(len(lead.expandtabs(4)), width)
        lines[index] = "\t" * tabs + " " * spaces + lines[index][len(lead) :]


def _rescale(lines: list[str], movable: list[int], window: Window, unit: int) -> None:
    """Mends steps of another width, where a block shows what the step of the suggestion is."""
    base = width_of(window.line_prefix if window.line_prefix.strip() else window.line_prefix + lines[0])
    whole = [window.line_prefix + lines[0], *lines[1:]]
    step = 0
    for above, index in zip([0, *movable], movable, strict=False):
        if _OPENS.search(whole[above]) and opens_block(
            whole[above], scan(whole[above] + "\n", window.lexis), window.language
        ):
            step = width_of(whole[index]) - width_of(whole[above])
            break
    if step not in (2, 3, 4, 8) or step == unit:
        return
    relative = {index: width_of(lines[index]) - base for index in movable}
    if any(width > 0 and width % step for width in relative.values()):
        return
    for index, width in relative.items():
        if width > 0:
            lines[index] = " " * (base + width // step * unit) + lines[index].lstrip(" \t")
