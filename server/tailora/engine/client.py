"""The client side of the engine's API: finds the engine, starts it if none runs, streams completions from it.

Used by the language server and the command line, so it imports neither torch nor the server's libraries and
knows nothing of LSP. It keeps one promise: closing (or cancelling) a ``complete`` iterator closes its
connection, which is how a completion is cancelled.
"""

import asyncio
import contextlib
import json
import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tailora.engine import endpoint, spawn
from tailora.engine.endpoint import PROTOCOL, Endpoint
from tailora.errors import EngineRefused, EngineUnreachable

__all__ = ["EngineClient", "status_now"]

_BASE_URL = "http://engine"
_HEALTH_TIMEOUT_S = 10.0
"""For one try. A busy engine answers in milliseconds; one that does not answer for this long is stuck."""
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 10.0
_FRESH_S = 2.0
"""An engine that answered this recently is not asked again before a request."""


class EngineClient:
    """One client of the engine. Not for several event loops at once.

    Args:
        autostart: Start an engine when none answers. Without it, only a running one is used.
        command: What to start instead of the usual engine.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        autostart: bool = True,
        command: Sequence[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client_id = f"{os.getpid()}-{secrets.token_hex(4)}"
        """Who opens projects, unless the caller says otherwise."""
        self._autostart = autostart
        self._launcher = spawn.Launcher(command, clock)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._http: httpx2.AsyncClient | None = None
        self._endpoint: Endpoint | None = None
        self._last_answer = float("-inf")
        self._opened_as: dict[str, str] = {}

    @property
    def endpoint(self) -> Endpoint | None:
        """The engine that this client talks to, or None before ``ensure``."""
        return self._endpoint

    async def ensure(self) -> None:
        """Makes sure that an engine answers, and starts one if need be. Cheap when one answered a moment ago.

        Raises:
            EngineUnreachable: none answers and none could be started; says why, with the end of its log.
        """
        async with self._lock:
            if self._http is not None and self._clock() - self._last_answer < _FRESH_S:
                return
            if await self._connect():
                return
            if not self._autostart:
                raise EngineUnreachable("no engine is running; start one with `tailora engine`")
            await self._start()

    async def _connect(self) -> bool:
        """Whether the engine named by ``engine.json`` answers and speaks our protocol.

        Raises:
            EngineUnreachable: it is newer than we are, stuck, or does not want to give way.
        """
        found = endpoint.read()
        if found is None:
            return False
        if found != self._endpoint or self._http is None:
            await self._disconnect()
            self._endpoint, self._http = found, _open(found)
        try:
            answer = await self._http.get("/health", timeout=_HEALTH_TIMEOUT_S)
            health = answer.json()
        except (httpx2.TimeoutException, TimeoutError):
            await self._disconnect()
            raise EngineUnreachable(
                f"the engine (process {found.pid}) does not answer; end that process to get a new one"
            ) from None
        except (httpx2.HTTPError, ValueError):
            await self._disconnect()
            return False
        theirs = health.get("protocol") if isinstance(health, dict) else None
        if answer.status_code == 200 and theirs == PROTOCOL and health.get("pid", found.pid) != found.pid:
            # A new engine behind the name of one that was killed: it is about to write its own. Taken for the old one,
            # it would be connected to anew later, which ends the completions that are on their way.
            await self._disconnect()
            return False
        if answer.status_code == 200 and theirs == PROTOCOL:
            self._last_answer = self._clock()
            return True
        if isinstance(theirs, int) and theirs > PROTOCOL:
            await self._disconnect()
            raise EngineUnreachable(
                f"the running engine ({health.get('version')}) is newer than this program: restart it"
            )
        if answer.status_code == 200:
            await self._replace_old(found)
        await self._disconnect()
        return False

    async def _replace_old(self, old: Endpoint) -> None:
        assert self._http is not None
        with contextlib.suppress(httpx2.HTTPError):
            await self._http.post("/v1/shutdown", timeout=_HEALTH_TIMEOUT_S)
        if not await self._has_left(old):
            raise EngineUnreachable(f"an engine of an older version (process {old.pid}) does not end; end it")

    async def _has_left(self, old: Endpoint) -> bool:
        """Waits until an engine that was told to end is not found any more; whether that happened in time."""
        deadline = self._clock() + _END_TIMEOUT_S
        while psutil.pid_exists(old.pid) and endpoint.read() == old:
            if self._clock() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    async def _start(self) -> None:
        started = self._launcher.start()
        deadline = self._clock() + _START_TIMEOUT_S
        while not await self._connect():
            code = started.exit_code()
            if code:
                raise self._launcher.failure(f"the engine ended at once (exit code {code})", started)
            if code == 0 and endpoint.read() is None:
                # It met an engine that was just ending. Each try waits by itself, so this is no busy loop.
                started = self._launcher.start()
            if self._clock() > deadline:
                raise self._launcher.failure(
                    f"the engine did not answer within {_START_TIMEOUT_S:.0f} s", started
                )
            await asyncio.sleep(0.05)

    async def _disconnect(self) -> None:
        http, self._http, self._endpoint = self._http, None, None
        self._last_answer = float("-inf")
        if http is not None:
            await http.aclose()

    async def _send(
        self,
        method: str,
        route: str,
        *,
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """The response, its body not read yet. An engine that is gone is replaced, as nothing was sent to it.

        Raises:
            EngineUnreachable: no engine, or it went away before it answered.
            EngineRefused: it answered with an error.
        """
        for last in (False, True):
            await self.ensure()
            http = self._http
            if http is None:  # closed meanwhile
                raise EngineUnreachable("the connection to the engine was closed")
            request = http.build_request(method, route, json=body, params=params, timeout=_timeout(route))
            try:
                response = await http.send(request, stream=True)
            except httpx2.ConnectError as error:
                self._last_answer = float("-inf")
                if last:
                    raise EngineUnreachable(f"the engine cannot be reached: {error}") from error
                continue
            except httpx2.HTTPError as error:
                self._last_answer = float("-inf")
                raise EngineUnreachable(f"the engine went away: {type(error).__name__} {error}") from error
            if response.status_code >= 400:
                try:
                    raise _refusal(await _read_all(response), response.status_code)
                finally:
                    await response.aclose()
            self._last_answer = self._clock()
            return response
        raise AssertionError("unreachable")

    async def _json(self, method: str, route: str, **arguments: Any) -> dict[str, Any]:
        response = await self._send(method, route, **arguments)
        try:
            value = json.loads(await _read_all(response))
        except ValueError as error:
            raise EngineUnreachable(f"the engine's answer to {route} is not JSON") from error
        finally:
            await response.aclose()
        return value if isinstance(value, dict) else {"data": value}

    async def _events(self, response: httpx2.Response) -> AsyncGenerator[dict[str, Any]]:
        """The JSON objects of a stream of server-sent events, until ``[DONE]`` or its end."""
        try:
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                data = line[5:].strip()
                if data == "[DONE]":
                    return
                chunk = json.loads(data)
                if "error" in chunk:
                    raise _refusal(data.encode(), 500)
                yield chunk
        except (httpx2.HTTPError, ValueError) as error:
            self._last_answer = float("-inf")
            raise EngineUnreachable(f"the engine went away: {type(error).__name__} {error}") from error
        finally:
            await response.aclose()

    async def health(self) -> dict[str, Any]:
        """``GET /health``."""
        return await self._json("GET", "/health")

    async def status(self, project: Path | str | None = None) -> dict[str, Any]:
        """The engine status, with ``project`` if one is named."""
        return await self._json("GET", "/v1/status", params={"project": str(project)} if project else {})

    async def events(
        self, project: Path | str | None = None, *, client: str | None = None
    ) -> AsyncGenerator[dict[str, Any]]:
        """Engine statuses: one at once, then one on every change. When it ends, the engine ended or was lost.

        The end of the last stream of a client counts as its ``close_project``.
        """
        params: dict[str, str] = {}
        if project is not None:
            client = client or self._opened_as.get(str(project), self.client_id)
            params = {"project": str(project), "client": client}
        response = await self._send("GET", "/v1/events", params=params)
        async with contextlib.aclosing(self._events(response)) as events:
            async for event in events:
                yield event

    async def complete(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """The chunks of a completion (``stream`` is set here). Close the iterator to cancel.

        Raises:
            EngineUnreachable: no engine, or it went away.
            EngineRefused: the engine's error, with its ``code``.
        """
        response = await self._send("POST", "/v1/completions", body={**body, "stream": True})
        async with contextlib.aclosing(self._events(response)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def post(self, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Posts ``body`` to ``route`` (such as ``/v1/model/load``) and returns the answer."""
        return await self._json("POST", route, body=body or {})

    async def open_project(
        self,
        root: Path | str,
        *,
        trusted: bool,
        learning: bool,
        method: Mapping[str, Any] | None = None,
        client: str | None = None,
    ) -> dict[str, Any]:
        """Opens a project, or changes how it is open. Needed again after the engine was restarted.

        ``method`` has the ``name`` and ``parameters`` of how it is trained; None: what the files of settings say.
        """
        client = client or self.client_id
        self._opened_as[str(root)] = client
        body: dict[str, Any] = {"root": str(root), "client": client, "trusted": trusted, "learning": learning}
        if method is not None:
            body["method"] = dict(method)
        return await self.post("/v1/projects/open", body)

    async def close_project(self, root: Path | str, *, client: str | None = None) -> dict[str, Any]:
        """Closes a project for this client."""
        client = client or self._opened_as.pop(str(root), self.client_id)
        return await self.post("/v1/projects/close", {"root": str(root), "client": client})

    async def train(self, root: Path | str) -> dict[str, Any]:
        """Trains now."""
        return await self.post("/v1/projects/train", {"root": str(root)})

    async def pause(self, root: Path | str) -> dict[str, Any]:
        """Stops learning until ``resume``."""
        return await self.post("/v1/projects/pause", {"root": str(root)})

    async def resume(self, root: Path | str) -> dict[str, Any]:
        """Ends a pause."""
        return await self.post("/v1/projects/resume", {"root": str(root)})

    async def rollback(self, root: Path | str) -> dict[str, Any]:
        """Serves the version before the serving one."""
        return await self.post("/v1/projects/rollback", {"root": str(root)})

    async def disable(self, root: Path | str) -> dict[str, Any]:
        """Serves the foundation adapter instead of the project's."""
        return await self.post("/v1/projects/disable", {"root": str(root)})

    async def enable(self, root: Path | str) -> dict[str, Any]:
        """Ends ``disable``."""
        return await self.post("/v1/projects/enable", {"root": str(root)})

    async def tell_outcomes(self, root: Path | str, events: list[dict[str, Any]]) -> None:
        """What became of suggestions in a project; the same events again change nothing."""
        await self.post("/v1/projects/outcomes", {"root": str(root), "events": events})

    async def pull(self, name: str | None = None) -> dict[str, Any]:
        """Starts to fetch the base model; progress comes by ``events``."""
        return await self.post("/v1/model/pull", {"name": name} if name else {})

    async def load(self) -> dict[str, Any]:
        """Starts to load the model."""
        return await self.post("/v1/model/load")

    async def shutdown(self) -> None:
        """Ends the engine, if one runs; it takes no more requests when this returns. Never starts one."""
        async with self._lock:
            if await self._connect() and self._http is not None and (old := self._endpoint) is not None:
                with contextlib.suppress(httpx2.HTTPError):
                    await self._http.post("/v1/shutdown", json={}, timeout=_HEALTH_TIMEOUT_S)
                await self._has_left(old)
                await self._disconnect()

    async def aclose(self) -> None:
        """Closes all connections. The engine goes on."""
        await self._disconnect()


def _timeout(route: str) -> httpx2.Timeout:
    # A completion may wait for the model to load; events bring a sign of life every 15 s.
    read = None if route == "/v1/completions" else 60.0
    return httpx2.Timeout(60.0, connect=_HEALTH_TIMEOUT_S, read=read)


def _headers(found: Endpoint) -> dict[str, str]:
    return {"Authorization": f"Bearer {found.token}"} if found.token else {}


def _base_url(found: Endpoint) -> str:
    return _BASE_URL if found.socket else f"http://{found.host}:{found.port}"


_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=8)


def _open(found: Endpoint) -> httpx2.AsyncClient:
    # trust_env=False: no proxy from the environment may come between us and this machine.
    transport = httpx2.AsyncHTTPTransport(uds=found.socket, trust_env=False, limits=_LIMITS)
    return httpx2.AsyncClient(
        transport=transport, base_url=_base_url(found), headers=_headers(found), trust_env=False
    )


async def _read_all(response: httpx2.Response) -> bytes:
    try:
        return await response.aread()
    except httpx2.HTTPError as error:
        raise EngineUnreachable(f"the engine went away: {type(error).__name__} {error}") from error


def _refusal(body: bytes, status: int) -> EngineRefused:
    try:
        error = json.loads(body)["error"]
        return EngineRefused(str(error["message"]), str(error.get("code") or "internal"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return EngineRefused(f"the engine answered with status {status}", "internal")


def status_now(project: Path | str | None = None) -> dict[str, Any] | None:
    """The status of the engine that runs now, or None where none answers. Starts nothing."""
    found = endpoint.read()
    if found is None:
        return None
    transport = httpx2.HTTPTransport(uds=found.socket, trust_env=False)
    with httpx2.Client(
        transport=transport,
        base_url=_base_url(found),
        headers=_headers(found),
        trust_env=False,
        timeout=_HEALTH_TIMEOUT_S,
    ) as http:
        try:
            answer = http.get("/v1/status", params={"project": str(project)} if project else {})
            status = answer.json()
        except (httpx2.HTTPError, ValueError):
            return None
    return status if answer.status_code == 200 and isinstance(status, dict) else None
