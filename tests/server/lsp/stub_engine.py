"""An engine that answers what a test tells it to: the contract's routes on a Unix socket, in a thread."""

import asyncio
import contextlib
import copy
import json
import os
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

PROJECT_ROUTES = ("train", "pause", "resume", "rollback", "disable", "enable")


@dataclass
class Script:
    """What a completion streams."""

    chunks: list[str] = field(default_factory=lambda: ["return 1\n"])
    finish: str | None = "stop"
    """None: the stream never ends by itself."""
    hold: bool = False
    """Whether all after the first chunk waits for ``release``."""
    error: tuple[int, str, str] | None = None
    """Status, code and message instead of an answer."""
    adapter: str | None = None
    """What it says that it was made by."""
    judged: str | None = None
    """The text whose tokens it says the likelihoods of."""


class StubEngine:
    """Thread-safe where it says so; everything else is read after the fact."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.opened: dict[str, dict[str, Any]] = {}
        """The newest body of ``open`` for each root that is open."""
        self._happened = threading.Event()
        self._changed: list[asyncio.Event] = []
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

        self.reset()

    def reset(self) -> None:
        """As if it had just been started and nobody had asked anything."""
        self.script = Script()
        self.scripts: list[Script] = []
        """For the next requests, one each; then ``script``."""
        self.fills: Callable[[dict[str, Any]], Script | str] | None = None
        """For repairs: what comes of a hole, by its request. Lines that stand are judged anyway."""
        self._released = asyncio.Event()
        self.completions: list[dict[str, Any]] = []
        self.closed_early = 0
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refusal: tuple[int, str, str] | None = None
        self.model: dict[str, Any] = {
            "name": "stub-model",
            "state": "ready",
            "progress": None,
            "message": None,
            "quantization": "none",
            "device": "cpu",
            "fim": True,
        }
        self.problems: list[str] = []
        self.project: dict[str, Any] = {"state": "idle", "message": "nothing learned yet", "serving": None}
        self._notify()

    def start(self) -> None:
        """Serves, and publishes ``engine.json``, before it returns."""
        run = self.home / "run"
        run.mkdir(parents=True, exist_ok=True)
        path = run / "engine.sock"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(64)
        config = uvicorn.Config(
            self._app(), log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        ready = threading.Event()

        def serve() -> None:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                ready.set()
                runner.run(self._server.serve(sockets=[listener]))

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        ready.wait(10)
        where = {"pid": os.getpid(), "version": "stub", "protocol": 1, "socket": str(path)}
        (run / "engine.json").write_text(json.dumps(where | {"host": None, "port": None, "token": None}))

    def stop(self) -> None:
        """Ends as an engine that was killed does: every connection breaks."""
        if self._server is None or self._thread is None:
            return
        (self.home / "run" / "engine.json").unlink(missing_ok=True)
        self._server.should_exit = self._server.force_exit = True
        self._notify()
        self._thread.join(10)
        self._server = None

    def release(self) -> None:
        """Lets scripts go on that were held. Thread-safe."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._released.set)

    def change(self, *, model: dict[str, Any] | None = None, project: dict[str, Any] | None = None) -> None:
        """Changes the status and tells the event streams. Thread-safe."""
        self.model.update(model or {})
        self.project.update(project or {})
        self._notify()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Waits until ``condition`` about this engine holds; looked at after every request."""
        async with asyncio.timeout(20):
            while not condition():
                # The engine's thread says that something happened; an event of the caller's loop could not be
                # set from there without knowing that loop.
                await asyncio.to_thread(self._happened.wait, 1)
                self._happened.clear()

    def called(self, route: str) -> list[dict[str, Any]]:
        """The bodies that were posted to a route."""
        return [body for name, body in self.calls if name == route]

    def _notify(self) -> None:
        if self._loop is None:
            return

        def wake() -> None:
            for event in self._changed:
                event.set()

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(wake)

    def _app(self) -> Starlette:
        post = ["POST"]
        projects = [Route(f"/v1/projects/{name}", self._project, methods=post) for name in PROJECT_ROUTES]
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/v1/status", self._status),
                Route("/v1/events", self._events),
                Route("/v1/completions", self._complete, methods=post),
                Route("/v1/projects/open", self._project, methods=post),
                Route("/v1/projects/close", self._project, methods=post),
                Route("/v1/projects/outcomes", self._project, methods=post),
                Route("/v1/model/pull", self._accept, methods=post),
                Route("/v1/model/load", self._accept, methods=post),
                Route("/v1/shutdown", self._shutdown, methods=post),
                *projects,
            ]
        )

    def _engine_status(self, root: str | None) -> dict[str, Any]:
        project = None
        if root:
            opened = self.opened.get(root, {})
            trust = {key: opened.get(key, False) for key in ("trusted", "learning")}
            rest = {"progress": None, "disabled": False, "changed_files": 0, "last_gate": None}
            project = {"root": root, **trust, **rest, **self.project}
        return copy.deepcopy(
            {
                "engine": {
                    "pid": os.getpid(),
                    "version": "stub",
                    "uptime_s": 1,
                    "rss_mb": 1,
                    "problems": self.problems,
                },
                "model": self.model,
                "project": project,
                "requests": {"active": 0, "served": 0, "cancelled": 0},
            }
        )

    async def _health(self, request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "pid": os.getpid(), "version": "stub", "protocol": 1})

    async def _status(self, request: Request) -> JSONResponse:
        return JSONResponse(self._engine_status(request.query_params.get("project")))

    async def _events(self, request: Request) -> StreamingResponse:
        root = request.query_params.get("project")
        event = asyncio.Event()
        self._changed.append(event)

        async def stream() -> AsyncIterator[str]:
            try:
                while self._server is not None and not self._server.should_exit:
                    event.clear()
                    yield f"data: {json.dumps(self._engine_status(root))}\n\n"
                    await event.wait()
            finally:
                self._changed.remove(event)

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _complete(self, request: Request) -> JSONResponse | StreamingResponse:
        body = await request.json()
        self.completions.append(body)
        self._happened.set()
        if self.fills is not None and body["tailora"].get("adapter") in ("repair", "docstring", "generation"):
            middle = body["tailora"].get("middle")
            script = Script([], judged=middle) if middle is not None else self.fills(body)
            if isinstance(script, str):
                script = Script([script], judged=script)
        else:
            script = self.scripts.pop(0) if self.scripts else self.script
        if script.error:
            return self._error(*script.error)

        async def stream() -> AsyncIterator[str]:
            try:
                for number, text in enumerate(script.chunks):
                    yield self._chunk(text, None, script.adapter)
                    await (self._released.wait() if script.hold and number == 0 else asyncio.sleep(0))
                if script.finish is None:
                    await asyncio.Event().wait()
                yield self._chunk("", script.finish, script.adapter, script.judged)
                yield "data: [DONE]\n\n"
            except asyncio.CancelledError:
                self.closed_early += 1
                self._happened.set()
                raise

        return StreamingResponse(stream(), media_type="text/event-stream")

    @staticmethod
    def _chunk(text: str, finish: str | None, adapter: str | None, judged: str | None = None) -> str:
        logprobs = None
        if judged is not None:
            tokens = [*re.findall(r"\n|[^\n]+", judged), ""]
            tops = [[[token, -0.5]] for token in tokens]
            logprobs = {"tokens": tokens, "token_logprobs": [-0.5] * len(tokens), "top_logprobs": tops}
        choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": logprobs}
        own = {"tailora": {"adapter": adapter}} if adapter else {}
        return f"data: {json.dumps({'object': 'text_completion', 'choices': [choice], **own})}\n\n"

    async def _project(self, request: Request) -> JSONResponse:
        body = await request.json()
        self.calls.append((request.url.path.rpartition("/")[2], body))
        self._happened.set()
        if request.url.path.endswith("open"):
            self.opened[body["root"]] = body
        elif request.url.path.endswith("close"):
            self.opened.pop(body["root"], None)
        elif self.refusal:
            return self._error(*self.refusal)
        return JSONResponse(self._engine_status(body["root"]))

    async def _accept(self, request: Request) -> JSONResponse:
        self.calls.append((request.url.path.rpartition("/")[2], {}))
        self._happened.set()
        return JSONResponse({}, status_code=202)

    async def _shutdown(self, request: Request) -> JSONResponse:
        self.calls.append(("shutdown", {}))
        return JSONResponse({}, status_code=202)

    @staticmethod
    def _error(status: int, code: str, message: str) -> JSONResponse:
        error = {"message": message, "type": "stub", "code": code}
        return JSONResponse({"error": error}, status_code=status)
