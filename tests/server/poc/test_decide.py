"""Each rule by itself, and which one counts."""

from collections.abc import Callable
from typing import Any

import pytest

from tailora.evaluation.intervals import Difference
from tailora.poc.candidates import Candidate
from tailora.poc.decide import Rule, Verdict, decide

Make = Callable[..., Candidate]


def between(low: float, high: float) -> Difference:
    return Difference((low + high) / 2, low, high, 0.001, 3, 24)


def test_what_meets_all_rules_is_rolled_out(candidate: Make) -> None:
    found = decide([candidate()], dearer=False, keeps_up=True)
    assert found.verdict is Verdict.ROLL_OUT
    assert not found.against


@pytest.mark.parametrize(
    "changes, rule, verdict",
    [
        ({"loss": between(-0.4, 0.1)}, Rule.NO_GAIN, Verdict.STOP),
        ({"loss": between(-0.4, 0.0)}, Rule.NO_GAIN, Verdict.STOP),
        ({"corrected": 0.06}, Rule.NO_GAIN, Verdict.STOP),
        ({"similarity": between(-0.2, -0.01)}, Rule.WORSE, Verdict.STOP),
        ({"insecure_p": 0.01}, Rule.INSECURE, Verdict.STOP),
        ({"forgetting": 0.051}, Rule.FORGETS, Verdict.STOP),
        ({"told": True}, Rule.MEMORISES, Verdict.STOP),
        ({"seeds": 2}, Rule.FEW_SEEDS, Verdict.EXTEND),
        ({"exact_match": between(-0.1, 0.3)}, Rule.NOT_VISIBLE, Verdict.EXTEND),
        ({"exact_match": None, "similarity": None}, Rule.NOT_VISIBLE, Verdict.EXTEND),
    ],
)
def test_one_rule_is_enough(candidate: Make, changes: dict[str, Any], rule: Rule, verdict: Verdict) -> None:
    found = decide([candidate(**changes)])
    assert found.against == (rule,)
    assert found.verdict is verdict


def test_no_gain_in_too_few_runs_asks_for_more(candidate: Make) -> None:
    found = decide([candidate(seeds=2, loss=between(-0.4, 0.1))])
    assert found.verdict is Verdict.EXTEND
    assert found.against == (Rule.NO_GAIN, Rule.FEW_SEEDS)
    assert decide([candidate(seeds=2, loss=between(-0.4, 0.1), told=True)]).verdict is Verdict.STOP


@pytest.mark.parametrize(
    "given, rule, verdict",
    [
        ({"too_small": True}, Rule.TOO_SMALL, Verdict.STOP),
        ({"failed": 2}, Rule.ALL_FAILED, Verdict.STOP),
        ({}, Rule.NO_TIME, Verdict.EXTEND),
    ],
)
def test_without_candidates(given: dict[str, Any], rule: Rule, verdict: Verdict) -> None:
    found = decide([], **given)
    assert (found.verdict, found.against, found.chosen) == (verdict, (rule,), None)


def test_a_month_that_is_too_dear_or_too_busy_asks_for_more(candidate: Make) -> None:
    assert decide([candidate()], dearer=True).against == (Rule.TOO_DEAR,)
    assert decide([candidate()], keeps_up=False).against == (Rule.TOO_SLOW,)
    assert decide([candidate()], dearer=None, keeps_up=None).verdict is Verdict.ROLL_OUT


def test_the_best_verdict_counts_before_the_lowest_loss(candidate: Make) -> None:
    low = candidate(method="ia3", loss=between(-0.9, -0.5), told=True)
    few = candidate(method="pfeiffer", loss=between(-0.8, -0.5), seeds=1)
    good, better = candidate(), candidate(method="prefix", loss=between(-0.6, -0.3))
    found = decide([low, few, good, better])
    assert [one.candidate.method for one in found.judged] == ["prefix", "lora", "pfeiffer", "ia3"]
    assert found.verdict is Verdict.ROLL_OUT


def test_a_small_repository_stops_whatever_was_measured(candidate: Make) -> None:
    assert decide([candidate()], too_small=True).verdict is Verdict.STOP
