"""Which changes are noticed."""

import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tailora.engine import watcher as watcher_module
from tailora.engine.watcher import Watcher, is_head_move, is_relevant


class Seen:
    """What a watcher told."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.heads = 0
        self.gone = threading.Event()
        self._condition = threading.Condition()

    def on_files(self, sizes: Mapping[str, int]) -> None:
        with self._condition:
            self.files |= sizes.keys()
            self.sizes |= sizes
            self._condition.notify_all()

    def on_head(self) -> None:
        with self._condition:
            self.heads += 1
            self._condition.notify_all()

    def until(self, *paths: str) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: set(paths) <= self.files, 20), self.files

    def until_head(self) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self.heads > 0, 20)


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    folder = tmp_path / "project"
    for name in ("src", ".git/refs/heads", "node_modules/x", ".venv"):
        (folder / name).mkdir(parents=True)
    (folder / ".git/HEAD").write_text("ref: refs/heads/main\n")
    return folder


@pytest.fixture(params=[False, True], ids=["notified", "polled"])
def seen(root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    if request.param:
        monkeypatch.setattr(watcher_module, "_too_many_folders", lambda _root: True)
    result = Seen()
    watching = Watcher(root, result.on_files, result.on_head, result.gone.set, poll_s=0.05)
    note = watching.start()
    assert (note is not None) == request.param
    yield result
    watching.stop()
    watching.stop()


def test_written_moved_and_deleted_files_are_told(root: Path, seen: Seen) -> None:
    (root / "src/a.py").write_text("1")
    (root / "new/deep").mkdir(parents=True)
    (root / "new/deep/b.rs").write_text("1")
    seen.until("src/a.py", "new/deep/b.rs")
    (root / "src/a.py").rename(root / "src/c.py")
    seen.until("src/c.py")
    seen.files.clear()
    (root / "src/c.py").unlink()
    seen.until("src/c.py")


def test_what_cannot_be_learned_is_not_told(root: Path, seen: Seen) -> None:
    for path in ("node_modules/x/a.js", ".venv/b.py", ".git/c.py", "picture.png", "notes.txt", ".hidden.py"):
        (root / path).write_text("1")
    (root / "last.py").write_text("1")
    seen.until("last.py")
    assert seen.files == {"last.py"}


def write(root: Path, path: str, text: str = "1") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_folders_that_are_learned_whatever_their_name_are_told(root: Path, seen: Seen) -> None:
    write(root, "rust/Cargo.toml")
    for path in ("rust/target/a.rs", "src/env/config.py", "core/target/select.py"):
        write(root, path)
    seen.until("src/env/config.py", "core/target/select.py")
    assert seen.files == {"src/env/config.py", "core/target/select.py"}


def test_what_is_ignored_or_too_large_is_not_told(root: Path, seen: Seen) -> None:
    write(root, ".gitignore", "out/\n*.out.js\n")
    write(root, "web/.gitignore", "/local.js\n")
    write(root, ".tailoraignore", "legacy/\n")
    for path in ("out/app.js", "web/x.out.js", "web/local.js", "legacy/a.py"):
        write(root, path)
    write(root, "large.py", "x" * 300_000)
    write(root, "last.py")
    seen.until("last.py")
    assert seen.files == {"last.py"}


def test_a_rule_that_changes_holds_from_then_on(root: Path, seen: Seen) -> None:
    write(root, ".gitignore", "out/\n")
    write(root, "out/a.js")
    write(root, "first.py")
    seen.until("first.py")
    write(root, ".gitignore", "*.ts\n")
    write(root, "out/b.js")
    seen.until("out/b.js")
    write(root, "c.ts")
    write(root, "last.py")
    seen.until("last.py")
    assert "c.ts" not in seen.files


def test_sizes_are_told(root: Path, seen: Seen) -> None:
    write(root, "a.py", "12345")
    seen.until("a.py")
    write(root, "a.py", "1234567")
    write(root, "b.py")
    seen.until("b.py")
    (root / "a.py").unlink()
    write(root, "last.py")
    seen.until("last.py")
    assert (seen.sizes["a.py"], seen.sizes["last.py"]) == (0, 1)


def test_links_are_not_followed(root: Path, seen: Seen, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "out").symlink_to(outside, target_is_directory=True)
    (outside / "a.py").write_text("1")
    (root / "last.py").write_text("1")
    seen.until("last.py")
    assert seen.files == {"last.py"}


def test_a_deleted_folder_is_told(root: Path, seen: Seen) -> None:
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            Path(folder, name).unlink()
        Path(folder).rmdir()
    assert seen.gone.wait(20)


@pytest.mark.parametrize("seen", [False], indirect=True, ids=["notified"])
def test_what_happens_in_a_folder_that_was_moved_away_is_not_told(root: Path, seen: Seen) -> None:
    old = root.with_name("old")
    root.rename(old)
    shutil.copytree(old, root)
    write(old, "a.py")
    assert seen.gone.wait(20)
    assert seen.files == set()


def test_a_head_move_is_told(root: Path, home: Path) -> None:
    result = Seen()
    watching = Watcher(root, result.on_files, result.on_head, result.gone.set)
    watching.start()
    (root / ".git/refs/heads/main").write_text("0" * 40)
    result.until_head()
    watching.stop()
    assert result.files == set()


def test_the_systems_limit_means_polling(root: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "run").mkdir(parents=True)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(Watcher, "_probe", refuse)
    result = Seen()
    watching = Watcher(root, result.on_files, result.on_head, result.gone.set, poll_s=0.05)
    note = watching.start()
    assert note is not None
    assert "inotify watch limit reached" in note
    (root / "a.py").write_text("1")
    result.until("a.py")
    watching.stop()


@pytest.mark.parametrize("path", ["a.py", "src/b.TS", "a/b/c.go", "build.rs", "env/a.py"])
def test_relevant(path: str) -> None:
    assert is_relevant(path)


@pytest.mark.parametrize("path", ["", "a", "a.txt", ".a.py", "venv/a.py", "x/.y/a.py", "dist/a.js"])
def test_irrelevant(path: str) -> None:
    assert not is_relevant(path)


def test_head_moves() -> None:
    assert is_head_move(".git/HEAD")
    assert is_head_move(".git/refs/heads/feature/x")
    assert not is_head_move(".git/index")
    assert not is_head_move("sub/.git/HEAD")
