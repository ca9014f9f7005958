"""One training process: its events, its end, and that it obeys."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tailora.engine.worker import Worker

SCRIPT = str(Path(__file__).with_name("engine_worker.py"))


class Run:
    """A worker on its way, and the progress that it reported."""

    def __init__(self, root: Path, plan: str) -> None:
        (root / "plan").write_text(plan)
        self.root = root
        self.progress: list[dict[str, Any]] = []
        self.reported = asyncio.Event()
        command = [sys.executable, SCRIPT, "--root", str(root), "--model", "m"]
        self.worker = Worker(command, self._on_progress)

    def _on_progress(self, event: dict[str, Any]) -> None:
        self.progress.append(event)
        self.reported.set()

    async def until_it_reports(self) -> psutil.Process:
        await asyncio.wait_for(self.reported.wait(), 20)
        assert self.worker.pid is not None
        return psutil.Process(self.worker.pid)


@pytest.fixture
def root(tmp_path: Path, home: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


async def test_a_run_reports_and_ends(root: Path, home: Path) -> None:
    run = Run(root, "promote")
    done = await run.worker.run(("a.py", "b.py"))
    assert (done["decision"], done["version"]) == ("promoted", "4")
    assert [event["stage"] for event in run.progress] == ["training", "gating"]
    told = json.loads((root / ".worker.json").read_text())
    assert told["files"] == ["a.py", "b.py"]
    assert told["parent"] == os.getpid()
    assert told["nice"] >= 10
    assert list((home / "cache" / "training").iterdir()) == []


async def test_a_run_without_a_result_failed(root: Path) -> None:
    done = await Run(root, "silent").worker.run()
    assert done["decision"] == "failed"
    assert "exit code 3" in done["reason"]


async def test_garbage_between_the_events_is_passed_over(root: Path) -> None:
    assert (await Run(root, "garbage").worker.run())["decision"] == "promoted"


async def test_a_killed_worker_is_a_failed_run(root: Path) -> None:
    run = Run(root, "wait")
    task = asyncio.create_task(run.worker.run())
    (await run.until_it_reports()).kill()
    assert "signal 9" in (await asyncio.wait_for(task, 20))["reason"]


async def test_a_stopped_worker_can_be_ended(root: Path) -> None:
    run = Run(root, "wait")
    task = asyncio.create_task(run.worker.run())
    process = await run.until_it_reports()
    run.worker.suspend()
    assert await asyncio.to_thread(_becomes, process, {psutil.STATUS_STOPPED})
    run.worker.resume()
    assert await asyncio.to_thread(_becomes, process, {psutil.STATUS_SLEEPING, psutil.STATUS_RUNNING})
    run.worker.suspend()
    run.worker.kill("paused")
    assert (await asyncio.wait_for(task, 20))["reason"] == "paused"


async def test_ended_before_it_began_it_does_not_run(root: Path) -> None:
    run = Run(root, "wait")
    run.worker.kill("paused")
    assert (await run.worker.run())["reason"] == "paused"
    assert run.worker.pid is None


async def test_a_program_that_does_not_exist_is_a_failed_run(root: Path) -> None:
    done = await Worker([str(root / "nothing")], lambda event: None).run()
    assert done["decision"] == "failed"


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG")
async def test_a_stopped_worker_dies_with_the_engine(root: Path) -> None:
    (root / "plan").write_text("wait")
    engine = f"""
import asyncio
from tailora.engine.worker import Worker
async def main():
    def on_progress(event):
        worker.suspend()
        print(worker.pid, flush=True)
    worker = Worker([{sys.executable!r}, {SCRIPT!r}, "--root", {str(root)!r}, "--model", "m"], on_progress)
    await worker.run()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", engine, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    worker = psutil.Process(int(await asyncio.wait_for(process.stdout.readline(), 20)))
    process.kill()
    await process.wait()
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [worker], 20)
    assert gone == [worker]


def _becomes(process: psutil.Process, states: set[str]) -> bool:
    # The kernel stops a process soon, not at once, and tells nobody: so this one is polled.
    return any(process.status() in states for _ in range(100_000))


async def test_time_is_counted_while_it_may_run_only(root: Path) -> None:
    run = Run(root, "wait")
    now = 100.0
    run.worker = Worker(run.worker._command, run._on_progress, lambda: now)
    task = asyncio.create_task(run.worker.run())
    await run.until_it_reports()
    now += 5
    run.worker.suspend()
    now += 1_000  # completions run
    assert run.worker.running_s == 5
    run.worker.resume()
    now += 2
    run.worker.kill("enough")
    await task
    now += 1_000
    assert run.worker.running_s == 7
    run.worker.resume()
    assert run.worker.running_s == 7
