"""Git repositories made object by object, so that every state of one can be had without git; and secrets to plant."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from dulwich.index import commit_tree
from dulwich.objects import Blob, Commit, ObjectID
from dulwich.refs import Ref
from dulwich.repo import Repo

from tailora_adapters.corpus import planted

DAY = 24 * 3600
NOW = 1_790_000_000
"""Some time in the past."""

Content = Mapping[str, str | bytes]


class GitRepository:
    """A repository whose commits are whole trees."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._repo = Repo.init(root)
        self.store = self._repo.object_store

    def commit(self, files: Content, *, days_ago: float = 0.0, parents: Sequence[str] | None = None) -> str:
        """Makes ``files`` the tree of a new commit on top of the current one; the folder stays as it is."""
        blobs = []
        for path, content in files.items():
            blob = Blob.from_string(content if isinstance(content, bytes) else content.encode())
            self.store.add_object(blob)
            blobs.append((path.encode(), blob.id, 0o100644))
        commit = Commit()
        commit.tree = commit_tree(self.store, blobs)
        if parents is None:
            parents = [self.head] if self.head else []
        commit.parents = [ObjectID(parent.encode()) for parent in parents]
        commit.author = commit.committer = b"A <a@example.org>"
        commit.author_time = commit.commit_time = int(NOW - days_ago * DAY)
        commit.author_timezone = commit.commit_timezone = 0
        commit.message = b"x"
        self.store.add_object(commit)
        self._repo.refs[Ref(b"HEAD")] = commit.id
        return commit.id.decode()

    @property
    def head(self) -> str:
        try:
            return self._repo.refs[Ref(b"HEAD")].decode()
        except KeyError:
            return ""

    def write(self, files: Content) -> None:
        """Writes ``files`` to the folder."""
        for path, content in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())

    def loose(self, identifier: str) -> Path:
        """The file of an object."""
        return self.root / ".git" / "objects" / identifier[:2] / identifier[2:]

    def pack(self) -> None:
        """Moves all objects into one pack."""
        self.store.pack_loose_objects()

    def close(self) -> None:
        self._repo.close()


@pytest.fixture
def make_git(tmp_path: Path) -> Iterator[Callable[..., GitRepository]]:
    """``make_git(name="repo")``: an empty repository."""
    made: list[GitRepository] = []

    def make(name: str = "repo") -> GitRepository:
        made.append(GitRepository(tmp_path / name))
        return made[-1]

    yield make
    for repository in made:
        repository.close()


@pytest.fixture
def git(make_git: Callable[..., GitRepository]) -> GitRepository:
    """An empty repository."""
    return make_git()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for ``secret_kind`` run once for each."""
    if "secret_kind" in metafunc.fixturenames:
        metafunc.parametrize("secret_kind", planted.KINDS)


@pytest.fixture
def plant() -> Callable[[str, int], planted.Planted]:
    """``plant(kind, seed)``: a statement with a secret of this kind."""
    return planted.plant


@pytest.fixture
def secret_kinds() -> tuple[str, ...]:
    """Of ``plant``."""
    return planted.KINDS
