"""What a comparison says in a sentence, by rules that are told with it. Knows nothing of how it is shown."""

from dataclasses import dataclass

from tailora.evaluation.intervals import Difference
from tailora.evaluation.methods.aggregate import Group, Row

__all__ = ["RULES", "Answer", "answer"]

RULES = (
    "Best is the method with the largest gain of the task's main metric over the base model among those whose 95 % "
    "interval of that gain is above zero. Cheapest is, among these, the one that trained for the shortest time and "
    "whose gain is not below the best one's interval. A method of which a run failed is not named."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The best method and the cheapest that is about as good (perhaps the same); None where none is better than the
    base, or where ``unknown`` says why nothing can be said."""

    best: Row | None = None
    cheapest: Row | None = None
    unknown: str = ""


def answer(group: Group) -> Answer:
    """By ``RULES``."""
    base = group.row("base")
    if base is None or not base.runs:
        return Answer(unknown="no run of the base model is among these reports")
    asked = [(row, found) for row in group.rows if row.role == "method" and (found := _gain(group, row))]
    if not asked:
        return Answer(unknown="no method has a run that succeeded and tells its results case by case")
    better = [(row, gain) for row, gain in asked if gain.low > 0 and not _failed(row)]
    if not better:
        return Answer()
    best, gain = max(better, key=lambda one: one[1].value)
    enough = [row for row, own in better if own.value >= gain.low]
    cheapest = min(enough, key=lambda row: (row.costs["train_time"].value, row.costs["parameters"].value))
    return Answer(best, cheapest)


def _gain(group: Group, row: Row) -> Difference | None:
    """The difference to the base with more being better."""
    versus = row.against.get("base", {}).get(group.main)
    if versus is None:
        return None
    found = versus.difference
    low, high = sorted((group.gain(group.main, found.low), group.gain(group.main, found.high)))
    return Difference(group.gain(group.main, found.value), low, high, found.p_value, found.seeds, found.cases)


def _failed(row: Row) -> bool:
    return any(run["train_info"]["status"] == "failed" for run in row.failed)
