"""Whatever comes in: each request gets exactly one answer, and the server goes on."""

import json

import pytest
from clients import frame

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
NOT_INITIALIZED, CANCELLED = -32002, -32800


def _inline(uri, line, character):
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": 2},
    }


def _ask(raw, ident, uri, line, character):
    method = "textDocument/inlineCompletion"
    raw.send({"jsonrpc": "2.0", "id": ident, "method": method, "params": _inline(uri, line, character)})


def _command(ident):
    params = {"command": "tailora.status"}
    request = {"jsonrpc": "2.0", "id": ident, "method": "workspace/executeCommand", "params": params}
    return json.dumps(request).encode()


def _open(raw, uri, text):
    document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
    raw.notify("textDocument/didOpen", {"textDocument": document})


async def test_malformed_messages(raw):
    refused = await raw.request(1, "textDocument/inlineCompletion", {})
    assert refused["error"]["code"] == NOT_INITIALIZED
    raw.notify("textDocument/didOpen", {"textDocument": {}})  # no answer, no crash

    await raw.initialize()
    assert (await raw.request(2, "initialize", {"capabilities": {}}))["error"]["code"] == INVALID_REQUEST

    raw.write(frame(b"{nonsense"))
    assert (await raw.answer(None))["error"]["code"] == PARSE_ERROR
    raw.write(frame(b"\xff\xfe"))
    assert (await raw.answer(None, 2))["error"]["code"] == PARSE_ERROR
    raw.write(frame(b"[" * 100_000))
    assert (await raw.answer(None, 3))["error"]["code"] == PARSE_ERROR
    raw.send([{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}])
    assert (await raw.answer(None, 4))["error"]["code"] == INVALID_REQUEST
    raw.send({"id": 3, "method": "workspace/executeCommand"})
    assert (await raw.answer(3))["error"]["code"] == INVALID_REQUEST
    raw.send({"jsonrpc": "2.0", "id": 4, "method": 5})
    assert (await raw.answer(4))["error"]["code"] == INVALID_REQUEST
    raw.send({"jsonrpc": "2.0", "id": {}, "method": "shutdown"})
    assert (await raw.answer(None, 5))["error"]["code"] == INVALID_REQUEST

    answer = await raw.request(5, "textDocument/inlineCompletion", {"position": {"line": "x"}})
    assert answer["error"]["code"] == INVALID_PARAMS
    assert "textDocument" in answer["error"]["message"]
    assert (await raw.request(6, "textDocument/inlineCompletion"))["error"]["code"] == INVALID_PARAMS
    assert (await raw.request(7, "no/such"))["error"]["code"] == METHOD_NOT_FOUND
    assert (await raw.request(8, "textDocument/didOpen", {}))["error"]["code"] == INVALID_PARAMS
    assert (await raw.request(9, "workspace/executeCommand", {"command": "rm"}))["error"][
        "code"
    ] == INVALID_PARAMS

    raw.notify(
        "textDocument/didChange",
        {"textDocument": {"uri": "file:///never", "version": 1}, "contentChanges": []},
    )
    raw.notify("textDocument/didChange", {"nonsense": True})
    raw.notify("textDocument/didClose", {"textDocument": {"uri": "file:///never"}})
    raw.notify("$/unknown", None)
    raw.notify("$/cancelRequest", {"id": "never asked"})
    raw.send({"jsonrpc": "2.0", "id": "never asked", "result": 5})
    raw.send(
        {"jsonrpc": "2.0", "method": "textDocument/inlineCompletion", "params": _inline("file:///a", 0, 0)}
    )

    assert (await raw.request(10, "textDocument/inlineCompletion", _inline("file:///a.py", 0, 0)))[
        "result"
    ] is None
    assert set(raw.counts()) == {None, *range(11)}
    assert all(count == 1 for ident, count in raw.counts().items() if ident is not None)


async def test_a_wrong_length_costs_one_message(raw):
    await raw.initialize()
    short, long = _command(1), _command(2)
    raw.write(b"Content-Length: 10\r\n\r\n" + short + frame(_command(3)))
    assert (await raw.answer(3))["result"]["ok"] is True
    raw.write(b"Content-Length: %d\r\n\r\n" % (len(long) + 30) + long + frame(_command(4)))
    assert (await raw.answer(4))["result"]["ok"] is True
    assert (await raw.answer(2))["result"]["ok"] is True  # it was whole, only its length was wrong
    raw.write(
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        + b"content-length: %d\r\nX: y\r\n\r\n" % len(_command(5))
        + _command(5)
    )
    assert (await raw.answer(5))["result"]["ok"] is True
    raw.write(b"Content-Length: 99999999999\r\n\r\n" + frame(_command(6)))
    assert (await raw.answer(6))["result"]["ok"] is True


async def test_a_storm_of_cancelled_requests(raw, engine, uri):
    await raw.initialize()
    engine.script.finish = None
    _open(raw, uri, "x = \n")
    for ident in range(1, 101):
        raw.send(
            {
                "jsonrpc": "2.0",
                "id": ident,
                "method": "textDocument/inlineCompletion",
                "params": _inline(uri, 0, 4),
            }
        )
        if ident % 3:
            raw.notify("$/cancelRequest", {"id": ident})
    engine.script.finish = "stop"
    for ident in range(1, 101):
        answer = await raw.answer(ident)
        cancelled = answer.get("error", {}).get("code") == CANCELLED
        overtaken = "result" in answer and answer["result"] is None
        assert cancelled or overtaken or ident == 100
    await raw.request(101, "shutdown")
    assert [ident for ident, count in raw.counts().items() if count != 1] == []
    assert len(engine.completions) < 10


async def test_the_end(raw, engine, uri):
    await raw.initialize()
    engine.script.chunks, engine.script.finish = [], None
    _open(raw, uri, "x = \n")
    _ask(raw, 1, uri, 0, 4)
    assert (await raw.request(2, "shutdown"))["result"] is None
    assert (await raw.answer(1))["error"]["code"] == CANCELLED
    assert (await raw.request(3, "workspace/executeCommand", {"command": "tailora.status"}))["error"][
        "code"
    ] == INVALID_REQUEST
    raw.notify("exit", None)
    assert await raw.process.wait() == 0


async def test_exit_without_shutdown_and_a_client_that_is_gone(raw, home):
    await raw.initialize()
    raw.notify("exit", None)
    assert await raw.process.wait() == 1
    await raw.start(home)
    raw.process.stdin.close()
    assert await raw.process.wait() == 1
