"""Clients for tests: what real editors say they can do, a typed client and a raw one.

``Editor`` wraps pytest-lsp's client, which rejects any message that does not fit the specification.
``RawClient`` writes bytes and counts answers. Both start the server without an engine unless they are told
otherwise; the tests of the real model do.
"""

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types
from pytest_lsp import LanguageClient, client_capabilities, make_test_lsp_client

SERVER = (sys.executable, "-m", "tailora.lsp.server", "--no-autostart")
PATIENCE_S = 20
"""Only bounds tests that fail."""


def vscode() -> types.ClientCapabilities:
    """VS Code with vscode-languageclient 10 or later: utf-16 only, dynamic registration."""
    capabilities = client_capabilities("visual-studio-code")
    capabilities.general.position_encodings = [types.PositionEncodingKind.Utf16]
    capabilities.text_document.inline_completion = types.InlineCompletionClientCapabilities(
        dynamic_registration=True
    )
    return capabilities


def neovim() -> types.ClientCapabilities:
    """Neovim 0.12: utf-8 first, inline completion, static registration only."""
    capabilities = client_capabilities("neovim")
    capabilities.text_document.inline_completion = types.InlineCompletionClientCapabilities(
        dynamic_registration=False
    )
    return capabilities


def plain() -> types.ClientCapabilities:
    """A client that knows only the popup, and shows no progress."""
    return types.ClientCapabilities()


def environment(home: Path) -> dict[str, str]:
    """The server's environment, with everything of Tailora's below ``home``."""
    return {**os.environ, "TAILORA_HOME": str(home), "PYTHONWARNINGS": "error"}


class Editor:
    """A language client that remembers what it was told."""

    def __init__(
        self,
        home: Path,
        *,
        command: Sequence[str] = SERVER,
        env: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.home = home
        self._command = tuple(command)
        self._env = dict(environment(home) if env is None else env)
        self._patience_s = patience_s
        self.result: types.InitializeResult | None = None
        self.client: LanguageClient = make_test_lsp_client()
        self.statuses: list[Any] = []
        self.questions: list[types.ShowMessageRequestParams] = []
        self.reports: list[Any] = []
        self.refreshes: list[Any] = []
        self.registrations: list[types.Registration] = []
        self.answer_title: str | None = None
        self.edits: list[types.ApplyWorkspaceEditParams] = []
        """That the server asked to apply."""
        self.applies = types.ApplyWorkspaceEditResult(True)
        """The answer to that."""
        self.lens_refreshes = 0
        self._stopped = False
        self._news = asyncio.Event()
        self._versions = itertools.count(2)
        self.version = 1
        """Of the document that was changed last."""
        self._register()

    @property
    def messages(self) -> list[str]:
        """What was shown to the user."""
        return [message.message for message in self.client.messages]

    def _register(self) -> None:
        @self.client.feature("tailora/status")
        def status(params: Any) -> None:
            self.statuses.append(params)
            self._news.set()

        @self.client.feature("tailora/suggestion")
        def report(params: Any) -> None:
            self.reports.append(params)
            self._news.set()

        @self.client.feature("tailora/refreshSuggestion")
        def refresh(params: Any) -> None:
            self.refreshes.append(params)
            self._news.set()

        @self.client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)
        def question(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
            self.questions.append(params)
            self._news.set()
            return next((item for item in params.actions if item.title == self.answer_title), None)

        @self.client.feature(types.CLIENT_REGISTER_CAPABILITY)
        def register(params: types.RegistrationParams) -> None:
            self.registrations += params.registrations
            self._news.set()

        @self.client.feature(types.WORKSPACE_APPLY_EDIT)
        def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            self.edits.append(params)
            self._news.set()
            return self.applies

        @self.client.feature(types.WORKSPACE_CODE_LENS_REFRESH)
        def refresh_lenses(_params: None) -> None:
            self.lens_refreshes += 1
            self._news.set()

        for method in (
            types.WINDOW_SHOW_MESSAGE,
            types.PROGRESS,
            types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS,
        ):
            original = self.client.protocol.fm.features.pop(method)
            self.client.feature(method)(self._noting(original))

    def _noting(self, original: Callable[..., Any]) -> Callable[[Any], None]:
        def note(params: Any) -> None:
            original(params)
            self._news.set()

        return note

    async def start(
        self,
        capabilities: types.ClientCapabilities,
        folders: list[Path],
        options: Any = None,
    ) -> types.InitializeResult:
        """Starts the server and initializes it. Without ``options`` nothing is computed ahead, no clones are sought."""
        if options is None:
            options = {"completion": {"ahead": False}, "clones": {"enabled": False}}
        await self.client.start_io(*self._command, env=self._env)
        params = types.InitializeParams(
            capabilities=capabilities,
            workspace_folders=[types.WorkspaceFolder(folder.as_uri(), folder.name) for folder in folders],
            initialization_options=options,
        )
        self.result = await self.client.initialize_session(params)
        return self.result

    async def stop(self) -> None:
        """Ends the server as an editor does; nothing more if that was done before."""
        if self._stopped:
            return
        self._stopped = True
        await self.client.shutdown_session()
        await self.client.stop()

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Waits until ``condition`` holds, looking whenever something was told."""
        async with asyncio.timeout(self._patience_s):
            while not (value := condition()):
                self._news.clear()
                await self._news.wait()
        return value

    async def status(self, condition: Callable[[Any], Any]) -> Any:
        """The newest status, as soon as it fulfils ``condition``."""
        await self.until(lambda: self.statuses and condition(self.statuses[-1]))
        return self.statuses[-1]

    async def reason(self, text: str) -> None:
        """Waits until the status says that nothing was suggested because of ``text``."""
        await self.status(lambda told: not told.suggestion.shown and text in (told.suggestion.reason or ""))

    def open(self, uri: str, text: str, language: str = "python") -> None:
        """Opens a document."""
        item = types.TextDocumentItem(uri, language, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def close(self, uri: str) -> None:
        """Closes a document."""
        identifier = types.TextDocumentIdentifier(uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(identifier))

    def insert(self, uri: str, line: int, character: int, text: str) -> None:
        """Types ``text``."""
        here = types.Position(line, character)
        change = types.TextDocumentContentChangePartial(types.Range(here, here), text)
        self.version = next(self._versions)
        identifier = types.VersionedTextDocumentIdentifier(self.version, uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))

    async def ask(
        self,
        uri: str,
        line: int,
        character: int,
        *,
        manual: bool = False,
        selected: types.SelectedCompletionInfo | None = None,
    ) -> types.InlineCompletionItem | None:
        """Asks for ghost text; the one item, or None for null."""
        kinds = types.InlineCompletionTriggerKind
        context = types.InlineCompletionContext(kinds.Invoked if manual else kinds.Automatic, selected)
        document, position = types.TextDocumentIdentifier(uri), types.Position(line, character)
        answer = await self.client.text_document_inline_completion_async(
            types.InlineCompletionParams(context, document, position)
        )
        if answer is None:
            return None
        (item,) = answer.items
        return item

    async def command(self, name: str, *arguments: Any) -> Any:
        """Runs a command."""
        params = types.ExecuteCommandParams(name, list(arguments) or None)
        return await self.client.workspace_execute_command_async(params)

    def configure(self, settings: Any) -> None:
        """Sends changed settings."""
        params = types.DidChangeConfigurationParams(settings)
        self.client.workspace_did_change_configuration(params)


class RawClient:
    """Bytes in, messages out."""

    def __init__(
        self,
        *,
        command: Sequence[str] = SERVER,
        env: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._command = tuple(command)
        self._env = env
        self._patience_s = patience_s
        self.answers: dict[Any, list[dict[str, Any]]] = {}
        self.notifications: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, home: Path) -> None:
        """Starts a server."""
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(home) if self._env is None else dict(self._env),
        )
        self._reading = asyncio.create_task(self._read())

    async def stop(self) -> None:
        """Kills the server if it still runs."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading

    async def initialize(self, **options: Any) -> dict[str, Any]:
        """The handshake."""
        params = {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": options}
        answer = await self.request(0, "initialize", params)
        self.notify("initialized", {})
        return answer

    def write(self, data: bytes) -> None:
        """Writes bytes as they are."""
        self.process.stdin.write(data)

    def send(self, message: Any) -> None:
        """Writes a message."""
        self.write(frame(json.dumps(message).encode()))

    def notify(self, method: str, params: Any) -> None:
        """Sends a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    async def request(self, ident: Any, method: str, params: Any = None) -> dict[str, Any]:
        """Sends a request and waits for its answer."""
        self.send({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})
        return await self.answer(ident)

    async def answer(self, ident: Any, count: int = 1) -> dict[str, Any]:
        """The last of ``count`` answers with this id."""
        async with asyncio.timeout(self._patience_s):
            while len(self.answers.get(ident, [])) < count:
                self._news.clear()
                await self._news.wait()
        return self.answers[ident][-1]

    def counts(self) -> Counter[Any]:
        """How many answers there were, by id."""
        return Counter({ident: len(answers) for ident, answers in self.answers.items()})

    async def _read(self) -> None:
        stdout = self.process.stdout
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                header = await stdout.readuntil(b"\r\n\r\n")
                length = int(header.split(b"\r\n")[0].split(b":")[1])
                message = json.loads(await stdout.readexactly(length))
                if "method" in message:
                    self.notifications.append(message)
                else:
                    self.answers.setdefault(message["id"], []).append(message)
                self._news.set()
        self._news.set()


def frame(body: bytes) -> bytes:
    """A body with its header."""
    return b"Content-Length: %d\r\n\r\n" % len(body) + body
