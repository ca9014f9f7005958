"""The gate lets through what is better, and names the check that stops what is not."""

import dataclasses
import random

import pytest

from tailora_adapters.manifest import Check
from tailora_adapters.training.evaluate import Scores
from tailora_adapters.training.gate import GateSettings, decide, probability_better, probability_by_chance

HOLES = 40


def scores(loss: float, *, exact: float = 0.5, stops: float = 0.8, seed: int = 1) -> Scores:
    rng = random.Random(seed)
    return Scores(
        tuple(10 * loss * rng.uniform(0.8, 1.2) for _ in range(HOLES)),
        (10,) * HOLES,
        tuple(i < exact * HOLES for i in range(HOLES)),
        tuple(i < stops * HOLES for i in range(HOLES)),
    )


BASE = scores(2.0)
GOOD = scores(1.5)


def failed(**changes: object) -> list[str]:
    arguments = {
        "candidate": GOOD,
        "base": BASE,
        "serving": None,
        "generic": None,
        "norm_ratio": 1.0,
    } | changes
    result = decide(**arguments)  # type: ignore[arg-type]
    names = [check.name for check in result.checks if not check.passed]
    assert (result.decision == "promoted") == (not names)
    assert all(name in result.reason for name in names)
    return names


def test_better_is_promoted() -> None:
    assert failed() == []
    result = decide(GOOD, BASE, scores(1.8), generic=(scores(2.0), scores(2.0)), norm_ratio=2.0)
    assert result.decision == "promoted"
    assert "below the base" in result.reason
    assert result.figures["base_nll"] == pytest.approx(BASE.nll, abs=1e-4)
    assert result.figures["candidate_nll"] == pytest.approx(GOOD.nll, abs=1e-4)
    assert result.figures["held_out"] == HOLES
    assert {"serving_nll", "generic_candidate_nll", "candidate_exact_match", "base_stop_rate"} <= set(
        result.figures
    )


@pytest.mark.parametrize(
    "changes,expected",
    [
        ({"candidate": scores(2.2)}, ["loss against base"]),
        ({"candidate": BASE}, ["loss against base"]),
        ({"candidate": scores(1.5, exact=0.4)}, ["exact match against base"]),
        ({"candidate": scores(1.5, stops=0.6)}, ["stopping against base"]),
        ({"serving": scores(1.4)}, ["loss against serving"]),
        ({"serving": GOOD}, ["loss against serving"]),
        ({"serving": scores(1.8, exact=0.6)}, ["exact match against serving"]),
        ({"serving": scores(1.8, stops=0.9)}, ["stopping against serving"]),
        ({"generic": (scores(2.2), scores(2.0))}, ["generic code"]),
        ({"norm_ratio": 4.1}, ["adapter norm"]),
        ({"norm_ratio": float("nan")}, ["adapter norm"]),
        ({"candidate": scores(float("nan"))}, ["loss against base"]),
    ],
)
def test_each_check_by_its_name(changes: dict[str, object], expected: list[str]) -> None:
    assert failed(**changes) == expected


def test_a_little_better_is_enough_against_what_serves_and_not_against_the_base() -> None:
    """Half of the holes a little better, the other half almost as much worse."""
    other = dataclasses.replace(
        GOOD, nll_sums=tuple(loss + (0.3 if place % 2 else -0.27) for place, loss in enumerate(GOOD.nll_sums))
    )
    assert 0.5 <= probability_better(GOOD, other) < 0.9
    assert failed(serving=other) == []
    assert failed(base=other, serving=None) == ["loss against base"]


def alike(scores: Scores, similarity: float) -> Scores:
    rng = random.Random(2)
    return dataclasses.replace(
        scores, similarity=tuple(similarity + rng.uniform(-0.1, 0.1) for _ in range(HOLES))
    )


def test_answers_that_are_less_alike() -> None:
    assert failed(candidate=alike(GOOD, 0.7), base=alike(BASE, 0.6)) == []
    assert failed(candidate=alike(GOOD, 0.6), base=alike(BASE, 0.6)) == []
    assert failed(candidate=alike(GOOD, 0.5), base=alike(BASE, 0.6)) == ["similarity against base"]
    assert failed(candidate=alike(GOOD, 0.6), base=alike(BASE, 0.5), serving=alike(scores(1.8), 0.7)) == [
        "similarity against serving"
    ]
    result = decide(alike(GOOD, 0.7), alike(BASE, 0.6), None, generic=None, norm_ratio=1.0)
    assert result.figures["candidate_edit_similarity"] == pytest.approx(0.7, abs=0.03)
    assert "similarity against base" not in {
        check.name for check in decide(GOOD, alike(BASE, 0.6), None, generic=None, norm_ratio=1.0).checks
    }


def test_the_newest_edits_are_judged_by_themselves() -> None:
    sums = list(GOOD.nll_sums)
    sums[:8] = [1.2 * loss for loss in BASE.nll_sums[:8]]
    worse = dataclasses.replace(GOOD, nll_sums=tuple(sums))
    assert failed(candidate=worse) == []
    assert failed(candidate=worse, newest=frozenset(range(8))) == ["newest edits against base"]
    assert failed(candidate=worse, newest=frozenset(range(7))) == [], "too few to say"
    assert failed(newest=frozenset(range(8)), serving=scores(1.8)) == []
    checks = decide(GOOD, BASE, None, generic=None, norm_ratio=1.0, newest=range(8)).checks
    (check,) = (check for check in checks if check.name == "newest edits against base")
    assert check.value is not None
    assert check.limit is not None
    assert check.value < check.limit


def test_what_must_not_come_out_is_a_check_of_its_own() -> None:
    leaks = [Check("secrets", True, 0.0, 0.0, ""), Check("canary", False, 1.0, 0.0, "it comes out")]
    assert failed(leaks=leaks) == ["canary"]


def test_limits_are_settings() -> None:
    loose = GateSettings(significance=0.001, norm_limit=9)
    worse = scores(1.5, exact=0.4, stops=0.6)
    assert decide(worse, BASE, None, generic=None, norm_ratio=5, settings=loose).decision == "promoted"
    assert decide(worse, BASE, None, generic=None, norm_ratio=5).decision == "rejected"


def test_a_hole_or_two_that_turned_worse_may_be_chance() -> None:
    assert probability_by_chance([False, True, True], [True, False, True]) == pytest.approx(0.75)
    assert probability_by_chance([False] * 4, [True] * 4) == pytest.approx(1 / 16)
    assert probability_by_chance([True] * 4, [True] * 4) == 1.0
    assert failed(candidate=scores(1.5, exact=0.45)) == []


def test_lower_by_luck_is_not_better() -> None:
    rng = random.Random(3)
    sums = tuple(20 + rng.uniform(-8, 8) for _ in range(HOLES))
    luck = dataclasses.replace(BASE, nll_sums=sums)
    other = dataclasses.replace(
        BASE, nll_sums=tuple(x + d for x, d in zip(sums, [0.4] + [0.0] * 39, strict=True))
    )
    assert luck.nll < other.nll
    assert decide(luck, other, None, generic=None, norm_ratio=1.0).decision == "rejected"


def test_bootstrap_probability() -> None:
    assert probability_better(GOOD, BASE) > 0.99
    assert probability_better(BASE, GOOD) < 0.01
    assert probability_better(BASE, BASE) == 0.0
    near = scores(1.99, seed=9)
    middle = probability_better(near, BASE)
    assert middle == probability_better(near, BASE)
    assert 0.05 < middle < 0.95
    assert middle != probability_better(near, BASE, seed=1)
