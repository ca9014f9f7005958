"""Questions about clones for a model: two Python functions of a repository, and whether the second is a copy of the
first one.

Half of the second ones are copies, changed as ``plant`` changes them (types 1 to 3 in turn); the others are other
functions of like length, changed the same way, so that no trace of changing gives the answer away. Deterministic for a
seed. Knows nothing of tokenizers or models.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.clones.alike import alike, counts
from tailora_adapters.clones.functions import Function, functions_of
from tailora_adapters.clones.plant import at_margin, overlap, simple_statements, vary
from tailora_adapters.corpus.examples import FimExample, Source
from tailora_adapters.corpus.similarity import Twins

__all__ = ["NO", "PAIR_BUDGET", "YES", "pair_examples"]

YES, NO = " True", " False"
"""The answers: one token each."""
PAIR_BUDGET = PromptBudget(prefix=448, suffix=16, context=0)
"""Both functions whole; what is cut could not be answered."""

_MOST_CHARS = 600
_MOST_BOTH = 1_300
"""Characters of a function before it is changed, and of a pair afterwards."""
_USES = 4
"""Of a function as the first one."""
_SHARE = 0.25
"""Type 3: at most so many of a function's statements are changed."""
_OTHER = 0.5
"""Functions that are alike by more are no other functions."""
_CHOICE = 5
_SIMILARITY = 0.7


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: str
    function: Function
    text: str


def pair_examples(
    files: Sequence[Source], count: int, *, seed: int, without: Sequence[Source] = ()
) -> list[FimExample]:
    """Up to ``count`` questions, as many with each answer, in shuffled order.

    Args:
        without: Files whose functions are held out: nothing nearly like one of them is asked about.
    """
    rng = random.Random(f"{seed}:pairs")
    known = _candidates(files, without)
    donors = [line for one in known for line in simple_statements(one.text)]
    firsts = [one for _ in range(_USES) for one in rng.sample(known, len(known))]
    found: dict[bool, list[FimExample]] = {True: [], False: []}
    for first in firsts:
        same = len(found[True]) <= len(found[False])
        kind = 1 + len(found[same]) % 3
        second = first if same else _other(first, known, rng)
        made = None if second is None else vary(second.text, kind, donors, _SHARE, rng)
        if made is None or len(first.text) + len(made[0]) > _MOST_BOTH:
            continue
        found[same].append(_example(first, made[0], f"clones type {kind}" if same else "clones none"))
        if sum(map(len, found.values())) >= count:
            break
    fewest = min(map(len, found.values()))
    examples = [*found[True][:fewest], *found[False][:fewest]]
    rng.shuffle(examples)
    return examples


def _candidates(files: Sequence[Source], without: Sequence[Source]) -> list[_Candidate]:
    """The functions that count, are short enough, and nearly like none of ``without`` nor one before."""
    twins = Twins(_SIMILARITY)
    for source in without:
        for one in _counting(source):
            twins.add(f"{source.path}:{one.function.line}", one.text)
    return [
        one
        for source in sorted(files, key=lambda source: source.path)
        for one in _counting(source)
        if len(one.text) <= _MOST_CHARS
        and twins.find_or_add(f"{one.path}:{one.function.line}", one.text) is None
    ]


def _counting(source: Source) -> list[_Candidate]:
    if source.language != "python":
        return []
    lines = source.text.split("\n")
    return [
        _Candidate(source.path, one, text)
        for one in functions_of(source.text, "python")
        if counts(one) and (text := at_margin(lines[one.first : one.last + 1])) is not None
    ]


def _other(first: _Candidate, known: Sequence[_Candidate], rng: random.Random) -> _Candidate | None:
    """Another function of like length."""
    near = sorted(known, key=lambda one: abs(len(one.text) - len(first.text)))
    others = (one for one in near if one.path != first.path or not overlap(one.function, first.function))
    apart = (one for one in others if alike(one.function.body, first.function.body) < _OTHER)
    chosen = [one for one, _ in zip(apart, range(_CHOICE), strict=False)]
    return rng.choice(chosen) if chosen else None


def _example(first: _Candidate, second: str, kind: str) -> FimExample:
    return FimExample(
        path=first.path,
        language="python",
        prefix=f"# Two functions\n{first.text}\n\n\n{second}\n\n\n# Is the second one a copy of the first?\nis_copy =",
        middle=NO if kind == "clones none" else YES,
        suffix="\n",
        kind=kind,
        line=first.function.line,
    )
