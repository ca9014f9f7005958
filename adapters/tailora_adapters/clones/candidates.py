"""Which of many functions are worth comparing with one: those that share enough of its fingerprints.

Fingerprints are the least hashes of neighbouring runs of tokens (winnowing; Schleimer, Wilkerson and Aiken 2003), so
two functions that share ``_WINDOW`` + 4 tokens in a row share one. Knows nothing of files or types. Deterministic.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tailora_adapters.clones.alike import grams

__all__ = ["Candidates", "fingerprints"]

_WINDOW = 4
_SHARED = 0.3
"""Share of the fingerprints of the function that has fewer. Measured: see ``docs/clones.md``."""
_MOST = 60
"""Candidates of one function; those that share most come first."""


def fingerprints(shaped: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Sorted and distinct."""
    runs = grams(shaped)
    if len(runs) <= _WINDOW:
        return np.unique(runs)[:1]
    return np.unique(np.lib.stride_tricks.sliding_window_view(runs, _WINDOW).min(axis=1))


class Candidates:
    """An inverted index of functions, by their number in the order given."""

    def __init__(self, prints: Sequence[NDArray[np.uint64]]) -> None:
        self._sizes = np.array([len(one) for one in prints], dtype=np.int64)
        owners = np.repeat(np.arange(len(prints), dtype=np.int64), self._sizes)
        hashes = np.concatenate(prints) if prints else np.zeros(0, dtype=np.uint64)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]

    def of(self, prints: NDArray[np.uint64]) -> list[int]:
        """The functions that share enough with one that has these fingerprints, those that share most first."""
        if not len(self._sizes):
            return []
        begins = np.searchsorted(self._hashes, prints, "left")
        ends = np.searchsorted(self._hashes, prints, "right")
        parts = [self._owners[begin:end] for begin, end in zip(begins, ends, strict=True) if end > begin]
        if not parts:
            return []
        shared = np.bincount(np.concatenate(parts), minlength=len(self._sizes))
        share = shared / np.minimum(np.maximum(self._sizes, 1), len(prints))
        found = np.flatnonzero(share >= _SHARED)
        return [int(number) for number in found[np.argsort(-share[found], kind="stable")][:_MOST]]
