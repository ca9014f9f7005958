"""How alike two source texts are, and which of many a text is like.

By content alone: names, white space and line endings do not count. Knows nothing of selection or training.
The same in every process and on every machine.
"""

import functools
import re
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["Twins", "jaccard", "shingles"]

_PERMUTATIONS = 64
_WIDTH = 5
"""Tokens in a shingle."""
_SAMPLE = 1_024
"""Shingles that a text is proposed by: the smallest of their hashes, which nearly equal texts share."""

_TOKEN = re.compile(r"\w+|[^\w\s]")


class Twins:
    """Texts by name, of which it finds one that is nearly equal to another text."""

    def __init__(self, similarity: float) -> None:
        """``similarity``: Jaccard similarity of token shingles from which two texts are nearly equal."""
        from datasketch import MinHash, MinHashLSH  # half a second, of scipy

        self._similarity = similarity
        self._empty = MinHash(num_perm=_PERMUTATIONS, hashfunc=int)
        # The index only proposes pairs, so it is tuned to miss few; the exact similarity decides.
        self._index = MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
        self._known: dict[str, NDArray[np.uint32]] = {}

    def add(self, name: str, text: str) -> None:
        """``name`` must be new."""
        self._add(name, shingles(text))

    def find(self, text: str) -> str | None:
        """The first by name of the texts that are nearly equal to ``text``."""
        return self._find(shingles(text))

    def find_or_add(self, name: str, text: str) -> str | None:
        """As ``find``; where there is no such text, this one is added. ``name`` must be new."""
        values = shingles(text)
        found = self._find(values)
        if found is None:
            self._add(name, values)
        return found

    def _add(self, name: str, values: NDArray[np.uint32]) -> None:
        self._known[name] = values
        self._index.insert(name, self._sketch(values))

    def _find(self, values: NDArray[np.uint32]) -> str | None:
        for name in sorted(self._index.query(self._sketch(values))):
            if jaccard(values, self._known[name]) >= self._similarity:
                return str(name)
        return None

    def _sketch(self, values: NDArray[np.uint32]) -> object:
        result = self._empty.copy()
        result.update_batch(values[:_SAMPLE])
        return result


@functools.lru_cache(maxsize=100_000)
def _token_hash(token: str) -> int:
    return zlib.crc32(token.encode("utf-8", "surrogatepass"))


def shingles(text: str) -> NDArray[np.uint32]:
    """Sorted distinct hashes of all runs of five tokens, white space left out; the same in every process."""
    tokens = np.fromiter(map(_token_hash, _TOKEN.findall(text)), dtype=np.uint64)
    count = max(len(tokens) - _WIDTH + 1, 1)
    value = np.zeros(count, dtype=np.uint64)
    for offset in range(min(_WIDTH, len(tokens))):  # a polynomial, modulo 2^64
        value = value * np.uint64(0x9E3779B97F4A7C15) + tokens[offset : offset + count]
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    return np.unique((value >> np.uint64(32)).astype(np.uint32))


def jaccard(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> float:
    """Similarity of two sets as ``shingles`` gives them, 0 to 1."""
    common = len(np.intersect1d(left, right, assume_unique=True))
    return common / (len(left) + len(right) - common)
