"""A version that is no worse is hardly ever taken back, one that is much worse soon is."""

import math
import random
from itertools import accumulate

import pytest

from tailora_adapters.outcomes import VersionOutcomes
from tailora_adapters.regression import Rules, fisher_less, judge, look_due

RULES = Rules()


def test_fishers_exact_test() -> None:
    # Fisher's tea: one cup of four right, three of the other four.
    assert fisher_less(1, 4, 3, 4) == pytest.approx(17 / 70)
    exact = sum(math.comb(73, k) * math.comb(330 - 73, 140 - k) for k in range(13)) / math.comb(330, 140)
    assert fisher_less(12, 140, 61, 190) == pytest.approx(exact, rel=1e-8)
    assert fisher_less(0, 5, 0, 9) == 1.0
    assert fisher_less(5, 5, 9, 9) == 1.0


def test_a_drop_is_named_with_its_figures() -> None:
    verdict = judge(VersionOutcomes(140, 12), {"version 3": VersionOutcomes(190, 61)}, 140)
    assert verdict is not None
    assert verdict.text("version 4") == (
        "version 4 was rolled back by itself: 12 of 140 suggestions accepted, 61 of 190 with version 3 (p = 1e-07)"
    )


def test_what_is_accepted_and_deleted_again_counts_too() -> None:
    now = VersionOutcomes(300, 100, 0.2, 0.2, 90, 20)
    verdict = judge(now, {"the foundation adapter": VersionOutcomes(300, 100, 0.9, 0.9, 90, 80)}, 300)
    assert verdict is not None
    assert verdict.text("version 4") == (
        "version 4 was rolled back by itself: 20 of 90 accepted suggestions kept, "
        f"80 of 90 with the foundation adapter (p = {verdict.p:.1g})"
    )


@pytest.mark.parametrize(
    "now, before",
    [
        ((59, 0), (500, 250)),  # too few shown
        ((500, 0), (59, 30)),
        ((5000, 2100), (5000, 2500)),  # certain, and small
        ((100, 20), (100, 30)),  # large, and uncertain
        ((100, 0), (100, 0)),
        ((100, 40), (100, 30)),
    ],
)
def test_no_reason(now: tuple[int, int], before: tuple[int, int]) -> None:
    assert judge(VersionOutcomes(*now), {"version 3": VersionOutcomes(*before)}, now[0]) is None


def test_what_served_briefly_is_counted_with_what_served_before_it() -> None:
    before = {
        "version 3": VersionOutcomes(40, 30, 0.9, 0.9, 30, 27),
        "version 2": VersionOutcomes(),
        "version 1": VersionOutcomes(400, 100, 0.9, 0.9, 29, 27),
        "the foundation adapter": VersionOutcomes(900, 0, 0.9, 0.9, 90, 80),
    }
    verdict = judge(VersionOutcomes(300, 30), before, 300)
    assert verdict is not None
    assert (verdict.names, verdict.before) == (("version 3", "version 1"), (130, 440))
    assert "130 of 440 with version 3 and version 1 (p" in verdict.text("version 4")
    kept = judge(VersionOutcomes(300, 130, 0.2, 0.2, 90, 20), before, 300)
    assert kept is not None
    assert kept.names == ("version 3", "version 1", "the foundation adapter")
    assert kept.before == (134, 149)


def test_what_served_long_enough_is_compared_with_alone() -> None:
    before = {"version 3": VersionOutcomes(60, 6), "version 2": VersionOutcomes(1_000, 900)}
    assert judge(VersionOutcomes(300, 30), before, 300) is None
    assert judge(VersionOutcomes(300, 30), {"version 2": before["version 2"]}, 300) is not None


def test_each_look_costs() -> None:
    now, before = VersionOutcomes(100, 12), {"version 3": VersionOutcomes(190, 57)}
    p = fisher_less(12, 100, 57, 190)
    assert p < RULES.level / 2 / 6  # the second look's share
    assert judge(now, before, 100) is not None
    assert judge(now, before, 50 * 60) is None


def test_when_to_look() -> None:
    assert [look_due(shown, 1) for shown in (1, 49, 50, 51, 100)] == [False, False, True, False, True]
    assert look_due(70, 30)
    assert not look_due(49, 40)


def stream(rng: random.Random, rate: float, looks: int) -> list[int]:
    """How many were accepted by each look."""
    return list(accumulate(sum(rng.random() < rate for _ in range(RULES.every)) for _ in range(looks)))


def found_after(rng: random.Random, rate: float, before: VersionOutcomes, looks: int) -> int | None:
    """Suggestions shown until the version is taken back."""
    for look, accepted in enumerate(stream(rng, rate, looks), 1):
        shown = look * RULES.every
        if judge(VersionOutcomes(shown, accepted), {"version 3": before}, shown) is not None:
            return shown
    return None


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_false_alarms(rate: float) -> None:
    """2,000 versions that are no worse, over 1,000 suggestions each."""
    rng = random.Random(1922)
    alarms = 0
    for _ in range(2000):
        before = VersionOutcomes(200, sum(rng.random() < rate for _ in range(200)))
        alarms += found_after(rng, rate, before, 20) is not None
    assert alarms < 0.01 * 2000


def test_power() -> None:
    """Acceptance falls from 30 % to 12 %: found within 300 suggestions nine times out of ten, by half within 100."""
    rng = random.Random(1922)
    found = []
    for _ in range(500):
        before = VersionOutcomes(200, sum(rng.random() < 0.3 for _ in range(200)))
        found.append(found_after(rng, 0.12, before, 10) or math.inf)
    assert sum(shown <= 300 for shown in found) > 0.9 * 500
    assert sorted(found)[250] <= 100
