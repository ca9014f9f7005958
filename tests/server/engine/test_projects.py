"""From a changed file to a training run and back to the status, with a scripted worker."""

import asyncio
import json
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_fakes import commit
from engine_harness import AT_ONCE, Harness, put

from tailora.engine import outcomes
from tailora.engine import project as project_module
from tailora.engine.project import Project
from tailora.method_options import how_of
from tailora_adapters.errors import TailoraError
from tailora_adapters.outcomes import Accepted
from tailora_adapters.store import Store


@pytest.fixture
async def harness(home: Path) -> AsyncIterator[Harness]:
    result = Harness(AT_ONCE)
    yield result
    await result.projects.close_all()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "plan").write_text("promote")
    return folder


def rename(path: Path, other: Path) -> None:
    path.rename(other)


def is_watched(project: Project) -> bool:
    return project.watcher is not None


def is_idle(status: dict[str, Any]) -> bool:
    return bool(status["state"] == "idle" and status["message"] != "nothing new to learn")


def is_training(status: dict[str, Any]) -> bool:
    return bool(status["state"] == "training" and status["progress"] is not None)


async def test_a_changed_file_is_learned(harness: Harness, root: Path) -> None:
    await harness.open(root)
    await harness.watching(root)
    assert harness.projects.status(str(root))["state"] == "idle"
    put(root / "a.py")
    status = await harness.until(root, is_idle)
    assert status["message"] == "version 4 serves: better"
    assert status["last_gate"]["base_nll"] == 2.0
    assert (status["last_gate"]["version"], status["last_gate"]["decision"]) == ("4", "promoted")
    assert status["changed_files"] == 0
    assert "training" in {state for state, _ in harness.seen}
    assert json.loads((root / ".worker.json").read_text())["files"] == ["a.py"]


async def test_nothing_is_called_idle_before_its_changes_are_seen(
    harness: Harness, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    monkeypatch.setattr(Project, "catch_up", lambda _project, _now: looked.wait(30))
    await harness.open(root)
    status = await harness.until(root, lambda status: status["state"] != "off")
    assert (status["state"], status["message"]) == ("waiting", "starts to watch the files")
    looked.set()
    await harness.until(root, lambda status: status["state"] == "idle")
    assert is_watched(harness.project(root))


@pytest.mark.parametrize(
    "trusted, learning, state", [(False, True, "untrusted"), (True, False, "off"), (False, False, "off")]
)
async def test_nothing_is_watched_without_trust_and_consent(
    harness: Harness, root: Path, trusted: bool, learning: bool, state: str
) -> None:
    await harness.open(root, trusted=trusted, learning=learning)
    await harness.watching(root)
    project = harness.project(root)
    assert project.watcher is None
    assert harness.projects.status(str(root))["state"] == state


async def test_what_is_kept_out_is_not_trained_on_request(harness: Harness, root: Path) -> None:
    await harness.open(root, learning=False)
    (root / "tailora.toml").write_text("[learning]\nenabled = false\n")
    with pytest.raises(TailoraError, match=r"tailora\.toml sets learning\.enabled = false"):
        await harness.projects.train(str(root))
    assert harness.projects.status(str(root))["state"] == "off"


async def test_a_run_is_told_the_method(harness: Harness, root: Path) -> None:
    (root / "tailora.toml").write_text(
        '[learning]\nmethod = "prefix"\n[learning.methods.prefix]\ntokens = 5\n'
    )
    await harness.open(root)  # by the files
    await harness.watching(root)
    put(root / "a.py")
    await harness.until(root, is_idle)
    assert json.loads((root / ".worker.json").read_text())["method"] == ["prefix", ["tokens=5"], None]
    await harness.open(root, how=how_of("dora", {"learning_rate": 0.01}))
    put(root / "b.py")
    await harness.until(root, lambda _: '"dora"' in (root / ".worker.json").read_text())
    assert json.loads((root / ".worker.json").read_text())["method"] == ["dora", None, "0.01"]


async def test_who_learns_by_hand_alone_may(harness: Harness, root: Path) -> None:
    await harness.open(root, learning=False)
    (root / "plan").write_text("wait")
    await harness.projects.train(str(root))
    await harness.until(root, is_training)


async def test_one_client_without_trust_is_enough_to_end_learning(harness: Harness, root: Path) -> None:
    (root / "plan").write_text("wait")
    await harness.open(root)
    await harness.projects.train(str(root))
    await harness.until(root, is_training)
    await harness.open(root, "another", trusted=False)
    status = await harness.until(root, lambda status: status["state"] == "untrusted")
    assert status["trusted"] is False
    harness.projects.close(str(root), "another")
    status = await harness.until(root, lambda status: status["state"] == "idle")
    assert status["message"] == "training was stopped: the workspace is no longer trusted"


async def test_a_killed_worker_costs_only_its_run(harness: Harness, root: Path) -> None:
    (root / "plan").write_text("wait")
    await harness.open(root)
    await harness.watching(root)
    put(root / "a.py")
    await harness.until(root, is_training)
    worker = harness.project(root).worker
    assert worker is not None
    psutil.Process(worker.pid).kill()
    status = await harness.until(root, lambda status: "signal 9" in status["message"])
    assert (status["state"], status["changed_files"]) == ("waiting", 1)
    assert "1 changed file; the last run came to nothing; the next is tried in" in status["message"]
    (root / "plan").write_text("promote")
    put(root / "b.py")
    status = await harness.until(root, lambda status: status["message"].startswith("version 4"))
    assert json.loads((root / ".worker.json").read_text())["files"] == ["a.py", "b.py"]


async def test_one_worker_at_a_time_over_all_projects(harness: Harness, tmp_path: Path, root: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (root / "plan").write_text("wait")
    (other / "plan").write_text("promote")
    for folder in (root, other):
        await harness.open(folder)
    await harness.projects.train(str(root))
    await harness.until(root, is_training)
    await harness.projects.train(str(other))
    waiting = await harness.until(other, lambda status: status["state"] == "waiting")
    assert "other project" in waiting["message"]
    await harness.projects.pause(str(root))
    await harness.until(root, lambda status: status["state"] == "paused")
    await harness.until(other, is_idle)


async def test_a_worker_waits_while_completions_run(harness: Harness, root: Path) -> None:
    (root / "plan").write_text("wait")
    await harness.open(root)
    harness.projects.set_busy(True)
    await harness.projects.train(str(root))
    await harness.until(root, lambda status: status["state"] == "training")
    worker = harness.project(root).worker
    assert worker is not None
    assert worker._suspended
    harness.projects.set_busy(False)
    await harness.until(root, is_training)
    assert not worker._suspended


async def test_pause_ends_the_run_and_resume_learns_what_is_left(harness: Harness, root: Path) -> None:
    (root / "plan").write_text("wait")
    await harness.open(root)
    await harness.watching(root)
    put(root / "a.py")
    await harness.until(root, is_training)
    await harness.projects.pause(str(root))
    await harness.until(root, lambda status: status["state"] == "paused")
    (root / "plan").write_text("promote")
    await harness.projects.resume(str(root))
    await harness.until(root, lambda status: status["message"] == "version 4 serves: better")


async def test_disable_and_enable_show(harness: Harness, root: Path) -> None:
    await harness.open(root)
    await harness.projects.disable(str(root))
    status = harness.projects.status(str(root))
    assert status["disabled"]
    assert "foundation adapter serves" in status["message"]
    await harness.projects.enable(str(root))
    assert not harness.projects.status(str(root))["disabled"]


async def test_the_last_client_that_leaves_stops_the_watcher(harness: Harness, root: Path) -> None:
    await harness.open(root, "one")
    await harness.open(root, "two")
    await harness.watching(root)
    project = harness.project(root)
    harness.projects.close(str(root), "one")
    harness.projects.close(str(root), "one")
    await harness.watching(root)
    assert is_watched(project)
    # A window that is gone for good ends its streams; the last of them counts as close.
    harness.projects.stream_opened(str(root), "two")
    harness.projects.stream_opened(str(root), "two")
    harness.projects.stream_closed(str(root), "two")
    await harness.watching(root)
    assert harness.projects.open_count == 1
    harness.projects.stream_closed(str(root), "two")
    await harness.watching(root)
    assert harness.projects.open_count == 0
    assert not is_watched(project)
    assert harness.projects.status(str(root))["message"] == "not open in any editor"


async def test_a_folder_deleted_while_open_is_told_and_may_come_back(harness: Harness, root: Path) -> None:
    await harness.open(root)
    await harness.watching(root)
    moved = root.with_name("moved")
    rename(root, moved)
    status = await harness.until(root, lambda status: status["state"] == "off")
    assert "does not exist" in status["message"]
    rename(moved, root)
    await harness.open(root)
    await harness.until(root, lambda status: status["state"] == "idle")


def move_and_copy_back(root: Path) -> None:
    root.rename(root.with_name("old"))
    shutil.copytree(root.with_name("old"), root)


def delete_and_restore(root: Path) -> None:
    shutil.copytree(root, root.with_name("backup"))
    shutil.rmtree(root)
    shutil.copytree(root.with_name("backup"), root)


@pytest.mark.parametrize("replace", [move_and_copy_back, delete_and_restore])
async def test_a_folder_replaced_while_open_is_watched_anew(
    harness: Harness, root: Path, replace: Callable[[Path], None]
) -> None:
    await harness.open(root)
    await harness.watching(root)
    await asyncio.to_thread(replace, root)
    put(root / "unseen.py")
    harness.projects._changed()  # the schedule looks now, not in half a minute
    await harness.until(root, is_idle)
    assert json.loads((root / ".worker.json").read_text())["files"] == ["unseen.py"]
    await harness.watching(root)
    put(root / "new.py")
    await harness.until(
        root, lambda _: json.loads((root / ".worker.json").read_text())["files"] == ["new.py"]
    )


@pytest.mark.parametrize("kind", ["missing", "file", "loop", "home"])
async def test_a_bad_root_is_a_message(
    harness: Harness, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bad"
    if kind == "file":
        path.write_text("x")
    if kind == "home":
        path.mkdir()
        monkeypatch.setenv("HOME", str(path))
    if kind == "loop":
        path.symlink_to(path)
        with pytest.raises(TailoraError, match="loop of symbolic links"):
            await harness.open(path)
        return
    await harness.open(path)
    status = harness.projects.status(str(path))
    assert status["state"] == "off"
    assert str(path) in status["message"]
    with pytest.raises(TailoraError):
        await harness.projects.train(str(path))


async def test_a_link_and_its_folder_are_one_project(harness: Harness, root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    await harness.open(root)
    await harness.open(link, "another")
    assert harness.projects.open_count == 1
    assert harness.projects.status(str(link))["root"] == str(link)


async def test_a_store_that_cannot_be_read_is_a_message(
    harness: Harness, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.open(root)
    project = harness.project(root)

    def refuse(_self: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(project.store), "versions", refuse)
    project._snapshot = None
    status = harness.projects.status(str(root))
    assert "Permission denied" in status["message"]
    assert project_module.snapshot_of(project.store).serving is None


async def test_a_version_that_is_rolled_back_is_trained_no_further(
    harness: Harness, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "plan").write_text("wait")
    await harness.open(root)
    await harness.projects.train(str(root))
    await harness.until(root, is_training)
    await harness.projects.note_outcomes(str(root), [Accepted("unknown", 1)])
    assert harness.project(root).worker is not None
    monkeypatch.setattr(outcomes, "note", lambda *_: "version 2 was rolled back by itself")
    await harness.projects.note_outcomes(str(root), [])
    status = await harness.until(root, is_idle)
    assert status["message"].startswith("training was stopped: the adapter was rolled back")


async def test_a_rollback_ends_a_run_that_goes_on_from_what_is_left(harness: Harness, root: Path) -> None:
    (root / "plan").write_text("wait")
    await harness.open(root)
    for value in (1, 2):
        commit(Store().project(root), value)
    await harness.projects.train(str(root))
    await harness.until(root, is_training)
    await harness.projects.rollback(str(root))
    status = await harness.until(root, is_idle)
    assert status["message"] == "training was stopped: the adapter was rolled back"
    assert status["serving"] == "1"


async def test_a_version_of_another_base_model_is_named(harness: Harness, root: Path) -> None:
    await harness.open(root)
    commit(Store().project(root), 1, base="another")
    status = harness.projects.status(str(root))
    assert status["serving"] is None
    assert "version 1 was trained on another, and serves only there" in status["message"]
    commit(Store().project(root), 2)
    status = harness.projects.status(str(root))
    assert status["serving"] == "2"
    assert "another" not in status["message"]


async def test_another_users_adapters_are_a_message(harness: Harness, root: Path) -> None:
    project = Store().project(root)
    commit(project, 1)
    path = project.directory / "project.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"uid": 4_000_000}))
    (project.directory / "changed.json").write_text(
        '{"watched_until": 0, "many": false, "committed": true, "files": {"theirs.py": [0, 0, 9]}}'
    )
    for _ in ("closed", "open"):
        status = harness.projects.status(str(root))
        assert status["serving"] is None
        assert status["changed_files"] == 0
        assert "belong to another user" in status["message"]
        await harness.open(root)


async def test_another_repository_in_the_same_place_is_noticed(harness: Harness, root: Path) -> None:
    moved, clone = root.parent / "moved", root.parent / "clone"
    for folder in (root, clone):
        (folder / ".git").mkdir(parents=True)
        (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    commit(Store().project(root), 1)
    (clone / "plan").write_text("promote")
    await harness.open(root)
    await harness.watching(root)
    old = harness.project(root)
    assert harness.projects.status(str(root))["serving"] == "1"
    await asyncio.to_thread(root.rename, moved)
    await asyncio.to_thread(clone.rename, root)
    assert harness.projects.status(str(root))["serving"] is None
    assert harness.projects.status(str(moved))["serving"] == "1"
    harness.projects._changed()  # the schedule looks now, not in half a minute
    await harness.until(root, lambda _: harness.project(root) is not old)
    await harness.watching(root)
    put(root / "new.py")
    status = await harness.until(root, is_idle)
    assert status["message"] == "version 4 serves: better"
    assert json.loads((root / ".worker.json").read_text())["files"] == ["new.py"]
    await harness.projects.close_all()
    assert (Store().project(root).directory / "changed.json").exists()
