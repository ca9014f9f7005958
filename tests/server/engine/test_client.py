"""Client and engine as real processes: start, streams, cancel, death."""

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tailora.engine import endpoint, spawn
from tailora.engine.client import EngineClient, status_now
from tailora.errors import EngineRefused, EngineUnreachable

HERE = Path(__file__).parent
ENGINE = (sys.executable, str(HERE / "engine_main.py"))


@pytest.fixture
async def client(home: Path) -> AsyncIterator[EngineClient]:
    result = EngineClient(command=ENGINE)
    yield result
    await result.aclose()
    found = endpoint.read()
    if found is not None and psutil.pid_exists(found.pid):
        psutil.Process(found.pid).kill()


def engine_process() -> psutil.Process:
    found = endpoint.read()
    assert found is not None
    return psutil.Process(found.pid)


def start_engine() -> subprocess.Popen[bytes]:
    return subprocess.Popen(ENGINE)


def wait_for_engine() -> None:
    # An engine tells nobody but by its file that it is up, and no client may ask this one.
    while endpoint.read() is None:
        time.sleep(0.01)


async def gone(process: psutil.Process) -> None:
    ended, _ = await asyncio.to_thread(psutil.wait_procs, [process], 20)
    assert ended == [process]


async def text_of(client: EngineClient, prompt: str = "p", **body: Any) -> str:
    chunks = client.complete({"prompt": prompt, "max_tokens": 3, **body})
    return "".join([chunk["choices"][0]["text"] async for chunk in chunks])


async def until(
    client: EngineClient,
    condition: Callable[[dict[str, Any]], bool],
    root: Path | None = None,
    listener: str | None = None,
) -> dict[str, Any]:
    async with asyncio.timeout(20), contextlib.aclosing(client.events(root, client=listener)) as events:
        async for status in events:
            if condition(status):
                return status
    raise AssertionError("the stream ended")


def test_the_client_is_light() -> None:
    heavy = ("torch", "starlette", "uvicorn")
    code = f"import sys, tailora.engine.client; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_ensure_starts_an_engine_that_answers(client: EngineClient, home: Path) -> None:
    assert status_now() is None
    await client.ensure()
    assert (await client.health())["status"] == "ok"
    assert await text_of(client) == "w0 w1 w2 "
    assert oct((home / "run/engine.sock").stat().st_mode)[-3:] == "600"
    process = engine_process()
    assert process.cwd() == str(Path.home())
    assert os.getsid(process.pid) == process.pid
    status = status_now()
    assert status is not None
    assert status["engine"]["pid"] == process.pid
    assert status["requests"]["served"] == 1


async def test_ten_starts_at_once_give_one_engine(home: Path, client: EngineClient) -> None:
    starts = [start_engine() for _ in range(10)]
    await client.ensure()
    losers = [start for start in starts if start.pid != engine_process().pid]
    codes = await asyncio.gather(*(asyncio.to_thread(start.wait, 30) for start in losers))
    assert codes == [0] * len(losers)
    assert len(losers) in (9, 10)  # ten when the client's own was the first
    await client.shutdown()
    for start in starts:
        await asyncio.to_thread(start.wait, 20)


async def test_without_autostart_nothing_is_started(home: Path) -> None:
    client = EngineClient(autostart=False)
    with pytest.raises(EngineUnreachable, match="no engine is running"):
        await client.status()
    assert not (home / "run/engine.json").exists()
    await client.aclose()


async def test_closing_the_stream_cancels(client: EngineClient) -> None:
    stream = client.complete({"prompt": "forever"})
    assert (await anext(stream))["choices"][0]["text"] == "w "
    await stream.aclose()
    status = await until(client, lambda status: status["requests"]["cancelled"] == 1)
    assert status["requests"] == {"active": 0, "served": 0, "cancelled": 1}
    assert await text_of(client) == "w0 w1 w2 "


async def test_cancelling_the_task_cancels_the_completion(client: EngineClient) -> None:
    streaming = asyncio.Event()

    async def consume() -> None:
        async for _ in client.complete({"prompt": "forever"}):
            streaming.set()

    task = asyncio.create_task(consume())
    await streaming.wait()
    task.cancel()
    await until(client, lambda status: status["requests"]["cancelled"] == 1)


async def test_a_newer_request_ends_an_older_one_of_its_document(client: EngineClient) -> None:
    extra: dict[str, Any] = {"tailora": {"document": "a.py"}}
    older = client.complete({"prompt": "forever", **extra})
    await anext(older)
    assert await text_of(client, **extra) == "w0 w1 w2 "
    reasons = [chunk["choices"][0]["finish_reason"] async for chunk in older]
    assert reasons[-1] == "superseded"


async def test_a_refusal_has_its_code(client: EngineClient) -> None:
    with pytest.raises(EngineRefused, match="max_tokens") as refusal:
        await text_of(client, max_tokens=-1)
    assert refusal.value.code == "bad_request"


async def test_a_killed_engine_is_noticed_and_replaced(client: EngineClient) -> None:
    stream = client.complete({"prompt": "forever"})
    await anext(stream)
    old = engine_process()
    old.kill()
    with pytest.raises(EngineUnreachable, match="went away"):
        async for _ in stream:
            pass
    assert await text_of(client) == "w0 w1 w2 "
    assert engine_process().pid != old.pid


async def test_an_engine_that_keeps_dying_is_not_started_in_a_loop(
    client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn, "_PAUSES_S", (0.0, 0.0, 600.0))  # a busy machine takes 2 s for a start
    for _ in range(2):
        await client.ensure()
        process = engine_process()
        process.kill()
        await gone(process)
        await client.aclose()
    with pytest.raises(EngineUnreachable, match="keeps ending; next try in"):
        await client.ensure()


async def test_a_start_that_fails_shows_its_last_words_and_pauses(home: Path) -> None:
    code = "import sys; print('the disk is full', file=sys.stderr); sys.exit(3)"
    client = EngineClient(command=[sys.executable, "-c", code])
    for _ in range(2):
        with pytest.raises(EngineUnreachable, match=r"(?s)exit code 3.*the disk is full"):
            await client.ensure()
    with pytest.raises(EngineUnreachable, match=r"(?s)next try in 2 s.*the disk is full"):
        await client.ensure()
    await client.aclose()


async def test_a_command_that_does_not_exist_is_unreachable(home: Path) -> None:
    client = EngineClient(command=[str(home / "nothing")])
    with pytest.raises(EngineUnreachable, match="cannot be started"):
        await client.ensure()


async def test_an_older_engine_gives_way(client: EngineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PROTOCOL", "0")
    old = start_engine()
    await asyncio.to_thread(wait_for_engine)
    monkeypatch.delenv("FAKE_PROTOCOL")
    await client.ensure()
    assert await asyncio.to_thread(old.wait, 20) == 0
    assert (await client.health())["pid"] != old.pid


async def test_a_newer_engine_is_left_alone(client: EngineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_PROTOCOL", "2")
    with pytest.raises(EngineUnreachable, match="newer"):
        await client.ensure()
    assert engine_process().is_running()


async def test_tcp_wants_the_token(client: EngineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORA_ENGINE_TCP", "1")
    assert await text_of(client) == "w0 w1 w2 "
    assert status_now() is not None
    found = endpoint.read()
    assert found is not None
    assert found.socket is None
    url = f"http://{found.host}:{found.port}/health"
    async with httpx2.AsyncClient(trust_env=False) as http:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": found.token or ""}):
            answer = await http.get(url, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "bad_request"
        answer = await http.get(url, headers={"Authorization": f"Bearer {found.token}"})
        assert answer.status_code == 200


@pytest.mark.parametrize("how", ["shutdown", "terminate"])
async def test_the_engine_ends_cleanly_in_the_middle_of_anything(
    client: EngineClient, home: Path, how: str
) -> None:
    stream, events = client.complete({"prompt": "forever"}), client.events()
    await anext(stream)
    await anext(events)
    process = engine_process()
    if how == "shutdown":
        await client.post("/v1/shutdown")
    else:
        process.send_signal(signal.SIGTERM)
    with pytest.raises(EngineRefused) as refusal:
        async for _ in stream:
            pass
    assert refusal.value.code == "shutting_down"
    async for _ in events:
        pass
    await gone(process)
    assert sorted(path.name for path in (home / "run").iterdir()) == ["engine.lock"]
    assert "Traceback" not in (home / "cache/logs/engine.log").read_text()


async def test_an_idle_engine_ends(client: EngineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORA_ENGINE_IDLE_EXIT_S", "1")
    await client.ensure()
    await gone(engine_process())


async def test_a_changed_file_is_trained_and_events_tell(
    client: EngineClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "plan").write_text("promote")
    monkeypatch.setenv("FAKE_WORKER", shlex.join([sys.executable, str(HERE / "engine_worker.py")]))
    monkeypatch.setenv("TAILORA_ENGINE_QUIET_S", "0.05")
    opened = await client.open_project(root, trusted=True, learning=True)
    assert opened["project"]["root"] == str(root)
    await client.train(root)
    status = await until(client, lambda status: "version 4 serves" in status["project"]["message"], root)
    assert status["project"]["last_gate"]["decision"] == "promoted"
    # ``until`` has closed the only stream of this client, which counts as close.
    closed = "not open in any editor"
    await until(client, lambda status: status["project"]["message"] == closed, root, listener="another")


async def test_the_usual_command_starts_an_engine_even_without_a_model(home: Path) -> None:
    client = EngineClient()
    try:
        with pytest.raises(EngineRefused, match="tailora model pull") as refusal:
            await text_of(client)
        assert refusal.value.code == "model_missing"
        status = await client.status()
        assert status["model"]["state"] == "missing"
        assert status["engine"]["rss_mb"] < 120, "torch was imported for nothing"
    finally:
        await client.shutdown()
        await client.aclose()
