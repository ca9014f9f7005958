"""A running language server, as its client: answers what it asks, opens a text, gets its diagnostics.

Uses pygls for the protocol's types and bookkeeping, but reads messages itself: what is not asked for is passed over,
and what cannot be read ends the connection at once. One text at a time.
"""

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import InvalidStateError
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient
from pygls.uris import to_fs_path

from tailora import __version__
from tailora.errors import CheckerFailed
from tailora.repair.checkers.disk import Snapshot
from tailora.repair.checkers.process import end, frame

__all__ = ["Connection", "ServerEnded"]

_TRY_AGAIN = frozenset({types.LSPErrorCodes.ServerCancelled.value, types.LSPErrorCodes.ContentModified.value})
_READ = ("positionEncoding", "diagnosticProvider")
"""Of a server's capabilities."""
_PATIENCE_S = 2.0
"""How long a server may take to shut down."""

_T = TypeVar("_T")


class ServerEnded(Exception):
    """The process is no more, or closed its output."""


class Connection:
    """Invariant: when this is closed, or was never opened in full, the process has ended."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, settings: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.answered = False
        """Whether it has answered at all: the first answer takes long, as it reads the project."""
        self.files: Snapshot = {}
        """What it knows of the project's files."""
        self._name, self._settings = name, settings
        self._encoding = "utf-16"
        self._pull = asyncio.Event()
        """Whether it gives diagnostics when it is asked; pyright says so only after a while."""
        self._versions = itertools.count(1)
        self._requests = itertools.count(1)
        self._versioned = False
        self._awaited: tuple[str, int, asyncio.Future[Sequence[types.Diagnostic]]] | None = None
        self._protocol = LanguageClient("tailora", __version__).protocol
        self._protocol.fm.builtin_features.clear()  # those of a server, such as ending this process on ``exit``
        self._protocol.set_writer(process.stdin)

        def configure(params: types.ConfigurationParams) -> list[Any]:
            return [self._settings.get(item.section or "", {}) for item in params.items]

        def register(params: types.RegistrationParams) -> None:
            """That it is to be asked for diagnostics; all else that was offered is done without being asked."""
            if any(it.method == types.TEXT_DOCUMENT_DIAGNOSTIC for it in params.registrations):
                self._pull.set()

        def refresh(*_params: Any) -> None:
            """Diagnostics may be others by now: they are asked for each time."""

        def unregister(params: types.UnregistrationParams) -> None:
            """As well."""

        def take(params: types.PublishDiagnosticsParams) -> None:
            self._take(params)

        handlers: dict[str, Callable[..., Any]] = {
            types.WORKSPACE_CONFIGURATION: configure,
            types.CLIENT_REGISTER_CAPABILITY: register,
            types.CLIENT_UNREGISTER_CAPABILITY: unregister,
            types.WORKSPACE_DIAGNOSTIC_REFRESH: refresh,
            types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS: take,
        }
        for method, handler in handlers.items():
            self._protocol.fm.feature(method)(handler)

        self._ended = asyncio.create_task(self._listen(process.stdout), name=f"{name} answers")

    async def initialize(self, root: Path) -> None:
        """Must come first."""
        uri = root.as_uri()
        result: types.InitializeResult = await self._request(
            types.INITIALIZE,
            types.InitializeParams(
                process_id=os.getpid(),
                root_uri=uri,
                workspace_folders=[types.WorkspaceFolder(uri=uri, name=root.name)],
                capabilities=_capabilities(late="pyright" in self._name),
            ),
        )
        self._encoding = result.capabilities.position_encoding or "utf-16"
        if result.capabilities.diagnostic_provider is not None:
            self._pull.set()
        self._protocol.notify(types.INITIALIZED, types.InitializedParams())

    def changed(self, files: Snapshot) -> None:
        """Tells of the files that are other than they were."""
        old, self.files = self.files, files
        events = [
            types.FileEvent(
                Path(name).as_uri(),
                types.FileChangeType.Deleted
                if name not in files
                else types.FileChangeType.Changed
                if name in old
                else types.FileChangeType.Created,
            )
            for name in sorted(old.keys() | files.keys())
            if old.get(name) != files.get(name)
        ]
        if events:
            params = types.DidChangeWatchedFilesParams(events)
            self._protocol.notify(types.WORKSPACE_DID_CHANGE_WATCHED_FILES, params)

    async def diagnostics(
        self, path: Path, text: str, language: str
    ) -> tuple[str, Sequence[types.Diagnostic]]:
        """The position encoding, and what the server says about a text; the file on disk counts again afterwards."""
        uri, version = path.as_uri(), next(self._versions)
        item = types.TextDocumentItem(uri=uri, language_id=language, version=version, text=text)
        published: asyncio.Future[Sequence[types.Diagnostic]] = asyncio.get_running_loop().create_future()
        self._awaited = uri, version, published
        self._protocol.notify(types.TEXT_DOCUMENT_DID_OPEN, types.DidOpenTextDocumentParams(item))
        try:
            found = await self._found(uri, published)
        finally:
            self._awaited = None
            closed = types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri))
            self._protocol.notify(types.TEXT_DOCUMENT_DID_CLOSE, closed)
        self.answered = True
        return self._encoding, found

    async def _found(
        self, uri: str, published: "asyncio.Future[Sequence[types.Diagnostic]]"
    ) -> Sequence[types.Diagnostic]:
        """As it published them, unless it is to be asked: then nothing is published, or not at all times."""
        asks = asyncio.create_task(self._pull.wait())
        first: set[asyncio.Future[Any]] = {asks, published, self._ended}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asks.cancel()
        return await (self._pulled(uri) if self._pull.is_set() else self._until(published))

    async def close(self, *, politely: bool = True) -> None:
        """Ends the server."""
        try:
            if politely and not self._ended.done():
                with contextlib.suppress(TimeoutError, ServerEnded, CheckerFailed, JsonRpcException):
                    async with asyncio.timeout(_PATIENCE_S):
                        await self._request(types.SHUTDOWN, None)
                        self._protocol.notify(types.EXIT, None)
                        await asyncio.wait({self._ended})
        finally:
            self._ended.cancel()
            await asyncio.wait({self._ended})
            await end(self.process)

    async def _pulled(self, uri: str) -> Sequence[types.Diagnostic]:
        params = types.DocumentDiagnosticParams(types.TextDocumentIdentifier(uri))
        while True:
            try:
                report = await self._request(types.TEXT_DOCUMENT_DIAGNOSTIC, params)
            except JsonRpcException as error:
                if error.code not in _TRY_AGAIN:
                    raise CheckerFailed(f"{self._name} refuses: {error.message}") from error
                await asyncio.sleep(0.05)
                continue
            if not isinstance(report, types.RelatedFullDocumentDiagnosticReport):
                raise CheckerFailed(f"{self._name}'s answer cannot be read")
            return report.items

    def _take(self, params: types.PublishDiagnosticsParams) -> None:
        """Diagnostics that the server published, of this text or of an earlier one."""
        self._versioned |= params.version is not None
        if self._awaited is None:
            return
        uri, version, published = self._awaited
        # Closing a text is published without a version, also by those that else give one.
        right = params.version == version or (params.version is None and not self._versioned)
        if right and to_fs_path(params.uri) == to_fs_path(uri) and not published.done():
            published.set_result(params.diagnostics)

    async def _request(self, method: str, params: Any) -> Any:
        ident = next(self._requests)
        answer = self._protocol.send_request_async(method, params, msg_id=ident)
        try:
            return await self._until(answer)
        finally:
            if not answer.done():
                answer.cancel()
                self._protocol.notify(types.CANCEL_REQUEST, types.CancelParams(ident))

    async def _until(self, answer: "asyncio.Future[_T]") -> _T:
        both: set[asyncio.Future[Any]] = {answer, self._ended}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise ServerEnded if self._ended.cancelled() else self._ended.result()

    async def _listen(self, stream: asyncio.StreamReader) -> Exception:
        """Handles messages; why there will be none more."""
        try:
            while True:
                message = await frame(stream)
                if not isinstance(message, dict):
                    raise ValueError("A message is a JSON object")
                self._receive(message)
        except (EOFError, ConnectionError):  # IncompleteReadError is an EOFError
            return ServerEnded()
        except (ValueError, TypeError, RecursionError, JsonRpcException):
            return CheckerFailed(f"{self._name}'s answer cannot be read")

    def _receive(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method is not None and "id" not in message and method not in self._protocol.fm.features:
            return  # logs, progress
        if isinstance(result := message.get("result"), dict) and "capabilities" in result:
            # Of the rest, not every server writes what the protocol's types take.
            capabilities = dict(result["capabilities"])
            kept = {key: capabilities[key] for key in _READ if key in capabilities}
            message = {**message, "result": {"capabilities": kept}}
        with contextlib.suppress(InvalidStateError):  # the answer to a request that was given up
            self._protocol.handle_message(self._protocol.structure_message({"jsonrpc": "2.0", **message}))


def _capabilities(*, late: bool) -> types.ClientCapabilities:
    """``late``: whether the server may say later that it is to be asked for diagnostics, as pyright does or else never
    does; others say it at once unless they may."""
    return types.ClientCapabilities(
        general=types.GeneralClientCapabilities(
            position_encodings=[
                types.PositionEncodingKind.Utf32,
                types.PositionEncodingKind.Utf8,
                types.PositionEncodingKind.Utf16,
            ]
        ),
        workspace=types.WorkspaceClientCapabilities(
            configuration=True,
            workspace_folders=True,
            did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True),
        ),
        text_document=types.TextDocumentClientCapabilities(
            synchronization=types.TextDocumentSyncClientCapabilities(),
            publish_diagnostics=types.PublishDiagnosticsClientCapabilities(version_support=True),
            diagnostic=types.DiagnosticClientCapabilities(dynamic_registration=late),
        ),
    )
