"""Which function a docstring can be written for, or updated: by the place of a cursor, a line or a name.

Knows nothing of models.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tailora_adapters.corpus.functions import Function, find_functions
from tailora_adapters.docstrings.check import problems

__all__ = ["Target", "find_target", "targets"]


@dataclass(frozen=True, slots=True)
class Target:
    """A function, and what its docstring needs."""

    function: Function
    what: Literal["write", "update"]
    why: tuple[str, ...] = ()
    """What no longer fits."""


def targets(text: str, language: str) -> Iterator[Target]:
    """Every function of a file without a docstring, or with one that no longer fits, in order."""
    for function in find_functions(text, language):
        if (found := _target(function)) is not None:
            yield found


def find_target(text: str, language: str, line: int) -> Target | None:
    """The innermost function around a line (from 0), if its docstring is missing or no longer fits."""
    around = [
        function
        for function in find_functions(text, language)
        if _first_line(text, function) <= line <= function.end_line
    ]
    return _target(around[-1]) if around else None


def _first_line(text: str, function: Function) -> int:
    start = function.start
    if function.doc is not None:
        start = min(start, function.doc.start)
    return text.count("\n", 0, start)


def _target(function: Function) -> Target | None:
    if function.doc is not None:
        why = tuple(problems(function, function.doc.text, raises=False))
        return Target(function, "update", why) if why else None
    if function.language == "python" and not function.own_lines:
        return None
    return Target(function, "write")
