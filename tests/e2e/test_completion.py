"""Suggestions of the real model in real code: the first one, a storm of cancels, two windows on one engine."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import clients
import pytest
import pytest_asyncio
from lsprotocol import types
from real_model import ENGINE, PATIENCE_S, SERVER, SETTINGS, Home, Window, cut, ready

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

_INVOKED = types.InlineCompletionTriggerKind.Invoked.value
_AUTOMATIC = types.InlineCompletionTriggerKind.Automatic.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def windows(home: Home, repository: Path) -> AsyncIterator[tuple[Window, Window]]:
    """Two windows that were started at the same moment, without an engine."""
    both = await asyncio.gather(*(home.window(repository, up=False) for _ in range(2)))
    yield both
    for window in both:
        if window.client._server.returncode is None:
            await window.stop()


async def test_the_first_suggestion(make_home, repository, capsys):
    home = make_home()
    began = time.monotonic()
    window = await home.window(repository, settings={"completion": {"deadline_ms": 60_000}}, up=False)
    before = "        self._not_empty.acquire()\n        self._not_empty.notify()\n        self."
    hole = cut(repository / "watchdog/utils/delayed_queue.py", before, "_not_empty.release()")
    window.show(hole)
    await window.status(lambda told: told.state not in ("starting", "error"))
    engine_up = time.monotonic()
    text = await window.suggestion(hole, manual=False)
    shown = time.monotonic()
    assert text
    name = re.match(r"\w+", text)
    assert name, text
    assert name.group() in re.findall(r"\w+", hole.text)
    status = await window.status(ready)
    assert status.suggestion.shown
    assert window.statuses[0].state == "starting"
    with capsys.disabled():
        print(
            f"\nself.{text!r}: engine up after {engine_up - began:.1f} s, suggestion {shown - engine_up:.1f} s later"
        )
    await window.stop()
    home.end()


async def test_two_windows_share_an_engine(windows, home, repository):
    one, other = windows
    hole = cut(repository / "watchdog/utils/delayed_queue.py", "self._queue.", "popleft()")
    for window in windows:
        window.show(hole)
    assert all(await asyncio.gather(*(window.suggestion(hole) for window in windows)))
    # Asked again, since a near tie may be decided otherwise when the text is read anew or from the cache.
    texts = await asyncio.gather(*(window.suggestion(hole) for window in windows))
    assert texts[0] == texts[1]
    engine = home.engine()
    await one.stop()
    # Closing is announced by the end of its streams: the engine goes on for the other window.
    assert await other.suggestion(hole) == texts[1]
    assert home.engine().pid == engine.pid


async def test_a_storm_of_cancels(home, repository):
    hole = cut(
        repository / "watchdog/observers/api.py",
        "            self._",
        "add_handler_for_watch(event_handler, watch)",
    )
    raw = clients.RawClient(command=SERVER, env=home.env, patience_s=PATIENCE_S)
    await raw.start(home.path)
    await raw.initialize(**SETTINGS)
    item = {"uri": hole.uri, "languageId": "python", "version": 1, "text": hole.text}
    raw.notify("textDocument/didOpen", {"textDocument": item})
    typed = 0
    for number in range(1, 61):
        if number % 4 == 0:
            here = {"line": hole.line, "character": hole.character + typed}
            change = {"range": {"start": here, "end": here}, "text": hole.missing[typed]}
            identifier = {"uri": hole.uri, "version": number}
            raw.notify("textDocument/didChange", {"textDocument": identifier, "contentChanges": [change]})
            typed += 1
        params = {
            "textDocument": {"uri": hole.uri},
            "position": {"line": hole.line, "character": hole.character + typed},
            "context": {"triggerKind": _INVOKED if number % 2 else _AUTOMATIC},
        }
        message = {
            "jsonrpc": "2.0",
            "id": number,
            "method": "textDocument/inlineCompletion",
            "params": params,
        }
        raw.send(message)
        if number % 7 == 0:  # lets it get as far as the engine
            await _active_or_answered(home, raw, number)
        if number % 3 == 0 and number < 60:
            raw.notify("$/cancelRequest", {"id": number})
    last = await raw.answer(60)
    assert last["result"]["items"][0]["insertText"]
    status = await home.until(lambda status: status["requests"]["active"] == 0)
    assert status["requests"]["cancelled"] > 0
    assert await raw.request(61, "shutdown") == {"jsonrpc": "2.0", "id": 61, "result": None}
    assert raw.counts() == dict.fromkeys(range(62), 1)
    await raw.stop()
    assert len(home.processes(ENGINE)) == 1


async def _active_or_answered(home: Home, raw: clients.RawClient, number: int) -> None:
    waiting = {
        asyncio.create_task(home.until(lambda status: status["requests"]["active"])),
        asyncio.create_task(raw.answer(number)),
    }
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    for task in done:
        task.result()
