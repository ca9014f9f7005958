"""Whether users accept, or keep, fewer of a version's suggestions than of those before it, beyond chance.

Pure figures: knows nothing of stores, models or editors. Two shares are compared by Fisher's exact test, one-sided: of
the suggestions shown those accepted, and of the accepted ones those still there later. Where what served right before
has too few, what served before that is counted with it; how far back says the number of trials alone, never how they
went. The figures are looked at again and again, so the level of each look is a part of ``Rules.level`` that all looks
together never exceed; the share of versions that are no worse and are withdrawn all the same is below that level,
however long they serve.

    R. A. Fisher (1922), On the interpretation of χ² from contingency tables, and the calculation of P.
    Journal of the Royal Statistical Society 85, 87-94.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tailora_adapters.outcomes import VersionOutcomes

__all__ = ["Rules", "Verdict", "fisher_less", "judge", "look_due"]


@dataclass(frozen=True, slots=True)
class Rules:
    """When a version is withdrawn."""

    level: float = 0.01
    """Probability, at most, of ever withdrawing a version that is no worse."""
    least: int = 60
    """Trials that either side must have: suggestions shown, or accepted ones that were measured."""
    least_drop: float = 0.2
    """Relative drop of a share below which nothing is done, however certain it is."""
    every: int = 50
    """Suggestions shown from one look at the figures to the next."""
    window_s: float = 30 * 24 * 3600.0
    """Older suggestions do not count, in seconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A share that has dropped beyond chance."""

    what: str
    now: tuple[int, int]
    """Successes and trials of the version that serves."""
    before: tuple[int, int]
    """Those of what it was compared with."""
    names: tuple[str, ...]
    """What that is."""
    p: float
    """Probability of a drop like this one if nothing had changed."""

    def text(self, name: str) -> str:
        """For a person; the name is of the version that serves."""
        before = " and ".join(self.names)
        return (
            f"{name} was rolled back by itself: {self.now[0]} of {self.now[1]} {self.what}, "
            f"{self.before[0]} of {self.before[1]} with {before} (p = {self.p:.1g})"
        )


def fisher_less(successes: int, trials: int, other_successes: int, other_trials: int) -> float:
    """Probability of so few successes or fewer among ``trials`` if all successes fell on both sides by chance.

    The lower tail of the hypergeometric distribution (Fisher 1922).
    """
    total, drawn = trials + other_trials, successes + other_successes
    whole = _log_choose(total, trials)
    lowest = max(0, trials - (total - drawn))
    return min(
        1.0,
        sum(
            math.exp(_log_choose(drawn, k) + _log_choose(total - drawn, trials - k) - whole)
            for k in range(lowest, successes + 1)
        ),
    )


def look_due(shown: int, new: int, rules: Rules = Rules()) -> bool:
    """Whether the ``new`` last ones of the ``shown`` suggestions of a version make it time for a look."""
    return shown // rules.every > (shown - new) // rules.every


def judge(
    now: VersionOutcomes, before: Mapping[str, VersionOutcomes], shown: int, rules: Rules = Rules()
) -> Verdict | None:
    """What has dropped under the version that serves, or None.

    Args:
        now: Its outcomes within the window.
        before: Those of what served before it, by name, the latest first.
        shown: All suggestions that the version ever showed: says how many looks there have been.
    """
    look = max(1, shown // rules.every)
    # 1/2 + 1/6 + 1/12 + … = 1: however many looks there are, they share the level. Half of it for either figure.
    level = rules.level / (look * (look + 1)) / 2
    for what, count in (("suggestions accepted", _accepted), ("accepted suggestions kept", _kept)):
        successes, trials = count(now)
        names, other_successes, other_trials = _pool(
            ((name, *count(outcomes)) for name, outcomes in before.items()), rules.least
        )
        if min(trials, other_trials) < rules.least:
            continue
        if (
            successes / trials > (1 - rules.least_drop) * other_successes / other_trials
            or not other_successes
        ):
            continue
        p = fisher_less(successes, trials, other_successes, other_trials)
        if p < level:
            return Verdict(what, (successes, trials), (other_successes, other_trials), names, p)
    return None


def _accepted(outcomes: VersionOutcomes) -> tuple[int, int]:
    return outcomes.accepted, outcomes.shown


def _kept(outcomes: VersionOutcomes) -> tuple[int, int]:
    return outcomes.survived, outcomes.measured


def _pool(figures: Iterable[tuple[str, int, int]], least: int) -> tuple[tuple[str, ...], int, int]:
    """Names, successes and trials of the first ones that have ``least`` trials together."""
    names: list[str] = []
    successes = trials = 0
    for name, more_successes, more_trials in figures:
        if trials >= least:
            break
        if more_trials:
            names.append(name)
            successes += more_successes
            trials += more_trials
    return tuple(names), successes, trials


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
