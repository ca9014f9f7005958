"""What is tried next within the time: cheap candidates first, each estimated by what the ones before it took.

Pure. Knows nothing of how anything is trained. Invariant: a step that is done is never dropped, and one that does not
fit is told, not shortened, so that figures are of whole runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tailora_adapters.methods import method_named

__all__ = ["BASELINES", "CANDIDATES", "SEEDS", "Step", "estimate", "following", "steps_for"]

CANDIDATES = ("lora", "ia3", "pfeiffer")
"""The recommended one first; then the smallest, and one that is another kind of adapter."""
SEEDS = (1, 2, 3)
_FIRST = SEEDS[:1]
_BASELINE = 1.0
"""Of asking all questions once, which is the unit here."""
_TRAINING, _WHOLE = 0.5, 0.8
"""Of one run's training: of a method that trains through half of the layers, and through all."""


@dataclass(frozen=True, slots=True)
class Step:
    """A comparison in a folder of its own."""

    name: str
    """Of the folder; one of a few."""
    method: str
    """Empty: the baselines."""
    seeds: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    weight: float = 1.0
    """Estimated time, as a multiple of asking all questions once."""


BASELINES = "baselines"


def steps_for(order: Sequence[str] = CANDIDATES, baselines: int = 3) -> tuple[Step, ...]:
    """All that could be tried, in this order.

    Args:
        order: Candidates, the best so far first: in this order they are trained anew with more seeds and rates.
        baselines: How many are asked.
    """
    more = []
    for name in order:
        rates = method_named(name).rates
        more += [
            Step(f"{name}-seeds", name, SEEDS[1:], (method_named(name).learning_rate,), 2 * _of_run(name)),
            Step(f"{name}-rates", name, SEEDS, rates, (len(rates) + len(SEEDS) - 1) * _of_run(name)),
        ]
    return (
        Step(BASELINES, "", weight=_BASELINE * baselines),
        *(
            Step(name, name, _FIRST, (method_named(name).learning_rate,), _of_run(name))
            for name in CANDIDATES
        ),
        *more,
    )


def _of_run(name: str) -> float:
    return _BASELINE + (_WHOLE if method_named(name).whole else _TRAINING)


def estimate(step: Step, done: Mapping[str, float], steps: Sequence[Step]) -> float | None:
    """Seconds that a step takes, by those that took their ``done`` seconds; None where none is done."""
    known = [one for one in steps if done.get(one.name)]
    if not known:
        return None
    return step.weight * sum(done[one.name] for one in known) / sum(one.weight for one in known)


def following(
    steps: Sequence[Step], done: Mapping[str, float], begun: Mapping[str, float], budget: float
) -> Step | None:
    """The first step that is not done and is estimated to fit into what is left of ``budget`` seconds.

    The baselines and the first candidate are always tried: without them nothing can be said.

    Args:
        steps: In order.
        done: Seconds that finished steps took.
        begun: Seconds that went into the others so far.
        budget: Seconds for all.
    """
    left = budget - sum(done.values()) - sum(begun.values())
    for number, step in enumerate(steps):
        if step.name in done:
            continue
        needed = estimate(step, done, steps)
        if number < 2 or (needed is not None and needed - begun.get(step.name, 0.0) <= left):
            return step
    return None
