"""Our side as a ``Client``: an editor that speaks to ``tailora lsp`` over stdio as VS Code does.

Every change is sent at once, a few milliseconds later the request for an inline completion, and each request cancels
the one before. The server starts the engine by itself. Learning is off unless the settings have a say about it. What a
request cost is told by ``tailora/suggestion`` notifications, which come right before the answers. Knows nothing of the
trace or of the peer.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailora.bench.places import Document
from tailora.bench.player import Edit, Screen
from tailora.bench.rpc import Rpc
from tailora_adapters.errors import TailoraError

__all__ = ["LanguageServer", "position_of"]

_ASK_DELAY_S = 0.003
"""From a change to the request."""
_AUTOMATIC = 2
"""``InlineCompletionTriggerKind``."""
_READY_TIMEOUT_S = 180.0
_COMMAND = (sys.executable, "-P", "-m", "tailora", "lsp")
_CODE_ACTION = {
    "dataSupport": True,
    "resolveSupport": {"properties": ["edit"]},
    "codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix", "refactor", "source"]}},
}


class LanguageServer:
    """One window. Belongs to one event loop.

    Args:
        adapter: ``serving``, ``foundation`` or ``none``.
        engine: Whether the server starts an engine where none runs.
    """

    def __init__(
        self, adapter: str = "serving", settings: dict[str, Any] | None = None, *, engine: bool = True
    ) -> None:
        self._adapter = adapter
        self._settings = settings or {}
        self._command = _COMMAND if engine else (*_COMMAND, "--no-autostart")
        self._rpc = Rpc(self._notified)
        self._loop = asyncio.get_running_loop()
        self._versions: dict[Document, int] = {}
        self._pending: int | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._report: dict[str, Any] | None = None
        self._status: dict[str, Any] = {}
        self._news = asyncio.Event()

    @property
    def pid(self) -> int:
        """The language server's process."""
        return self._rpc.pid

    async def start(self, folders: Sequence[Path]) -> float:
        """Starts the server on ``folders``; returns the seconds until it was ready to be sent ``initialized``."""
        began = self._loop.time()
        await self._rpc.start(self._command, os.environ)
        workspace = [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]
        options = {"learning": {"enabled": False}, **self._settings}
        options["completion"] = {**self._settings.get("completion", {}), "adapter": self._adapter}
        await self._rpc.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": workspace[0]["uri"] if workspace else None,
                "workspaceFolders": workspace,
                "initializationOptions": options,
                "capabilities": {
                    "general": {"positionEncodings": ["utf-16"]},
                    "workspace": {"workspaceFolders": True},
                    "textDocument": {
                        "inlineCompletion": {"dynamicRegistration": True},
                        "codeAction": _CODE_ACTION,
                    },
                    "experimental": {"tailora": {"suggestions": True}},
                },
            },
        )
        seconds = self._loop.time() - began
        self._rpc.notify("initialized", {})
        return seconds

    async def ready(self) -> None:
        """Waits until the model is loaded. A document must be open, or nothing loads it.

        Raises:
            TailoraError: it cannot be loaded, or does not load in time; says what the status says.
        """
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                while (self._status.get("model") or {}).get("state") != "ready":
                    if self._status.get("state") in ("error", "model_missing"):
                        raise TailoraError(f"the language server is not ready: {self._status.get('message')}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TailoraError(f"the model was not loaded in time: {self._status.get('message')}") from None

    async def stop(self) -> None:
        """Ends the server; the engine goes on."""
        if self._soon is not None:
            self._soon.cancel()
        await self._rpc.stop()

    async def request(self, method: str, params: Any) -> Any:
        """Any other request's result.

        Raises:
            TailoraError: the server answered with an error, or ended.
        """
        return await self._rpc.request(method, params)

    def close(self, document: Document) -> None:
        """``textDocument/didClose``."""
        del self._versions[document]
        self._rpc.notify("textDocument/didClose", {"textDocument": {"uri": document.path.as_uri()}})

    # What the player tells

    def open(self, document: Document, text: str) -> None:
        """``textDocument/didOpen``."""
        self._versions[document] = 1
        item = {"uri": document.path.as_uri(), "languageId": document.language, "version": 1, "text": text}
        self._rpc.notify("textDocument/didOpen", {"textDocument": item})

    def edit(self, document: Document, edit: Edit) -> None:
        """``textDocument/didChange``, incremental."""
        self._versions[document] += 1
        start, end = position_of(edit.before, edit.start), position_of(edit.before, edit.end)
        self._rpc.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": document.path.as_uri(), "version": self._versions[document]},
                "contentChanges": [{"range": {"start": start, "end": end}, "text": edit.text}],
            },
        )

    def ask(self, document: Document, text: str, cursor: int, screen: Screen) -> None:
        """``$/cancelRequest`` for the request before and, a moment later, ``textDocument/inlineCompletion``."""
        self.leave()
        params = {
            "textDocument": {"uri": document.path.as_uri()},
            "position": position_of(text, cursor),
            "context": {"triggerKind": _AUTOMATIC},
        }
        self._soon = self._loop.call_later(_ASK_DELAY_S, self._request, params, screen)

    def leave(self) -> None:
        """Cancels what is on its way."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._pending is not None:
            self._rpc.notify("$/cancelRequest", {"id": self._pending})
            self._pending = None

    def _request(self, params: dict[str, Any], screen: Screen) -> None:
        self._soon = None

        def answered(message: dict[str, Any]) -> None:
            report, self._report = self._report, None
            if self._pending != ident:
                return
            self._pending = None
            self._show(message, report or {}, params["position"], screen)

        ident = self._pending = self._rpc.ask("textDocument/inlineCompletion", params, answered)

    def _show(
        self, message: dict[str, Any], report: dict[str, Any], position: dict[str, int], screen: Screen
    ) -> None:
        result = message.get("result")
        items = result.get("items", []) if isinstance(result, dict) else result or []
        stats = report.get("stats")
        if not items:
            error = message.get("error") or {}
            screen.nothing(report.get("reason") or error.get("message"), stats)
            return
        text = items[0]["insertText"]
        text = text if isinstance(text, str) else str(text["value"])
        replaced = items[0].get("range") or {"start": position, "end": position}
        # Ghost text is what comes behind the cursor; the range may begin before it.
        screen.show(
            text[position["character"] - replaced["start"]["character"] :],
            cached=bool(report.get("cached")),
            figures=stats,
        )

    def _notified(self, method: str, params: Any) -> None:
        if method == "tailora/suggestion":
            self._report = params
        elif method == "tailora/status":
            self._status = params
            self._news.set()


def position_of(text: str, offset: int) -> dict[str, int]:
    """An offset in characters as an LSP position, in UTF-16 units."""
    line_start = text.rfind("\n", 0, offset) + 1
    units = len(text[line_start:offset].encode("utf-16-le")) // 2
    return {"line": text.count("\n", 0, offset), "character": units}
