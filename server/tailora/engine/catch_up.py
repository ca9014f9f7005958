"""What changed in a project while no engine watched it.

Reads the work tree and follows no symbolic links; what vanishes meanwhile is left out. Knows nothing of schedules.
Blocks, so call it off the event loop.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tailora.engine.journal import LIMIT
from tailora.engine.watcher import Look
from tailora_adapters.manifest import Manifest

__all__ = ["Missed", "catch_up"]

_SLACK_S = 2.0
"""Some file systems' times are that coarse."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Files of a work tree with their sizes in bytes, at most ``LIMIT`` of either kind."""

    changed: Mapping[str, int]
    sizes: Mapping[str, int]
    """Of those that were looked at, changed or not."""
    many: bool
    """Whether more may have changed: there were too many, or not all was looked at."""


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
    look = Look(root)
    for path, found in look:
        if len(sizes) < LIMIT:
            sizes[path] = found.st_size
        if since is None or found.st_mtime <= since - _SLACK_S or not look.rules.learnable(path):
            continue
        if _differs(root / path, learned.get(path)):
            if len(changed) == LIMIT:
                return Missed(changed, sizes, many=True)
            changed[path] = found.st_size
    return Missed(changed, sizes, many=since is not None and not look.complete)


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
