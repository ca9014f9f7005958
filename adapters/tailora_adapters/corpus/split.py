"""Which files are trained on and which are held out for the gate.

Knows nothing of examples or models. Invariants: a file is on one side only; nothing that nearly equals a
held-out file is trained on; the same files and seed give the same split. A file's side follows from its path
and the seed, so it stays there as the repository grows. Recently changed files are held out more often, since
what is written next resembles them; but a file that an earlier version learned, under whatever name, is not held
out for being recent or moved, or the gate would measure what the adapter was told.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tailora_adapters.corpus.chance import luck
from tailora_adapters.corpus.select import Rejection, SourceFile
from tailora_adapters.corpus.similarity import Twins

__all__ = ["NEAR_DUPLICATE", "Split", "split"]

NEAR_DUPLICATE = "near-duplicate of held-out"
"""Reason of the files in ``Split.dropped``; the detail is the held-out file's path."""

_RECENT_SHARE = 1 / 3


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
        trained: paths and hashes of files that earlier versions learned; being recent does not move them to the
            held-out side, and one whose content was learned under another path is not held out at all.
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
    drawn = {file.path: luck(seed, file.path) for file in files}
    newest = sorted(files, key=lambda file: (-file.mtime, drawn[file.path]))
    recent = {file.path for file in newest[: round(len(files) * _RECENT_SHARE)]}
    moved = {file.path for file in files if file.sha256 in trained and file.path not in trained}
    known = moved | (drawn.keys() & set(trained))
    recent = (recent | (drawn.keys() & set(changed))) - known
    # Twice the share of a third and half the share of the rest make the share of all.
    held_out = [
        path for path in drawn.keys() - moved if drawn[path] < (2 * share if path in recent else share / 2)
    ]
    if not held_out:
        pool = recent or drawn.keys() - known or drawn.keys()
        held_out = [min(pool, key=drawn.__getitem__)]
    return set(sorted(held_out, key=drawn.__getitem__)[:most])


def _near_duplicates(
    train: Sequence[SourceFile], held_out: Sequence[SourceFile], similarity: float
) -> dict[str, str]:
    """Path of a training file to that of the held-out file which it nearly equals."""
    if not train or not held_out:
        return {}
    twins = Twins(similarity)
    for file in held_out:
        twins.add(file.path, file.text)
    return {file.path: twin for file in train if (twin := twins.find(file.text))}
