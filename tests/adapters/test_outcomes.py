"""Figures survive repeats, damage, full disks and several writers, stay small, and go with the project."""

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from tailora_adapters import outcomes as module
from tailora_adapters.errors import StoreUnwritable
from tailora_adapters.outcomes import Accepted, Kept, Outcomes, Shown, VersionOutcomes
from tailora_adapters.store import Store

NOW = 2_000_000_000.0


def shown(
    ident: str, version: str = "4", *, at: float = NOW, characters: int = 20, model: str = "m"
) -> Shown:
    return Shown(ident, version, model, "python", False, characters, at)


@pytest.fixture
def outcomes(tmp_path: Path) -> Outcomes:
    return Outcomes(tmp_path / "project" / "outcomes.sqlite", clock=lambda: NOW)


def test_figures_of_each_version(outcomes: Outcomes) -> None:
    events = [shown(f"a{i}") for i in range(4)] + [shown("f", "foundation")]
    events += [Accepted("a0", 20), Accepted("a1", 5), Kept("a0", 30, 1.0), Kept("a1", 30, 0.2)]
    assert outcomes.record([*events, Kept("a0", 180, 0.4)]) == {"4": 4, "foundation": 1}
    found = outcomes.summary()
    assert found["4"] == VersionOutcomes(4, 2, pytest.approx(21 / 25), pytest.approx(0.4), 2, 0)
    assert found["4"].acceptance == 0.5
    assert found["foundation"] == VersionOutcomes(1, 0)
    assert found["foundation"].kept_30 is None


def test_characters_that_were_accepted(outcomes: Outcomes) -> None:
    assert outcomes.characters() == {}
    outcomes.record([shown("a"), shown("b"), Accepted("a", 4), Accepted("a", 7)])
    (taken,) = outcomes.characters().values()
    assert taken == (2, 1, 7)


def test_the_same_event_again_changes_nothing(outcomes: Outcomes) -> None:
    events = [shown("a"), Accepted("a", 7), Kept("a", 30, 0.5)]
    outcomes.record(events)
    assert outcomes.record(events) == {}
    assert outcomes.summary()["4"] == VersionOutcomes(1, 1, 0.5, None, 1, 1)


def test_nothing_is_accepted_beyond_what_was_shown_or_kept_without_being_accepted(outcomes: Outcomes) -> None:
    outcomes.record([shown("a", characters=10), shown("b", characters=2), Kept("b", 30, 1.0)])
    outcomes.record([Accepted("a", 500), Kept("a", 30, 1.0), Accepted("unknown", 3)])
    assert outcomes.summary()["4"] == VersionOutcomes(2, 1, 1.0, None, 1, 1)
    outcomes.record(
        [shown("b", characters=30), Accepted("b", 30), Kept("b", 30, 0.0)]
    )  # more of it was shown
    assert outcomes.summary()["4"].kept_30 == pytest.approx(10 / 40)


def test_by_time_and_model(outcomes: Outcomes) -> None:
    outcomes.record([shown("old", at=NOW - 100), shown("new"), shown("other", model="n")])
    assert outcomes.summary(since=NOW - 50, model="m")["4"].shown == 1
    assert outcomes.summary()["4"].shown == 3


def test_old_rows_go(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes.record([shown("ancient", at=NOW - 181 * 24 * 3600), shown("a")])
    assert outcomes.summary()["4"].shown == 1
    monkeypatch.setattr(module, "_KEEP_ROWS", 3)
    outcomes.record([shown(f"b{i}") for i in range(5)])
    assert outcomes.summary()["4"].shown == 3


def test_nothing_is_created_by_looking(outcomes: Outcomes) -> None:
    assert outcomes.summary() == {}
    assert not outcomes.path.parent.exists()


def test_only_the_user_reads_it(outcomes: Outcomes) -> None:
    outcomes.record([shown("a")])
    with sqlite3.connect(outcomes.path) as reading:  # so that the files beside it are there, too
        assert reading.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        reading.execute("SELECT * FROM suggestion").fetchall()
        files = list(outcomes.path.parent.iterdir())
        assert len(files) == 3
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    reading.close()


def test_several_writers(outcomes: Outcomes) -> None:
    def write(name: str) -> None:
        for number in range(20):
            outcomes.record([shown(f"{name}{number}")])

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.summary()["4"].shown == 60


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_a_damaged_file_is_set_aside(
    outcomes: Outcomes, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes.record([shown(f"a{number}") for number in range(500)])
    content = outcomes.path.read_bytes()
    half = content[:4096] + b"\xff" * (len(content) - 4096)
    outcomes.path.write_bytes(half if damage is None else damage)
    assert outcomes.summary() == {}
    outcomes.record([shown("b")])
    assert outcomes.summary()["4"].shown == 1
    assert "counting starts anew" in caplog.text
    assert outcomes.path.with_name("outcomes.sqlite.damaged").exists()


def test_a_full_disk(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes.record([shown("a")])

    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", full)
        with pytest.raises(StoreUnwritable, match="disk is full"):
            outcomes.record([shown("b")])
    assert outcomes.summary()["4"].shown == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnwritable):
        Outcomes(tmp_path / "file" / "outcomes.sqlite").record([shown("a")])


def test_they_go_with_the_project(store_home: Path, tmp_path: Path) -> None:
    store = Store()
    project = store.project(tmp_path)
    project.outcomes.record([shown("a")])
    assert [found.root for found in store.projects()] == [tmp_path.resolve()]
    project.delete_all()
    assert project.outcomes.summary() == {}
    assert not list(project.directory.glob("outcomes*"))
