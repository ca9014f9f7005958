"""What a repository's history tells about its present files: which lines are recent, which hold an old secret.

Reads commits by ``corpus.repository``, never by git. Invariant: nothing of an old version reaches a caller; what
is returned are places in the present texts that were passed in, commit identifiers and paths. So a file from which
a secret was removed may be learned as it is now. Deterministic, except where the time limit cuts it short.

A commit's lines are those that its parent lacks; they count where the present text still has them, short and
moved ones aside. Merges bring nothing of their own: the commits that they join are read instead.
"""

import heapq
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tailora_adapters import languages
from tailora_adapters.corpus import secrets
from tailora_adapters.corpus.diff import shared_lines
from tailora_adapters.corpus.generated import generated_by_name
from tailora_adapters.corpus.known_secrets import KnownSecrets
from tailora_adapters.corpus.repository import Change, Commit, Repository
from tailora_adapters.corpus.select import Rejection, SourceFile
from tailora_adapters.errors import HistoryUnreadable

__all__ = ["UNCOMMITTED", "Edit", "History", "HistoryLimits", "recent_edits"]

UNCOMMITTED = ""
"""``commit`` of an edit that is in the working tree alone."""

_DAY = 24 * 3600.0
_LFS = "version https://git-lfs"
"""Begins what stands for a file that is kept elsewhere."""
_LEAST = 8
"""Characters of a line, without those around it, below which it says nothing: brackets, ``else``."""
_LONGEST = 2_000
"""Characters of a line that is searched for secrets: longer ones are data."""
_CONFIGURATION = frozenset(
    (
        ".yml", ".yaml", ".json", ".toml", ".ini", ".cfg", ".conf", ".properties", ".xml", ".txt", ".md", ".tf",
        ".env", ".ipynb", ".ps1", ".bat", ".gradle",
    )
)  # fmt: skip
"""Files that are never learned, but that secrets come from."""


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of a history is read."""

    commits: int = 200
    days: float = 90.0
    """Before the newest commit."""
    blobs: int = 2_000
    """Versions of files that are read."""
    blob_bytes: int = 256 * 1024
    """Larger versions of a file are passed over."""
    seconds: float = 2.0
    """Of computing, in this thread; the last resort, as what it cuts depends on the machine. Time in which the process
    is suspended or waits does not count: what is cut is not searched for secrets."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines of a file, as it is now, that were added or changed together."""

    path: str
    first_line: int
    """From 0."""
    last_line: int
    """The last one that belongs to it."""
    when: float
    """Seconds since the epoch."""
    commit: str
    """Identifier, or ``UNCOMMITTED``."""


@dataclass(frozen=True, slots=True)
class History:
    """What ``recent_edits`` found."""

    edits: tuple[Edit, ...] = ()
    """Newest first, then by path and line; no line is in two."""
    commits: int = 0
    """That were read."""
    reason: str = ""
    """Why there is no more: no repository, damage, a limit; empty where everything recent was read."""
    rejected: tuple[Rejection, ...] = ()
    """Files that must not be learned, as they hold what the history shows to be a secret."""

    @property
    def lines(self) -> int:
        """Number of lines in all edits."""
        return sum(edit.last_line - edit.first_line + 1 for edit in self.edits)

    def by_path(self) -> Mapping[str, tuple[Edit, ...]]:
        """The edits of each file that has any, newest first."""
        result: dict[str, list[Edit]] = {}
        for edit in self.edits:
            result.setdefault(edit.path, []).append(edit)
        return {path: tuple(edits) for path, edits in result.items()}


def recent_edits(
    root: Path, files: Sequence[SourceFile], *, limits: HistoryLimits = HistoryLimits()
) -> History:
    """Reads the history of the repository that ``root`` is in, of any size and in any state; never raises for it.

    Args:
        files: what was selected of ``root``; their texts are what the edits refer to.
    """
    root = root.resolve()
    try:
        repository = Repository(root)
    except HistoryUnreadable as error:
        return History(reason=str(error))
    reader = _Reader(root, repository, files, limits)
    reason = ""
    try:
        reader.read()
    except (HistoryUnreadable, _LimitReached) as error:
        reason = str(error)
    finally:
        repository.close()
    return reader.result(reason)


class _LimitReached(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Version:
    """A change with its texts as lines. A side that is missing or no text is empty."""

    path: str
    """Relative to the root; begins with ``/`` where it is outside."""
    old: list[str]
    new: list[str]
    shared: Mapping[int, int]
    """Lines of ``new`` to those of ``old``."""

    @property
    def removed(self) -> list[str]:
        kept = set(self.shared.values())
        return [line for number, line in enumerate(self.old) if number not in kept]


@dataclass(slots=True)
class _Present:
    """A selected file and who added its lines."""

    file: SourceFile
    owners: dict[int, tuple[float, str]] = field(default_factory=dict)
    """Line to when and by which commit it was added; the newest claim stands."""

    @property
    def lines(self) -> list[str]:
        return self.file.text.split("\n")

    def claim(self, version: _Version, moved: set[str], when: float, commit: str) -> None:
        kept = shared_lines(self.lines, version.new)
        for number, line in enumerate(version.new):
            place = kept.get(number)
            if number not in version.shared and place is not None and line.strip() not in moved:
                self.owners.setdefault(place, (when, commit))

    def edits(self) -> Iterator[Edit]:
        """Runs of lines with one owner, from one line that says something to another."""
        first = last = 0
        current: tuple[float, str] | None = None
        telling = (number for number, line in enumerate(self.lines) if _says_something(line))
        for number in (*telling, None) if self.owners else ():
            owner = None if number is None else self.owners.get(number)
            if owner != current:
                if current:
                    yield Edit(self.file.path, first, last, *current)
                first, current = number or 0, owner
            last = number or 0


class _Reader:
    """One reading of a history. What it has found so far stays valid when it is cut short."""

    def __init__(
        self, root: Path, repository: Repository, files: Sequence[SourceFile], limits: HistoryLimits
    ) -> None:
        self._root = root
        self._repository = repository
        self._limits = limits
        self._now = time.time()
        self._deadline = time.thread_time() + limits.seconds
        self._present = {file.path: _Present(file) for file in files}
        self._secrets = KnownSecrets()
        self._blobs = 0
        self._commits = 0
        self._damage = ""

    def read(self) -> None:
        """Raises ``HistoryUnreadable`` or ``_LimitReached`` where it ends early."""
        head = self._repository.commit(self._repository.head)
        self._read_working_tree(head)
        oldest = head.when - self._limits.days * _DAY
        when = self._now
        pending = [(-head.when, 0, head)]
        seen = {head.id}
        while pending:
            _, _, commit = heapq.heappop(pending)
            if commit.when < oldest:
                return
            if self._commits >= self._limits.commits:
                raise _LimitReached(f"the newest {self._commits:,} commits were read")
            when = min(when, commit.when)  # clocks differ: a commit is not newer than what came after it
            parents = self._parents(commit)
            if len(commit.parents) < 2 and len(parents) == len(commit.parents):
                self._read_commit(commit, parents[0].tree if parents else None, when)
            self._commits += 1
            for parent in parents:
                if parent.id not in seen:
                    seen.add(parent.id)
                    heapq.heappush(pending, (-parent.when, len(seen), parent))

    def _parents(self, commit: Commit) -> list[Commit]:
        """Those that can be read: at the edge of a shallow clone there are none."""
        parents = []
        for identifier in commit.parents:
            try:
                parents.append(self._repository.commit(identifier))
            except HistoryUnreadable as error:
                self._damage = self._damage or str(error)
        return parents

    def result(self, reason: str) -> History:
        edits = [edit for present in self._present.values() for edit in present.edits()]
        edits.sort(key=lambda edit: (-edit.when, edit.path, edit.first_line))
        return History(tuple(edits), self._commits, reason or self._damage, tuple(self._rejected()))

    def _rejected(self) -> Iterator[Rejection]:
        for path, present in sorted(self._present.items()):
            if self._secrets.failed(path):
                yield Rejection(path, secrets.SCAN_FAILED, "of its history")
            elif line := self._secrets.line_in(present.file.text):
                yield Rejection(path, "secret", f"known from history, line {line}")

    def _read_working_tree(self, head: Commit) -> None:
        """What is not committed is newest. Files that the head lacks are new as a whole."""
        prefix = self._repository.prefix
        committed = {change.path: change.new for change in self._repository.changes(None, head.tree)}
        changes = []
        for path, present in self._present.items():
            old = committed.get(prefix + path)
            if old is None or old not in self._repository.identifiers(present.file.text):
                changes.append((Change(prefix + path, old, None), present.lines))
        for path, old in committed.items():
            if secrets.is_secret_file(path):
                changes.append((Change(path, old, None), []))
            elif path.startswith(prefix) and _interesting(path):
                inside = path.removeprefix(prefix)
                if inside not in self._present and not os.path.lexists(self._root / inside):
                    changes.append((Change(path, old, None), []))
        versions = [version for change, new in changes if (version := self._version(change, new))]
        self._take(versions, min(head.when, self._now), UNCOMMITTED)

    def _read_commit(self, commit: Commit, parent_tree: str | None, when: float) -> None:
        try:
            changes = [
                change
                for change in self._repository.changes(parent_tree, commit.tree)
                if self._wanted(change)
            ]
            cost = sum((change.old is not None) + (change.new is not None) for change in changes)
            if (
                self._blobs + cost > self._limits.blobs
            ):  # half of a commit would favour some files for their names
                raise _LimitReached(
                    f"{self._blobs:,} versions of files were read; the next commit has {cost:,}"
                )
            versions = [version for change in changes if (version := self._version(change))]
        except HistoryUnreadable as error:
            self._damage = self._damage or str(error)
        else:
            self._take(versions, when, commit.id)

    def _wanted(self, change: Change) -> bool:
        """Whether lines or secrets can come of a change: what is new outside the selection has neither."""
        path = change.path
        return _interesting(path) and bool(
            change.old or secrets.is_secret_file(path) or self._inside(path) in self._present
        )

    def _take(self, versions: Sequence[_Version], when: float, commit: str) -> None:
        for version in versions:
            named = secrets.is_secret_file(version.path)
            past = [*version.old, *version.new] if named else version.removed
            if past := [line for line in past if len(line) <= _LONGEST]:
                self._check_time()
                self._secrets.learn("\n".join(past), version.path)
        moved = {line.strip() for version in versions for line in version.removed if _says_something(line)}
        for version in versions:
            if present := self._present.get(version.path):
                modified = min(present.file.mtime, self._now)
                present.claim(version, moved, when if commit else max(when, modified), commit)

    def _version(self, change: Change, new: list[str] | None = None) -> _Version | None:
        """None for what is no text. ``new`` stands for the content that ``change`` would name."""
        old = self._lines(change.old)
        new = self._lines(change.new) if new is None else new
        if old is None or new is None:
            return None
        return _Version(self._inside(change.path), old, new, shared_lines(old, new))

    def _inside(self, path: str) -> str:
        prefix = self._repository.prefix
        return path.removeprefix(prefix) if path.startswith(prefix) else f"/{path}"

    def _check_time(self) -> None:
        if time.thread_time() > self._deadline:
            raise _LimitReached(f"{self._limits.seconds:g} s were spent reading")

    def _lines(self, identifier: str | None) -> list[str] | None:
        if identifier is None:
            return []
        self._blobs += 1
        if self._blobs > self._limits.blobs:
            raise _LimitReached(f"{self._limits.blobs:,} versions of files were read")
        self._check_time()
        text = self._repository.text(identifier, self._limits.blob_bytes)
        return None if text is None or text.startswith(_LFS) else text.split("\n")


def _says_something(line: str) -> bool:
    return len(line.strip()) >= _LEAST


def _interesting(path: str) -> bool:
    name = PurePosixPath(path)
    if secrets.is_secret_file(path):
        return True
    known = languages.by_path(name.name) is not None or name.suffix.lower() in _CONFIGURATION
    return known and not generated_by_name(name.name)
