"""How a repository writes its docstrings: the style that most of them have, and how their text is laid out.

Knows nothing of models. Counted are the docstrings of functions with parameters, where there are any: the others look
alike in every style.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from tailora_adapters.corpus.functions import Function
from tailora_adapters.docstrings.entries import StyleName, style_of

__all__ = ["Style", "style_of_functions"]

T = TypeVar("T")

_WIDTH = 88
_MOST_WIDTH = 120


@dataclass(frozen=True, slots=True)
class Style:
    """Of one language in one repository."""

    name: StyleName
    opening: str = '"""'
    """The quotes, or ``/**``."""
    below: bool = False
    """Whether the text begins on the line below the opening."""
    width: int = _WIDTH
    """Characters of the longest lines."""
    found: int = 0
    """Docstrings that it was read from."""

    @property
    def closing(self) -> str:
        """What ends it."""
        return "*/" if self.opening == "/**" else self.opening.lstrip("rRuU")


def style_of_functions(functions: Iterable[Function], language: str = "python") -> Style:
    """The style of most of the documented functions; Google's or JSDoc's where there are none."""
    python = language == "python"
    documented = [function for function in functions if function.doc is not None]
    if not documented:
        return Style("google") if python else Style("jsdoc", "/**", below=True)
    telling = [function for function in documented if function.parameters] or documented
    name = _most(style_of(_text(function), language) for function in telling)
    below = _most(_text(function)[:1] in ("\n", "\r") for function in documented if _is_long(function))
    opening = _most(function.doc.opening for function in documented if function.doc) or '"""'
    return Style(
        name or "plain",
        opening if opening.endswith(('"""', "'''", "/**")) else '"""',
        bool(below) if python else True,
        _width(documented),
        len(documented),
    )


def _text(function: Function) -> str:
    assert function.doc is not None
    return function.doc.text


def _is_long(function: Function) -> bool:
    return "\n" in _text(function).strip()


def _most(values: Iterable[T]) -> T | None:
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def _width(functions: Sequence[Function]) -> int:
    """What nearly all lines of text that were wrapped keep within."""
    longest = [
        max(len(line) for line in _text(function).split("\n")) for function in functions if _is_long(function)
    ]
    if not longest:
        return _WIDTH
    return min(max(round(median(longest)) + 8, 72), _MOST_WIDTH)
