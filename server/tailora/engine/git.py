"""What git is doing in a work tree, told by its files: plain text is read, git is never run.

Anything that cannot be read counts as «nothing going on». Knows nothing of schedules.
"""

import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Head", "Move", "at_work", "git_folder", "moves"]

_SIGNS = {
    "rebase-merge": "the rebase",
    "rebase-apply": "the rebase",
    "MERGE_HEAD": "the merge",
    "CHERRY_PICK_HEAD": "the cherry-pick",
    "REVERT_HEAD": "the revert",
    "index.lock": "git (.git/index.lock)",
}
_STALE_LOCK_S = 3600.0
"""An older lock was left behind by a git that crashed."""
_TAIL_BYTES = 4096
_LINK_BYTES = 4096
_OWN = frozenset(("commit", "cherry-pick", "revert", "am"))
"""Moves of HEAD that make a commit here. A checkout, a pull or a rebase only changes files."""


@dataclass(frozen=True, slots=True)
class Move:
    """One line of HEAD's log: two hashes, who, when, a tab and a message such as «commit: Fix it»."""

    line: str

    @property
    def is_commit(self) -> bool:
        """Whether something was committed."""
        message = self.line.partition("\t")[2]
        found = re.match(r"[a-z-]+", message)
        return found is not None and found[0] in _OWN


def git_folder(root: Path) -> Path | None:
    """Where git keeps this work tree's HEAD: ``.git``, or what the file ``.git`` names; None outside of git."""
    path = root / ".git"
    if path.is_dir():
        return path
    text = _tail(path, _LINK_BYTES)
    if text is None or not text.startswith("gitdir:") or "\0" in text:
        return None
    return root / text.removeprefix("gitdir:").strip()


def at_work(folder: Path) -> str | None:
    """What git is in the middle of, in words; None if nothing."""
    for name, what in _SIGNS.items():
        try:
            found = os.lstat(folder / name)
        except OSError:
            continue
        if name == "index.lock" and time.time() - found.st_mtime > _STALE_LOCK_S:
            continue
        return what
    return None


def moves(folder: Path) -> tuple[Move, ...]:
    """The last lines of HEAD's log, oldest first."""
    return tuple(Move(line) for line in (_tail(folder / "logs" / "HEAD", _TAIL_BYTES) or "").splitlines())


class Head:
    """Follows the moves of a work tree's HEAD."""

    def __init__(self) -> None:
        self._seen: Move | None = None
        self._looked = False

    def committed(self, folder: Path) -> bool:
        """Whether something was committed since the last call; the first one only looks."""
        lines = moves(folder)
        new = lines[lines.index(self._seen) + 1 :] if self._seen in lines else lines[-1:]
        looked, self._looked = self._looked, True
        self._seen = lines[-1] if lines else None
        return looked and any(move.is_commit for move in new)


def _tail(path: Path, length: int) -> str | None:
    """The last bytes of a regular file, as text."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
            return None
        with path.open("rb") as file:
            file.seek(max(0, found.st_size - length))
            return file.read(length).decode("utf-8", "replace")
    except OSError:
        return None
