"""Commands of ``workspace/executeCommand``: what a user can do about learning, the model and the engine.

Most take an optional folder URI first (without one: the folder in use). All answer with a JSON object that has ``ok``
and a ``message`` fit to show. Invariant: an engine that is away or refuses is an answer and a message to the user,
never a failed request.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from tailora.lsp import adapters, code_lens, repair_command, reports
from tailora_adapters.errors import TailoraError

if TYPE_CHECKING:
    from tailora.engine.client import EngineClient
    from tailora.lsp.server import TailoraServer

__all__ = ["COMMANDS", "register"]

_log = logging.getLogger(__name__)

Answer = dict[str, Any]
_Action = Callable[..., Awaitable[Answer]]
"""Takes the server, the project's root, and the arguments after the folder's URI."""
_Call = Callable[["EngineClient", Path], Awaitable[dict[str, Any]]]


def _project_command(call: _Call, done: str) -> _Action:
    """A command that is one request to the engine about one project."""

    async def run(ls: TailoraServer, root: Path, *_: Any) -> Answer:
        await ls.link.ensure()
        status = await call(ls.link.client, root)
        ls.board.update(root, status)
        project = status.get("project") or {}
        said = str(project.get("message") or "")
        message = f"{done}: {said}" if said.lower() not in ("", done.lower()) else done
        return {"ok": True, "message": message, "project": project}

    return run


async def _trust(ls: TailoraServer, root: Path, *_: Any) -> Answer:
    ls.settings.trust(root)
    ls.link.settings_changed()
    ls.spawn(code_lens.refresh(ls), "refresh the code lenses")
    message = f"{root.name} is trusted for this session; learning.trusted in the settings makes it last"
    return {"ok": True, "message": message}


async def _pull(ls: TailoraServer, *_: Any) -> Answer:
    await ls.link.ensure()
    await ls.link.client.pull()
    return {"ok": True, "message": "Getting the model; the status shows how far it is"}


async def _restart(ls: TailoraServer, *_: Any) -> Answer:
    await ls.link.client.shutdown()
    ls.board.engine_lost(None)
    ls.link.retry_now()
    await ls.link.ensure()
    return {"ok": True, "message": "The engine was restarted"}


async def _status(ls: TailoraServer, *_: Any) -> Answer:
    return {"ok": True, **ls.board.current()}


_OF_A_PROJECT: dict[str, _Action] = {
    "tailora.adapters": adapters.adapters,
    "tailora.deleteAdapters": adapters.delete_adapters,
    "tailora.disable": _project_command(lambda client, root: client.disable(root), "The adapter is off"),
    "tailora.enable": _project_command(lambda client, root: client.enable(root), "The adapter is on"),
    "tailora.learned": reports.learned,
    "tailora.pauseLearning": _project_command(lambda client, root: client.pause(root), "Learning is paused"),
    "tailora.resumeLearning": _project_command(lambda client, root: client.resume(root), "Learning goes on"),
    "tailora.rollBack": _project_command(lambda client, root: client.rollback(root), "Rolled back"),
    "tailora.trainNow": _project_command(lambda client, root: client.train(root), "Training was asked for"),
    "tailora.trustWorkspace": _trust,
    "tailora.useVersion": adapters.use_version,
}
_OF_ALL: dict[str, Callable[..., Awaitable[Answer]]] = {
    "tailora.doctor": reports.doctor,
    "tailora.here": reports.here,
    "tailora.log": reports.log,
    "tailora.pullModel": _pull,
    "tailora.restartEngine": _restart,
    "tailora.status": _status,
}
COMMANDS = tuple(sorted({*_OF_A_PROJECT, *_OF_ALL, repair_command.COMMAND}))


def register(server: TailoraServer) -> None:
    """Registers every command."""
    for name in COMMANDS:
        server.command(name)(_handler(server, name))


def _handler(server: TailoraServer, name: str) -> Callable[..., Awaitable[Answer]]:
    async def run(*arguments: Any) -> Answer:
        try:
            if name in _OF_ALL:
                return await _OF_ALL[name](server, *arguments)
            if name == repair_command.COMMAND:
                return await repair_command.run(server, arguments)
            root = _root(server, arguments)
            if isinstance(root, str):
                return _failed(server, name, root)
            return await _OF_A_PROJECT[name](server, root, *arguments[1:])
        except TailoraError as error:
            return _failed(server, name, str(error))
        except Exception as error:  # noqa: BLE001 - the protocol boundary: a command always gets an answer
            _log.exception("%s failed", name)
            return _failed(server, name, f"{type(error).__name__}: {error}")

    return run


def _root(server: TailoraServer, arguments: tuple[Any, ...]) -> Path | str:
    """The root that is meant, or what is wrong."""
    uri = arguments[0] if arguments else None
    if uri is None:
        return server.active_root or "no folder is open"
    if not isinstance(uri, str):
        return "the argument is the URI of a folder"
    return server.folders.by_uri(uri) or f"{uri} is no folder of this workspace"


def _failed(server: TailoraServer, name: str, problem: str) -> Answer:
    message = f"{name}: {problem}"
    server.window_show_message(types.ShowMessageParams(type=types.MessageType.Error, message=message))
    return {"ok": False, "message": message}
