"""How far a difference between two ways of answering may be chance. Knows nothing of what was asked."""

import random
from collections.abc import Sequence

__all__ = ["DRAWS", "paired_interval"]

DRAWS = 2_000


def paired_interval(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """95 % of the difference of means, paired bootstrap (Efron and Tibshirani 1993)."""
    rng = random.Random(0)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    size = len(differences)
    means = sorted(sum(rng.choices(differences, k=size)) / size for _ in range(DRAWS))
    return [round(means[int(0.025 * DRAWS)], 4), round(means[int(0.975 * DRAWS)], 4)]
