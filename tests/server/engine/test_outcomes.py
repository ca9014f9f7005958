"""When the engine looks at outcomes, whom it compares, and what it leaves to the user."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from engine_fakes import commit

from tailora.engine.outcomes import note
from tailora.engine.project import snapshot_of
from tailora_adapters.base.cache import base_info
from tailora_adapters.errors import StoreError
from tailora_adapters.outcomes import Accepted, Event, Shown
from tailora_adapters.store import ProjectStore, Store

DAY_S = 24 * 3600.0


@pytest.fixture
def project(home: Path, tmp_path: Path) -> ProjectStore:
    """Versions 1 and 2, of which 2 serves."""
    root = tmp_path / "project"
    root.mkdir()
    project = Store().project(root)
    commit(project, 1)
    commit(project, 2)
    return project


def events(version: str, count: int, accepted: int, *, name: str = "", age_s: float = 0.0) -> list[Event]:
    shown = [
        Shown(f"{version}{name}{number}", version, "", "python", False, 9, time.time() - age_s)
        for number in range(count)
    ]
    return [*shown, *(Accepted(event.id, 9) for event in shown[:accepted])]


def test_a_bad_version_goes_and_what_served_before_serves(project: ProjectStore) -> None:
    assert note(project, "m", events("1", 100, 40)) is None
    reason = note(project, "m", events("2", 100, 4))
    assert reason is not None
    assert reason.startswith("version 2 was rolled back by itself: 4 of 100 suggestions accepted, 40 of 100")
    assert project.serving() == project.get("1")
    assert project.get("2").withdrawn == reason
    assert snapshot_of(project).withdrawn == reason
    project.disable()
    assert snapshot_of(project).withdrawn == reason


def test_a_version_that_served_briefly_shields_none_after_it(project: ProjectStore) -> None:
    commit(project, 3)
    note(project, "m", events("1", 400, 160))
    note(project, "m", events("2", 40, 16))
    reason = note(project, "m", events("3", 100, 1))
    assert reason is not None
    assert "1 of 100 suggestions accepted, 176 of 440 with version 2 and version 1 (p" in reason
    assert project.serving() == project.get("2")


def test_without_a_version_before_the_foundation_is_the_measure(home: Path, tmp_path: Path) -> None:
    project = Store().project(tmp_path)
    commit(project, 1)
    note(project, "m", events("foundation", 100, 40))
    reason = note(project, "m", events("1", 100, 4))
    assert reason is not None
    assert "40 of 100 with the foundation adapter" in reason
    assert project.serving() is None


def test_only_every_so_often(project: ProjectStore) -> None:
    note(project, "m", events("1", 100, 40))
    for number in range(20):
        assert project.serving() == project.get("2")
        reason = note(project, "m", events("2", 5, 0, name=f"-{number}-"))
    assert reason is not None  # with the hundredth: at the first look, the fiftieth, there were too few


def test_what_serves_with_the_loaded_model_is_judged(project: ProjectStore) -> None:
    commit(project, 3, base="another")
    note(project, "m", events("1", 100, 40))
    assert note(project, "m", events("3", 100, 0)) is None
    reason = note(project, "m", events("2", 100, 4))
    assert reason is not None
    assert "40 of 100 with version 1" in reason
    assert project.serving(base_info("m")) == replace(project.get("1"), status="serving")
    assert project.serving(base_info("another")) == project.get("3")
    assert snapshot_of(project, base_info("m")).withdrawn == reason
    assert snapshot_of(project, base_info("another")).withdrawn is None


def test_nothing_is_stored_for_another_user(project: ProjectStore) -> None:
    note(project, "m", events("2", 3, 0))
    path = project.directory / "project.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"uid": 4_000_000}))
    refused = Store().project(project.root)
    with pytest.raises(StoreError, match="belong to another user"):
        note(refused, "m", events("2", 3, 0, name="more"))
    assert project.outcomes.summary()["2"].shown == 3


def test_another_model_and_last_year_do_not_count(project: ProjectStore) -> None:
    note(project, "another", events("1", 100, 40))
    note(project, "m", events("1", 100, 40, name="old", age_s=31 * DAY_S))
    assert note(project, "m", events("2", 200, 0)) is None


def test_the_user_has_the_last_word(project: ProjectStore) -> None:
    note(project, "m", events("1", 100, 40))
    assert note(project, "m", events("2", 100, 4)) is not None
    project.use("2")
    assert snapshot_of(project).withdrawn is None
    assert note(project, "m", events("2", 100, 0, name="more")) is None
    assert project.serving() == project.get("2")


def test_nobody_is_judged_while_the_adapter_is_off(project: ProjectStore) -> None:
    note(project, "m", events("1", 100, 40))
    project.disable()
    assert note(project, "m", events("2", 100, 4)) is None
    assert project.outcomes.summary()["2"].shown == 100
