"""How far two functions are the same, and of which type that makes them clones. Pure functions of tokens.

Types 1 to 3 are those of Roy, Cordy and Koschke (2009). Similarity is the share of tokens that stand in both functions
in the same order, names taken as equal where one stands for the other throughout (Baker 1995): the longest common
subsequence, as NiCad (Roy and Cordy 2008) takes it of lines. Knows nothing of files.
"""

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from tailora_adapters.clones.functions import NAME, OTHER, Function, Tokens
from tailora_adapters.clones.limits import MIN_LINES, MIN_TOKENS, MOST_TOKENS

__all__ = ["alike", "counts", "grams", "is_repetitive", "kind_of", "shape"]


_GRAM = 5
"""Tokens in a run."""
_NOT_REPEATED = 0.5
"""Share of different runs below which a body repeats itself, as rows of assignments do (RNR; Higo et al. 2007)."""


def counts(function: Function, min_tokens: int = MIN_TOKENS) -> bool:
    """Whether a function is large enough, and no list of like statements."""
    enough = min_tokens <= len(function.body) <= MOST_TOKENS and function.lines >= MIN_LINES
    return enough and not is_repetitive(shape(function.body))


def shape(tokens: Tokens) -> NDArray[np.uint32]:
    """The tokens with every name, and every literal, taken as the same. (tokens,)"""
    return np.where(tokens.kinds == OTHER, tokens.ids, tokens.kinds).astype(np.uint32)


def grams(shaped: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """A hash of each run of five tokens; one, of all of them, where there are fewer."""
    count = max(len(shaped) - _GRAM + 1, 1)
    value = np.zeros(count, dtype=np.uint64)
    for offset in range(min(_GRAM, len(shaped))):  # a polynomial, modulo 2^64
        value = value * np.uint64(0x9E3779B97F4A7C15) + shaped[offset : offset + count]
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    return value ^ (value >> np.uint64(33))


def is_repetitive(shaped: NDArray[np.uint32]) -> bool:
    """Whether most runs of a body stand in it more than once."""
    runs = grams(shaped)
    return len(np.unique(runs)) < _NOT_REPEATED * len(runs)


def kind_of(left: Tokens, right: Tokens, same_header: bool, similarity: float) -> int:
    """The type, 1 to 3, of two clones. Type 1 has the same parameters, too; names of functions do not count."""
    if similarity < 1:
        return 3
    return 1 if same_header and np.array_equal(left.ids, right.ids) else 2


def alike(left: Tokens, right: Tokens, least: float = 0.0) -> float:
    """Similarity, 0 to 1; 0 where it is below ``least``. The same either way round."""
    if (len(left), left.ids.tobytes()) > (len(right), right.ids.tobytes()):
        left, right = right, left
    longest = len(right)
    if len(left) < least * longest:
        return 0.0
    if np.array_equal(left.ids, right.ids):
        return 1.0
    first, second = shape(left).tolist(), shape(right).tolist()
    rows = _rows(first, second)
    common = len(first) - rows[-1].bit_count() if rows else 0
    if common < least * longest:
        return 0.0
    found = _consistent(left, right, _aligned(first, second, rows)) / longest
    return found if found >= least else 0.0


def _rows(first: list[int], second: list[int]) -> list[int]:
    """For each token of ``second``, bits that are 0 where the longest common subsequence with it and those before grows
    along ``first`` (Hyyrö 2004, "Bit-parallel LCS-length computation revisited")."""
    masks: dict[int, int] = defaultdict(int)
    for place, token in enumerate(first):
        masks[token] |= 1 << place
    full = (1 << len(first)) - 1
    row, rows = full, []
    for token in second:
        hits = row & masks.get(token, 0)
        row = ((row + hits) | (row - hits)) & full
        rows.append(row)
    return rows


def _aligned(first: list[int], second: list[int], rows: list[int]) -> list[tuple[int, int]]:
    """The pairs of places of one longest common subsequence."""
    i, j = len(first) - 1, len(second) - 1
    pairs = []
    while i >= 0 and j >= 0:
        if first[i] == second[j]:
            pairs.append((i, j))
            i, j = i - 1, j - 1
        elif rows[j] >> i & 1:
            i -= 1
        else:
            j -= 1
    return pairs


def _consistent(left: Tokens, right: Tokens, pairs: list[tuple[int, int]]) -> int:
    """How many of the aligned tokens are the same, where each name stands for one other at most: the one that it is
    aligned with most often."""
    same = 0
    renamed: Counter[tuple[int, int]] = Counter()
    kinds, old, new = left.kinds.tolist(), left.ids.tolist(), right.ids.tolist()
    for i, j in pairs:
        if kinds[i] == NAME:
            renamed[old[i], new[j]] += 1
        else:
            same += 1
    taken: tuple[set[int], set[int]] = (set(), set())
    for (before, after), times in sorted(
        renamed.items(), key=lambda one: (-one[1], one[0][0] != one[0][1], one[0])
    ):
        if before not in taken[0] and after not in taken[1]:
            taken[0].add(before)
            taken[1].add(after)
            same += times
    return same
