"""The replay memory: which files were trained on, and when, so that new training repeats some of the old.

Holds paths and hashes, never source text; knows nothing of examples. Invariant: a path that
``retain`` was not shown (deleted, renamed or rejected files) is forgotten, and there are never more than
``capacity`` entries.
Deterministic for a seed.
"""

import json
import logging
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tailora_adapters import paths
from tailora_adapters._store_files import writing
from tailora_adapters.corpus.chance import luck
from tailora_adapters.corpus.select import SourceFile

__all__ = ["CAPACITY", "FILE_NAME", "ReplayEntry", "Reservoir"]

_log = logging.getLogger(__name__)

FILE_NAME = "replay.json"
"""In the project's folder of the store; ``ProjectStore.delete_all`` removes it."""
CAPACITY = 2_000

_HALF_LIFE = 30 * 24 * 3600.0
"""Seconds after which a file counts half."""
_LEAST = 0.1
"""What the oldest file still counts when replays are drawn: forgetting begins there."""


@dataclass(frozen=True, slots=True)
class ReplayEntry:
    """A file that was trained on."""

    path: str
    sha256: str
    """Of its bytes when it was last trained on."""
    times: int
    last: float
    """Seconds since the epoch."""


class Reservoir:
    """The entries in one file, read at construction and written by every change.

    A file that is damaged counts as empty: the memory builds up again.
    """

    def __init__(self, path: Path, *, seed: int = 0, capacity: int = CAPACITY) -> None:
        self.path = path
        self._seed = seed
        self._capacity = capacity
        self._entries = _read(path)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, path: object) -> bool:
        return path in self._entries

    @property
    def entries(self) -> tuple[ReplayEntry, ...]:
        """By path."""
        return tuple(self._entries[path] for path in sorted(self._entries))

    def update(self, files: Iterable[SourceFile], now: float) -> None:
        """Notes that ``files`` were trained on.

        Over capacity, a random sample stays, in which a file weighs more the later it was trained on.

        Raises:
            StoreUnwritable: nothing was changed.
        """
        entries = dict(self._entries)
        for file in files:
            old = entries.get(file.path)
            entries[file.path] = ReplayEntry(file.path, file.sha256, old.times + 1 if old else 1, now)
        kept = sorted(entries.values(), key=self._priority, reverse=True)[: self._capacity]
        self._write({entry.path: entry for entry in kept})

    def sample(self, k: int, exclude: Collection[str], now: float) -> list[str]:
        """Up to ``k`` different paths that are not in ``exclude``, drawn by weight.

        Recent files and those seldom trained on come up more often; none is too old to come up.
        """
        excluded = set(exclude)

        def arrival(entry: ReplayEntry) -> float:
            recency = math.exp2(-max(now - entry.last, 0.0) / _HALF_LIFE)
            return self._exponential(f"{now}:{entry.path}") * entry.times / max(recency, _LEAST)

        pool = [entry for entry in self.entries if entry.path not in excluded]
        return [entry.path for entry in sorted(pool, key=arrival)[: max(k, 0)]]

    def retain(self, existing: Mapping[str, str]) -> list[str]:
        """Forgets every file that is not in ``existing`` (path to sha256 of what may be learned now).

        A file that changed and may still be learned stays; one that was renamed and nothing else is known by its new
        name. Returns the forgotten paths, old names among them.

        Raises:
            StoreUnwritable: nothing was changed.
        """
        gone = sorted(self._entries.keys() - existing.keys())
        if not gone:
            return []
        entries = {path: entry for path, entry in self._entries.items() if path in existing}
        new = {sha256: path for path, sha256 in sorted(existing.items(), reverse=True) if path not in entries}
        for entry in (self._entries[path] for path in gone):
            if path := new.pop(entry.sha256, None):
                entries[path] = replace(entry, path=path)
        self._write(entries)
        return gone

    def _priority(self, entry: ReplayEntry) -> float:
        """The key of weighted reservoir sampling (A-Res, Efraimidis and Spirakis 2006) as a logarithm.

        The weight doubles with every half-life (forward decay), so a key never changes as time passes.
        """
        return math.log(2) * entry.last / _HALF_LIFE - math.log(self._exponential(entry.path))

    def _exponential(self, text: str) -> float:
        """A sample of the unit exponential distribution that depends on the seed and the text alone."""
        return -math.log(1 - luck(self._seed, text))

    def _write(self, entries: dict[str, ReplayEntry]) -> None:
        with writing(self.path):
            paths.write_json(
                self.path, {"schema": 1, "entries": [asdict(entry) for entry in entries.values()]}
            )
        self._entries = entries


def _read(path: Path) -> dict[str, ReplayEntry]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = (
            ReplayEntry(str(one["path"]), str(one["sha256"]), max(int(one["times"]), 1), float(one["last"]))
            for one in content["entries"]
        )
        return {entry.path: entry for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, LookupError, TypeError) as error:
        _log.warning("%s cannot be read, so replay starts afresh: %s", path, error)
        return {}
