"""Work that a user waits for and may end: one at a time in each document, with the editor's progress.

Knows nothing of repairs. Invariants: a work ends when its request is cancelled, its cancel button is pressed, its
document is closed or the server shuts down; and an editor that does not answer about progress holds up none.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["Report", "Stopped", "Works"]

Report = Callable[[float, str], None]
"""Takes how far a work is, from 0 to 1, and what it does."""

T = TypeVar("T")
_EDITOR_S = 2.0
"""Patience with the editor's answer to whether progress can be shown."""


class Stopped(Exception):
    """A work was ended by the user, as its document was closed, or at shutdown."""


class Works:
    """What is under way."""

    def __init__(self, server: TailoraServer) -> None:
        self._server = server
        self._running: dict[str, set[asyncio.Task[Any]]] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._closed = False

    async def run(self, uri: str, title: str, work: Callable[[Report], Coroutine[Any, Any, T]]) -> T:
        """What comes of ``work``, which waits for those before it in the same document.

        Raises:
            Stopped: it was ended, and not by a cancelled request.
        """
        if self._closed:
            raise Stopped
        task = asyncio.ensure_future(self._in_turn(uri, title, work))
        self._running.setdefault(uri, set()).add(task)
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise Stopped from None
        finally:
            self._running[uri].discard(task)

    def stop(self, uri: str) -> None:
        """The document is closed: nobody waits for what is under way in it."""
        for task in self._running.get(uri, ()):
            task.cancel()

    async def close(self) -> None:
        """Ends everything, and returns when it has ended."""
        self._closed = True
        tasks = [task for running in self._running.values() for task in running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_turn(self, uri: str, title: str, work: Callable[[Report], Coroutine[Any, Any, T]]) -> T:
        async with self._turns.setdefault(uri, asyncio.Lock()):
            token = await self._token()
            if token is None:
                return await work(lambda _fraction, _message: None)
            progress, task = self._server.work_done_progress, asyncio.current_task()
            progress.begin(token, types.WorkDoneProgressBegin(title=title, cancellable=True, percentage=0))

            def pressed(button: Future[Any]) -> None:
                if button.cancelled() and task is not None:
                    task.cancel()

            def report(fraction: float, message: str) -> None:
                percentage = round(100 * min(max(fraction, 0.0), 1.0))
                progress.report(token, types.WorkDoneProgressReport(message=message, percentage=percentage))

            progress.tokens[token].add_done_callback(pressed)
            try:
                return await work(report)
            finally:
                progress.tokens.pop(token, None)
                if not self._closed:
                    progress.end(token, types.WorkDoneProgressEnd())

    async def _token(self) -> str | None:
        """What the editor knows the progress by; None where it shows none."""
        window = self._server.client_capabilities.window
        if window is None or not window.work_done_progress:
            return None
        token = f"tailora-{secrets.token_hex(6)}"
        try:
            async with asyncio.timeout(_EDITOR_S):
                await self._server.work_done_progress.create_async(token)
        except (JsonRpcException, TimeoutError):
            return None
        return token
