"""Held out by time: some of the newest edits are cut out of the texts that are trained on, for the gate to ask for.

Files held out whole (``split``) say how well a model knows the repository's style; these holes say how well it knows
what is written next in files that it has seen. Knows nothing of examples. Invariant: the same edit gives the same
decision for as long as it is among the newest, so what was held out once is not trained on in the next run.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from tailora_adapters.corpus.chance import luck
from tailora_adapters.corpus.history import Edit
from tailora_adapters.corpus.select import SourceFile

__all__ = ["HeldEdits", "hold_out_edits"]

_NEWEST_SHARE = 1 / 3
_MOST_LINES = 40
"""Longer ones are new files and rewritten ones, which would be missed."""


@dataclass(frozen=True, slots=True)
class HeldEdits:
    """The files to train on, and what was cut out of them."""

    train: tuple[SourceFile, ...]
    """In the order given; texts without the lines held out, hashes of the files as they are."""
    lines: Mapping[str, frozenset[int]]
    """Lines held out (from 0, in the whole text), by path."""


def hold_out_edits(
    files: Sequence[SourceFile],
    edits: Sequence[Edit],
    *,
    seed: int,
    share: float = 0.2,
    most: int = 32,
    keep: Collection[str] = (),
) -> HeldEdits:
    """Holds out ``share`` of the newest third of ``edits`` (newest first), ``most`` at most.

    Args:
        keep: Paths that are trained on whole.
    """
    texts = {file.path: file.text.split("\n") for file in files}
    held: dict[str, set[int]] = {}
    count = 0
    for edit in edits[: max(1, round(len(edits) * _NEWEST_SHARE))] if edits else ():
        lines = texts.get(edit.path)
        size = edit.last_line - edit.first_line + 1
        if lines is None or edit.path in keep or size > min(_MOST_LINES, len(lines) // 2) or count == most:
            continue
        if luck(seed, edit.path, lines[edit.first_line].strip()) < share:  # line numbers and commits change
            held.setdefault(edit.path, set()).update(range(edit.first_line, edit.last_line + 1))
            count += 1
    train = tuple(
        replace(file, text=_without(texts[file.path], held[file.path])) if file.path in held else file
        for file in files
    )
    return HeldEdits(train, {path: frozenset(lines) for path, lines in held.items()})


def _without(lines: Sequence[str], left_out: Collection[int]) -> str:
    return "\n".join(line for number, line in enumerate(lines) if number not in left_out)
