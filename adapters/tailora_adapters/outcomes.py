"""What became of the suggestions that each adapter version made: shown, accepted, kept. Figures, never text.

One SQLite file for each project, a row for each suggestion. Knows nothing of editors, of serving or of what follows
from the figures. Invariants: no text of any document is ever stored; recording the same event again changes
nothing; and a damaged file costs its figures, never a completion.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tailora_adapters.errors import StoreUnwritable

__all__ = ["Accepted", "Day", "Event", "Kept", "Outcomes", "Shown", "VersionOutcomes"]

_log = logging.getLogger(__name__)

_BUSY_S = 5.0
_KEEP_S = 180 * 24 * 3600.0
_KEEP_ROWS = 200_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS suggestion (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,               -- seconds since 1970
    version TEXT NOT NULL,          -- of the adapter; 'foundation' or 'none'
    model TEXT NOT NULL,
    language TEXT NOT NULL,
    multiline INTEGER NOT NULL,
    characters INTEGER NOT NULL,
    accepted INTEGER NOT NULL DEFAULT 0,
    kept_30 REAL,                   -- share of the accepted characters that is still there
    kept_180 REAL
);
CREATE INDEX IF NOT EXISTS suggestion_at ON suggestion (at);
"""
_SUMMARY = """
SELECT version, count(*), sum(accepted > 0),
    sum(kept_30 * accepted) / sum(CASE WHEN kept_30 IS NOT NULL THEN accepted END),
    sum(kept_180 * accepted) / sum(CASE WHEN kept_180 IS NOT NULL THEN accepted END),
    count(coalesce(kept_180, kept_30)), coalesce(sum(coalesce(kept_180, kept_30) >= 0.5), 0)
FROM suggestion WHERE at >= ? AND (? IS NULL OR model = ?) GROUP BY version
"""
_CHARACTERS = """
SELECT version, count(*), sum(accepted > 0), coalesce(sum(accepted), 0) FROM suggestion
WHERE at >= ? GROUP BY version
"""
_DAYS = """
SELECT date(at, 'unixepoch') AS day, version, count(*), sum(accepted > 0) FROM suggestion
WHERE at >= ? GROUP BY day, version ORDER BY day, min(number)
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion was shown. Again with the same ``id`` where more of it is shown now."""

    id: str
    version: str
    """The adapter's; ``foundation`` or ``none``."""
    model: str
    language: str
    multiline: bool
    characters: int
    at: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """So many characters of it have been accepted so far."""

    id: str
    characters: int


@dataclass(frozen=True, slots=True)
class Kept:
    """``ratio`` of the accepted characters was still there so many seconds later."""

    id: str
    after_s: Literal[30, 180]
    ratio: float


Event = Shown | Accepted | Kept


@dataclass(frozen=True, slots=True)
class VersionOutcomes:
    """What became of one version's suggestions."""

    shown: int = 0
    accepted: int = 0
    """Suggestions of which anything was accepted."""
    kept_30: float | None = None
    """Share of the accepted characters that was still there after 30 s; None where none was measured."""
    kept_180: float | None = None
    measured: int = 0
    """Accepted suggestions that were looked at later."""
    survived: int = 0
    """Those of ``measured`` of which at least half was still there when they were looked at last."""

    @property
    def acceptance(self) -> float | None:
        """Share of the shown suggestions that was accepted."""
        return self.accepted / self.shown if self.shown else None


@dataclass(frozen=True, slots=True)
class Day:
    """One version's suggestions of one day."""

    day: str
    """Of UTC, as in ``2026-11-27``."""
    version: str
    shown: int
    accepted: int
    """Suggestions of which anything was accepted."""


class Outcomes:
    """The outcomes in the file ``path``. Safe to use from several threads and processes at once.

    Args:
        path: Created by the first ``record``.
        prepare: Called before the file is created, to make its folder.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        path: Path,
        prepare: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._prepare = prepare
        self._clock = clock

    def record(self, events: Sequence[Event]) -> Counter[str]:
        """Writes ``events``, all or none; how many suggestions of each version were new.

        Events of unknown suggestions are left out. Old rows are deleted.

        Raises:
            StoreUnwritable: disk full, read-only, or locked by another process for too long; nothing was written.
        """
        try:
            return self._record(events)
        except sqlite3.OperationalError as error:
            raise self._unwritable(error) from error
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
        try:
            return self._record(events)
        except sqlite3.Error as error:
            raise self._unwritable(error) from error

    def summary(self, *, since: float = 0.0, model: str | None = None) -> dict[str, VersionOutcomes]:
        """The figures of each version: of suggestions shown at ``since`` (seconds since 1970) or later, by ``model``.

        Empty where nothing was recorded, or where the file cannot be read (logged).
        """
        rows = self._read(_SUMMARY, since, model, model)
        return {version: VersionOutcomes(*figures) for version, *figures in rows}

    def characters(self, *, since: float = 0.0) -> dict[str, tuple[int, int, int]]:
        """Of each version: suggestions shown, those of which anything was accepted, and the characters accepted of
        them; of suggestions shown at ``since`` or later. Empty where ``summary`` is."""
        return {
            version: (shown, taken, text) for version, shown, taken, text in self._read(_CHARACTERS, since)
        }

    def days(self, count: int = 60) -> list[Day]:
        """The suggestions of the last ``count`` days, by day and version, oldest first; empty where ``summary`` is."""
        return [Day(*row) for row in self._read(_DAYS, self._clock() - count * 24 * 3600.0)]

    def _read(self, query: str, *values: float | str | None) -> list[tuple[Any, ...]]:
        """The rows; none where nothing was recorded, or where the file cannot be read (logged)."""
        if not self.path.exists():
            return []
        try:
            with self._connected() as connection:
                return connection.execute(query, values).fetchall()
        except (sqlite3.Error, StoreUnwritable) as error:
            _log.warning("%s cannot be read: %s", self.path, error)
            return []

    def _record(self, events: Sequence[Event]) -> Counter[str]:
        new: Counter[str] = Counter()
        with self._connected() as connection:
            for event in events:
                if _write(connection, event) and isinstance(event, Shown):
                    new[event.version] += 1
            connection.execute("DELETE FROM suggestion WHERE at < ?", (self._clock() - _KEEP_S,))
            connection.execute(
                "DELETE FROM suggestion WHERE number <= (SELECT max(number) FROM suggestion) - ?",
                (_KEEP_ROWS,),
            )
        return new

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection with one transaction, committed unless the body raises."""
        if not self.path.exists():
            self._create()
        connection = sqlite3.connect(self.path, timeout=_BUSY_S)
        try:
            _prepare(connection)
            with connection:
                yield connection
        finally:
            connection.close()

    def _create(self) -> None:
        """The file, private from its first moment on; SQLite gives the files beside it the same mode."""
        try:
            if self._prepare is not None:
                self._prepare()
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError as error:
            raise self._unwritable(error) from error

    def _set_aside(self, why: sqlite3.DatabaseError) -> None:
        damaged = self.path.with_name(self.path.name + ".damaged")
        _log.warning(
            "%s is damaged (%s); it is now %s, and counting starts anew", self.path, why, damaged.name
        )
        try:
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self.path.replace(damaged)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> StoreUnwritable:
        return StoreUnwritable(f"{self.path} cannot be written, so nothing was counted: {error}")


def _prepare(connection: sqlite3.Connection) -> None:
    """Write-ahead log and schema. SQLite doesn't wait by itself where two change the journal's mode at once."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def _write(connection: sqlite3.Connection, event: Event) -> bool:
    """Whether there is a new row."""
    if isinstance(event, Accepted):
        connection.execute(
            "UPDATE suggestion SET accepted = max(accepted, min(?, characters)) WHERE id = ?",
            (event.characters, event.id),
        )
        return False
    if isinstance(event, Kept):
        column = {30: "kept_30", 180: "kept_180"}[event.after_s]
        connection.execute(
            f"UPDATE suggestion SET {column} = ? WHERE id = ? AND accepted > 0", (event.ratio, event.id)
        )
        return False
    values = (event.id, event.at, event.version, event.model, event.language, event.multiline)
    cursor = connection.execute(
        "INSERT OR IGNORE INTO suggestion (id, at, version, model, language, multiline, characters) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*values, event.characters),
    )
    if cursor.rowcount:
        return True
    connection.execute(
        "UPDATE suggestion SET characters = max(characters, ?), multiline = max(multiline, ?) WHERE id = ?",
        (event.characters, event.multiline, event.id),
    )
    return False
