"""What the status says about the base model, from missing to ready."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from engine_fakes import FakeGenerator, no_adapter

from tailora.engine.generator import GenerationRequest
from tailora.engine.lazy import LazyGenerator
from tailora.engine.model import Model
from tailora.engine.options import EngineOptions
from tailora.engine.scheduler import Scheduler
from tailora.engine.wire import BadRequest
from tailora_adapters.errors import FetchFailed, ModelMissing


class Machine:
    """A machine without the model, and a fetch that goes on step by step."""

    def __init__(self) -> None:
        self.on_disk = False
        self.error: Exception | None = None
        self.allowed = threading.Semaphore(0)
        self.changed = asyncio.Event()
        self.generator = LazyGenerator(
            EngineOptions(), lambda _options: FakeGenerator(), lambda _name: self.on_disk
        )
        self.scheduler = Scheduler(self.generator, no_adapter, self.changed.set)
        self.model = Model(
            EngineOptions(),
            self.generator,
            self.scheduler,
            self.changed.set,
            fetch=self._fetch,
            is_ready=lambda _name: self.on_disk,
        )
        self.scheduler.start()

    def _fetch(self, name: str, progress: Callable[[float, str], None]) -> Path:
        for fraction, message in ((0.2, "fetching part 1"), (0.7, "reading the weights"), (0.9, "checking")):
            progress(fraction, message)
            self.allowed.acquire(timeout=20)
        if self.error is not None:
            raise self.error
        self.on_disk = True
        return Path(name)

    async def until(self, state: str, progress: float | None = None) -> str | None:
        async with asyncio.timeout(20):
            while True:
                self.changed.clear()
                status = self.model.status()
                if (status["state"], status["progress"]) == (state, progress):
                    return str(status["message"]) if status["message"] else None
                await self.changed.wait()

    async def ask(self) -> str | None:
        reason = None
        async for step in self.scheduler.submit(GenerationRequest("p", max_tokens=1)):
            reason = step.finish_reason
        return reason


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    result = Machine()
    yield result
    result.allowed.release(100)
    await result.scheduler.close()


async def test_from_missing_to_ready(machine: Machine) -> None:
    await machine.model.look()
    assert "tailora model pull" in str(await machine.until("missing"))
    with pytest.raises(ModelMissing):
        await machine.ask()
    machine.model.pull()
    machine.model.pull()  # runs already
    assert await machine.until("fetching", 0.2) == "fetching part 1"
    with pytest.raises(BadRequest, match="is being fetched"):
        machine.model.pull("another")
    with pytest.raises(ModelMissing, match="20%"):
        machine.model.refuse_while_fetching()
    machine.allowed.release()
    await machine.until("converting", 0.7)
    machine.allowed.release()
    await machine.until("converting", 0.9)
    machine.allowed.release()
    assert await machine.until("unloaded") is None
    machine.model.refuse_while_fetching()
    assert await machine.ask() == "length"
    await machine.until("ready")
    assert machine.model.status()["name"] == "fake"
    machine.scheduler.unload()
    await machine.until("unloaded")


@pytest.mark.parametrize("error", [FetchFailed("no network"), ValueError("no network")])
async def test_a_failed_fetch_is_told_and_can_be_repeated(machine: Machine, error: Exception) -> None:
    machine.error = error
    machine.allowed.release(3)
    machine.model.pull()
    assert "no network" in str(await machine.until("failed"))
    machine.error = None
    machine.allowed.release(3)
    machine.model.pull()
    await machine.until("unloaded")


async def test_a_model_that_came_by_another_way_is_found(machine: Machine) -> None:
    await machine.model.look()
    await machine.until("missing")
    machine.on_disk = True
    await machine.model.look()
    assert await machine.until("unloaded") is None
    assert await machine.ask() == "length"
    await machine.until("ready")
