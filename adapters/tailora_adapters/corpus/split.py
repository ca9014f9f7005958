"""Which files are trained on and which are held out for the gate.

Knows nothing of examples or models. Invariants: a file is on one side only; nothing that nearly equals a
held-out file is trained on; the same files and seed give the same split. A file's side follows from its path
and the seed, so it stays there as the repository grows. Recently changed files are held out more often, since
what is written next resembles them; but a file that an earlier version learned is not held out for being
recent, or the gate would measure what the adapter was told.
"""

import functools
import hashlib
import re
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailora_adapters.corpus.select import Rejection, SourceFile

__all__ = ["NEAR_DUPLICATE", "Split", "jaccard", "shingles", "split"]

NEAR_DUPLICATE = "near-duplicate of held-out"
"""Reason of the files in ``Split.dropped``; the detail is the held-out file's path."""

_RECENT_SHARE = 1 / 3
_PERMUTATIONS = 64
_WIDTH = 5
"""Tokens in a shingle."""


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint parts, each by path."""

    train: tuple[SourceFile, ...]
    held_out: tuple[SourceFile, ...]
    dropped: tuple[Rejection, ...]


def split(
    files: Sequence[SourceFile],
    *,
    seed: int,
    share: float = 0.15,
    changed: Collection[str] = (),
    trained: Collection[str] = (),
    similarity: float = 0.7,
) -> Split:
    """Holds out about ``share`` of the files: at least one, at most half, none of a single file.

    Args:
        changed: paths that count as recent, beside the newest third.
        trained: paths that earlier versions learned; being recent does not move them to the held-out side.
        similarity: Jaccard similarity of token shingles from which a file is too near to a held-out one.
    """
    if not 0.0 < share <= 0.5:
        raise ValueError(f"share must be above 0 and at most 0.5, not {share}")
    paths = _held_out(files, seed, share, changed, trained)
    ordered = sorted(files, key=lambda file: file.path)
    held_out = tuple(file for file in ordered if file.path in paths)
    train = [file for file in ordered if file.path not in paths]
    near = _near_duplicates(train, held_out, similarity)
    return Split(
        tuple(file for file in train if file.path not in near),
        held_out,
        tuple(Rejection(path, NEAR_DUPLICATE, twin) for path, twin in near.items()),
    )


def _held_out(
    files: Sequence[SourceFile], seed: int, share: float, changed: Collection[str], trained: Collection[str]
) -> set[str]:
    most = len(files) // 2
    if most == 0:
        return set()
    luck = {file.path: _luck(file.path, seed) for file in files}
    newest = sorted(files, key=lambda file: (-file.mtime, luck[file.path]))
    recent = {file.path for file in newest[: round(len(files) * _RECENT_SHARE)]}
    recent = (recent | (luck.keys() & set(changed))) - set(trained)
    # Twice the share of a third and half the share of the rest make the share of all.
    held_out = [path for path in luck if luck[path] < (2 * share if path in recent else share / 2)]
    if not held_out:
        pool = recent or luck.keys() - set(trained) or luck.keys()
        held_out = [min(pool, key=luck.__getitem__)]
    return set(sorted(held_out, key=luck.__getitem__)[:most])


def _luck(path: str, seed: int) -> float:
    """A number in [0, 1) that depends on nothing else."""
    digest = hashlib.sha256(f"{seed}:{path}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _near_duplicates(
    train: Sequence[SourceFile], held_out: Sequence[SourceFile], similarity: float
) -> dict[str, str]:
    """Path of a training file to that of the held-out file which it nearly equals."""
    if not train or not held_out:
        return {}
    from datasketch import MinHash, MinHashLSH  # half a second, of scipy

    empty = MinHash(num_perm=_PERMUTATIONS, hashfunc=int)

    def sketch(values: NDArray[np.uint32]) -> MinHash:
        result = empty.copy()
        result.update_batch(values)
        return result

    # The index only proposes pairs, so it is tuned to miss few; the exact similarity decides.
    index = MinHashLSH(threshold=similarity, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
    known = {file.path: shingles(file.text) for file in held_out}
    for path, values in known.items():
        index.insert(path, sketch(values))
    found: dict[str, str] = {}
    for file in train:
        values = shingles(file.text)
        for twin in sorted(index.query(sketch(values))):
            if jaccard(values, known[twin]) >= similarity:
                found[file.path] = twin
                break
    return found


_TOKEN = re.compile(r"\w+|[^\w\s]")


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
