"""Keeps the engine running and the folders open on it, and follows what it tells.

One task for each folder (one without folder if there are none): start the engine if none runs, open the
project, follow its events; when they end, again, at growing intervals. Knows nothing of documents. Invariant:
an engine is only started by a task that no request cancels half-way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailora.errors import EngineError

if TYPE_CHECKING:
    from tailora.engine.client import EngineClient
    from tailora.lsp.server import TailoraServer

__all__ = ["EngineLink"]

_log = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_CLOSE_TIMEOUT_S = 1.0


class EngineLink:
    """The connection of one window."""

    def __init__(self, server: TailoraServer, *, autostart: bool) -> None:
        self._server = server
        self._autostart = autostart
        self._client: EngineClient | None = None
        self._followers: dict[Path | None, asyncio.Task[None]] = {}
        self._closing: dict[Path | None, asyncio.Task[None]] = {}
        self._opened: dict[Path, dict[str, Any]] = {}
        self._ensuring: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    @property
    def client(self) -> EngineClient:
        """The engine's client."""
        if self._client is None:
            from tailora.engine.client import EngineClient  # not needed before ``initialize`` is answered

            self._client = EngineClient(autostart=self._autostart)
        return self._client

    async def ensure(self) -> None:
        """Makes sure that the engine answers. Cancelling a caller does not cancel a start.

        Raises:
            EngineUnreachable: none answers and none could be started.
        """
        if self._ensuring is None or self._ensuring.done():
            self._ensuring = asyncio.ensure_future(self.client.ensure())
            # Every caller may be gone by the time it fails; whoever follows the engine logs why.
            self._ensuring.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._ensuring)

    def follow(self, roots: Iterable[Path]) -> None:
        """Follows exactly these folders from now on."""
        wanted: set[Path | None] = set(roots) or {None}
        for root in [root for root in self._followers if root not in wanted]:
            follower = self._followers.pop(root)
            self._closing[root] = self._server.spawn(self._leave(root, follower), f"close {root}")
            self._server.board.forget(root)
        for root in wanted - set(self._followers):
            self._followers[root] = self._server.spawn(self._follow(root), f"follow {root}")

    def settings_changed(self) -> None:
        """Opens folders again whose trust or learning has changed, or how they are learned."""
        for root in self._followers:
            if root is not None and root in self._opened and self._opened[root] != self._wanted(root):
                self._server.spawn(self._open(root), f"open {root}")

    def warm_up(self) -> None:
        """Loads the model if it is there and not loaded: the first suggestion need not wait for it then."""
        status = self._server.board.engine(self._server.active_root)
        options = self._server.settings.for_root(self._server.active_root)
        unloaded = status is not None and status.get("model", {}).get("state") == "unloaded"
        if unloaded and options.completion.enabled:
            self._server.spawn(self.client.load(), "load the model")

    def retry_now(self) -> None:
        """Does not wait any longer before the next try."""
        self._wake.set()
        self._wake = asyncio.Event()

    async def close(self) -> None:
        """Closes the folders and the connections. The engine goes on for other windows."""
        followers = list(self._followers.values())
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
        await asyncio.gather(*(self._close(root) for root in self._opened))
        self._followers.clear()
        self._opened.clear()
        if self._client is not None:
            await self._client.aclose()

    def _wanted(self, root: Path) -> dict[str, Any]:
        learning = self._server.settings.for_root(root).learning
        parameters = dict(learning.methods.get(learning.method, {}))
        return {
            "trusted": learning.trusted,
            "learning": learning.enabled,
            "method": {"name": learning.method, "parameters": parameters},
        }

    async def _leave(self, root: Path | None, follower: asyncio.Task[None]) -> None:
        follower.cancel()
        await asyncio.wait([follower])
        if root is not None and root in self._opened:
            del self._opened[root]
            await self._close(root)

    async def _open(self, root: Path) -> None:
        wanted = self._opened[root] = self._wanted(root)
        status = await self.client.open_project(root, **wanted)
        self._server.board.update(root, status)

    async def _close(self, root: Path) -> None:
        with contextlib.suppress(EngineError, TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self.client.close_project(root)

    async def _follow(self, root: Path | None) -> None:
        if (closing_before := self._closing.pop(root, None)) is not None:
            await asyncio.wait([closing_before])  # or the engine would take the folder as closed
        pause = _FIRST_PAUSE_S
        while True:
            fresh = True
            try:
                await self.ensure()
                if root is not None:
                    await self._open(root)
                async with contextlib.aclosing(self.client.events(root)) as events:
                    async for status in events:
                        pause = _FIRST_PAUSE_S
                        self._server.board.update(root, status)
                        self._server.model_prompt.consider(status)
                        if fresh and self._server.workspace.text_documents:
                            self.warm_up()
                        fresh = False
                problem = None
                _log.info("The engine ended; starting it again")
            except EngineError as error:
                problem = str(error)
                _log.warning("%s", error)
            except Exception as error:  # noqa: BLE001 - a boundary: what follows must not end with the engine's bugs
                problem = f"unexpected answer ({type(error).__name__}: {error})"
                _log.exception("Following the engine failed")
            self._server.board.engine_lost(problem)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
