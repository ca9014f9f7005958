"""What changed while nobody watched."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tailora.engine import catch_up as module
from tailora.engine import watcher as watcher_module
from tailora.engine.catch_up import catch_up
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, Manifest

CREATED = 1_795_608_000.0


def put(path: Path, text: str, mtime: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (mtime, mtime))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    put(folder / "same.py", "learned", CREATED + 100)  # checked out back and forth
    put(folder / "other.py", "changed", CREATED + 100)
    put(folder / "old.py", "held out", CREATED - 100)
    put(folder / "src/new.py", "new", CREATED + 200)
    put(folder / "src/large.py", "x" * 300_000, CREATED + 200)
    put(folder / "node_modules/x.js", "new", CREATED + 200)
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    put(tmp_path / "outside.py", "x", CREATED + 200)
    return folder


@pytest.fixture
def manifest() -> Manifest:
    learned = hashlib.sha256(b"learned").hexdigest()
    return Manifest(
        created=datetime.fromtimestamp(CREATED, UTC).isoformat(),
        base=BaseInfo("tiny", "a" * 64, "b" * 64),
        seed=0,
        data=DataInfo(1, 2, 3, files=(FileInfo("same.py", learned, 1), FileInfo("other.py", learned, 1))),
        cost=Cost(1.0, 2.0, 3.0),
    )


def test_newer_files_that_differ_from_what_was_learned(root: Path, manifest: Manifest) -> None:
    missed = catch_up(root, manifest, None)
    assert missed.changed == {"other.py": 7, "src/new.py": 3}
    assert missed.sizes == {"same.py": 7, "other.py": 7, "old.py": 8, "src/new.py": 3}


def test_what_was_noted_already_is_not_noted_again(root: Path, manifest: Manifest) -> None:
    assert catch_up(root, manifest, CREATED + 150).changed == {"src/new.py": 3}
    assert catch_up(root, None, CREATED + 150).changed == {"src/new.py": 3}


def test_a_project_that_was_never_learned_or_watched_has_no_changes(root: Path) -> None:
    assert catch_up(root, None, None).changed == {}


def test_what_is_ignored_is_no_change(root: Path, manifest: Manifest) -> None:
    put(root / ".gitignore", "out/\nnew.*\n", CREATED)
    put(root / "out/app.js", "built", CREATED + 200)
    put(root / "env/a.py", "new", CREATED + 200)
    assert catch_up(root, manifest, None).changed == {"other.py": 7, "env/a.py": 3}


def test_files_of_other_kinds_hide_no_changes(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 3)
    for number in range(50):
        put(root / f"assets/{number}.png", "", CREATED + 200)
    missed = catch_up(root, manifest, None)
    assert (missed.changed, missed.many) == ({"other.py": 7, "src/new.py": 3}, False)
    assert len(missed.sizes) == 3


def test_more_changes_than_are_named_are_told(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 1)
    missed = catch_up(root, manifest, None)
    assert (len(missed.changed), missed.many) == (1, True)


def test_that_not_all_was_looked_at_is_told(
    root: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher_module, "_LIMIT", 2)
    assert catch_up(root, manifest, None).many
    assert not catch_up(root, None, None).many


def test_a_folder_that_is_gone_has_no_changes(tmp_path: Path, manifest: Manifest) -> None:
    assert catch_up(tmp_path / "gone", manifest, 0.0).changed == {}
