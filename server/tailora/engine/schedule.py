"""When a project is trained, and for what: one pure decision from what is known, and the words for every «not yet».

Knows nothing of files, processes or clocks: every time is an argument, in monotonic seconds. Invariant: whatever
holds a run back ends by itself or is named in ``why``; no change waits for more changes longer than ``max_wait_s``;
no run for repair starts before what waits to be learned for completion.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Conditions", "Decision", "Purpose", "Rules", "count_files", "decide", "span", "unpowered"]

Purpose = Literal["completion", "repair"]
"""What a run trains an adapter for."""

_A_LOT = 4
"""So many times ``min_new_tokens`` since a run that came to nothing are worth another try at once."""
_LONGEST_GAP_S = 3600.0
_SHORTEST_BACKOFF_S = 60.0
_LEAST_BATTERY = 30.0
_LEAST_BUDGET_S = 10.0
_AFTER_COMMIT = 0.25
"""Of the quiet time: whoever commits has come to an end of something."""
_RESTS_S = 5.0
_LOOK_AGAIN_S = 15.0
_REPAIR_EVERY_S = 86_400.0
"""Least time between two runs for repair: each reads the whole repository and its history, and takes minutes."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When training starts. See the settings of the same names in ``options``."""

    quiet_s: float = 20.0
    min_gap_s: float = 120.0
    max_wait_s: float = 1800.0
    min_new_tokens: int = 200
    min_changed_files: int = 5
    max_load: float = 0.7
    on_battery: bool = False
    budget_s_per_day: float = 3600.0
    train_seconds: float = 600.0

    @property
    def hot_s(self) -> float:
        """A file that changed less long ago is hot: left out of a run that could not wait for quiet any longer."""
        return min(_RESTS_S, self.quiet_s * _AFTER_COMMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a decision is made from."""

    now: float
    changed_files: int = 0
    many: bool = False
    """Whether there are more than are counted."""
    resting_files: int = 0
    """Those among them that are not hot."""
    new_tokens: int = 0
    """Estimate of what they bring."""
    fresh_tokens: int = 0
    """The part of it that no run was given yet."""
    waiting_since: float = math.inf
    """When the first of them changed."""
    quiet_since: float = -math.inf
    committed: bool = False
    """Whether something was committed since the last run."""
    git_at_work: str | None = None
    """What git is in the middle of, such as «the rebase»."""
    load: float = 0.0
    """Share of the machine's cores that other processes used over the last minute, 0 to 1."""
    battery_percent: float | None = None
    """None: on mains."""
    trained_today_s: float = 0.0
    last_run: float = -math.inf
    """When the last run for completion ended."""
    failures: int = 0
    """Runs for completion in a row that came to nothing."""
    full_retrain: str | None = None
    """Why everything has to be learned anew, if so."""
    retrain_tried: bool = False
    """Whether a run that did so had its say, in vain; the next one begins with what changes."""
    repair_asked: bool = False
    """Whether repairs were asked for since a run for repair last had its say."""
    repaired_s_ago: float = math.inf
    """Seconds since that run ended; infinite where there was none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a run starts now."""

    start: bool
    in_s: float | None
    """When to decide again at the latest; None where nothing waits to be learned."""
    why: str
    """Fit to show."""
    purpose: Purpose = "completion"
    """What that run is for, or would be."""


_Hindrance = tuple[float, str] | None
"""Seconds after which to look again, and what is in the way."""
_Rule = Callable[[Conditions, Rules], _Hindrance]


def decide(conditions: Conditions, rules: Rules) -> Decision:
    """Whether training starts now, and for what; if not, why not and when to ask again."""
    nothing = _nothing(conditions)
    if nothing is None:
        return _decide("completion", _what(conditions), _patience, conditions, rules)
    if conditions.repair_asked and conditions.repaired_s_ago >= _REPAIR_EVERY_S:
        return _decide("repair", "the adapter for repair is to be trained", _quiet, conditions, rules)
    return Decision(False, None, nothing)


def _nothing(conditions: Conditions) -> str | None:
    """Why nothing waits to be learned for completion, if so."""
    if not conditions.changed_files and not conditions.many and conditions.full_retrain is None:
        return "nothing new to learn"
    if not conditions.changed_files and conditions.retrain_tried:
        return f"everything is learned anew when something changes ({conditions.full_retrain})"
    return None


def _decide(purpose: Purpose, what: str, patience: _Rule, conditions: Conditions, rules: Rules) -> Decision:
    for rule in (_git, _power, _budget, _gap, patience, _load):
        hindrance = rule(conditions, rules)
        if hindrance is not None:
            in_s, why = hindrance
            return Decision(False, max(in_s, 0.0), f"{what}; {why}", purpose)
    return Decision(True, 0.0, f"{what}; training starts", purpose)


def _what(conditions: Conditions) -> str:
    files = count_files(conditions.changed_files, many=conditions.many)
    if conditions.full_retrain is None:
        return files
    anew = f"everything is learned anew ({conditions.full_retrain})"
    return f"{files}; {anew}" if conditions.changed_files or conditions.many else anew


def _git(conditions: Conditions, _rules: Rules) -> _Hindrance:
    if conditions.git_at_work is None:
        return None
    return _RESTS_S, f"waits for {conditions.git_at_work} to end"


def unpowered(battery_percent: float | None, rules: Rules) -> str | None:
    """Why the battery is too dear to train on; None on mains, and where it is not."""
    if battery_percent is None:
        return None
    if not rules.on_battery:
        return "paused: on battery, goes on when back on mains (set engine.on_battery to learn on it, too)"
    if battery_percent < _LEAST_BATTERY:
        return f"paused: the battery is at {battery_percent:.0f} %, goes on when back on mains"
    return None


def _power(conditions: Conditions, rules: Rules) -> _Hindrance:
    why = unpowered(conditions.battery_percent, rules)
    return (_LOOK_AGAIN_S, why) if why else None


def _budget(conditions: Conditions, rules: Rules) -> _Hindrance:
    budget = rules.budget_s_per_day
    if not budget or budget - conditions.trained_today_s >= min(_LEAST_BUDGET_S, budget):
        return None
    return _LOOK_AGAIN_S, f"today's budget of {span(budget)} is used up"


def _gap(conditions: Conditions, rules: Rules) -> _Hindrance:
    gap = rules.min_gap_s
    again = conditions.failures > 0 and conditions.fresh_tokens < max(1, _A_LOT * rules.min_new_tokens)
    if again:
        backoff = max(gap, _SHORTEST_BACKOFF_S) * 2 ** min(conditions.failures, 10)
        gap = max(gap, min(backoff, _LONGEST_GAP_S))
    left = conditions.last_run + gap - conditions.now
    if left > 0 and again:
        return left, f"the last run came to nothing; the next is tried in {span(left)}"
    left = max(left, rules.min_gap_s - conditions.repaired_s_ago)
    return (left, f"the next training is {span(left)} away") if left > 0 else None


def _patience(conditions: Conditions, rules: Rules) -> _Hindrance:
    """Enough that is new, and quiet; or a wait that was long enough."""
    overdue_in = conditions.waiting_since + rules.max_wait_s - conditions.now
    if overdue_in <= 0:
        if conditions.resting_files:
            return None
        return rules.hot_s, f"changes all the time; waits for {span(rules.hot_s)} without"
    enough = (
        (conditions.full_retrain is not None and not conditions.retrain_tried)
        or conditions.committed
        or conditions.many
        or conditions.new_tokens >= rules.min_new_tokens
        or conditions.changed_files >= rules.min_changed_files
    )
    if not enough:
        return overdue_in, f"waits for more that is new, at most {span(overdue_in)}"
    noise = _quiet(conditions, rules)
    return None if noise is None else (min(noise[0], overdue_in), noise[1])


def _quiet(conditions: Conditions, rules: Rules) -> _Hindrance:
    quiet_s = rules.quiet_s * (_AFTER_COMMIT if conditions.committed else 1.0)
    left = conditions.quiet_since + quiet_s - conditions.now
    return (left, f"waits for {span(quiet_s)} of quiet") if left > 0 else None


def _load(conditions: Conditions, rules: Rules) -> _Hindrance:
    if conditions.load <= rules.max_load:
        return None
    return _LOOK_AGAIN_S, f"the machine is busy ({100 * conditions.load:.0f} % of its cores); training waits"


def count_files(count: int, *, many: bool = False) -> str:
    """In words; ``many``: there are more."""
    if many:
        return f"more than {count:,} changed files" if count else "more changed files than were looked at"
    return "1 changed file" if count == 1 else f"{count:,} changed files"


def span(seconds: float) -> str:
    """A time in words: «20 s», «30 min»."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
