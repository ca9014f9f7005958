"""What changed in a project while no engine watched it.

Reads the work tree, at most ``_LIMIT`` files of it, and follows no symbolic links; what vanishes meanwhile is left
out. Knows nothing of schedules. Blocks, so call it off the event loop.
"""

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tailora.engine.watcher import look
from tailora_adapters.manifest import Manifest

__all__ = ["Missed", "catch_up"]

_LIMIT = 5_000
_LARGEST_BYTES = 256 * 1024
"""Larger files are not learned."""
_SLACK_S = 2.0
"""Some file systems' times are that coarse."""


@dataclass(frozen=True, slots=True)
class Missed:
    """The files of a work tree with their sizes in bytes."""

    changed: Mapping[str, int]
    sizes: Mapping[str, int]
    """Of all that were looked at."""


def catch_up(root: Path, manifest: Manifest | None, watched_until: float | None) -> Missed:
    """Compares a work tree with what is known of it.

    Args:
        manifest: Of the version that serves: a file as it was learned for that, or before, is not changed.
        watched_until: Until when changes were noted, in seconds since the epoch. Without it, since when the
            manifest's version exists; without both nothing counts as changed.
    """
    since = watched_until
    learned: dict[str, str] = {}
    if manifest is not None:
        learned = {file.path: file.sha256 for file in manifest.learned()}
        since = _created(manifest) if since is None else since
    changed: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for path, found in look(root, _LIMIT):
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_BYTES:
            continue
        sizes[path] = found.st_size
        newer = since is not None and found.st_mtime > since - _SLACK_S
        if newer and _differs(root / path, learned.get(path)):
            changed[path] = found.st_size
    return Missed(changed, sizes)


def _created(manifest: Manifest) -> float | None:
    try:
        return datetime.fromisoformat(manifest.created).timestamp()
    except (ValueError, OverflowError):
        return None


def _differs(path: Path, learned: str | None) -> bool:
    if learned is None:
        return True
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() != learned
    except OSError:  # gone meanwhile, or not ours to read
        return False
