"""Keeps a training run of a project under way while something else is measured, and watches its worker.

Runs are started and ended through the engine, as an editor does it, so the engine suspends and resumes them as ever.
Knows nothing of what is measured. Invariant: no run is left to come to a decision, so that nothing is promoted.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

from tailora.engine.worker import COMMAND
from tailora_adapters.errors import TailoraError

__all__ = ["Engine", "Seen", "Training", "find_worker"]

_POLL_S = 0.1
_SAMPLE_S = 0.1
_START_TIMEOUT_S = 900.0
"""From the start of a run to its first step: the model is loaded, and what serves is measured."""
_END_TIMEOUT_S = 30.0
_TRIES = 3
"""Runs in a row that may end without a step; the first steps of a short one can be missed."""


class Engine(Protocol):
    """What is used of ``EngineClient``."""

    async def status(self, project: Path) -> dict[str, Any]:
        """The engine status."""

    async def train(self, root: Path) -> object:
        """Starts a run."""

    async def pause(self, root: Path) -> object:
        """Ends it."""

    async def resume(self, root: Path) -> object:
        """Allows the next."""


@dataclass(slots=True)
class Seen:
    """What was seen of the workers during the visits that were wholly under training."""

    dropped: set[int] = field(default_factory=set)
    """Numbers of the other visits."""
    runs: int = 0
    """Runs that were started."""
    samples: int = 0
    suspended: int = 0
    """Samples in which the worker was stopped."""
    seconds: float = 0.0
    cpu_s: float = 0.0
    """Computed by the worker in that time."""
    least_available_mb: float = float("inf")
    """Memory that the machine had left."""


class Training:
    """Training of one project, which an editor must have open and trust.

    Args:
        worker: Finds the worker of the engine with this process id.
    """

    def __init__(
        self,
        engine: Engine,
        root: Path,
        worker: Callable[[int], psutil.Process | None] | None = None,
    ) -> None:
        self._engine = engine
        self._root = root
        self._find_worker = worker or find_worker
        self.seen = Seen()

    @contextlib.asynccontextmanager
    async def around(self, number: int) -> AsyncIterator[None]:
        """Wraps a visit: it begins while the worker of a run computes, and is dropped if that run does not last."""
        worker = await self._started()
        began, cpu_s = asyncio.get_running_loop().time(), _cpu_s(worker)
        visit = Seen()
        sampling = asyncio.create_task(_sample(worker, visit))
        try:
            yield
        finally:
            sampling.cancel()
            await asyncio.wait([sampling])
        if not await self._still(worker):
            self.seen.dropped.add(number)
            return
        self.seen.samples += visit.samples
        self.seen.suspended += visit.suspended
        self.seen.seconds += asyncio.get_running_loop().time() - began
        self.seen.cpu_s += _cpu_s(worker) - cpu_s
        self.seen.least_available_mb = min(self.seen.least_available_mb, visit.least_available_mb)

    async def end(self) -> None:
        """Ends the run and waits until its worker is gone.

        Raises:
            TailoraError: it does not end.
        """
        await self._engine.pause(self._root)
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                while (await self._status())[0] in ("training", "gating"):  # noqa: ASYNC110 - asked over a socket
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise TailoraError("the training run does not end") from None
        await self._engine.resume(self._root)

    async def _started(self) -> psutil.Process:
        """The worker of a run that makes steps at this moment.

        Raises:
            TailoraError: runs end before, or take too long.
        """
        message, tries = "", 0
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                while True:
                    state, message, pid = await self._status()
                    if state == "training" and message.startswith("step"):
                        worker = self._find_worker(pid)
                        if worker is not None and not _is_suspended(worker):
                            return worker
                    elif state == "gating":
                        await self.end()
                    elif state not in ("training", "waiting"):
                        if tries == _TRIES:
                            raise TailoraError(f"training does not get to its first step: {message}")
                        tries += 1
                        self.seen.runs += 1
                        await self._engine.train(self._root)
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise TailoraError(f"training takes too long to get to its first step: {message}") from None

    async def _still(self, worker: psutil.Process) -> bool:
        """Whether that worker trains still."""
        state, _, pid = await self._status()
        return state == "training" and self._find_worker(pid) == worker

    async def _status(self) -> tuple[str, str, int]:
        """State, message, and the engine's process id."""
        status = await self._engine.status(self._root)
        project = status["project"]
        return project["state"], project["message"], status["engine"]["pid"]


def find_worker(engine: int) -> psutil.Process | None:
    """The training worker among the children of the engine with this process id."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(engine).children():
            with contextlib.suppress(psutil.Error):
                if COMMAND[-1] in child.cmdline():
                    return child
    return None


async def _sample(worker: psutil.Process, visit: Seen) -> None:
    while True:
        visit.suspended += _is_suspended(worker)
        visit.samples += 1
        available_mb = psutil.virtual_memory().available / 2**20
        visit.least_available_mb = min(visit.least_available_mb, available_mb)
        await asyncio.sleep(_SAMPLE_S)


def _is_suspended(worker: psutil.Process) -> bool:
    try:
        return bool(worker.status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False  # it has ended: the visit will be dropped


def _cpu_s(worker: psutil.Process) -> float:
    try:
        times = worker.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system
