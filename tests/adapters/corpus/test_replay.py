"""The replay memory stays bounded, favours the recent without losing the old, and forgets what is gone."""

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from tailora_adapters import paths
from tailora_adapters.corpus.replay import FILE_NAME, Reservoir
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.errors import StoreUnwritable

DAY = 24 * 3600.0
NOW = 1_800_000_000.0


def source(path: str, text: str = "x = 1\n") -> SourceFile:
    return SourceFile(path, "python", text, hashlib.sha256(text.encode()).hexdigest(), 0.0)


def sources(start: int, stop: int) -> list[SourceFile]:
    return [source(f"f{number}.py") for number in range(start, stop)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "project" / FILE_NAME


def test_counts_and_survives(path: Path) -> None:
    assert len(Reservoir(path)) == 0
    assert not path.exists()
    Reservoir(path).update([source("a.py"), source("b.py")], NOW)
    Reservoir(path).update([source("a.py", "x = 2\n")], NOW + 5)
    entries = Reservoir(path).entries
    assert [(entry.path, entry.times, entry.last) for entry in entries] == [
        ("a.py", 2, NOW + 5),
        ("b.py", 1, NOW),
    ]
    assert entries[0].sha256 == source("a.py", "x = 2\n").sha256
    assert "a.py" in Reservoir(path)


def test_holds_no_source_text(path: Path) -> None:
    Reservoir(path).update([source("a.py", "very_private_name = 1\n")], NOW)
    assert "very_private_name" not in path.read_text()
    assert set(json.loads(path.read_text())["entries"][0]) == {"path", "sha256", "times", "last"}


def test_bounded_and_recent_first_but_not_only(path: Path) -> None:
    reservoir = Reservoir(path, capacity=200)
    reservoir.update(sources(0, 300), NOW - 60 * DAY)  # two half-lives: a quarter of the weight
    reservoir.update(sources(300, 600), NOW)
    kept = [int(entry.path[1:-3]) for entry in Reservoir(path).entries]
    assert len(kept) == 200
    old = sum(number < 300 for number in kept)
    assert 20 <= old <= 70


def test_same_seed_same_memory(tmp_path: Path) -> None:
    def build(name: str, seed: int) -> Reservoir:
        reservoir = Reservoir(tmp_path / name, seed=seed, capacity=50)
        for step in range(10):
            reservoir.update(sources(step * 20, step * 20 + 30), NOW + step * DAY)
        return reservoir

    first, again, other = build("a", 1), build("b", 1), build("c", 2)
    assert first.entries == again.entries
    assert first.entries != other.entries
    assert first.sample(9, (), NOW) == again.sample(9, (), NOW)
    assert first.sample(9, (), NOW) != first.sample(9, (), NOW + 1)


def test_sample_excludes_and_repeats_nothing(path: Path) -> None:
    reservoir = Reservoir(path)
    reservoir.update(sources(0, 20), NOW)
    chosen = reservoir.sample(15, {f"f{number}.py" for number in range(10)}, NOW)
    assert sorted(chosen) == sorted(f"f{number}.py" for number in range(10, 20))
    assert reservoir.sample(0, (), NOW) == []
    assert Reservoir(path.with_name("none")).sample(5, (), NOW) == []


def test_sample_prefers_recent_and_seldom_trained_but_starves_none(path: Path) -> None:
    reservoir = Reservoir(path)
    reservoir.update(sources(0, 20), NOW - 900 * DAY)
    for _ in range(4):
        reservoir.update(sources(20, 40), NOW)
    reservoir.update(sources(40, 60), NOW)
    counts = [0, 0, 0]
    for draw in range(200):
        for name in reservoir.sample(3, (), NOW + draw):
            counts[int(name[1:-3]) // 20] += 1
    old, often, seldom = counts
    assert seldom > 2 * often > 0
    assert seldom > 3 * old > 0


def test_what_is_gone_is_forgotten(path: Path) -> None:
    reservoir = Reservoir(path)
    reservoir.update(
        [source("kept.py"), source("deleted.py"), source("renamed.py"), source("edited.py")], NOW
    )
    existing = {"kept.py": "1", "new_name.py": "2", "edited.py": "3"}
    assert reservoir.retain(existing) == ["deleted.py", "renamed.py"]
    assert reservoir.retain(existing) == []
    assert [entry.path for entry in Reservoir(path).entries] == ["edited.py", "kept.py"]
    assert "deleted" not in path.read_text()


def test_a_renamed_file_is_known_by_its_new_name(path: Path) -> None:
    moved, edited = source("old.py", "moved = 1\n"), source("edited.py", "edited = 1\n")
    reservoir = Reservoir(path)
    reservoir.update([moved, edited, source("twin.py", "moved = 1\n")], NOW)
    reservoir.update([moved], NOW + 5)
    existing = {
        "a/new.py": moved.sha256,
        "b/new.py": moved.sha256,
        "edited2.py": "other",
        "twin.py": moved.sha256,
    }
    assert reservoir.retain(existing) == ["edited.py", "old.py"]
    assert [(entry.path, entry.times, entry.last) for entry in Reservoir(path).entries] == [
        ("a/new.py", 2, NOW + 5),
        ("twin.py", 1, NOW),
    ]
    assert "old.py" not in path.read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"entries": 1}', b'{"entries": [{"path": "a"}]}', b'{"entries": [1]}'],
)
def test_a_damaged_file_counts_as_empty(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    reservoir = Reservoir(path)
    assert len(reservoir) == 0
    reservoir.update([source("a.py")], NOW)
    assert len(Reservoir(path)) == 1


def test_a_full_disk_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    reservoir = Reservoir(path)
    reservoir.update([source("a.py")], NOW)
    before = path.read_bytes()
    monkeypatch.setattr(paths, "write_atomic", fail)
    with pytest.raises(StoreUnwritable, match="free some space"):
        reservoir.update([source("b.py")], NOW)
    with pytest.raises(StoreUnwritable):
        reservoir.retain({})
    assert [entry.path for entry in reservoir.entries] == ["a.py"]
    assert path.read_bytes() == before
