"""Adapters follow a repository that moves, and nobody else: no copy, clone, fork, other user or other folder."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tailora_adapters import _store_identity, paths
from tailora_adapters.errors import StoreError
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, Manifest
from tailora_adapters.store import ProjectStore, Store

FILES = ("a.py", "b.py", "sub/c.py")
MANIFEST = Manifest(
    base=BaseInfo("m", "1" * 64, "2" * 64),
    seed=0,
    data=DataInfo(3, 30, 1, tuple(FileInfo(name, "0", 1) for name in FILES)),
    cost=Cost(1.0, 1.0, 1.0),
)


def plain(root: Path) -> Path:
    """A folder with the files that are learned."""
    for name in FILES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    return root


def git(root: Path) -> Path:
    """The same as a git work tree."""
    plain(root)
    (root / ".git").mkdir()
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    return root


def clone(source: Path, target: Path) -> Path:
    """As git clones: the files, and a git folder of its own."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".git"))
    return git(target)


def learn(root: Path, home: Path, manifest: Manifest = MANIFEST) -> ProjectStore:
    """Serves a new version there."""
    project = Store(home).project(root)
    with project.candidate() as candidate:
        header = json.dumps({"w": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}).encode()
        weights = len(header).to_bytes(8, "little") + header + b"\1"
        (candidate.path / "adapter_model.safetensors").write_bytes(weights)
        (candidate.path / "adapter_config.json").write_text("{}")
        version = candidate.commit(manifest)
    project.promote(version.version)
    return project


def served(root: Path, home: Path) -> str | None:
    """What a new process would serve there."""
    version = Store(home).project(root).serving()
    return version.version if version else None


def mark(root: Path) -> Path:
    return root / ".git" / "tailora" / "project"


def record(project: ProjectStore) -> dict[str, object]:
    value: dict[str, object] = json.loads((project.directory / "project.json").read_text())
    return value


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=[git, plain])
def make(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """A repository with and without git."""
    result: Callable[[Path], Path] = request.param
    return result


class TestMoving:
    @pytest.mark.parametrize("target", ["renamed", "deep/down/there", "with space é"])
    def test_a_moved_repository_keeps_its_adapters(
        self, tmp_path: Path, home: Path, make: Callable[[Path], Path], target: str
    ) -> None:
        old, new = make(tmp_path / "old"), tmp_path / target
        before = learn(old, home)
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        assert served(new, home) == "1"
        after = Store(home).project(new)
        assert (after.id, after.root) == (before.id, new)
        assert record(after)["root"] == str(new)
        assert [found.root for found in Store(home).projects()] == [new]
        assert learn(new, home).id == before.id
        assert served(new, home) == "2"

    def test_the_same_store_object_follows(
        self, tmp_path: Path, home: Path, make: Callable[[Path], Path]
    ) -> None:
        store, old, new = Store(home), make(tmp_path / "old"), tmp_path / "new"
        learn(old, home)
        assert store.project(old).serving() is not None
        old.rename(new)
        assert store.project(new).serving() is not None
        new.rename(old)
        assert store.project(old).serving() is not None
        assert store.project(new).serving() is None

    def test_to_another_file_system_the_mark_goes_along(self, tmp_path: Path, home: Path) -> None:
        old, new = git(tmp_path / "old"), tmp_path / "new"
        learn(old, home)
        shutil.copytree(old, new)
        shutil.rmtree(old)
        assert served(new, home) == "1"

    def test_a_new_repository_at_the_old_place_begins_anew(
        self, tmp_path: Path, home: Path, make: Callable[[Path], Path]
    ) -> None:
        old, new = make(tmp_path / "old"), tmp_path / "new"
        learn(old, home)
        old.rename(new)
        other = tmp_path / "old"
        (other / "other").mkdir(parents=True)
        (other / "other" / "z.py").write_text("z = 1\n")
        assert served(other, home) is None
        assert served(new, home) == "1"
        assert learn(other, home).id != Store(home).project(new).id
        assert (served(other, home), served(new, home)) == ("1", "1")

    def test_what_the_user_set_goes_along(self, tmp_path: Path, home: Path) -> None:
        old, new = git(tmp_path / "old"), tmp_path / "new"
        Store(home).project(old).set_paused(True)
        old.rename(new)
        assert Store(home).project(new).paused

    def test_the_same_place_by_another_path(
        self, tmp_path: Path, home: Path, make: Callable[[Path], Path]
    ) -> None:
        root, link = make(tmp_path / "root"), tmp_path / "link"
        learn(root, home)
        link.symlink_to(root)
        assert served(link, home) == "1"


class TestOthers:
    def test_a_copy_gets_none(self, tmp_path: Path, home: Path, make: Callable[[Path], Path]) -> None:
        root, copy = make(tmp_path / "root"), tmp_path / "copy"
        learn(root, home)
        shutil.copytree(root, copy)
        assert served(copy, home) is None
        assert Store(home).project(copy).versions() == []
        assert served(root, home) == "1"

    def test_a_copy_that_learns_is_a_project_of_its_own(self, tmp_path: Path, home: Path) -> None:
        root, copy = git(tmp_path / "root"), tmp_path / "copy"
        original = learn(root, home)
        shutil.copytree(root, copy)
        assert learn(copy, home).id != original.id
        learn(copy, home)
        assert mark(copy).read_text() != mark(root).read_text()
        assert (served(root, home), served(copy, home)) == ("1", "2")
        shutil.rmtree(root)
        copy.rename(root)
        assert served(root, home) == "2"

    def test_a_clone_or_fork_gets_none(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        learn(root, home)
        assert served(clone(root, tmp_path / "fork"), home) is None

    def test_a_clone_in_the_place_of_a_deleted_repository_gets_none(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        before = learn(root, home)
        spare = clone(root, tmp_path / "spare")
        shutil.rmtree(root)
        spare.rename(root)
        assert served(root, home) is None
        assert learn(root, home).id != before.id
        assert served(root, home) == "1"

    def test_an_engine_that_runs_notices_the_clone(self, tmp_path: Path, home: Path) -> None:
        store, root = Store(home), git(tmp_path / "root")
        learn(root, home)
        stale = store.project(root)
        assert stale.serving() is not None
        spare = clone(root, tmp_path / "spare")
        shutil.rmtree(root)
        spare.rename(root)
        assert store.project(root).serving() is None
        with pytest.raises(StoreError, match="another repository"):
            stale.set_paused(True)

    def test_a_folder_that_got_a_used_inode_gets_none(
        self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = plain(tmp_path / "root")
        project = learn(root, home)
        other = tmp_path / "other"
        other.mkdir()
        (other / "a.py").write_text("one of the three names\n")
        shutil.rmtree(root)
        stat = other.stat()
        changed = record(project) | {"device": stat.st_dev, "inode": stat.st_ino}
        (project.directory / "project.json").write_text(json.dumps(changed))
        assert served(other, home) is None
        (other / "b.py").write_text("two of three: it is the folder\n")
        assert served(other, home) == "1"

    def test_another_folder_below_a_repository_gets_none(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        learn(root, home)
        assert served(root / "sub", home) is None

    def test_another_user_is_refused(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        project = learn(root, home)
        (project.directory / "project.json").write_text(
            json.dumps(record(project) | {"uid": os.getuid() + 1})
        )
        theirs = Store(home).project(root)
        calls: list[Callable[[], object]] = [
            theirs.serving,
            theirs.versions,
            theirs.rollback,
            lambda: theirs.get("1"),
            lambda: theirs.set_paused(True),
            lambda: theirs.disabled,
            lambda: theirs.delete_all(),
            lambda: learn(root, home),
        ]
        for call in calls:
            with pytest.raises(StoreError, match=r"another user.*TAILORA_HOME"):
                call()
        assert (project.directory / "versions" / "1").is_dir()
        assert Store(home).projects() == []

    def test_a_mark_cannot_lead_out_of_the_store(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        elsewhere = learn(git(tmp_path / "victim"), tmp_path / "elsewhere")
        mark(root).parent.mkdir()
        content = {"schema": 1, "project": f"../elsewhere/{elsewhere.id}", "id": record(elsewhere)["id"]}
        mark(root).write_text(json.dumps(content))
        assert served(root, home) is None
        assert Store(home).project(root).directory.parent == home

    def test_a_git_folder_that_links_elsewhere_is_not_written_to(self, tmp_path: Path, home: Path) -> None:
        root, precious = git(tmp_path / "root"), tmp_path / "precious"
        precious.mkdir()
        (root / ".git" / "tailora").symlink_to(precious)
        learn(root, home)
        assert list(precious.iterdir()) == []
        assert served(root, home) == "1"


class TestMark:
    def test_nothing_is_written_before_something_is_stored(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        project = Store(home).project(root)
        assert project.serving() is None
        assert project.versions() == []
        assert not project.disabled
        assert not (root / ".git" / "tailora").exists()
        assert not home.exists()
        project.set_paused(True)
        assert json.loads(mark(root).read_text())["project"] == project.id

    def test_git_does_not_see_it(self, tmp_path: Path, home: Path) -> None:
        root = plain(tmp_path / "root")
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

        def run(*arguments: str, cwd: Path = root) -> str:
            return subprocess.run(
                ["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True, text=True
            ).stdout

        if shutil.which("git") is None:
            pytest.skip("no git on this machine")
        run("init", "-q")
        run("add", ".")
        run("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
        learn(root, home)
        assert run("status", "--porcelain") == ""
        run("fsck", "--strict")
        run("gc", "-q", "--prune=now")
        assert served(root, home) == "1"
        run("clone", "-q", str(root), str(tmp_path / "clone"))
        assert served(tmp_path / "clone", home) is None
        run("worktree", "add", "-q", str(tmp_path / "tree"), "-b", "b")
        assert served(tmp_path / "tree", home) is None
        learn(tmp_path / "tree", home)
        learn(tmp_path / "tree", home)
        run("worktree", "move", str(tmp_path / "tree"), str(tmp_path / "moved"))
        assert (served(root, home), served(tmp_path / "moved", home)) == ("1", "2")

    def test_a_store_from_before_the_mark_keeps_its_adapters(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        project = learn(root, home)
        mark(root).unlink()
        (project.directory / "project.json").write_text(json.dumps({"schema": 1, "root": str(root)}))
        assert served(root, home) == "1"
        assert not mark(root).exists()
        Store(home).project(root).set_paused(False)
        assert mark(root).exists()
        root.rename(tmp_path / "moved")
        assert served(tmp_path / "moved", home) == "1"

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"project": "x"}', b"\xff" * 9000])
    def test_a_damaged_mark_is_mended_where_the_repository_stayed(
        self, tmp_path: Path, home: Path, content: bytes
    ) -> None:
        root = git(tmp_path / "root")
        learn(root, home)
        mark(root).write_bytes(content)
        shutil.copytree(root, tmp_path / "copy")
        assert served(tmp_path / "copy", home) is None
        assert served(root, home) == "1"
        Store(home).project(root).disable()
        assert json.loads(mark(root).read_text())["project"] == Store(home).project(root).id

    def test_a_removed_git_folder_changes_nothing(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        learn(root, home)
        shutil.rmtree(root / ".git")
        assert served(root, home) == "1"

    def test_two_stores_share_one_repository(self, tmp_path: Path, home: Path) -> None:
        root, other = git(tmp_path / "root"), tmp_path / "other-store"
        learn(root, home)
        first = mark(root).read_text()
        learn(root, other)
        learn(root, other)
        assert mark(root).read_text() == first
        root.rename(tmp_path / "moved")
        assert (served(tmp_path / "moved", home), served(tmp_path / "moved", other)) == ("1", "2")

    def test_a_git_folder_that_cannot_be_written(
        self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = paths.write_atomic

        def refuse(path: Path, data: bytes, *, mode: int = 0o600) -> None:
            if ".git" in path.parts:
                raise PermissionError(13, "Permission denied")
            write(path, data, mode=mode)

        monkeypatch.setattr(paths, "write_atomic", refuse)
        root, new = git(tmp_path / "root"), tmp_path / "new"
        learn(root, home)
        assert served(root, home) == "1"
        shutil.copytree(root, tmp_path / "copy")
        assert served(tmp_path / "copy", home) is None
        root.rename(new)
        assert served(new, home) == "1"

    def test_a_pipe_in_its_place_hangs_nothing(self, tmp_path: Path, home: Path) -> None:
        root = git(tmp_path / "root")
        mark(root).parent.mkdir()
        os.mkfifo(mark(root))
        assert served(root, home) is None
        other = plain(tmp_path / "other")
        os.mkfifo(other / ".git")
        assert served(other, home) is None


class TestWorktrees:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """A worktree, whose git folder lies in the repository's."""
        main = git(tmp_path / "main")
        folder = main / ".git" / "worktrees" / "tree"
        folder.mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/b\n")
        tree = plain(tmp_path / "tree")
        (tree / ".git").write_text(f"gitdir: {folder}\n")
        return tree

    def test_is_a_project_of_its_own(self, tmp_path: Path, home: Path, tree: Path) -> None:
        learn(tmp_path / "main", home)
        assert served(tree, home) is None
        learn(tree, home)
        tree.rename(tmp_path / "moved")
        assert served(tmp_path / "moved", home) == "1"

    def test_a_copy_does_not_take_the_mark_over(self, tmp_path: Path, home: Path, tree: Path) -> None:
        copy = tmp_path / "copy"
        learn(tree, home)
        shutil.copytree(tree, copy)
        assert served(copy, home) is None
        learn(copy, home)
        learn(copy, home)
        assert (served(tree, home), served(copy, home)) == ("1", "2")

    def test_a_submodule_is_found_by_a_relative_path(self, tmp_path: Path, home: Path) -> None:
        outer = git(tmp_path / "outer")
        folder = outer / ".git" / "modules" / "inner"
        folder.mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/main\n")
        inner = plain(outer / "inner")
        (inner / ".git").write_text("gitdir: ../.git/modules/inner\n")
        learn(inner, home)
        assert (folder / "tailora" / "project").is_file()
        outer.rename(tmp_path / "moved")
        assert served(tmp_path / "moved" / "inner", home) == "1"
        assert served(tmp_path / "moved", home) is None

    @pytest.mark.parametrize(
        "content", [b"", b"gitdir:", b"gitdir: /nowhere\n", b"\xff\xfe", b"gitdir: \0\n"]
    )
    def test_a_broken_pointer_is_no_git_folder(self, tmp_path: Path, home: Path, content: bytes) -> None:
        root = plain(tmp_path / "root")
        (root / ".git").write_bytes(content)
        learn(root, home)
        root.rename(tmp_path / "new")
        assert served(tmp_path / "new", home) == "1"


class TestStore:
    def test_looking_again_reads_nothing(
        self, tmp_path: Path, home: Path, make: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = make(tmp_path / "root")
        learn(root, home)
        store = Store(home)
        first = store.project(root)
        monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("opened a file"))
        monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("read a file"))
        monkeypatch.setattr(os, "scandir", lambda *_: pytest.fail("listed a folder"))
        assert store.project(root) is first

    def test_a_read_only_store_serves_a_moved_repository(
        self, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        root = git(tmp_path / "root")
        project = learn(root, home)
        monkeypatch.setattr(paths, "write_atomic", refuse)
        root.rename(tmp_path / "new")
        assert served(tmp_path / "new", home) == "1"
        assert record(project)["root"] == str(root)

    def test_paths_that_are_not_utf_8(self, tmp_path: Path, home: Path, make: Callable[[Path], Path]) -> None:
        old = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
        new = Path(os.fsdecode(os.fsencode(tmp_path) + b"/th\xe9"))
        learn(make(old), home)
        assert served(old, home) == "1"
        old.rename(new)
        assert served(new, home) == "1"
        assert Store(home).projects()[0].root == new

    def test_a_gone_repository_can_still_be_deleted(
        self, tmp_path: Path, home: Path, make: Callable[[Path], Path]
    ) -> None:
        root = make(tmp_path / "root")
        learn(root, home)
        shutil.rmtree(root)
        project = Store(home).project(root)
        assert len(project.versions()) == 1
        project.delete_all()
        assert project.versions() == []

    def test_a_damaged_record_is_logged_and_costs_a_training(
        self, tmp_path: Path, home: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = git(tmp_path / "root")
        project = learn(root, home)
        (project.directory / "project.json").write_text("{")
        with caplog.at_level(logging.WARNING):
            assert served(root, home) is None
        assert "project.json" in caplog.text
        learn(root, home)
        assert served(root, home) == "1"


def test_processes_that_find_a_moved_repository_at_once(tmp_path: Path, home: Path) -> None:
    old, new = git(tmp_path / "old"), tmp_path / "new"
    learn(old, home)
    script = (
        "import sys; from pathlib import Path; from tailora_adapters.store import Store\n"
        "sys.stdin.readline()\n"
        "for n in range(15):\n"
        "    project = Store(Path(sys.argv[1])).project(Path(sys.argv[2]))\n"
        "    assert project.serving().version == '1', n\n"
        "    project.set_paused(not project.paused)\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", script, str(home), str(new)], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    old.rename(new)
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.close()
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    assert [found.root for found in Store(home).projects()] == [new]


@pytest.mark.parametrize("late", [("record",), ("mark", "record")])
def test_a_look_while_another_process_claims_the_project(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, late: tuple[str, ...]
) -> None:
    root = git(tmp_path / "repository")
    directory = learn(root, home).directory
    files = {"mark": root / ".git" / "tailora" / "project", "record": directory / "project.json"}
    contents = {name: files[name].read_bytes() for name in late}
    for name in late:
        files[name].unlink()
    records = _store_identity._records

    def claimed_meanwhile(home: Path) -> Iterator[_store_identity.Record]:
        found = list(records(home))
        for name, content in contents.items():
            files[name].write_bytes(content)
        contents.clear()
        return iter(found)

    monkeypatch.setattr(_store_identity, "_records", claimed_meanwhile)
    store = Store(home)
    assert store.project(root).directory == directory
    assert store.project(root).serving() is not None


def test_processes_that_store_at_once_are_one_project(tmp_path: Path, home: Path) -> None:
    root = git(tmp_path / "root")
    script = (
        "import sys; from pathlib import Path; from tailora_adapters.store import Store\n"
        "project = Store(Path(sys.argv[1])).project(Path(sys.argv[2]))\n"
        "sys.stdin.readline()\n"
        "project.set_paused(True)\n"
        "print(project.id)\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(home), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    assert len({worker.communicate(timeout=60)[0] for worker in workers}) == 1
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(Store(home).projects()) == 1


class TestBase:
    """Another base model gets none of the adapters, and the first one gets them again."""

    A, B = BaseInfo("a", "1" * 64, "2" * 64), BaseInfo("b", "3" * 64, "2" * 64)

    def serving(self, project: ProjectStore, base: BaseInfo) -> str | None:
        version = project.serving(base)
        return version.version if version else None

    def test_switching_and_back(self, tmp_path: Path, home: Path) -> None:
        root = plain(tmp_path / "root")
        project = learn(root, home, replace(MANIFEST, base=self.A))
        assert [self.serving(project, base) for base in (self.A, self.B, self.A)] == ["1", None, "1"]
        learn(root, home, replace(MANIFEST, base=self.B))
        assert [self.serving(project, base) for base in (self.A, self.B, self.A)] == ["1", "2", "1"]
        assert project.get("1").status == "retired"

    def test_rolling_back_what_a_model_serves(self, tmp_path: Path, home: Path) -> None:
        root = plain(tmp_path / "root")
        for base in (self.A, self.A, self.B):
            project = learn(root, home, replace(MANIFEST, base=base))
        back = project.rollback(self.A)
        assert back is not None
        assert back.version == "1"
        assert [self.serving(project, base) for base in (self.A, self.B)] == ["1", "3"]
        assert project.rollback(self.A) is None
        assert [self.serving(project, base) for base in (self.A, self.B)] == [None, "3"]
        assert project.rollback(self.A) is None
        assert self.serving(project, self.B) == "3"
        project.disable()
        assert project.rollback(self.B) is None
        project.enable()
        assert project.serving() is None

    def test_withdrawing_what_a_model_serves(self, tmp_path: Path, home: Path) -> None:
        root = plain(tmp_path / "root")
        for base in (self.A, self.B, self.A, self.B):
            project = learn(root, home, replace(MANIFEST, base=base))
        assert [project.before(base) for base in (self.A, self.B, None)] == [["1"], ["2"], ["3", "2", "1"]]
        assert not project.withdraw("1", "few accepted", self.A)
        assert project.withdraw("3", "few accepted", self.A)
        assert [self.serving(project, base) for base in (self.A, self.B)] == ["1", "4"]
        assert project.get("3").withdrawn == "few accepted"
        assert not project.withdraw("3", "again", self.A)
        assert [project.before(base) for base in (self.A, self.B, None)] == [[], ["2"], ["2", "1"]]
        assert project.withdraw("4", "few accepted", self.B)
        assert [self.serving(project, base) for base in (self.A, self.B)] == ["1", "2"]

    @pytest.mark.parametrize("changed", [{"sha256": "9" * 64}, {"tokenizer_sha256": "9" * 64}, {"name": "c"}])
    def test_any_difference_counts(self, tmp_path: Path, home: Path, changed: dict[str, str]) -> None:
        project = learn(plain(tmp_path / "root"), home, replace(MANIFEST, base=self.A))
        assert self.serving(project, replace(self.A, **changed)) is None
        assert self.serving(project, BaseInfo("a", "", "")) == "1"
