"""A small editor: starts ``tailora lsp`` and talks to it as VS Code or Neovim would.

Knows nothing of the story that it is used for.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from tailora import __version__
from tailora.demo.repository import Spot
from tailora_adapters.errors import TailoraError

__all__ = ["Editor"]


class Editor:
    """One window on one repository."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._client = LanguageClient("tailora-demo", __version__)
        self._status: dict[str, Any] = {}
        self._news = asyncio.Condition()
        self._version = 0

        async def status(params: Any) -> None:
            async with self._news:
                self._status = _plain(params)
                self._news.notify_all()

        async def message(params: Any) -> None:
            return None

        self._client.feature("tailora/status")(status)
        self._client.feature(types.WINDOW_LOG_MESSAGE)(message)
        self._client.feature(types.WINDOW_SHOW_MESSAGE)(message)

    async def open(self, root: Path) -> None:
        """Starts the server on a trusted repository."""
        await self._client.start_io(
            sys.executable, "-m", "tailora", "lsp", env={**os.environ, **self._environment}
        )
        await self._client.initialize_async(
            types.InitializeParams(
                process_id=os.getpid(),
                capabilities=types.ClientCapabilities(
                    text_document=types.TextDocumentClientCapabilities(
                        inline_completion=types.InlineCompletionClientCapabilities()
                    )
                ),
                workspace_folders=[types.WorkspaceFolder(uri=root.as_uri(), name=root.name)],
                initialization_options={"learning": {"trusted": True}},
            )
        )
        self._client.initialized(types.InitializedParams())

    async def wait(
        self, wanted: Callable[[dict[str, Any]], bool], what: str, *, seconds: float
    ) -> dict[str, Any]:
        """The next status that is as wanted.

        Raises:
            TailoraError: it did not come in time; the message has the status that is there instead.
        """
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: wanted(self._status))
                return self._status
        except TimeoutError:
            raise TailoraError(
                f"{what} did not happen within {seconds:.0f} s: {self._status.get('message', 'no status came')}"
            ) from None

    def type_in(self, spot: Spot) -> None:
        """Opens the file with the cursor behind what was typed so far."""
        self._client.text_document_did_open(
            types.DidOpenTextDocumentParams(
                types.TextDocumentItem(
                    uri=spot.path.as_uri(), language_id="python", version=1, text=spot.text
                )
            )
        )

    async def suggestion(self, spot: Spot) -> str | None:
        """The ghost text at the spot."""
        answer = await self._client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                text_document=types.TextDocumentIdentifier(uri=spot.path.as_uri()),
                position=types.Position(line=spot.line, character=spot.character),
                context=types.InlineCompletionContext(trigger_kind=types.InlineCompletionTriggerKind.Invoked),
            )
        )
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        if not items:
            return None
        text = items[0].insert_text
        return text if isinstance(text, str) else str(text.value)

    async def command(self, name: str) -> dict[str, Any]:
        """Runs one of the server's commands.

        Raises:
            TailoraError: the command says that it failed.
        """
        answer: dict[str, Any] = _plain(
            await self._client.workspace_execute_command_async(types.ExecuteCommandParams(command=name))
        )
        if not answer.get("ok"):
            raise TailoraError(f"{name}: {answer.get('message')}")
        return answer

    async def close(self) -> None:
        """Ends the server."""
        await self._client.shutdown_async(None)
        self._client.exit(None)
        await self._client.stop()  # type: ignore[no-untyped-call]


def _plain(value: Any) -> Any:
    """pygls hands unknown objects over as named tuples; this makes dictionaries of them again."""
    if hasattr(value, "_asdict"):
        return {key: _plain(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
