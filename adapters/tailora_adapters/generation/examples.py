"""Training examples for whole functions: a file up to a function's docstring or leading comment, and then its body.

Deterministic for a seed. Knows nothing of tokenizers or models.
"""

import re
from collections.abc import Sequence

from tailora_adapters import languages
from tailora_adapters.corpus.examples import FimExample, Source, first_lines, last_lines
from tailora_adapters.corpus.functions import Function, find_functions
from tailora_adapters.corpus.tasks import Drawn, draw

__all__ = ["generation_examples", "leading_comment", "written"]

_FEWEST_WORDS = 4
_FEWEST_CHARS = 20
_MOST_CHARS = 800


def generation_examples(
    files: Sequence[Source], count: int, *, seed: int, without: Sequence[Source] = ()
) -> list[FimExample]:
    """Up to ``count`` examples, the files taking turns, in shuffled order.

    Args:
        without: Files whose functions are held out: nothing nearly like one of them is among the examples.
    """
    return draw(files, written, count, seed=seed, without=without)


def written(source: Source) -> list[Drawn]:
    """Every function of a file that says what it is for and has a body, each with its whole text."""
    return [
        Drawn(_example(source, function, kind), source.text[function.start : function.end])
        for function in find_functions(source.text, source.language)
        if (kind := _kind(source, function)) is not None
    ]


def _kind(source: Source, function: Function) -> str | None:
    """What the body follows from; None where it is not worth learning."""
    length = function.body_end - function.body_start
    if function.stub or not function.own_lines or not _FEWEST_CHARS <= length <= _MOST_CHARS:
        return None
    if function.doc is not None and _says(function.doc.text):
        return "docstring"
    return "comment" if _says(leading_comment(source.text, function)) else None


def _says(text: str) -> bool:
    return len(re.findall(r"\w+", text)) >= _FEWEST_WORDS


def leading_comment(text: str, function: Function) -> str:
    """The comment lines right above a function, without their markers; empty where there are none."""
    known = languages.by_id(function.language)
    marker = known.comment if known is not None else "#"
    found: list[str] = []
    for line in reversed(text[: function.start].rstrip(" \t").split("\n")[:-1]):
        if not line.strip().startswith(marker):
            break
        found.append(line.strip().removeprefix(marker).strip())
    return "\n".join(reversed(found))


def _example(source: Source, function: Function, kind: str) -> FimExample:
    start = function.body_start
    return FimExample(
        path=source.path,
        language=source.language,
        prefix=last_lines(source.text[:start]),
        middle=source.text[start : function.body_end],
        suffix=first_lines(source.text[function.body_end :]),
        kind=f"generation {kind}",
        line=source.text.count("\n", 0, start),
    )
