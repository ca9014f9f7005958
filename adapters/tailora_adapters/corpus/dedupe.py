"""Of files that are nearly equal only one is learned, or what was copied would count double.

Compares content, never names. Knows nothing of training. Invariant: the most recently modified file of a group
stays (of equally old ones the first by path), and every other one is rejected with the path of its twin.
"""

from collections.abc import Callable

from tailora_adapters.corpus.select import Rejection, Selection
from tailora_adapters.corpus.similarity import Twins

__all__ = ["NEAR_DUPLICATE", "dedupe"]

NEAR_DUPLICATE = "near-duplicate"
"""Reason of the files that ``dedupe`` leaves out; the detail is the path of the file that is learned instead."""


def dedupe(
    selection: Selection,
    *,
    similarity: float = 0.85,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> Selection:
    """Leaves out the files that nearly equal a newer one.

    Args:
        similarity: Jaccard similarity of token shingles from which two files are nearly equal.
    """
    if len(selection.files) < 2:
        return selection
    twins = Twins(similarity)
    near: dict[str, str] = {}
    newest_first = sorted(selection.files, key=lambda file: (-file.mtime, file.path))
    for index, file in enumerate(newest_first):
        if index % 50 == 0:
            progress(index / len(newest_first), f"{index:,} of {len(newest_first):,} files compared")
        if twin := twins.find_or_add(file.path, file.text):
            near[file.path] = twin
    return Selection(
        tuple(file for file in selection.files if file.path not in near),
        selection.rejected
        + tuple(Rejection(path, NEAR_DUPLICATE, twin) for path, twin in sorted(near.items())),
    )
