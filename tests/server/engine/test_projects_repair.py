"""When the adapter for repair is trained, with real watchers and files and a scripted worker."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from engine_fakes import commit
from engine_harness import AT_ONCE, Harness, put

from tailora.engine.agenda import Agenda
from tailora.engine.project import OpenBy, Project
from tailora.engine.schedule import Rules
from tailora.engine.surroundings import Moment
from tailora.engine.watcher import Watcher
from tailora_adapters.store import Store

WAITS_FOR_MORE = replace(AT_ONCE, min_new_tokens=1_000, max_wait_s=3_600.0)


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    return make_project(tmp_path / "project", "promote")


def make_project(folder: Path, plan: str) -> Path:
    folder.mkdir()
    (folder / "plan").write_text(plan)
    return folder


@asynccontextmanager
async def engine(root: Path, rules: Rules = AT_ONCE) -> AsyncIterator[Harness]:
    """An engine that watches a project."""
    harness = Harness(rules)
    try:
        await harness.open(root)
        await harness.watching(root)
        yield harness
    finally:
        await harness.projects.close_all()


def says(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: text in status["message"]


def last_run(root: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((root / ".worker.json").read_text())
    return result


def runs(root: Path) -> list[str]:
    """What each run was for: ``repair``, or its files."""
    return list(last_run(root)["runs"]) if (root / ".worker.json").exists() else []


async def test_repair_is_learned_after_it_was_asked_for_and_never_before(root: Path) -> None:
    async with engine(root, replace(AT_ONCE, train_seconds=77)) as harness:
        harness.projects._start_what_is_due()
        assert runs(root) == []
        harness.projects.note_repair(str(root))
        status = await harness.until(root, says("adapter for repair: version 4 serves: better"))
        assert status["state"] == "idle"
        assert runs(root) == ["repair"]
        assert (last_run(root)["files"], last_run(root)["seconds"]) == ([], "77")
        told = [message for state, message in harness.seen if state in ("training", "gating")]
        assert told[0] == "learning to repair: starting to train"
        assert all(message.startswith("learning to repair: ") for message in told)


async def test_what_completion_has_learned_still_shows(root: Path) -> None:
    async with engine(root) as harness:
        commit(Store().project(root), 1)
        put(root / "a.py")
        before = await harness.until(root, says("version 4 serves"))
        assert before["last_gate"]["decision"] == "promoted"
        (root / "plan").write_text("reject")
        harness.projects.note_repair(str(root))
        status = await harness.until(root, says("adapter for repair: the new adapter was not better"))
        assert runs(root) == ["a.py", "repair"]
        assert status["last_gate"] == before["last_gate"]
        assert status["serving"] == "1"


async def test_repair_is_learned_once_a_day_whatever_comes_of_it(root: Path) -> None:
    (root / "plan").write_text("silent")
    async with engine(root) as harness:
        harness.projects.note_repair(str(root))
        await harness.until(root, says("adapter for repair: training failed"))
        (root / ".worker.json").unlink()
        harness.projects.note_repair(str(root))
        harness.projects._start_what_is_due()
        assert harness.projects.status(str(root))["state"] == "idle"
    async with engine(root) as harness:
        harness.projects._start_what_is_due()
        assert runs(root) == []
        assert harness.project(root).agenda.repair_asked, "the next day's"
        # That it failed holds up nothing else.
        (root / "plan").write_text("promote")
        put(root / "a.py")
        await harness.until(root, says("version 4 serves"))
        assert runs(root) == ["a.py"]


async def test_what_waits_is_learned_first(root: Path) -> None:
    async with engine(root, WAITS_FOR_MORE) as harness:
        put(root / "a.py")
        await harness.until(root, says("waits for more"))
        harness.projects.note_repair(str(root))
        harness.projects._start_what_is_due()
        assert runs(root) == []
        await harness.projects.train(str(root))
        await harness.until(root, says("adapter for repair: version 4 serves"))
        assert runs(root) == ["a.py", "repair"]


async def test_what_changed_without_an_engine_is_learned_first(root: Path) -> None:
    async with engine(root) as harness:
        harness.projects.note_repair(str(root))
        await harness.until(root, says("adapter for repair: version 4 serves"))
    path = Store().project(root).directory / "schedule.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"repair_asked": True, "repaired": None}))
    put(root / "a.py")
    harness = Harness(AT_ONCE)
    try:
        await harness.open(root)
        harness.projects._start_what_is_due()  # before the files were looked at
        await harness.until(root, says("adapter for repair: version 4 serves"))
        assert runs(root) == ["repair", "a.py", "repair"]
    finally:
        await harness.projects.close_all()


@pytest.mark.parametrize("trusted, learning", [(False, True), (True, False)])
async def test_nothing_is_noted_where_nothing_is_learned(root: Path, trusted: bool, learning: bool) -> None:
    async with engine(root) as harness:
        await harness.open(root, trusted=trusted, learning=learning)
        await harness.watching(root)
        harness.projects.note_repair(str(root))
        harness.projects._start_what_is_due()
        await harness.open(root)
        await harness.watching(root)
        harness.projects._start_what_is_due()
        assert runs(root) == []
        assert not harness.project(root).agenda.repair_asked


@pytest.mark.parametrize("off, on", [("pause", "resume"), ("disable", "enable")])
async def test_while_the_project_is_off_it_learns_no_repair(root: Path, off: str, on: str) -> None:
    async with engine(root) as harness:
        await getattr(harness.projects, off)(str(root))
        harness.projects.note_repair(str(root))
        harness.projects._start_what_is_due()
        assert runs(root) == []
        await getattr(harness.projects, on)(str(root))
        await harness.until(root, says("adapter for repair: version 4 serves"))


def test_what_changes_at_the_last_moment_is_not_taken_by_repair(root: Path) -> None:
    store = Store().project(root)
    project = Project(root, lambda: store, Agenda(store.directory))
    project.clients["c"] = OpenBy(True, True)
    project.watcher = cast(Watcher, object())
    project.ask_repair(0.0)
    moment = Moment(10.0, 10.0)
    assert project.decide(moment, AT_ONCE).purpose == "repair"
    project.agenda.journal.note({"a.py": 1}, 10.0)
    assert project.begin(moment, AT_ONCE) == ((), AT_ONCE.train_seconds)
    assert project.agenda.journal.news(10.0, 0.0).files == 1


async def learning_to_repair(harness: Harness, root: Path) -> None:
    """In the middle of a run for repair, with a changed file that waits."""
    (root / "plan").write_text("wait")
    harness.projects.note_repair(str(root))
    await harness.until(root, says("learning to repair: step 1"))
    put(root / "a.py")
    await harness.until(root, lambda status: status["changed_files"] == 1)
    (root / "plan").write_text("promote")


async def test_a_run_that_is_paused_is_tried_again_after_what_changed(root: Path) -> None:
    async with engine(root) as harness:
        await learning_to_repair(harness, root)
        await harness.projects.pause(str(root))
        status = await harness.until(root, lambda status: status["state"] == "paused")
        assert status["changed_files"] == 1
        assert harness.project(root).message == "adapter for repair: training was stopped: paused"
        await harness.projects.resume(str(root))
        await harness.until(root, says("adapter for repair: version 4 serves"))
        assert runs(root) == ["repair", "a.py", "repair"]


async def test_a_run_that_dies_with_its_engine_is_tried_again_after_what_changed(root: Path) -> None:
    async with engine(root) as harness:
        await learning_to_repair(harness, root)
    directory = Store().project(root).directory
    assert list(json.loads((directory / "changed.json").read_text())["files"]) == ["a.py"]
    assert json.loads((directory / "schedule.json").read_text())["repair_asked"]
    async with engine(root) as harness:
        await harness.until(root, says("adapter for repair: version 4 serves"))
        # What was kept and found again may be learned twice.
        assert list(dict.fromkeys(runs(root)[1:])) == ["a.py", "repair"]


async def test_a_killed_run_leaves_what_waits(root: Path) -> None:
    async with engine(root, WAITS_FOR_MORE) as harness:
        await learning_to_repair(harness, root)
        worker = harness.project(root).worker
        assert worker is not None
        psutil.Process(worker.pid).kill()
        status = await harness.until(root, says("1 changed file; waits for more that is new"))
        assert status["changed_files"] == 1
        assert "signal 9" in str(harness.project(root).message)


async def test_train_now_is_completions_and_goes_first(root: Path) -> None:
    async with engine(root) as harness:
        await learning_to_repair(harness, root)
        await harness.projects.train(str(root))
        await harness.until(root, says("adapter for repair: version 4 serves"))
        assert runs(root) == ["repair", "a.py", "repair"]


async def test_repair_makes_way_for_another_project_that_was_asked_for(root: Path, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other", "wait")
    async with engine(root) as harness:
        await harness.open(other)
        await learning_to_repair(harness, root)
        await harness.projects.train(str(other))
        await harness.until(other, says("step 1"))
        status = harness.projects.status(str(root))
        assert status["message"] == "1 changed file; training starts when the other project's is done"


async def test_repair_comes_after_what_another_project_has_to_learn(root: Path, tmp_path: Path) -> None:
    other, busy = (make_project(tmp_path / name, "wait") for name in ("other", "busy"))
    async with engine(root) as harness:
        for folder in (busy, other):
            await harness.open(folder)
            await harness.watching(folder)
        await harness.projects.train(str(busy))
        await harness.until(busy, says("step 1"))
        harness.projects.note_repair(str(root))
        put(other / "a.py")
        await harness.until(other, says("1 changed file; training starts"))
        await harness.projects.pause(str(busy))
        await harness.until(other, says("step 1"))
        assert runs(root) == []


async def test_a_rollback_ends_no_run_for_repair(root: Path) -> None:
    async with engine(root) as harness:
        for value in (1, 2):
            commit(Store().project(root), value)
        await learning_to_repair(harness, root)
        await harness.projects.rollback(str(root))
        worker = harness.project(root).worker
        assert worker is not None
        assert not worker.ended_because
        assert harness.projects.status(str(root))["serving"] == "1"


async def test_a_workspace_that_is_no_longer_trusted_learns_no_repair(root: Path) -> None:
    async with engine(root) as harness:
        await learning_to_repair(harness, root)
        await harness.open(root, "another", trusted=False)
        await harness.until(root, lambda status: status["state"] == "untrusted")
        assert harness.project(root).worker is None
