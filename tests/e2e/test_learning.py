"""Learning with the real model through the real engine: a run from an edit to its verdict, and all that may stop it.

Adapters lie on a small file system of their own where that can be had, so that it can be full and read-only.
"""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from real_model import SETTINGS, WORKER, Hole, Home, Window, copy_utilities, cut

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]

_EDIT = '''

def {name}(values):
    """The largest of ``values`` and how often it occurs."""
    largest = max(values)
    return largest, values.count(largest)
'''


@pytest.fixture(scope="module")
def home(make_home) -> Home:
    """A home whose engine trains at once and shortly."""
    return make_home(
        quiet_s=1,
        min_gap_s=0,
        min_new_tokens=0,
        max_load=1,
        on_battery=True,
        budget_s_per_day=0,
        train_seconds=10,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of this test's own."""
    return copy_utilities(tmp_path / "tiny")


@pytest_asyncio.fixture(loop_scope="module")
async def window(home: Home, root: Path) -> AsyncIterator[Window]:
    """A trusted window on ``root``; learning is paused afterwards, so that no run outlives its test."""
    window = await home.window(root, settings={**SETTINGS, "learning": {"trusted": True}})
    await window.learning("idle")
    yield window
    with contextlib.suppress(AssertionError):
        await window.command("tailora.pauseLearning")
    await window.stop()


@pytest.fixture
def hole(window: Window, root: Path) -> Hole:
    """Shown in ``window``."""
    hole = cut(root / "delayed_queue.py", "self._queue.", "popleft()")
    window.show(hole)
    return hole


def _edit(root: Path, name: str) -> None:
    """As an editor saves: one write."""
    path = root / "echo.py"
    path.write_text(path.read_text(encoding="utf-8") + _EDIT.format(name=name), encoding="utf-8")


async def _in_training(home: Home, root: Path) -> psutil.Process:
    """The worker, as soon as it has told that it works."""
    await home.until(
        lambda status: status["project"]["state"] == "training" and status["project"]["progress"], root
    )
    (worker,) = home.processes(WORKER)
    return worker


async def test_an_edit_is_learned_while_completions_go_on(home, window, root, hole):
    # Read anew or from the cache, near ties may be decided otherwise, on processors that read in another precision.
    await window.suggestion(hole)
    before = await window.suggestion(hole)
    assert before
    _edit(root, "largest_of")
    await _in_training(home, root)
    seen = len(window.statuses)
    for _ in range(3):
        assert await window.suggestion(hole) == before
    assert window.statuses[-1].project.state in ("training", "gating")
    told = await window.status(lambda told: told.project.last_gate and told.project.state == "idle")
    states = [told.project.state for told in window.statuses[seen:]]
    assert {"training", "gating"} <= set(states)
    gate = told.project.last_gate
    assert gate.decision in ("promoted", "rejected")
    assert gate.base_nll > 0
    assert gate.candidate_nll > 0
    assert gate.reason
    assert told.project.message
    assert told.project.serving == (gate.version if gate.decision == "promoted" else None)
    version = home.store(root).get(gate.version)
    assert version.status == ("serving" if gate.decision == "promoted" else "rejected")
    assert version.manifest.cost.seconds > 0
    assert not home.processes(WORKER)
    assert await window.suggestion(hole)


async def test_a_workspace_that_is_not_trusted_is_never_learned(home, window, root, tmp_path):
    other_root = copy_utilities(tmp_path / "other")
    other = await home.window(other_root, settings=SETTINGS)
    await other.learning("untrusted")
    _edit(other_root, "unlearned")
    assert "not trusted" in await other.refusal("tailora.trainNow")
    # A later edit where learning is allowed has its effect, the earlier one has none.
    _edit(root, "learned")
    worker = await _in_training(home, root)
    assert str(root) in worker.cmdline()
    project = (await other.command("tailora.status"))["project"]
    assert (project["state"], project["changed_files"]) == ("untrusted", 0)
    assert not home.store(other_root).directory.exists()
    await other.stop()


async def test_pause_and_resume(home, window, root):
    _edit(root, "first")
    worker = await _in_training(home, root)
    await window.do("tailora.pauseLearning")
    await window.learning("paused")
    worker.wait()
    _edit(root, "second")
    await home.until(lambda status: status["project"]["changed_files"], root)
    assert (await window.command("tailora.status"))["project"]["state"] == "paused"
    await window.do("tailora.resumeLearning")
    assert (await _in_training(home, root)).pid != worker.pid


async def test_the_worker_is_killed(home, window, root, hole):
    before = await window.suggestion(hole)
    _edit(root, "first")
    worker = await _in_training(home, root)
    worker.kill()
    await window.status(lambda told: told.project and "killed (signal 9)" in told.project.message)
    assert home.store(root).serving() is None
    assert home.store(root).versions() == []
    assert await window.suggestion(hole) == before
    _edit(root, "second")
    assert (await _in_training(home, root)).pid != worker.pid


@dataclass(frozen=True, slots=True)
class Disk:
    """A small file system."""

    path: Path

    def fill(self) -> None:
        """Until nothing more fits."""
        with contextlib.suppress(OSError), (self.path / "filling").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def make_read_only(self) -> None:
        """For everybody, root too."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True, capture_output=True)

    def clear(self) -> None:
        """As it was in the beginning."""
        subprocess.run(["mount", "-o", "remount,rw", str(self.path)], check=True, capture_output=True)
        (self.path / "filling").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def disk(home: Home) -> Iterator[Disk]:
    """Where the adapters of ``home`` lie from now on."""
    path = home.path / "data"
    path.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("FULL AND READ-ONLY DISKS WERE NOT TESTED: this user may not mount a tmpfs")
    yield Disk(path)
    home.end()
    subprocess.run(["umount", str(path)], check=True, capture_output=True)


@pytest.mark.parametrize(
    "fault,advice", [("full", "the disk is full"), ("read-only", "no permission to write")]
)
async def test_adapters_that_cannot_be_written(home, disk, window, root, hole, fault, advice):
    before = await window.suggestion(hole)
    disk.fill() if fault == "full" else disk.make_read_only()
    try:
        await window.do("tailora.trainNow")
        status = await window.status(lambda told: told.project and advice in told.project.message)
        assert status.project.state == "idle"
        assert await window.suggestion(hole) == before
        assert advice in await window.refusal("tailora.pauseLearning")
    finally:
        disk.clear()
    await window.do("tailora.pauseLearning")
    await window.learning("paused")
