"""The engine's HTTP API as a Starlette app: one small function a route, as ``docs/architecture.md`` lists
them.

Knows requests and answers; what they do is in the parts that ``Services`` names. Every error is a JSON object
with a message fit to show, and on TCP every route wants the token.
"""

import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tailora import __version__
from tailora.engine import completions, outcomes
from tailora.engine.endpoint import PROTOCOL
from tailora.engine.model import Model
from tailora.engine.projects import Projects
from tailora.engine.scheduler import Scheduler
from tailora.engine.status import StatusHub
from tailora.engine.wire import BadRequest, Fields, describe, error_response, read_fields
from tailora.method_options import How, how_of
from tailora_adapters.errors import MethodError, TailoraError

__all__ = ["Services", "make_app"]

PROJECT_ACTIONS = ("train", "pause", "resume", "rollback", "disable", "enable")


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes act on."""

    scheduler: Scheduler
    model: Model
    projects: Projects
    hub: StatusHub
    shut_down: Callable[[], None]
    """Asks the process to end; returns at once."""
    token: str | None = None
    """The bearer token that every request needs, or None on a Unix socket."""


class _RequireToken:
    """Refuses requests without the token. A plain ASGI wrapper, so that streams pass untouched."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not secrets.compare_digest(given, self._expected):
                error = BadRequest("the engine's token is missing or wrong", 401)
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def make_app(services: Services) -> Starlette:
    """The app with all routes."""
    routes = _Routes(services)
    actions = [
        Route(f"/v1/projects/{action}", routes.project_action(action), methods=["POST"])
        for action in PROJECT_ACTIONS
    ]
    return Starlette(
        routes=[
            Route("/health", routes.health),
            Route("/v1/status", routes.status),
            Route("/v1/events", routes.events),
            Route("/v1/models", routes.models),
            Route("/v1/completions", routes.completions, methods=["POST"]),
            Route("/v1/model/pull", routes.pull, methods=["POST"]),
            Route("/v1/model/load", routes.load, methods=["POST"]),
            Route("/v1/projects/open", routes.open_project, methods=["POST"]),
            Route("/v1/projects/close", routes.close_project, methods=["POST"]),
            Route("/v1/projects/outcomes", routes.outcomes, methods=["POST"]),
            Route("/v1/shutdown", routes.shutdown, methods=["POST"]),
            *actions,
        ],
        middleware=[Middleware(_RequireToken, token=services.token)] if services.token else [],
        exception_handlers={
            HTTPException: _http_error,
            TailoraError: _known_error,
            Exception: _unknown_error,
        },
    )


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(BadRequest(error.detail, error.status_code))


async def _known_error(_request: Request, error: Exception) -> Response:
    return error_response(error)


async def _unknown_error(_request: Request, error: Exception) -> Response:
    # Starlette raises it again after this answer, so uvicorn logs it with its traceback.
    status, body = describe(error)
    return JSONResponse(body, status)


def _root(value: str) -> str:
    """A project's root as the client wrote it.

    Raises:
        BadRequest: it is not an absolute path.
    """
    if "\0" in value or not Path(value).is_absolute():
        raise BadRequest(f"the project's root must be an absolute path, not {value[:100]!r}")
    return value


def _how(method: Fields) -> How:
    """How a client wants a project trained.

    Raises:
        BadRequest: there is no such method, or not with such parameters.
    """
    parameters = method.raw("parameters") or {}
    if not isinstance(parameters, dict):
        raise method.wrong("parameters", "an object")
    try:
        return how_of(method.text("name"), parameters)
    except MethodError as error:
        raise BadRequest(str(error)) from None


def _query_root(request: Request) -> str | None:
    project = request.query_params.get("project")
    return _root(project) if project else None


class _Routes:
    def __init__(self, services: Services) -> None:
        self._services = services

    async def health(self, _request: Request) -> Response:
        return JSONResponse(
            {"status": "ok", "pid": os.getpid(), "version": __version__, "protocol": PROTOCOL}
        )

    async def status(self, request: Request) -> Response:
        return self._status(_query_root(request))

    def _status(self, root: str | None, status_code: int = 200) -> Response:
        return JSONResponse(self._services.hub.compose(root), status_code)

    async def events(self, request: Request) -> Response:
        root, client = _query_root(request), request.query_params.get("client")
        return StreamingResponse(
            self._event_stream(root, client),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def _event_stream(self, root: str | None, client: str | None) -> AsyncIterator[str]:
        counted = root is not None and client is not None
        if counted:
            self._services.projects.stream_opened(str(root), str(client))
        try:
            async for status in self._services.hub.listen(root):
                yield ": keepalive\n\n" if status is None else f"data: {json.dumps(status)}\n\n"
        finally:
            if counted:
                self._services.projects.stream_closed(str(root), str(client))

    async def models(self, _request: Request) -> Response:
        name = self._services.model.name
        return JSONResponse(
            {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "tailora"}]}
        )

    async def completions(self, request: Request) -> ASGIApp:
        services = self._services
        parsed = completions.parse(await read_fields(request))
        services.model.refuse_while_fetching()
        project = _root(parsed.project) if parsed.project is not None else None
        job = services.scheduler.submit(
            parsed.generation, project=project, wanted=parsed.adapter, background=parsed.background
        )
        if project is not None and parsed.adapter == "repair":
            services.projects.note_repair(project)
        return completions.CompletionResponse(
            job, stream=parsed.stream, model=services.model.name, stats=parsed.stats
        )

    async def pull(self, request: Request) -> Response:
        self._services.model.pull((await read_fields(request)).text("name", None))
        return self._status(None, 202)

    async def load(self, _request: Request) -> Response:
        self._services.scheduler.load()
        return self._status(None, 202)

    async def open_project(self, request: Request) -> Response:
        body = await read_fields(request)
        root = _root(body.text("root"))
        client, trusted, learning = body.text("client"), body.flag("trusted"), body.flag("learning")
        how = _how(body.object("method")) if body.raw("method") is not None else None
        await self._services.projects.open(root, client, trusted=trusted, learning=learning, how=how)
        return self._status(root)

    async def close_project(self, request: Request) -> Response:
        body = await read_fields(request)
        root = _root(body.text("root"))
        self._services.projects.close(root, body.text("client"))
        return self._status(root)

    async def outcomes(self, request: Request) -> Response:
        batch = outcomes.parse(await read_fields(request))
        root = _root(batch.root)
        await self._services.projects.note_outcomes(root, batch.events)
        return self._status(root)

    def project_action(self, action: str) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            body: Fields = await read_fields(request)
            root = _root(body.text("root"))
            act: Any = getattr(self._services.projects, action)
            await act(root)
            return self._status(root)

        return handle

    async def shutdown(self, _request: Request) -> Response:
        self._services.shut_down()
        return JSONResponse({"status": "shutting down"}, 202)
