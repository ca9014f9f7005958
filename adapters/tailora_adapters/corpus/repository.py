"""A git repository's commits and texts, read from its object store and from nothing else.

Never runs git; reads no configuration, hooks, attributes or filters; writes nothing. Knows nothing of what is
learned. Invariant: whatever is missing, damaged or of an unknown form raises ``HistoryUnreadable``, never
anything else.
"""

import contextlib
import functools
import itertools
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dulwich.diff_tree import walk_trees
from dulwich.object_format import SHA1, SHA256
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, ObjectID, Tag, TreeEntry
from dulwich.objects import Commit as GitCommit
from dulwich.refs import HEADREF, DiskRefsContainer, Ref

from tailora_adapters.corpus.ignore import git_directories
from tailora_adapters.errors import HistoryUnreadable

__all__ = ["Change", "Commit", "Repository"]

_MOST_ENTRIES = 100_000
"""Of two trees, compared or listed: a tree that repeats itself is endless in effect."""
_MOST_INFLATED = 8 * 1024 * 1024
"""Bytes of a loose object."""
_MOST_ALTERNATES = 20
"""Object stores that one borrows from."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What is needed of a commit."""

    id: str
    tree: str
    parents: tuple[str, ...]
    when: int
    """When it was committed, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Change:
    """A regular file that differs between two trees."""

    path: str
    """Relative to the repository's top folder, with ``/``."""
    old: str | None
    """Identifier of its content; None where there is none."""
    new: str | None


class Repository:
    """The repository that a folder is in. To be closed; not thread-safe."""

    def __init__(self, root: Path) -> None:
        """``root`` may be a folder inside the repository.

        Raises:
            HistoryUnreadable: it is in no repository, or that has no commit that can be read.
        """
        top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
        if top is None:
            raise HistoryUnreadable("no git repository")
        self.prefix = "" if top == root else root.relative_to(top).as_posix() + "/"
        """Of the paths that are below ``root``."""
        own, common = git_directories(top / ".git")
        if (common / "reftable").exists():
            raise HistoryUnreadable("the repository keeps its references in a table, which is not read")
        with _reading("its references"):
            self._references = DiskRefsContainer(common, own)
            self.head = os.fsdecode(self._references[HEADREF])
            """Identifier of the current commit."""
            self._format = SHA256 if len(self.head) == SHA256.hex_length else SHA1
            _check_alternates(common / "objects")
            self._store = DiskObjectStore(
                common / "objects", object_format=self._format, loose_object_size_limit=_MOST_INFLATED
            )

    def close(self) -> None:
        """Closes the packs."""
        with _reading("its packs"):
            self._store.close()

    def resolve(self, revision: str) -> Commit:
        """The commit of a branch, a tag, ``HEAD`` or a full identifier, perhaps followed by ``~N``.

        Raises:
            HistoryUnreadable: there is none of that name.
        """
        name, _, back = revision.partition("~")
        with _reading(f"revision {revision}"):
            places = (name, f"refs/heads/{name}", f"refs/tags/{name}", f"refs/remotes/{name}")
            known = [self._references[Ref(place.encode())] for place in places if self._has(place)]
            found = self._store[known[0] if known else ObjectID(name.encode())]
            while isinstance(found, Tag):
                found = self._store[found.object[1]]
            commit = self.commit(found.id.decode())
            for _ in range(int(back or "1") if "~" in revision else 0):
                commit = self.commit(commit.parents[0])
            return commit

    def _has(self, name: str) -> bool:
        return Ref(name.encode()) in self._references

    def commit(self, identifier: str) -> Commit:
        """Raises ``HistoryUnreadable`` where it is missing, as beyond the edge of a shallow clone."""
        with _reading(f"commit {identifier[:10]}"):
            found = self._store[ObjectID(identifier.encode())]
            if not isinstance(found, GitCommit):
                raise ValueError("not a commit")
            parents = tuple(parent.decode() for parent in found.parents)
            return Commit(identifier, found.tree.decode(), parents, found.commit_time)

    def changes(self, old: str | None, new: str | None) -> list[Change]:
        """The regular files that differ between two trees, by path."""
        with _reading("a tree"):
            pairs = walk_trees(self._store, _identifier(old), _identifier(new), prune_identical=True)
            found = []
            for before, after in itertools.islice(pairs, _MOST_ENTRIES):
                change = _change(before, after)
                if change and change.old != change.new:
                    found.append(change)
            return sorted(found, key=lambda change: change.path)

    @functools.lru_cache(maxsize=128)  # noqa: B019  the repository lives for one reading
    def text(self, identifier: str, limit: int) -> str | None:
        """A file's content with LF line endings, or None where it is no text or has over ``limit`` bytes."""
        with _reading("a file's content"):
            found = self._store[ObjectID(identifier.encode())]
            if not isinstance(found, Blob):
                raise ValueError("not a file's content")
            data = found.data
        if len(data) > limit or b"\0" in data:
            return None
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            return None

    def identifiers(self, text: str) -> set[str]:
        """What the content identifiers of ``text`` can be, with either line ending."""
        texts = (text.encode("utf-8"), text.replace("\n", "\r\n").encode("utf-8"))
        return {self._format.hash_object_hex(b"blob %d\0" % len(data) + data).decode() for data in texts}


def _check_alternates(objects: Path) -> None:
    """Raises ``ValueError`` where object stores borrow from each other in a circle, which dulwich follows."""
    pending, seen = [objects], {objects.resolve()}
    while pending:
        folder = pending.pop()
        borrowed = folder / "info" / "alternates"
        for line in borrowed.read_text(encoding="utf-8").splitlines() if borrowed.is_file() else ():
            other = (folder / line).resolve()
            if other in seen or len(seen) > _MOST_ALTERNATES:
                raise ValueError("alternates that go round")
            if not line.startswith("#"):
                seen.add(other)
                pending.append(other)


def _change(before: TreeEntry | None, after: TreeEntry | None) -> Change | None:
    entry = after or before
    try:
        path = entry.path.decode("utf-8") if entry else ""
    except UnicodeDecodeError:
        return None  # no such file is learned
    return Change(path, _file(before), _file(after))


def _file(entry: TreeEntry | None) -> str | None:
    return entry.sha.decode() if entry and stat.S_ISREG(entry.mode) else None


def _identifier(text: str | None) -> ObjectID | None:
    return ObjectID(text.encode()) if text else None


@contextlib.contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the files are anybody's: damage shows as every kind of error
        raise HistoryUnreadable(f"{what} cannot be read ({type(error).__name__})") from error
