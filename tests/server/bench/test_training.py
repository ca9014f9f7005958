"""A run is under way at every place that counts, and none comes to a decision."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tailora.bench.training import Training
from tailora_adapters.errors import TailoraError

ROOT = Path("/project")
STEP = ("training", "step 3, loss 1.20, 400 tokens/s")


@dataclass(eq=False)
class FakeWorker:
    """Stopped whenever it is looked at for an odd time; computes on one core."""

    looks: int = 0

    def status(self) -> str:
        self.looks += 1
        return psutil.STATUS_STOPPED if self.looks % 2 else psutil.STATUS_SLEEPING

    def cpu_times(self) -> Any:
        return psutil.Process().cpu_times()._replace(user=asyncio.get_running_loop().time(), system=0.0)


@dataclass
class FakeEngine:
    """Each ``train`` starts the next of ``runs``: the states that it goes through, one a look; the last one stays."""

    runs: list[list[tuple[str, str]]]
    calls: list[str] = field(default_factory=list)
    state: list[tuple[str, str]] = field(default_factory=lambda: [("off", "learning is turned off")])
    worker: FakeWorker | None = None

    async def status(self, project: Path) -> dict[str, Any]:
        assert project == ROOT
        state, message = self.state.pop(0) if len(self.state) > 1 else self.state[0]
        return {"engine": {"pid": 7}, "project": {"state": state, "message": message}}

    async def train(self, root: Path) -> None:
        self.calls.append("train")
        self.state, self.worker = self.runs.pop(0), FakeWorker()

    async def pause(self, root: Path) -> None:
        self.calls.append("pause")
        self.state = [self.state[0], ("off", "training was stopped: paused")]

    async def resume(self, root: Path) -> None:
        self.calls.append("resume")


def training(engine: FakeEngine) -> Training:
    def find(pid: int) -> Any:
        assert pid == 7
        return engine.worker

    return Training(engine, ROOT, find)


def test_a_place_waits_for_the_first_step_and_the_run_serves_the_next_one(in_no_time: Any) -> None:
    engine = FakeEngine([[("waiting", "training starts"), ("training", "loading tiny"), STEP]])

    async def story() -> Training:
        kept = training(engine)
        for number in range(2):
            async with kept.around(number):
                assert engine.state == [STEP]
                assert engine.worker is not None
                assert engine.worker.looks % 2 == 0, "a place begins while the worker computes"
                await asyncio.sleep(1.95)
        await kept.end()
        return kept

    seen = in_no_time(story()).seen
    assert engine.calls == ["train", "pause", "resume"]
    assert (seen.dropped, seen.runs) == (set(), 1)
    assert seen.suspended / seen.samples == pytest.approx(0.5, abs=0.02)
    assert seen.cpu_s == pytest.approx(seen.seconds) == pytest.approx(3.9)
    assert 0 < seen.least_available_mb < float("inf")


@pytest.mark.parametrize("ended", [("gating", "measuring"), ("off", "version 1 serves")])
def test_a_place_at_which_the_run_ends_is_dropped_and_another_run_started(
    ended: tuple[str, str], in_no_time: Any
) -> None:
    engine = FakeEngine([[STEP, STEP, ended], [STEP]])

    async def story() -> Training:
        kept = training(engine)
        for number in range(2):
            async with kept.around(number):
                await asyncio.sleep(1)
        return kept

    seen = in_no_time(story()).seen
    assert (seen.dropped, seen.runs) == ({0}, 2)
    assert seen.seconds == pytest.approx(1)
    # A run that is about to decide is ended first.
    assert engine.calls == ["train", *(["pause", "resume"] if ended[0] == "gating" else []), "train"]


def test_a_place_that_begins_under_one_run_and_ends_under_another_is_dropped(in_no_time: Any) -> None:
    engine = FakeEngine([[STEP]])

    async def story() -> Training:
        kept = training(engine)
        async with kept.around(0):
            engine.worker = FakeWorker()
        return kept

    assert in_no_time(story()).seen.dropped == {0}


def test_runs_that_come_to_no_step_are_an_error_that_says_why(in_no_time: Any) -> None:
    engine = FakeEngine([[("training", "selecting"), ("off", "too little to learn from")] for _ in range(9)])

    async def story() -> None:
        async with training(engine).around(0):
            raise AssertionError("nothing trains")

    with pytest.raises(TailoraError, match="too little to learn from"):
        in_no_time(story())
    assert 1 < engine.calls.count("train") < 9


def test_a_run_that_never_gets_there_is_an_error(in_no_time: Any) -> None:
    engine = FakeEngine([[("training", "loading tiny")]])

    async def story() -> None:
        async with training(engine).around(0):
            raise AssertionError("nothing trains")

    with pytest.raises(TailoraError, match="loading tiny"):
        in_no_time(story())
