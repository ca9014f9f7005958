"""Differences between two ways to answer the same questions, with what chance leaves open.

Everything is paired: question by question, so that hard and easy ones do not count as differences. Deterministic.
Knows nothing of what was asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Difference", "paired", "paired_rates"]

_DRAWS = 2_000
_FLIPS = 10_000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours less theirs."""

    difference: float
    interval95: tuple[float, float]
    """By bootstrap over the questions, percentiles (Efron and Tibshirani 1993)."""
    p_value: float
    """How often chance alone makes a difference as large, two-sided: random changes of sign (Fisher 1935)."""

    def as_dict(self) -> dict[str, object]:
        """For a JSON document."""
        low, high = self.interval95
        return {
            "difference": round(self.difference, 6),
            "interval95": [round(low, 6), round(high, 6)],
            "p_value": round(self.p_value, 5),
        }


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Difference:
    """Of two means over the same questions.

    Raises:
        ValueError: there are none, or not as many.
    """
    return paired_rates(ours, theirs, [1] * len(ours))


def paired_rates(ours: Sequence[float], theirs: Sequence[float], weights: Sequence[int]) -> Difference:
    """Of two sums over the sum of ``weights``, as losses of answers that are so many tokens long.

    Raises:
        ValueError: there are none, or not as many.
    """
    if not ours or len(ours) != len(theirs) or len(ours) != len(weights):
        raise ValueError("there is nothing to compare, or not the same questions")
    gaps = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    sizes = np.asarray(weights, dtype=float)
    found = float(gaps.sum() / sizes.sum())
    rng = np.random.default_rng(_SEED)
    drawn = rng.integers(0, len(gaps), (_DRAWS, len(gaps)))
    values = gaps[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = (float(value) for value in np.quantile(values, (0.025, 0.975)))
    signs = rng.choice((-1.0, 1.0), (_FLIPS, len(gaps)))
    flipped = np.abs(signs @ gaps) / sizes.sum()
    as_large = int((flipped >= abs(found) - 1e-12).sum())
    return Difference(found, (low, high), (as_large + 1) / (_FLIPS + 1))
