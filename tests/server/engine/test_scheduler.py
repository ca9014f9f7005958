"""Who runs when, and that every request ends exactly once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from engine_fakes import FakeGenerator, no_adapter

from tailora.engine.generator import AdapterRef, GenerationRequest, GenerationStep
from tailora.engine.jobs import Job
from tailora.engine.scheduler import OutOfMemory, ResolveAdapter, Scheduler
from tailora_adapters.errors import AdapterCorrupt, ModelError, ModelMissing, TailoraError

Make = Callable[..., Scheduler]


@pytest.fixture
def generator() -> FakeGenerator:
    return FakeGenerator()


@pytest.fixture
async def make(generator: FakeGenerator) -> AsyncIterator[Make]:
    made: list[Scheduler] = []

    def start(resolve: ResolveAdapter = no_adapter, **settings: object) -> Scheduler:
        scheduler = Scheduler(generator, resolve, lambda: None, **settings)  # type: ignore[arg-type]
        scheduler.start()
        made.append(scheduler)
        return scheduler

    yield start
    generator.hold_load.set()
    generator.step(1000)
    for scheduler in made:
        assert await scheduler.close()


def ask(prefix: str = "p", document: str | None = None, tokens: int = 3) -> GenerationRequest:
    return GenerationRequest(prefix=prefix, document=document, max_tokens=tokens)


async def steps_of(job: Job) -> list[GenerationStep]:
    return [step async for step in job]


async def at_step(generator: FakeGenerator) -> None:
    assert await asyncio.to_thread(generator.at_step.acquire, timeout=20)


async def test_a_request_loads_the_model_and_is_answered(make: Make, generator: FakeGenerator) -> None:
    scheduler = make()
    steps = await steps_of(scheduler.submit(ask()))
    assert "".join(step.text for step in steps) == "w0 w1 w2 "
    assert steps[-1].finish_reason == "length"
    assert {step.finish_reason for step in steps[:-1]} == {None}
    each = await steps_of(make(gather_s=0).submit(ask()))
    assert [step.text for step in each] == ["w0 ", "w1 ", "w2 "]
    assert (scheduler.active, scheduler.served, generator.loads) == (0, 1, 1)
    assert scheduler.load_state.state == "ready"


async def test_requests_wait_for_a_load_that_runs(make: Make, generator: FakeGenerator) -> None:
    generator.hold_load.clear()
    scheduler = make()
    scheduler.load()
    jobs = [asyncio.create_task(steps_of(scheduler.submit(ask()))) for _ in range(3)]
    await asyncio.sleep(0)
    assert scheduler.active == 3
    generator.hold_load.set()
    for steps in await asyncio.gather(*jobs):
        assert steps[-1].finish_reason == "length"
    assert generator.loads == 1


async def test_cancel_stops_the_generator_before_its_next_token(make: Make, generator: FakeGenerator) -> None:
    generator.hold = True
    scheduler = make()
    job = scheduler.submit(ask(tokens=50))
    await at_step(generator)
    generator.step()
    await at_step(generator)
    job.cancel()
    assert (job.outcome, scheduler.active) == ("cancelled", 0)
    generator.hold = False
    generator.step()
    # The thread is free for the next one, and took no further step for the cancelled one.
    assert (await steps_of(scheduler.submit(ask(tokens=1))))[-1].finish_reason == "length"
    assert generator.steps_taken == 2


async def test_a_cancelled_request_that_waits_never_runs(make: Make, generator: FakeGenerator) -> None:
    generator.hold = True
    scheduler = make()
    running = scheduler.submit(ask("running", tokens=1))
    await at_step(generator)
    waiting = scheduler.submit(ask("waiting"))
    waiting.cancel()
    generator.step(2)
    await steps_of(running)
    assert await steps_of(waiting) == []
    assert [request.prefix for request in generator.requests] == ["running"]


async def test_newest_wins_per_document_at_once(make: Make, generator: FakeGenerator) -> None:
    generator.hold = True
    scheduler = make()
    running = scheduler.submit(ask("first", "doc"))
    await at_step(generator)
    waiting = scheduler.submit(ask("second", "doc"))
    other = scheduler.submit(ask("other", "another doc"))
    newest = scheduler.submit(ask("third", "doc"))
    # Answered although the generation thread still sits in the first one.
    assert (await steps_of(running))[-1].finish_reason == "superseded"
    assert (await steps_of(waiting))[-1].finish_reason == "superseded"
    generator.hold = False
    generator.step(1)
    assert (await steps_of(newest))[-1].finish_reason == "length"
    assert (await steps_of(other))[-1].finish_reason == "length"
    assert [request.prefix for request in generator.requests] == ["first", "third", "other"]
    assert (scheduler.served, scheduler.cancelled) == (2, 2)


async def test_documents_of_two_projects_do_not_supersede_each_other(make: Make) -> None:
    scheduler = make()
    jobs = [scheduler.submit(ask(document="a.py"), project=project) for project in ("/a", "/b")]
    assert [(await steps_of(job))[-1].finish_reason for job in jobs] == ["length", "length"]


async def test_an_exception_costs_one_request(make: Make, generator: FakeGenerator) -> None:
    generator.errors["bad"] = ValueError("a bug")
    scheduler = make()
    with pytest.raises(ValueError, match="a bug"):
        await steps_of(scheduler.submit(ask("bad")))
    assert (await steps_of(scheduler.submit(ask())))[-1].finish_reason == "length"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp] can't allocate memory")]
)
async def test_out_of_memory_unloads_and_goes_on(
    make: Make, generator: FakeGenerator, error: Exception
) -> None:
    generator.errors["big"] = error
    scheduler = make()
    with pytest.raises(OutOfMemory, match="not enough memory"):
        await steps_of(scheduler.submit(ask("big")))
    assert generator.unloads == 1
    assert (await steps_of(scheduler.submit(ask())))[-1].finish_reason == "length"
    assert generator.loads == 2


async def test_a_failed_load_fails_requests_without_trying_each_time(
    make: Make, generator: FakeGenerator
) -> None:
    now = 0.0
    generator.load_errors = [OSError("disk"), OSError("disk")]
    scheduler = make(clock=lambda: now)
    for _ in range(3):
        with pytest.raises(ModelError, match="disk"):
            await steps_of(scheduler.submit(ask()))
    assert generator.loads == 1
    assert (scheduler.load_state.state, scheduler.load_state.message) == (
        "failed",
        "the model cannot be loaded: disk",
    )
    now = 31.0
    with pytest.raises(ModelError):
        await steps_of(scheduler.submit(ask()))
    assert generator.loads == 2
    scheduler.load()  # asked for, so at once
    assert (await steps_of(scheduler.submit(ask())))[-1].finish_reason == "length"


async def test_a_missing_model_is_found_as_soon_as_it_is_there(make: Make, generator: FakeGenerator) -> None:
    generator.load_errors = [ModelMissing("none")]
    scheduler = make()
    with pytest.raises(ModelMissing):
        await steps_of(scheduler.submit(ask()))
    assert scheduler.load_state.state == "missing"
    assert (await steps_of(scheduler.submit(ask())))[-1].finish_reason == "length"


def refs(*labels: str) -> ResolveAdapter:
    """Offers adapters in this order, passing over broken ones, then none."""

    def resolve(project: str | None, wanted: str, *, broken: frozenset[str]) -> AdapterRef | None:
        left = [label for label in labels if label not in broken]
        return AdapterRef(left[0], Path(left[0]), left[0]) if left else None

    return resolve


async def test_a_corrupt_adapter_is_replaced_and_remembered(make: Make, generator: FakeGenerator) -> None:
    generator.corrupt = {"3": AdapterCorrupt("bad header"), "2": AdapterCorrupt("bad header")}
    scheduler = make(refs("3", "2", "foundation"))
    job = scheduler.submit(ask())
    assert (await steps_of(job))[-1].finish_reason == "length"
    assert job.adapter == "foundation"
    assert scheduler.broken == {"3": "bad header", "2": "bad header"}
    again = scheduler.submit(ask())
    await steps_of(again)
    keys = [request.adapter.key for request in generator.requests if request.adapter]
    assert keys == ["3", "2", "foundation", "foundation"]


async def test_idle_unloads_and_the_next_request_loads(make: Make, generator: FakeGenerator) -> None:
    now = 0.0
    scheduler = make(clock=lambda: now, idle_unload_s=10)
    await steps_of(scheduler.submit(ask()))
    now = 9.0
    scheduler.check_idle()
    await steps_of(scheduler.submit(ask()))
    assert generator.unloads == 0
    now = 40.0
    unloaded = asyncio.Event()
    scheduler._on_change = lambda: unloaded.set() if scheduler.load_state.state == "unloaded" else None
    scheduler.check_idle()
    await asyncio.wait_for(unloaded.wait(), 20)
    assert not generator.loaded
    assert (await steps_of(scheduler.submit(ask())))[-1].finish_reason == "length"
    assert generator.loads == 2


async def test_busy_is_announced_once_until_it_lingered(make: Make) -> None:
    announced: list[bool] = []
    quiet = asyncio.Event()

    def on_busy(busy: bool) -> None:
        announced.append(busy)
        if not busy:
            quiet.set()

    scheduler = make(on_busy=on_busy, linger_s=0.05)
    jobs = [scheduler.submit(ask()) for _ in range(3)]
    assert announced == [True]
    for job in jobs:
        await steps_of(job)
    await asyncio.wait_for(quiet.wait(), 20)
    assert announced == [True, False]


async def test_between_two_keystrokes_it_stays_busy(make: Make) -> None:
    announced: list[bool] = []
    scheduler = make(on_busy=announced.append)
    for key in "ab":
        await steps_of(scheduler.submit(ask(key)))
    assert announced == [True]


async def test_closing_ends_what_waits_and_what_runs(make: Make, generator: FakeGenerator) -> None:
    generator.hold = True
    scheduler = make()
    running, waiting = scheduler.submit(ask()), scheduler.submit(ask())
    await at_step(generator)
    closing = asyncio.create_task(scheduler.close())
    for job in (running, waiting):
        with pytest.raises(TailoraError, match="shutting down"):
            await steps_of(job)
    generator.step()
    assert await closing
    with pytest.raises(TailoraError, match="shutting down"):
        await steps_of(scheduler.submit(ask()))


async def test_a_storm_gives_each_request_one_outcome(make: Make, generator: FakeGenerator) -> None:
    random_numbers = random.Random(7)
    generator.errors["bad"] = ValueError("a bug")
    scheduler = make()

    async def one(number: int) -> str:
        prefix = "bad" if random_numbers.random() < 0.1 else f"p{number}"
        job = scheduler.submit(ask(prefix, f"doc{number % 5}", tokens=random_numbers.randint(1, 20)))
        stop_after = random_numbers.choice([None, None, 0, 1, 3])
        ends: list[str] = []
        try:
            seen = 0
            if stop_after == 0:
                job.cancel()
            async for step in job:
                assert not ends, "something came after the end"
                if step.finish_reason:
                    ends.append(step.finish_reason)
                seen += 1
                if seen == stop_after and not ends:
                    job.cancel()
        except ValueError:
            ends.append("failed")
        if not ends:
            ends.append("cancelled")
        assert len(ends) == 1
        assert job.outcome == ends[0] or (job.outcome, ends[0]) == ("cancelled", "cancelled")
        return ends[0]

    waves = []
    for start in range(0, 200, 20):
        waves += [asyncio.create_task(one(number)) for number in range(start, start + 20)]
        await asyncio.sleep(0)
    outcomes = Counter(await asyncio.gather(*waves))
    assert sum(outcomes.values()) == 200
    assert scheduler.active == 0
    assert scheduler.served + scheduler.cancelled + outcomes["failed"] == 200
    assert (await steps_of(scheduler.submit(ask())))[-1].finish_reason == "length"
