"""When open projects are trained, with real watchers, files and git folders, and a scripted worker."""

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_harness import AT_ONCE, Harness, put

from tailora.engine import agenda as agenda_module
from tailora.engine import watcher as watcher_module
from tailora.engine.machine import OtherWork
from tailora.engine.schedule import Rules
from tailora.engine.surroundings import Surroundings
from tailora_adapters.store import Store

NEVER_QUIET = replace(AT_ONCE, quiet_s=3_600.0, min_new_tokens=200, max_wait_s=7_200.0)


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git" / "logs").mkdir(parents=True)
    (folder / "plan").write_text("promote")
    return folder


@asynccontextmanager
async def engine(rules: Rules, store: Store | None = None, **surroundings: Any) -> AsyncIterator[Harness]:
    """An engine's projects, closed in the end."""
    harness = Harness(rules, store, Surroundings(**surroundings) if surroundings else None)
    try:
        yield harness
    finally:
        await harness.projects.close_all()


def says(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: text in status["message"]


def files_of_last_run(root: Path) -> list[str]:
    return list(json.loads((root / ".worker.json").read_text())["files"])


async def test_what_waits_survives_the_engine_and_what_changed_without_one_is_found(root: Path) -> None:
    async with engine(NEVER_QUIET) as harness:
        await harness.open(root)
        await harness.watching(root)
        put(root / "a.py")
        await harness.until(root, lambda status: status["changed_files"] == 1)
    put(root / "b.py")
    async with engine(NEVER_QUIET) as harness:
        await harness.open(root)
        status = await harness.until(root, lambda status: status["changed_files"] == 2)
        assert status["message"].startswith("2 changed files; waits for more that is new")
        await harness.projects.train(str(root))
        await harness.until(root, says("version 4 serves"))
        assert files_of_last_run(root) == ["a.py", "b.py"]
    kept = json.loads((Store().project(root).directory / "changed.json").read_text())
    assert kept["files"] == {}


async def test_a_work_tree_too_large_to_look_through_is_learned_as_a_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine(AT_ONCE) as harness:
        await harness.open(root)
        await harness.watching(root)
        put(root / "a.py")
        await harness.until(root, says("version 4 serves"))
    put(root / "b.py")
    monkeypatch.setattr(watcher_module, "_LIMIT", 0)
    async with engine(AT_ONCE) as harness:
        await harness.open(root)
        await harness.until(root, says("version 4 serves"))
        assert files_of_last_run(root) == []


async def test_nothing_is_kept_of_a_workspace_that_is_not_trusted(root: Path) -> None:
    async with engine(AT_ONCE) as harness:
        await harness.open(root, trusted=False)
        await harness.watching(root)
        assert not harness.project(root).store.directory.exists()
    assert not Store().project(root).directory.exists()


async def test_a_commit_is_enough_and_a_checkout_is_not(root: Path) -> None:
    rules = replace(AT_ONCE, min_new_tokens=1_000, max_wait_s=3_600.0)
    log = root / ".git" / "logs" / "HEAD"
    async with engine(rules) as harness:
        await harness.open(root)
        await harness.watching(root)
        put(root / "a.py")
        await harness.until(root, says("waits for more"))
        log.write_text("0 1 A <a@b> 1 +0000\tcheckout: moving from main to side\n")
        put(root / "b.py")
        await harness.until(root, lambda status: status["changed_files"] == 2)
        assert "waits for more" in harness.projects.status(str(root))["message"]
        with log.open("a") as file:
            file.write("1 2 A <a@b> 2 +0000\tcommit: Add b\n")
        await harness.until(root, says("version 4 serves"))
        assert files_of_last_run(root) == ["a.py", "b.py"]


async def test_training_waits_for_a_rebase_to_end(root: Path) -> None:
    (root / ".git" / "rebase-merge").mkdir()
    async with engine(AT_ONCE) as harness:
        await harness.open(root)
        await harness.watching(root)
        put(root / "a.py")
        await harness.until(root, says("1 changed file; waits for the rebase to end"))
        (root / ".git" / "rebase-merge").rmdir()
        put(root / "b.py")
        await harness.until(root, says("version 4 serves"))


class Busy(OtherWork):
    """Others use nine tenths of the machine."""

    def share(self) -> float:
        return 0.9


async def test_train_now_asks_nothing_but_trust(root: Path) -> None:
    rules = Rules(quiet_s=3_600, budget_s_per_day=1)
    ticks = iter(range(0, 1_000_000, 30))
    (root / ".git" / "MERGE_HEAD").touch()
    async with engine(rules, clock=lambda: next(ticks), battery=lambda: 5.0, others=Busy) as harness:
        await harness.open(root)
        await harness.watching(root)
        put(root / "a.py")
        await harness.until(root, says("waits for the merge to end"))
        await harness.projects.train(str(root))
        await harness.until(root, says("version 4 serves"))
        put(root / "a.py")
        (root / ".git" / "MERGE_HEAD").unlink()
        await harness.until(root, says("on battery"))
        await harness.projects.train(str(root))
        await harness.until(root, says("version 4 serves"))


class Laptop:
    """Its steady clock, and its battery: None on mains."""

    def __init__(self) -> None:
        self.now = 0.0
        self.battery: float | None = None

    @asynccontextmanager
    async def engine(self, root: Path) -> AsyncIterator[Harness]:
        """An engine in the middle of a run on ``a.py``."""
        (root / "plan").write_text("wait")
        rules = replace(AT_ONCE, on_battery=False)
        async with engine(rules, clock=lambda: self.now, battery=lambda: self.battery) as harness:
            await harness.open(root)
            await harness.watching(root)
            put(root / "a.py")
            await harness.until(root, says("step 1"))
            yield harness

    def after(self, harness: Harness, seconds: float, battery: float | None) -> None:
        """The schedule looks so many seconds later."""
        self.now += seconds
        self.battery = battery
        harness.projects._changed()


async def test_a_run_waits_while_the_mains_are_unplugged(root: Path) -> None:
    laptop = Laptop()
    async with laptop.engine(root) as harness:
        worker = harness.project(root).worker
        assert worker is not None
        laptop.after(harness, 10, 80.0)
        await harness.until(root, says("on battery"))
        harness.projects.set_busy(True)
        harness.projects.set_busy(False)
        assert worker._suspended
        laptop.after(harness, 200, None)
        await harness.until(root, lambda status: "on battery" not in status["message"])
        assert not worker._suspended
        laptop.after(harness, 200, 80.0)  # the wait before does not count
        await harness.until(root, says("on battery"))
        assert harness.project(root).worker is worker


async def test_train_now_lets_a_run_that_waits_for_power_go_on(root: Path) -> None:
    laptop = Laptop()
    async with laptop.engine(root) as harness:
        worker = harness.project(root).worker
        assert worker is not None
        laptop.after(harness, 10, 80.0)
        await harness.until(root, says("on battery"))
        await harness.projects.train(str(root))
        await harness.until(root, says("step 1"))
        assert not worker._suspended
        laptop.now += 1_000
        harness.projects._start_what_is_due()
        assert (harness.project(root).worker, harness.project(root).held) == (worker, None)


async def test_a_run_that_waits_long_for_power_ends_and_goes_on_with_it(root: Path) -> None:
    laptop = Laptop()
    async with laptop.engine(root) as harness:
        project = harness.project(root)
        assert project.worker is not None
        assert (pid := project.worker.pid) is not None
        laptop.after(harness, 10, 80.0)
        await harness.until(root, says("on battery"))
        laptop.after(harness, 301, 80.0)
        status = await harness.until(root, lambda status: status["state"] == "waiting")
        assert status["message"].startswith("1 changed file; paused: on battery, goes on when back on mains")
        assert not psutil.pid_exists(pid)
        assert project.agenda.failures == 0
        (root / "plan").write_text("promote")
        laptop.after(harness, 10, None)
        await harness.until(root, says("version 4 serves"))
        assert files_of_last_run(root) == ["a.py"]


async def test_a_run_that_waits_for_power_makes_way_for_one_that_was_asked_for(
    root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "plan").write_text("promote")
    laptop = Laptop()
    async with laptop.engine(root) as harness:
        await harness.open(other)
        laptop.after(harness, 10, 80.0)
        await harness.until(root, says("on battery"))
        await harness.projects.train(str(other))
        await harness.until(other, says("version 4 serves"))
        assert harness.projects.status(str(root))["changed_files"] == 1


async def test_a_full_disk_stops_no_schedule_and_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with engine(AT_ONCE) as harness:
        await harness.open(root)
        await harness.watching(root)
        with monkeypatch.context() as patch:
            patch.setattr(agenda_module, "write_atomic", refuse)
            put(root / "a.py")
            await harness.until(
                root,
                lambda status: says("version 4 serves")(status) and says("No space left on device")(status),
            )
        put(root / "b.py")
        await harness.until(
            root, lambda status: status["state"] == "idle" and not says("No space left")(status)
        )
        assert files_of_last_run(root) == ["b.py"]


async def test_what_has_to_be_forgotten_is_reason_enough(root: Path) -> None:
    Store().project(root).ask_retrain("keys.py is to be forgotten")
    async with engine(replace(AT_ONCE, min_gap_s=3_600.0)) as harness:
        await harness.open(root)
        await harness.until(root, says("everything is learned anew (keys.py is to be forgotten); the next"))
        assert files_of_last_run(root) == []


async def test_what_was_learned_anew_in_vain_is_repeated_only_with_something_new(root: Path) -> None:
    Store().project(root).ask_retrain("keys.py is to be forgotten")
    (root / "plan").write_text("reject")
    waits = "everything is learned anew when something changes (keys.py is to be forgotten)"
    async with engine(AT_ONCE) as harness:
        await harness.open(root)
        status = await harness.until(root, says(waits))
        assert status["state"] == "idle"
        assert status["message"] == f"the new adapter was not better and was dropped: worse; {waits}"
    (root / ".worker.json").unlink()
    async with engine(AT_ONCE) as harness:
        await harness.open(root)
        await harness.watching(root)
        status = harness.projects.status(str(root))
        assert (status["state"], status["message"]) == ("idle", waits)
        assert not (root / ".worker.json").exists()
        put(root / "a.py")
        await harness.until(root, says("was dropped: worse"))
        assert files_of_last_run(root) == ["a.py"]


async def test_learning_anew_is_tried_again_after_a_crash(root: Path) -> None:
    Store().project(root).ask_retrain("keys.py is to be forgotten")
    (root / "plan").write_text("silent")
    async with engine(AT_ONCE) as harness:
        await harness.open(root)
        await harness.until(root, says("the last run came to nothing; the next is tried in"))


def snapshot(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*")}


async def test_two_users_learn_one_work_tree_and_share_nothing(root: Path, tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    before = snapshot(root)
    async with engine(AT_ONCE, one) as first, engine(AT_ONCE, two) as second:
        for harness in (first, second):
            await harness.open(root)
            await harness.watching(root)
        put(root / "a.py")
        await asyncio.gather(*(harness.until(root, says("version 4")) for harness in (first, second)))
        await first.projects.pause(str(root))
        assert first.projects.status(str(root))["state"] == "paused"
        assert second.projects.status(str(root))["state"] == "idle"
    # ``.worker.json`` is the scripted worker's.
    assert snapshot(root) - before == {"a.py", ".worker.json"}
    for store in (one, two):
        assert len(store.projects()) == 1
        assert (store.project(root).directory / "schedule.json").exists()


async def test_a_closed_project_is_saved_before_it_is_opened_again(root: Path) -> None:
    async with engine(NEVER_QUIET) as harness:
        await harness.open(root)
        await harness.watching(root)
        put(root / "a.py")
        await harness.until(root, lambda status: status["changed_files"] == 1)
        harness.projects.close(str(root), "c")
        await harness.watching(root)
        assert harness.projects.open_count == 0
        await harness.open(root)
        assert harness.projects.status(str(root))["changed_files"] == 1
