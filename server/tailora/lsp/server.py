"""The language server: its state, its life from ``initialize`` to ``exit``, and how it is started.

Every feature is a module of its own that registers its handlers; this one holds what they share. Invariants:
handlers are coroutines on one event loop, so nothing here is locked; and standard output carries the protocol
only.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from tailora import __version__
from tailora.completion import RecentEdits, TypedThrough
from tailora.docstrings import Styles
from tailora.errors import EngineError
from tailora.lsp import (
    acceptance,
    code_actions,
    code_lens,
    commands,
    completion,
    configuration,
    documents,
    inline_completion,
    workspace,
)
from tailora.lsp.clones import CloneHints
from tailora.lsp.engine_link import EngineLink
from tailora.lsp.flight import Flights
from tailora.lsp.model import ModelPrompt
from tailora.lsp.outbox import Outbox
from tailora.lsp.outcomes import Outcomes
from tailora.lsp.protocol import TailoraProtocol
from tailora.lsp.repairs import Repairs
from tailora.lsp.status import StatusBoard
from tailora.lsp.stdio import claim_stdout, read_messages
from tailora.lsp.text import Documents, path_of
from tailora.lsp.turns import Later, Turns
from tailora.lsp.works import Works
from tailora_adapters.corpus.secrets import is_secret_file

__all__ = ["TailoraServer", "main", "start_io"]

T = TypeVar("T")

_log = logging.getLogger(__name__)
_LARGEST_CONTEXT_FILE = 256 * 1024


class TailoraServer(LanguageServer):
    """One editor window."""

    protocol: TailoraProtocol

    def __init__(self, *, autostart: bool = True) -> None:
        """``autostart``: whether an engine is started when none runs."""
        super().__init__("tailora", __version__, protocol_cls=TailoraProtocol)
        self.settings = configuration.Settings()
        self.folders = workspace.Folders()
        self.board = StatusBoard(self)
        self.link = EngineLink(self, autostart=autostart)
        self.model_prompt = ModelPrompt(self)
        self.turns = Turns()
        self.later = Later(self.spawn)
        self.flights = Flights()
        self.recent = RecentEdits()
        self.cache = TypedThrough()
        self.outbox = Outbox(self)
        self.outcomes = Outcomes(
            self.outbox.put,
            lambda uri: document.source if (document := self.workspace.opened(uri)) else None,
            lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call),
        )
        self.works = Works(self)
        self.repairs = Repairs(self)
        self.clones = CloneHints(self)
        self.styles = Styles()
        self.client_listens = False
        self._active_uri: str | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.feature(types.INITIALIZE)(_initialize)
        self.feature(types.SHUTDOWN)(_shut_down)
        for feature in (
            inline_completion,
            documents,
            workspace,
            configuration,
            commands,
            acceptance,
            code_actions,
            code_lens,
        ):
            feature.register(self)

    @property
    def workspace(self) -> Documents:
        """The open documents and folders."""
        return cast(Documents, self.protocol.workspace)

    @property
    def active_root(self) -> Path | None:
        """The folder of the document that was used last, else the first folder."""
        path = path_of(self._active_uri) if self._active_uri else None
        roots = self.folders.roots
        return (self.folders.place(path).root if path else None) or (roots[0] if roots else None)

    def activate(self, uri: str) -> None:
        """``uri`` is the document in use."""
        if uri != self._active_uri:
            self._active_uri = uri
            self.board.publish()

    def read_for_context(self, path: Path) -> str | None:
        """A file as the editor has it, else as it is on disk; None if it must not or cannot be used."""
        if is_secret_file(path.name):
            return None
        opened = self.workspace.opened(path.as_uri()) if path.is_absolute() else None
        if opened is not None:
            return opened.source
        try:
            if not path.is_file() or path.stat().st_size > _LARGEST_CONTEXT_FILE:
                return None
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Runs ``work`` beside everything else; a failure is logged under ``name``."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, EngineError):
            _log.warning("Could not %s: %s", task.get_name(), error)
        elif error is not None:
            _log.error("%s failed", task.get_name(), exc_info=error)

    @property
    def wants_suggestion_reports(self) -> bool:
        """Whether the client asked for notifications about suggestions (``experimental.tailora.suggestions``)."""
        experimental = self.client_capabilities.experimental
        own = experimental.get("tailora") if isinstance(experimental, dict) else None
        return isinstance(own, dict) and own.get("suggestions") is True

    def notify_of_suggestion(self, method: str, params: dict[str, Any]) -> None:
        """Tells a client that asked for it."""
        if self.client_listens and self.wants_suggestion_reports:
            self.protocol.notify(method, params)

    def start_logging_to_client(self) -> None:
        """From now on the client gets notifications: it has said ``initialized``."""
        if not self.client_listens:
            self.client_listens = True
            logging.getLogger("tailora").addHandler(_ClientLog(self))

    async def stop(self) -> None:
        """Ends all that runs. Idempotent."""
        self.client_listens = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.outcomes.close()
        await self.outbox.close()
        await self.repairs.close()
        await self.link.close()


async def _initialize(ls: TailoraServer, params: types.InitializeParams) -> None:
    ls.settings.load_user()
    ls.settings.set_initial(params.initialization_options)
    ls.workspace.on_edit, ls.workspace.on_close = ls.outcomes.edited, ls.outcomes.closing
    if ls.settings.for_root(None).completion.popup:
        completion.register(ls)


async def _shut_down(ls: TailoraServer, params: None) -> None:
    ls.client_listens = False
    ls.outcomes.close()
    await ls.outbox.close()
    await ls.repairs.close()
    await ls.link.close()


class _ClientLog(logging.Handler):
    """Log records as ``window/logMessage``."""

    _TYPES = (
        (logging.ERROR, types.MessageType.Error),
        (logging.WARNING, types.MessageType.Warning),
        (logging.INFO, types.MessageType.Info),
    )

    def __init__(self, server: TailoraServer) -> None:
        super().__init__(logging.INFO)
        self._server = server
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        kind = next((kind for level, kind in self._TYPES if record.levelno >= level), types.MessageType.Log)
        params = types.LogMessageParams(type=kind, message=record.getMessage())
        if not self._loop.is_closed() and self._server.client_listens:
            self._loop.call_soon_threadsafe(self._server.window_log_message, params)


async def _serve(autostart: bool) -> int:
    server = TailoraServer(autostart=autostart)
    protocol = server.protocol
    protocol.set_writer(claim_stdout())
    await read_messages(sys.stdin.fileno(), protocol)
    await server.stop()
    return protocol.exit_code


def start_io(*, autostart: bool = True) -> int:
    """Serves on standard input and output until ``exit`` or the end of the input; returns the exit code.

    ``autostart``: whether an engine is started when none runs.
    """
    return asyncio.run(_serve(autostart))


def main(argv: Sequence[str] | None = None) -> int:
    """``tailora lsp``."""
    parser = argparse.ArgumentParser(prog="tailora lsp", description="The language server, on stdio.")
    parser.add_argument("--stdio", action="store_true", help="the only transport; many clients pass this")
    parser.add_argument("--no-autostart", action="store_true", help="never start an engine")
    parser.add_argument("--log-level", default="WARNING", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    arguments = parser.parse_args(argv)
    level = getattr(logging, arguments.log_level)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger().handlers[0].setLevel(level)
    logging.getLogger("tailora").setLevel(min(logging.INFO, level))
    try:
        return start_io(autostart=not arguments.no_autostart)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
