"""Whose adapters a folder of the store holds: what survives a move or a rename, and no copy, clone or fork shares.

Private to ``store``; of versions it knows only which files they learned. A repository is known by a random mark in its
own git folder, which no clone copies; any other folder by its inode and by the files that were learned. Invariants:
nothing is written outside the store before something is stored for a project; a doubt means a new project, which
costs a training, while a wrong yes would show one repository's code in another (ADR 12).

    ROOT/.git/tailora/project    the mark: which folder of the store, and the random id
    PROJECT/project.json         the other side: where the repository is, its id, its inode, its user
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tailora_adapters import paths
from tailora_adapters._store_files import Stamp, file_stamp, inspect
from tailora_adapters._store_state import StateFile
from tailora_adapters._store_versions import IMPORTED
from tailora_adapters.errors import StoreError, StoreUnwritable

__all__ = ["RECORD", "Found", "Record", "claim", "look", "read_record", "settle"]

_log = logging.getLogger(__name__)

RECORD = "project.json"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_ID = re.compile(r"[0-9a-f]{32}")
_SMALL = 4096
"""Bytes of a mark or of a ``.git`` file at most."""
_LOOKS = 5
"""A claim is a matter of milliseconds."""
_LOCK_SECONDS = 10.0
_LOCK_SECONDS_TO_READ = 1.0

Inode = tuple[int, int]
"""Device and inode of a folder."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What ``.git/tailora/project`` says."""

    project: str
    """Name of the project's folder in the store."""
    id: str


@dataclass(frozen=True, slots=True)
class _Place:
    """What can be seen at a root without the store."""

    root: Path
    inode: Inode | None
    """None where there is no such folder."""
    git: Path | None
    """The git folder of the work tree, which a worktree or submodule has elsewhere."""
    mark: _Mark | None
    spoiled: bool
    """Whether there is a mark that cannot be read."""
    stamp: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """``project.json``."""

    directory: Path
    root: Path
    id: str | None
    """What the mark holds; None where none was written (no git folder, or a read-only one)."""
    inode: Inode | None
    uid: int | None
    """Whose adapters these are."""
    stamp: Stamp | None

    @property
    def refusal(self) -> str | None:
        """Why the adapters must not be used, if so."""
        if self.uid is None or self.uid == _uid():
            return None
        return (
            f"the adapters in {self.directory} belong to another user (id {self.uid}): nothing of them is used; "
            "run Tailora as that user, or set TAILORA_HOME to a folder of your own"
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The project of a root."""

    place: _Place
    directory: Path
    record: Record | None
    """None while nothing was stored."""
    moved: bool = False
    """Whether the record names another root, where the repository is no longer."""
    claimed: bool = False
    """Whether record and mark were written, as far as they can be."""

    def fresh(self) -> bool:
        """Whether all that was looked at is as it was: four ``stat`` calls."""
        return _stamp(self.place.root, self.place.git) == self.place.stamp and file_stamp(
            self.directory / RECORD
        ) == (self.record.stamp if self.record else None)

    @property
    def refusal(self) -> str | None:
        """Why the adapters must not be used, if so."""
        return self.record.refusal if self.record else None


def look(home: Path, root: Path) -> Found:
    """Finds the project of the resolved ``root``. Writes nothing.

    Looks again where another process claimed it meanwhile: half of an old look and half of a new one would make two
    projects of one.
    """
    found = _look(home, root)
    for _ in range(_LOOKS):
        if found.fresh() and not _overtaken(home, found):
            break
        found = _look(home, root)
    return found


def _overtaken(home: Path, found: Found) -> bool:
    """Whether the place's mark leads to a record of this very place, which was not there a moment ago."""
    mark = found.place.mark
    if mark is None or found.directory.name == mark.project:
        return False
    record = read_record(home / mark.project)
    return record is not None and (record.id, record.root) == (mark.id, found.place.root)


def _look(home: Path, root: Path) -> Found:
    place = _place(root)
    mark = place.mark
    marked = read_record(home / mark.project) if mark else None
    if mark and marked and marked.id == mark.id:
        if marked.root == root or _same(marked.root, place):
            return Found(place, marked.directory, marked)
        if _mark_of(_git_folder(marked.root)) != mark:
            return Found(place, marked.directory, marked, moved=True)
        _log.debug("%s is a copy of %s, and has none of its adapters", root, marked.root)
    records = list(_records(home))
    for record in records:
        if record.root == root and _stayed(record, place):
            return Found(place, record.directory, record)
    for record in records:
        if record.root != root and _carried(record, place):
            return Found(place, record.directory, record, moved=not _same(record.root, place))
    if mark and marked is None and not (home / mark.project / RECORD).exists():
        # Marked for another store (another TAILORA_HOME or user), or right now by another process.
        return Found(place, home / mark.project, None)
    return Found(place, _free(home, root), None)


def _stayed(record: Record, place: _Place) -> bool:
    """Whether the folder at a record's root is still what it was, where no mark says so."""
    if place.inode is None:
        return True  # gone: what was learned can still be seen and deleted
    same = record.inode is None or record.inode == place.inode
    if record.id is not None:
        if place.git is None:  # the git folder was removed
            return same and _has_learned_files(record.directory, place.root) is not False
        return place.spoiled and same  # without a mark it may be a new clone of anything
    return same or _has_learned_files(record.directory, place.root) is not False


def _carried(record: Record, place: _Place) -> bool:
    """Whether ``place`` is a record's folder under a new name, where no mark says so.

    Inodes are used again after a deletion, so the learned files must be there as well.
    """
    return (
        place.inode is not None
        and record.inode == place.inode
        and (record.id is None or place.git is None)
        and _has_learned_files(record.directory, place.root) is True
    )


def _has_learned_files(directory: Path, root: Path) -> bool | None:
    """Whether at least half of the files that a project learned are below ``root``; None if it learned nothing.

    What it learned is what the serving version's manifest says, or the newest one's that has files.
    """
    states = StateFile(root, directory, claim=lambda: None)
    for version in (states.read().serving, *reversed(states.existing())):
        manifest = inspect(directory / "versions" / version)[0] if version is not None else None
        if manifest and manifest.data.files and IMPORTED not in manifest.settings:
            there = sum((root / file.path).is_file() for file in manifest.data.files)
            return 2 * there >= len(manifest.data.files)
    return None


def settle(home: Path, found: Found) -> Found:
    """Writes down that a repository moved, so that a copy of it is told apart; best effort."""
    try:
        with _locked(home, _LOCK_SECONDS_TO_READ):
            found = look(home, found.place.root)
            if found.moved and found.record is not None and found.refusal is None:
                _log.info("%s was moved to %s", found.record.root, found.place.root)
                found = _write(found, found.record.id)
    except (OSError, StoreUnwritable) as error:
        _log.warning("%s is not written down as the new place of its adapters: %s", found.place.root, error)
    return found


def claim(home: Path, root: Path, directory: Path) -> Found:
    """Makes ``directory`` the project of ``root``: its record, and the mark where that can be written.

    Raises:
        OSError: the store cannot be written.
        StoreError: another repository is at ``root`` by now, or the adapters are another user's.
    """
    with _locked(home, _LOCK_SECONDS):
        found = look(home, root)
        if found.directory != directory:
            raise StoreError(f"{root} was moved, or another repository is there by now: open it again")
        if found.refusal:
            raise StoreError(found.refusal)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The mark first: a record that names a mark which is not there would be taken for another repository's.
        return replace(_write(found, _marked(home, found)), claimed=True)


def _marked(home: Path, found: Found) -> str | None:
    """The id in the place's mark, which is written if need be; None where it cannot be."""
    place, record = found.place, found.record
    own = record.id if record else None
    if place.git is None:
        return own
    mark = place.mark
    if mark is not None:
        if mark.project == found.directory.name and own in (None, mark.id):
            return mark.id
        original = read_record(home / mark.project)
        if original is None or original.id != mark.id:
            return own  # another store's: it would lose its project
        there = _git_folder(original.root)
        if there is not None and _same_file(there, place.git):
            return own  # two work trees of one git folder, and the mark is the other's
    mark = _Mark(found.directory.name, own or uuid.uuid4().hex)
    path = _mark_path(place.git)
    try:
        if path.parent.is_symlink():
            raise OSError(f"{path.parent} is a symbolic link")
        content = json.dumps({"schema": 1, "project": mark.project, "id": mark.id}, indent=2) + "\n"
        paths.write_atomic(path, content.encode(), mode=0o644)
    except OSError as error:
        _log.info("%s cannot be marked, so it is known by its inode: %s", place.root, error)
        return own
    return mark.id


def _write(found: Found, id_: str | None) -> Found:
    """Writes the record of ``found`` unless it says so already."""
    place, directory = _place(found.place.root), found.directory
    inode = place.inode or (found.record.inode if found.record else None)
    record = Record(directory, place.root, id_, inode, _uid(), None)
    if found.record is None or replace(found.record, stamp=None) != record:
        content = {
            "schema": 1,
            "root": str(record.root),  # ASCII, because a path may hold bytes that are not UTF-8
            "id": record.id,
            "device": record.inode[0] if record.inode else None,
            "inode": record.inode[1] if record.inode else None,
            "uid": record.uid,
        }
        paths.write_atomic(directory / RECORD, (json.dumps(content, indent=2) + "\n").encode())
    return Found(place, directory, replace(record, stamp=file_stamp(directory / RECORD)))


def read_record(directory: Path) -> Record | None:
    """The record in a project's folder; None without one. A damaged one is logged, and counts as none."""
    stamp = file_stamp(directory / RECORD)
    try:
        value = json.loads((directory / RECORD).read_text(encoding="utf-8"))
        inode = value.get("device"), value.get("inode")
        return Record(
            directory,
            Path(value["root"]),
            None if value.get("id") is None else str(value["id"]),
            (int(inode[0]), int(inode[1])) if None not in inode else None,
            None if value.get("uid") is None else int(value["uid"]),
            stamp,
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        _log.warning("%s is left out: its %s cannot be read (%s)", directory, RECORD, error)
        return None


def _records(home: Path) -> Iterator[Record]:
    try:
        names = sorted(entry.name for entry in os.scandir(home) if not entry.name.startswith("."))
    except OSError:
        return
    for name in names:
        if record := read_record(home / name):
            yield record


def _free(home: Path, root: Path) -> Path:
    """A folder for a new project: the same for all who ask before it is taken."""
    slug = re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")[:40] or "root"
    count = 0
    while True:
        key = os.fsencode(root) + (b"\0%d" % count if count else b"")
        directory = home / f"{slug}-{hashlib.sha256(key).hexdigest()[:12]}"
        if not (directory / RECORD).exists():
            return directory
        count += 1


@contextlib.contextmanager
def _locked(home: Path, seconds: float) -> Iterator[None]:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with FileLock(home / ".identity.lock", timeout=seconds):
            yield
    except Timeout:
        raise StoreUnwritable(f"another process keeps {home / '.identity.lock'} locked: try again") from None


# What a root looks like


def _place(root: Path) -> _Place:
    git = _git_folder(root)
    stamp = _stamp(root, git)
    mark = _mark_of(git)
    spoiled = git is not None and mark is None and os.path.lexists(_mark_path(git))
    return _Place(root, _inode(root), git, mark, spoiled, stamp)


def _stamp(root: Path, git: Path | None) -> tuple[Any, ...]:
    """Differs when another folder, another git folder or another mark is there."""
    try:
        entry = (root / ".git").lstat()
    except OSError:
        pointer: tuple[int, ...] = ()
    else:  # a git folder's own time changes all day
        pointer = (entry.st_ino,) if stat.S_ISDIR(entry.st_mode) else (entry.st_ino, entry.st_mtime_ns)
    return _inode(root), pointer, file_stamp(_mark_path(git)) if git else None


def _inode(path: Path) -> Inode | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _same(path: Path, place: _Place) -> bool:
    """Whether ``path`` leads to the place's folder as well (a bind mount)."""
    return place.inode is not None and _inode(path) == place.inode


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _git_folder(root: Path) -> Path | None:
    """The git folder of the work tree at ``root``, found by reading; None where there is none."""
    path = root / ".git"
    try:
        if stat.S_ISREG(path.lstat().st_mode):  # a worktree or a submodule: ``gitdir: PATH``
            content = _read_small(path).splitlines()
            if not content or not content[0].startswith(b"gitdir:"):
                return None
            path = root / os.fsdecode(content[0].removeprefix(b"gitdir:").strip())
        return path if (path / "HEAD").is_file() else None
    except (OSError, ValueError):
        return None


def _mark_path(git: Path) -> Path:
    return git / "tailora" / "project"


def _mark_of(git: Path | None) -> _Mark | None:
    if git is None:
        return None
    try:
        value = json.loads(_read_small(_mark_path(git)))
        mark = _Mark(str(value["project"]), str(value["id"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return mark if _NAME.fullmatch(mark.project) and _ID.fullmatch(mark.id) else None


def _read_small(path: Path) -> bytes:
    """A small regular file; neither a link nor a pipe is opened.

    Raises:
        OSError: something else is there.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise OSError(f"{path} is not a regular file")
    with path.open("rb") as file:
        return file.read(_SMALL)


def _uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None
