"""A repository's functions and their clones in one SQLite file, brought up to date by what changed.

Files are those that may be learned (``corpus.select``); one whose time and size are the same is not read again, and one
with the same content is not parsed again. Kept are paths, names, places and hashes of tokens, no text. Knows nothing of
who asks. Invariants: whatever ends an update, the next one goes on from there; and a damaged file is made anew.

    PROJECT/clones.sqlite        the index
            clones.lock          held while it is updated
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from tailora_adapters._store_files import writing
from tailora_adapters.clones.alike import alike, counts, kind_of, shape
from tailora_adapters.clones.candidates import Candidates, fingerprints
from tailora_adapters.clones.functions import Function, Tokens, functions_of
from tailora_adapters.clones.groups import Clone, Place
from tailora_adapters.clones.limits import FLOOR, LEAST_TOKENS, MIN_TOKENS, THRESHOLD
from tailora_adapters.corpus.select import Candidate, Progress, Rejection, SourceFile, read_file, walk_files
from tailora_adapters.errors import StoreUnwritable
from tailora_adapters.forget import forgotten
from tailora_adapters.store import ProjectStore

__all__ = ["FILE_NAME", "CloneIndex", "Update"]

_log = logging.getLogger(__name__)

FILE_NAME = "clones.sqlite"
_LOCK = "clones.lock"
_WAIT_S = 600.0
_BUSY_S = 30.0
_FORMAT = 1
_FILES_AT_ONCE = 100
_FUNCTIONS_AT_ONCE = 250
_SCHEMA = """
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL            -- empty where the file is not learned
);
CREATE TABLE IF NOT EXISTS function (
    id INTEGER PRIMARY KEY,
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
    line INTEGER NOT NULL,
    "column" INTEGER NOT NULL,
    end_column INTEGER NOT NULL,
    name TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    header INTEGER NOT NULL,
    ids BLOB NOT NULL,
    kinds BLOB NOT NULL,
    prints BLOB NOT NULL,
    paired INTEGER NOT NULL DEFAULT 0   -- whether it was compared with the others
);
CREATE INDEX IF NOT EXISTS function_file ON function (file);
CREATE INDEX IF NOT EXISTS function_unpaired ON function (paired) WHERE paired = 0;
CREATE TABLE IF NOT EXISTS pair (
    one INTEGER NOT NULL REFERENCES function ON DELETE CASCADE,
    other INTEGER NOT NULL REFERENCES function ON DELETE CASCADE,
    kind INTEGER NOT NULL,
    similarity REAL NOT NULL,
    PRIMARY KEY (one, other)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pair_other ON pair (other);
CREATE TABLE IF NOT EXISTS vector (
    content BLOB NOT NULL,          -- hash of the function's text
    model TEXT NOT NULL,            -- and its adapter
    vector BLOB NOT NULL,
    PRIMARY KEY (content, model)
) WITHOUT ROWID;
"""
_INSERT = """
INSERT INTO function
    (file, line, "column", end_column, name, first, last, tokens, header, ids, kinds, prints)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PLACE = """{0}f.path, {0}.line, {0}."column", {0}.end_column, {0}.name, {0}.first, {0}.last, {0}.tokens"""
_PAIRS = f"""
SELECT {_PLACE.format("a")}, {_PLACE.format("b")}, pair.kind, pair.similarity FROM pair
JOIN function a ON a.id = pair.one JOIN file af ON af.id = a.file
JOIN function b ON b.id = pair.other JOIN file bf ON bf.id = b.file
WHERE pair.similarity >= ? AND a.tokens >= ? AND b.tokens >= ?
"""
_PLACES = f"""
SELECT {_PLACE.format("a")} FROM function a JOIN file af ON af.id = a.file WHERE a.tokens >= ?
ORDER BY af.path, a.line, a."column"
"""


@dataclass(frozen=True, slots=True)
class Update:
    """What an update found. All counts but ``functions`` are of this update alone."""

    read: int
    """Files."""
    gone: int
    parsed: int
    """Functions that were compared with all others."""
    functions: int
    """In the index."""


class CloneIndex:
    """The index of one project. One thread at a time; several processes may have it open."""

    def __init__(self, project: ProjectStore) -> None:
        """Nothing is read or written yet."""
        self._project = project
        self.path = project.directory / FILE_NAME

    def update(self, progress: Progress = lambda _fraction, _message: None) -> Update:
        """Reads what changed, and compares new functions with all others.

        Raises:
            CorpusError: the repository cannot be read.
            StoreError: the store, or the list of what is forgotten, cannot be read.
            StoreUnwritable: it cannot be written, or another process updates it for minutes on end.
        """
        root = self._project.root
        found = walk_files(root, forgotten=forgotten(self._project))
        with self._locked(progress):
            try:
                return self._update(root, found, progress)
            except sqlite3.OperationalError as error:
                raise self._unwritable(error) from error
            except sqlite3.DatabaseError as error:
                _log.warning("%s is damaged (%s) and is made anew", self.path, error)
                self._delete()
            try:
                return self._update(root, found, progress)
            except sqlite3.Error as error:
                raise self._unwritable(error) from error

    def clones(
        self,
        *,
        kinds: Collection[int] = (1, 2, 3),
        threshold: float = THRESHOLD,
        min_tokens: int = MIN_TOKENS,
    ) -> list[Clone]:
        """The pairs of clones by place, without those that lie in the functions of another pair.

        Args:
            kinds: Types to find.
            threshold: Least similarity, ``FLOOR`` to 1.
            min_tokens: Of both bodies, at least ``LEAST_TOKENS``.
        """
        with self._connected() as connection:
            rows = connection.execute(_PAIRS, (max(threshold, FLOOR), min_tokens, min_tokens)).fetchall()
        clones = []
        for row in rows:
            left, right = sorted((Place(*row[:8]), Place(*row[8:16])))
            clones.append(Clone(left, right, row[16], row[17]))
        clones.sort(key=lambda clone: (clone.left, clone.right))
        return [clone for clone in _outermost(clones) if clone.kind in kinds]

    def places(self, min_tokens: int = MIN_TOKENS) -> list[Place]:
        """The functions that are compared, by place."""
        with self._connected() as connection:
            return [Place(*row) for row in connection.execute(_PLACES, (min_tokens,))]

    def known_files(self) -> dict[str, str]:
        """The hash of each file that was read, by its path."""
        with self._connected() as connection:
            return dict(connection.execute("SELECT path, sha256 FROM file WHERE sha256 <> ''"))

    def vectors(self, model: str) -> dict[bytes, NDArray[np.float32]]:
        """What ``keep_vectors`` was given for a model, by the hash of a function's text."""
        with self._connected() as connection:
            rows = connection.execute("SELECT content, vector FROM vector WHERE model = ?", (model,))
            return {content: np.frombuffer(vector, dtype=np.float32) for content, vector in rows}

    def keep_vectors(self, model: str, vectors: dict[bytes, NDArray[np.float32]]) -> None:
        """Keeps the vectors of functions, (width,) each, and forgets those of other models.

        Raises:
            StoreUnwritable: they cannot be kept.
        """
        try:
            with self._connected() as connection:
                connection.execute("DELETE FROM vector WHERE model <> ?", (model,))
                rows = [(content, model, vector.tobytes()) for content, vector in vectors.items()]
                connection.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unwritable(error) from error

    def _update(self, root: Path, found: Sequence[Candidate], progress: Progress) -> Update:
        with self._connected() as connection:
            known = {
                path: (identifier, (mtime_ns, size), sha256)
                for identifier, path, mtime_ns, size, sha256 in connection.execute("SELECT * FROM file")
            }
            names = {candidate.path for candidate in found}
            gone = [(known[path][0],) for path in known if path not in names]
            connection.executemany("DELETE FROM file WHERE id = ?", gone)
        changed = [one for one in found if one.path not in known or known[one.path][1] != one.stamp]
        for begin in range(0, len(changed), _FILES_AT_ONCE):
            progress(0.7 * begin / len(changed), f"reading functions, {begin:,} of {len(changed):,} files")
            with self._connected() as connection:
                for candidate in changed[begin : begin + _FILES_AT_ONCE]:
                    sha256 = known[candidate.path][2] if candidate.path in known else ""
                    _take(connection, root, candidate, sha256)
        parsed = self._pair(progress)
        with self._connected() as connection:
            (functions,) = connection.execute("SELECT count(*) FROM function").fetchone()
        progress(1.0, f"{functions:,} functions")
        return Update(len(changed), len(gone), parsed, functions)

    def _pair(self, progress: Progress) -> int:
        """Compares the functions that were not compared yet with all; returns how many these were."""
        with self._connected() as connection:
            waiting = [row[0] for row in connection.execute("SELECT id FROM function WHERE paired = 0")]
            if not waiting:
                return 0
            rows = connection.execute("SELECT id, prints FROM function ORDER BY id").fetchall()
        numbers = {identifier: number for number, (identifier, _) in enumerate(rows)}
        prints = [np.frombuffer(blob, dtype=np.uint64) for _, blob in rows]
        index = Candidates(prints)
        pairs = _Pairs([identifier for identifier, _ in rows])
        for begin in range(0, len(waiting), _FUNCTIONS_AT_ONCE):
            progress(0.7 + 0.3 * begin / len(waiting), f"comparing, {begin:,} of {len(waiting):,} functions")
            part = waiting[begin : begin + _FUNCTIONS_AT_ONCE]
            with self._connected() as connection:
                for identifier in part:
                    candidates = index.of(prints[numbers[identifier]])
                    pairs.compare(connection, identifier, candidates)
                connection.executemany(
                    "UPDATE function SET paired = 1 WHERE id = ?", [(one,) for one in part]
                )
        return len(waiting)

    @contextlib.contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        with writing(self._project.directory):
            self._project.claim()
            lock = FileLock(self._project.directory / _LOCK, timeout=0)
            try:
                lock.acquire()
            except Timeout:
                progress(0.0, "waiting for another process that reads the functions")
                try:
                    lock.acquire(timeout=_WAIT_S)
                except Timeout:
                    raise StoreUnwritable(
                        f"another process updates {self.path}: wait until it is done, or stop it"
                    ) from None
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection with one transaction, committed unless the body raises."""
        if not self.path.exists():
            with writing(self._project.directory):
                self._project.claim()
                os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(self.path, timeout=_BUSY_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != _FORMAT:
                _make(connection)
            with connection:
                yield connection
        finally:
            connection.close()

    def _delete(self) -> None:
        for name in (FILE_NAME, FILE_NAME + "-wal", FILE_NAME + "-shm"):
            with contextlib.suppress(OSError):
                (self._project.directory / name).unlink()

    def _unwritable(self, error: sqlite3.Error) -> StoreUnwritable:
        return StoreUnwritable(
            f"{self.path} cannot be written ({error}): free some space, or make the folder writable"
        )


def _make(connection: sqlite3.Connection) -> None:
    """The tables, in place of those of another version."""
    with connection:
        for table in ("vector", "pair", "function", "file"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.executescript(_SCHEMA)
    connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _take(connection: sqlite3.Connection, root: Path, candidate: Candidate, known: str) -> None:
    """Reads a file that is new or changed; ``known`` is the hash that it had."""
    read = read_file(root, candidate)
    sha256 = read.sha256 if isinstance(read, SourceFile) else ""
    if known and known == sha256:
        connection.execute(
            "UPDATE file SET mtime_ns = ?, size = ? WHERE path = ?", (*candidate.stamp, candidate.path)
        )
        return
    connection.execute("DELETE FROM file WHERE path = ?", (candidate.path,))
    cursor = connection.execute(
        "INSERT INTO file (path, mtime_ns, size, sha256) VALUES (?, ?, ?, ?)",
        (candidate.path, *candidate.stamp, sha256),
    )
    if isinstance(read, Rejection):
        return
    rows = [
        _row(cursor.lastrowid, function)
        for function in functions_of(read.text, read.language)
        if counts(function, LEAST_TOKENS)
    ]
    connection.executemany(
        _INSERT,
        rows,
    )


def _row(file: int | None, function: Function) -> tuple[int | str | bytes | None, ...]:
    body = function.body
    return (
        file, function.line, function.column, function.end_column, function.name, function.first, function.last,
        len(body), function.header, body.ids.tobytes(), body.kinds.tobytes(), fingerprints(shape(body)).tobytes(),
    )  # fmt: skip


class _Pairs:
    """Compares functions and writes down those that are alike."""

    _FIELDS = "SELECT id, file, first, last, header, ids, kinds FROM function WHERE id = ?"

    def __init__(self, identifiers: Sequence[int]) -> None:
        self._identifiers = identifiers
        self._seen: set[tuple[int, int]] = set()
        self._known: dict[int, tuple[int, int, int, int, Tokens]] = {}

    def compare(self, connection: sqlite3.Connection, identifier: int, candidates: Sequence[int]) -> None:
        for number in candidates:
            other = self._identifiers[number]
            pair = (min(identifier, other), max(identifier, other))
            if other == identifier or pair in self._seen:
                continue
            self._seen.add(pair)
            left, right = self._function(connection, identifier), self._function(connection, other)
            if left[0] == right[0] and _nested(left[1:3], right[1:3]):
                continue
            similarity = alike(left[4], right[4], FLOOR)
            if similarity >= FLOOR:
                kind = kind_of(left[4], right[4], left[3] == right[3], similarity)
                connection.execute("INSERT INTO pair VALUES (?, ?, ?, ?)", (*pair, kind, similarity))

    def _function(self, connection: sqlite3.Connection, identifier: int) -> tuple[int, int, int, int, Tokens]:
        """File, first and last line, header, body."""
        if identifier not in self._known:
            _, file, first, last, header, ids, kinds = connection.execute(
                self._FIELDS, (identifier,)
            ).fetchone()
            tokens = Tokens(np.frombuffer(ids, dtype=np.uint32), np.frombuffer(kinds, dtype=np.uint8))
            self._known[identifier] = (file, first, last, header, tokens)
        return self._known[identifier]


def _nested(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    return (left[0] <= right[0] and right[1] <= left[1]) or (right[0] <= left[0] and left[1] <= right[1])


def _outermost(clones: Sequence[Clone]) -> Iterator[Clone]:
    """Of pairs whose functions lie in each other, the ones that say most: the outer one where both functions of a pair
    lie in those of another; the better one where they have one function in common."""
    between: dict[tuple[str, str], list[Clone]] = {}
    for clone in clones:
        between.setdefault((clone.left.path, clone.right.path), []).append(clone)
    for clone in clones:
        others = between[clone.left.path, clone.right.path]
        if not any(other is not clone and _says_more(other, clone) for other in others):
            yield clone


def _says_more(one: Clone, other: Clone) -> bool:
    """Whether ``one`` makes ``other`` needless."""
    ranks = [(clone.kind, -clone.similarity) for clone in (one, other)]
    if _inside(other.left, one.left) and _inside(other.right, one.right):
        return ranks[0] <= ranks[1] or (other.left != one.left and other.right != one.right)
    inner = (other.left == one.left and _inside(one.right, other.right)) or (
        other.right == one.right and _inside(one.left, other.left)
    )
    return inner and ranks[0] < ranks[1]


def _inside(place: Place, other: Place) -> bool:
    """Whether a function is another one of its file, or lies in it."""
    return other.first <= place.first and place.last <= other.last
