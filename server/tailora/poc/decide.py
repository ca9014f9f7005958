"""The recommendation, by rules that the page shows: stop, extend, or roll out by stages.

Pure: figures in, a decision with its reasons out. Knows nothing of reports or words. Each candidate is judged by
itself; the best verdict counts, and among equals the lowest loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tailora.poc.candidates import Candidate

__all__ = ["LEVEL", "MARGIN", "NEEDED_SEEDS", "Decision", "Judged", "Rule", "Verdict", "decide", "judge"]

NEEDED_SEEDS = 3
MARGIN = 0.05
"""How much the loss on code of other repositories may rise, relative: the gate's own limit."""
LEVEL = 0.05
"""Of the p-value of a lower loss, corrected for the number of candidates."""


class Verdict(StrEnum):
    """What is recommended."""

    STOP = "stop"
    EXTEND = "extend"
    ROLL_OUT = "roll out"


class Rule(StrEnum):
    """What speaks against a roll-out."""

    TOO_SMALL = "the repository is too small"
    ALL_FAILED = "no candidate could be trained"
    NO_GAIN = "the loss is not lower beyond chance"
    WORSE = "another measure is worse beyond chance"
    INSECURE = "more findings in written code, beyond chance"
    FORGETS = "the loss elsewhere rises beyond the margin"
    MEMORISES = "a planted number can be told"
    NO_TIME = "no candidate could be tried in the time"
    FEW_SEEDS = "too few seeds"
    NOT_VISIBLE = "neither exact match nor similarity is better beyond chance"
    TOO_DEAR = "dearer than seats of a hosted assistant"
    TOO_SLOW = "a machine would be busy with training longer than it is on"


STOPS = frozenset(
    {
        Rule.TOO_SMALL,
        Rule.ALL_FAILED,
        Rule.NO_GAIN,
        Rule.WORSE,
        Rule.INSECURE,
        Rule.FORGETS,
        Rule.MEMORISES,
    }
)
"""The rest only asks for more; and so does no gain where there were too few runs to see one."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with what speaks against it."""

    candidate: Candidate
    against: tuple[Rule, ...]

    @property
    def verdict(self) -> Verdict:
        """By what speaks against it."""
        return _verdict(self.against)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is recommended, and why not more."""

    verdict: Verdict
    against: tuple[Rule, ...]
    chosen: Judged | None
    """The candidate that it is about; None where there is none that was measured."""
    judged: tuple[Judged, ...] = ()
    """All that were measured, the chosen one first."""


def decide(
    candidates: Sequence[Candidate],
    *,
    too_small: bool = False,
    failed: int = 0,
    dearer: bool | None = None,
    keeps_up: bool | None = None,
) -> Decision:
    """By the rules.

    Args:
        candidates: That were measured.
        too_small: Whether the repository cannot be parted in three.
        failed: Candidates that could not be trained.
        dearer: Whether a month costs more than seats of a hosted assistant; None: not known, and not asked.
        keeps_up: Whether a machine has the time to train so often; None: not known.
    """
    if too_small:
        return Decision(Verdict.STOP, (Rule.TOO_SMALL,), None)
    if not candidates:
        rule = Rule.ALL_FAILED if failed else Rule.NO_TIME
        return Decision(_verdict((rule,)), (rule,), None)
    month = [
        rule for rule, holds in ((Rule.TOO_DEAR, dearer is True), (Rule.TOO_SLOW, keeps_up is False)) if holds
    ]
    judged = [Judged(one, (*judge(one), *month)) for one in candidates]
    order = list(Verdict)
    judged.sort(key=lambda one: (-order.index(one.verdict), one.candidate.loss.value))
    best = judged[0]
    return Decision(best.verdict, best.against, best, tuple(judged))


def judge(one: Candidate) -> tuple[Rule, ...]:
    """What speaks against a candidate, whatever it costs."""
    others = [found for found in (one.exact_match, one.similarity) if found is not None]
    rules = {
        Rule.NO_GAIN: one.loss.high >= 0 or one.corrected >= LEVEL,
        Rule.WORSE: any(found.high < 0 for found in others),
        Rule.INSECURE: one.insecure_p is not None and one.insecure_p < LEVEL,
        Rule.FORGETS: one.forgetting is not None and one.forgetting > MARGIN,
        Rule.MEMORISES: one.told,
        Rule.FEW_SEEDS: one.seeds < NEEDED_SEEDS,
        Rule.NOT_VISIBLE: not any(found.low > 0 for found in others),
    }
    return tuple(rule for rule, holds in rules.items() if holds)


def _verdict(against: Sequence[Rule]) -> Verdict:
    if not against:
        return Verdict.ROLL_OUT
    stops = STOPS & set(against)
    if Rule.FEW_SEEDS in against:
        stops -= {Rule.NO_GAIN}
    return Verdict.STOP if stops else Verdict.EXTEND
