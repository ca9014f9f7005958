"""A function's body, or a whole function, from the model: until it ends, and only if the file parses with it.

Knows nothing of LSP.
"""

import asyncio
from dataclasses import dataclass

from tailora.generation.place import Place
from tailora.infill import Filler, Limits
from tailora.repair.syntax import Syntax
from tailora_adapters.corpus.functions import find_functions

__all__ = ["Written", "end_of_function", "write_function"]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    text: str
    """The whole file with it."""
    inserted: str
    """What stands in the place now."""


async def write_function(
    text: str, place: Place, language: str, filler: Filler, limits: Limits
) -> Written | None:
    """The file with the function written; None where no whole one came in time, or the file does not parse with it.

    Raises:
        EngineError: the model cannot be asked.
    """
    before, after = text[: place.start] + place.lead, place.tail + text[place.end :]

    def over(written: str) -> bool:
        return end_of_function(written, place, language) is not None

    try:
        async with asyncio.timeout(limits.seconds):
            filled = await filler.fill(before, after, max_tokens=limits.max_tokens, ended=over)
    except TimeoutError:
        return None
    end = end_of_function(filled.text, place, language)
    if end is None and not filled.finished:
        return None
    body = filled.text[:end].rstrip()
    made = before + body + after
    if not body.strip() or not _holds(text, made, place, language):
        return None
    return Written(made, place.lead + body + place.tail)


def end_of_function(written: str, place: Place, language: str) -> int | None:
    """How much of ``written`` is the function; None while it may go on. A line counts once it is whole."""
    if language != "python":
        return _end_of_braces(written, place.whole)
    at, begun = 0, False
    for line in written.split("\n"):
        indent = len(line) - len(line.lstrip())
        if at and line.strip():
            if place.whole:
                # A decorator or the closing parenthesis of a signature stands where the function does.
                if begun and indent <= len(place.indent) and not line.lstrip().startswith((")", "]", "}")):
                    return at - 1
            elif indent < len(place.indent):
                return at - 1
        begun = begun or line.lstrip().startswith(("def ", "async def "))
        at += len(line) + 1
    return None


def _end_of_braces(written: str, whole: bool) -> int | None:
    """Before the brace that closes what was open, or behind the one that closes what was opened here."""
    depth, quote, at = 0, "", 0
    while at < len(written):
        char = written[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'`":
            quote = char
        elif written.startswith("//", at):
            at = written.find("\n", at)
            if at < 0:
                return None
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if whole and depth == 0:
                return at + 1
            if depth < 0:
                return at
        at += 1
    return None


def _holds(text: str, made: str, place: Place, language: str) -> bool:
    """Whether the file has no more errors than before, and a function there that says something."""
    if Syntax(made, language).errors() > Syntax(text, language).errors():
        return False
    line = made.count("\n", 0, place.start + len(place.lead))
    around = [one for one in find_functions(made, language) if one.line <= line + 1 and one.end_line >= line]
    return bool(around) and not around[-1].stub
