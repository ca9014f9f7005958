"""JSON-RPC over a child's standard input and output, as an editor speaks it: thin, so that it costs no time of its own.

Knows nothing of what the messages mean. The server's own requests are answered with null.
"""

import asyncio
import contextlib
import itertools
import json
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tailora_adapters.errors import TailoraError

__all__ = ["Rpc"]

_END_TIMEOUT_S = 10.0
_LONGEST_BODY = 1 << 26


class Rpc:
    """A running language server.

    Args:
        notified: Called with method and parameters of each notification, in the order of arrival.
    """

    def __init__(self, notified: Callable[[str, Any], None]) -> None:
        self._notified = notified
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, Callable[[dict[str, Any]], None]] = {}

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    async def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Starts the server; it ends with our end of its standard input."""
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=dict(environment), limit=_LONGEST_BODY
        )
        self._reader = asyncio.create_task(self._read())

    def notify(self, method: str, params: Any) -> None:
        """Sends a notification."""
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any, answered: Callable[[dict[str, Any]], None]) -> int:
        """Sends a request and returns its id; ``answered`` gets the response, at the moment when it was read."""
        ident = next(self._ids)
        self._waiting[ident] = answered
        self._send({"id": ident, "method": method, "params": params})
        return ident

    async def request(self, method: str, params: Any) -> Any:
        """Sends a request and returns its result.

        Raises:
            TailoraError: the server answered with an error, or ended.
        """
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.ask(method, params, lambda answer: None if future.done() else future.set_result(answer))
        answer = await future
        if "error" in answer:
            raise TailoraError(f"{method}: {answer['error'].get('message')}")
        return answer.get("result")

    async def stop(self) -> None:
        """Ends the server, politely first. Idempotent."""
        process, self._process = self._process, None
        if process is None or self._reader is None:
            return
        if process.returncode is None and process.stdin is not None:
            with contextlib.suppress(OSError):
                _write(process.stdin, {"id": next(self._ids), "method": "shutdown", "params": None})
                _write(process.stdin, {"method": "exit", "params": None})
                process.stdin.close()
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._reader

    def _send(self, message: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            raise TailoraError("the language server has ended")
        _write(process.stdin, message)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout
        try:
            while True:
                length = 0
                while line := (await out.readuntil(b"\r\n"))[:-2]:
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                self._received(json.loads(await out.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            lost = {"error": {"message": "the language server has ended"}}
            for answered in [*self._waiting.values()]:
                answered(lost)
            self._waiting.clear()

    def _received(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            if (answered := self._waiting.pop(message.get("id", 0), None)) is not None:
                answered(message)
        elif "id" in message:
            self._send({"id": message["id"], "result": None})
        else:
            self._notified(message["method"], message.get("params"))


def _write(stream: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
