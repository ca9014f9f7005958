"""The hole that the model is asked to fill: a file without its suspect lines.

What is known stands as comments above the hole: what the checker said, and the lines that stood there (RepairLLaMA,
Silva et al., arXiv 2312.15698: buggy lines as comments above an infilling hole repair more than rewriting). Training of
the repair adapter builds its prompts here, so that a model is trained on what it will be asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tailora_adapters import languages

__all__ = ["Hole", "Notes", "Span", "make_hole"]

_NOTE_CHARS = 160


@dataclass(frozen=True, slots=True)
class Span:
    """Whole lines, from ``first`` to before ``end``; an empty one stands before ``first``."""

    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    def __contains__(self, line: int) -> bool:
        return self.first <= line < self.end


@dataclass(frozen=True, slots=True)
class Notes:
    """What is told as comments."""

    messages: Sequence[str] = ()
    """Of diagnostics or of the failed test."""
    was: bool = False
    """Whether the suspect lines are shown."""
    tried: Sequence[str] = ()
    """What was tried in their place and did not hold."""


@dataclass(frozen=True, slots=True)
class Hole:
    """What stands before and behind the new lines."""

    span: Span
    prefix: str
    suffix: str
    given: str
    """The part of the new lines that the prefix ends with: their indentation, or more."""


def make_hole(
    lines: Sequence[str], span: Span, language: str, notes: Notes = Notes(), *, given: str | None = None
) -> Hole:
    """The hole for ``span`` in a file of ``lines`` (without their ends).

    ``given`` is what the new lines begin with, default the indentation of the lines that stood there.
    """
    indent = indentation(lines, span)
    comment = _comment(language)
    told = [f"{indent}{comment} {_short(message)}\n" for message in notes.messages]
    if notes.was:
        told += [
            f"{indent}{comment} {line.strip()}\n" for line in lines[span.first : span.end] if line.strip()
        ]
    told += [f"{indent}{comment} not: {_short(text)}\n" for text in notes.tried]
    head = "".join(line + "\n" for line in lines[: span.first])
    tail = "".join("\n" + line for line in lines[span.end :]) or "\n"
    begin = indent if given is None else given
    return Hole(span, head + "".join(told) + begin, tail, begin)


def indentation(lines: Sequence[str], span: Span) -> str:
    """The white space before the lines of a span; before an empty one, that of its surroundings."""
    for line in (*lines[span.first : span.end], *lines[span.end :], *reversed(lines[: span.first])):
        if line.strip():
            return line[: len(line) - len(line.lstrip())]
    return ""


def _comment(language: str) -> str:
    known = languages.by_id(language)
    return known.comment if known is not None else "#"


def _short(text: str) -> str:
    line = " ".join(text.strip().partition("\n")[0].split())
    return line if len(line) <= _NOTE_CHARS else line[: _NOTE_CHARS - 1] + "…"
