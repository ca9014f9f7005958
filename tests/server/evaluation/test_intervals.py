"""The statistics: against published numbers, and against cases whose answer is plain."""

import math
import random

import numpy as np
import pytest

from tailora.evaluation.intervals import holm, mean_interval, paired_difference, pareto_front, t_975


@pytest.mark.parametrize(
    "freedom, expected",
    [(1, 12.706), (2, 4.303), (9, 2.262), (30, 2.042), (31, 2.0395), (60, 2.0003), (1000, 1.9623)],
)
def test_student_s_t(freedom: int, expected: float) -> None:
    assert t_975(freedom) == pytest.approx(expected, abs=5e-4)


def test_a_mean_has_an_interval_from_two_values_on() -> None:
    one = mean_interval([0.4])
    assert (one.value, one.low, one.high, one.count) == (0.4, None, None, 1)
    three = mean_interval([1.0, 2.0, 3.0])
    half = 4.3027 / math.sqrt(3)
    assert (three.low, three.high) == pytest.approx((2 - half, 2 + half))


def ones(like: np.ndarray) -> np.ndarray:
    return np.ones_like(like)


def test_a_constant_difference_is_certain_and_none_is_none() -> None:
    theirs = np.arange(20.0).reshape(1, 20)
    found = paired_difference(theirs + 0.25, ones(theirs), theirs, ones(theirs))
    assert (found.value, found.low, found.high) == (pytest.approx(0.25),) * 3
    assert found.p_value < 0.001
    same = paired_difference(theirs, ones(theirs), theirs, ones(theirs))
    assert (same.value, same.low, same.high, same.p_value) == (0, 0, 0, 1)


def test_the_same_cases_under_more_seeds_are_not_more_cases() -> None:
    rng = np.random.default_rng(3)
    row = rng.normal(0.1, 1, size=(1, 80))
    zero = np.zeros_like(row)
    once = paired_difference(row, ones(row), zero, ones(row))
    thrice = paired_difference(*(np.repeat(part, 3, axis=0) for part in (row, ones(row), zero, ones(row))))
    assert thrice.value == pytest.approx(once.value)
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.1)
    assert (once.seeds, thrice.seeds, thrice.cases) == (1, 3, 80)


def test_the_interval_is_as_wide_as_theory_says() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = rng.normal(0.3, 1, size=(2, 1, 400))
    found = paired_difference(ours, ones(ours), theirs, ones(theirs))
    error = float(np.std(ours - theirs)) / math.sqrt(400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert found.low < found.value < found.high


def test_a_loss_is_weighed_by_tokens_and_missing_cells_count_for_neither_side() -> None:
    nothing = math.nan
    ours, our_tokens = np.array([[10.0, 1.0, 50.0]]), np.array([[10.0, 1.0, 1.0]])
    theirs, their_tokens = np.array([[20.0, 1.0, nothing]]), np.array([[10.0, 1.0, nothing]])
    found = paired_difference(ours, our_tokens, theirs, their_tokens)
    assert found.value == pytest.approx(11 / 11 - 21 / 11)
    assert found.cases == 2


def test_holm_s_example_of_four() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_front_by_hand() -> None:
    points = [(1.0, 0.2), (2.0, 0.5), (2.0, 0.4), (3.0, 0.5), (4.0, 0.9), (5.0, 0.1), (2.0, 0.5)]
    assert pareto_front(points) == [0, 1, 6, 4]
    assert pareto_front([]) == []


def test_nothing_beats_the_front_and_something_beats_all_others() -> None:
    dice = random.Random(4)
    points = [(float(dice.randrange(12)), float(dice.randrange(12))) for _ in range(60)]
    front = pareto_front(points)

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    for number, point in enumerate(points):
        assert any(beats(other, point) for other in points) == (number not in front)
    assert [points[number][0] for number in front] == sorted(points[number][0] for number in front)
