"""What may be learned of a repository: selected, cleared by its history, without near-duplicates.

The one way from a folder to its files, for training as for those who ask what it would learn. Knows nothing of
examples. Invariant: every file that was seen is either in ``files`` or in ``rejected``, with a reason.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from tailora_adapters.corpus.dedupe import dedupe
from tailora_adapters.corpus.history import History, HistoryLimits, recent_edits
from tailora_adapters.corpus.select import Progress, Selection, SelectOptions, select_files

__all__ = ["Learnable", "read_learnable"]


@dataclass(frozen=True, slots=True)
class Learnable:
    """A repository as training sees it."""

    selection: Selection
    history: History
    """Of the selected files alone."""


def read_learnable(
    root: Path,
    *,
    options: SelectOptions = SelectOptions(),
    forgotten: Collection[str] = (),
    limits: HistoryLimits = HistoryLimits(),
    progress: Progress = lambda _fraction, _message: None,
) -> Learnable:
    """Reads ``root``, without what is ``forgotten``, and the history of the repository that it is in.

    Raises:
        CorpusError: ``root`` is missing, not a folder or unreadable.
    """
    selection = select_files(root, options=options, forgotten=forgotten, progress=progress)
    progress(0.0, "reading the history")
    history = recent_edits(root, selection.files, limits=limits)
    secret = {rejection.path for rejection in history.rejected}
    selection = Selection(
        tuple(file for file in selection.files if file.path not in secret),
        selection.rejected + history.rejected,
    )
    selection = dedupe(selection, progress=progress)
    kept = {file.path for file in selection.files}
    edits = tuple(edit for edit in history.edits if edit.path in kept)
    rejected = sorted(selection.rejected, key=lambda rejection: (not rejection.path, rejection.path))
    return Learnable(replace(selection, rejected=tuple(rejected)), replace(history, edits=edits))
