"""The statistics of a comparison: means over seeds, paired differences, corrected p-values, the Pareto front.

Pure functions over numbers; knows nothing of reports. The same input gives the same output, draws included.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DRAWS",
    "Difference",
    "Mean",
    "holm",
    "mean_interval",
    "paired_difference",
    "paired_interval",
    "pareto_front",
    "t_975",
]

Values = NDArray[np.float64]

DRAWS = 4000
"""Bootstrap samples; the smallest p-value is 2 / (DRAWS + 1)."""
_CHUNK = 500
_T_975 = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)  # fmt: skip
"""Student's t at 0.975 for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2)."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of ``count`` values; its 95 % interval where there are two or more."""

    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One side minus the other, with its 95 % interval and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p_value: float
    seeds: int
    cases: int


def t_975(freedom: int) -> float:
    """Student's t at 0.975: from a table to 30 degrees of freedom, beyond by the expansion around the normal quantile
    (Abramowitz and Stegun 1964, 26.7.5), which is right to 5 digits there."""
    if freedom <= len(_T_975):
        return _T_975[freedom - 1]
    z = 1.959963984540054
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def mean_interval(values: Sequence[float]) -> Mean:
    """mean ± t s / √n (Student 1908), s with n - 1 degrees of freedom."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Mean(mean, None, None, count)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = t_975(count - 1) * deviation / math.sqrt(count)
    return Mean(mean, mean - half, mean + half, count)


def paired_difference(ours: Values, our_sizes: Values, theirs: Values, their_sizes: Values) -> Difference:
    """Difference of ratios Σ value / Σ size over the cells (seed, case) that both sides have.

    With all sizes 1 this is the difference of means; with tokens as sizes, of losses a token. Interval and p-value are
    of the pigeonhole bootstrap (Owen 2007, «The pigeonhole bootstrap», Annals of Applied Statistics 1): seeds and
    cases are drawn with replacement, each by itself, as the same cases come back under every seed; with one seed it is
    the paired bootstrap over cases (Efron and Tibshirani 1993). The interval has the quantiles at 0.025 and 0.975,
    p = 2 min(#{d ≤ 0} + 1, #{d ≥ 0} + 1) / (draws + 1), at most 1.

    Args:
        ours: Values by (seed, case); NaN where there is no such cell.
        our_sizes: What each counts.
        theirs: The other side's, in the same order.
        their_sizes: What each counts.
    """
    there = ~(np.isnan(ours) | np.isnan(theirs))
    assert there.any(), "no case in common"
    parts = [np.where(there, part, 0.0) for part in (ours, our_sizes, theirs, their_sizes)]
    seeds, cases = ours.shape
    drawn = np.concatenate(
        [
            _ratios(parts, *(weights[at : at + _CHUNK] for weights in _draws(seeds, cases)))
            for at in range(0, DRAWS, _CHUNK)
        ]
    )
    drawn = drawn[np.isfinite(drawn)]
    (value,) = _ratios(parts, np.ones((1, seeds)), np.ones((1, cases)))
    low, high = np.quantile(drawn, (0.025, 0.975))
    beyond = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    p_value = min(1.0, 2 * (int(beyond) + 1) / (len(drawn) + 1))
    return Difference(float(value), float(low), float(high), p_value, seeds, int(there.any(axis=0).sum()))


def paired_interval(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """95 % of the difference of means over the same cases, paired bootstrap."""
    ones = np.ones((1, len(ours)))
    found = paired_difference(np.array([ours], dtype=float), ones, np.array([theirs], dtype=float), ones)
    return [round(found.low, 4), round(found.high, 4)]


def _ratios(parts: Sequence[Values], seed_weights: Values, case_weights: Values) -> Values:
    """(draws,): the difference under each draw's weights, (draws, seeds) and (draws, cases)."""
    ours, our_sizes, theirs, their_sizes = (
        ((seed_weights @ part) * case_weights).sum(axis=1)  # (draws, cases) -> (draws,)
        for part in parts
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may hit none of the cells
        result: Values = ours / our_sizes - theirs / their_sizes
    return result


@lru_cache(maxsize=16)
def _draws(seeds: int, cases: int) -> tuple[Values, Values]:
    """How often each seed and each case is drawn."""
    rng = np.random.default_rng(0)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS)
    of_cases = rng.multinomial(cases, np.full(cases, 1 / cases), size=DRAWS)
    return of_seeds.astype(np.float64), of_cases.astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being many (Holm 1979): the k-th smallest of m, times m - k + 1, rising, at most 1."""
    order = sorted(range(len(p_values)), key=lambda one: p_values[one])
    result, highest = [0.0] * len(p_values), 0.0
    for rank, one in enumerate(order):
        highest = max(highest, min(1.0, p_values[one] * (len(p_values) - rank)))
        result[one] = highest
    return result


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which of (cost, gain) no other one beats: none costs at most as much and gains at least as much, one of them
    strictly. By cost, cheapest first; of equal points all."""
    return sorted(
        (
            number
            for number, (cost, gain) in enumerate(points)
            if not any(
                other_cost <= cost and other_gain >= gain and (other_cost, other_gain) != (cost, gain)
                for other_cost, other_gain in points
            )
        ),
        key=lambda number: (points[number][0], number),
    )
