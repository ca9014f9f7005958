"""What the tasks that are about functions have in common: drawing their examples, and the data of a run for one.

A task names the holes of a file that it would have filled; what is held out, by file, is never trained on, nor a
function nearly like one that is. Prompts have room behind the hole, where the function stands. Knows nothing of what a
task asks, nor of models.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.chance import luck
from tailora_adapters.corpus.examples import FimExample, Source
from tailora_adapters.corpus.sequences import TokenSequence, encode
from tailora_adapters.corpus.similarity import Twins

__all__ = ["SUFFIX_TOKENS", "TASK_BUDGET", "Drawn", "draw", "encode_task"]

SUFFIX_TOKENS = 192
"""Of what stands behind the hole: a function of some 20 lines."""
TASK_BUDGET = PromptBudget(prefix=192, suffix=SUFFIX_TOKENS, context=0)

_SIMILARITY = 0.7
_PER_FILE = 40


@dataclass(frozen=True, slots=True)
class Drawn:
    """A hole, and the text of its function by which it is told from others."""

    example: FimExample
    function: str


Holes = Callable[[Source], Sequence[Drawn]]
"""What a task would have filled in a file."""


def draw(
    files: Sequence[Source], holes: Holes, count: int, *, seed: int, without: Sequence[Source] = ()
) -> list[FimExample]:
    """Up to ``count`` examples, the files taking turns; none that is nearly like a hole of ``without``."""
    twins = Twins(_SIMILARITY) if without else None
    for source in without:
        for number, held in enumerate(holes(source)):
            assert twins is not None
            twins.add(f"{source.path}:{number}", held.function)
    per_file: list[list[FimExample]] = []
    for source in files:
        found = [one.example for one in holes(source) if twins is None or twins.find(one.function) is None]
        found.sort(key=lambda one: luck(seed, one.path, one.line, one.middle))
        per_file.append(found[:_PER_FILE])
    drawn: list[FimExample] = []
    while any(per_file) and len(drawn) < count:
        for examples in per_file:
            if examples and len(drawn) < count:
                drawn.append(examples.pop())
    random.Random(seed).shuffle(drawn)
    return drawn


def encode_task(
    tokenizer: CodeTokenizer,
    examples: Sequence[FimExample],
    *,
    seed: int | None = None,
    whole: PromptBudget = TASK_BUDGET,
) -> list[TokenSequence]:
    """Token sequences with room behind the hole; with a ``seed``, of many sizes, so that every cut is learned."""
    found = []
    for example in examples:
        budget = whole
        if seed is not None:
            rng = random.Random(f"{seed}:{example.path}:{example.line}:{example.middle}")
            budget = PromptBudget(
                prefix=rng.randint(budget.prefix // 3, budget.prefix),
                suffix=rng.randint(budget.suffix // 3, budget.suffix),
                context=0,
            )
        found.append(encode(tokenizer, example, budget))
    return found
