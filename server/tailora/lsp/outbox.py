"""What became of suggestions, on its way to the engine: gathered for some seconds and sent by project.

Knows nothing of what the events say. Invariants: sending never delays or fails anything else, and waits while no engine
is known to answer; what an engine did not take is sent again, as the same events twice count once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailora.errors import EngineError, EngineRefused

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["Outbox"]

_log = logging.getLogger(__name__)

_GATHER_S = 3.0
_CLOSE_TIMEOUT_S = 1.0
_MOST = 500
"""Events of one project that wait; older ones are dropped."""


class Outbox:
    """One for each window."""

    def __init__(self, server: TailoraServer) -> None:
        self._server = server
        self._waiting: dict[Path, list[dict[str, Any]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending = asyncio.Lock()
        self._refused = ""

    def put(self, root: Path, event: dict[str, Any]) -> None:
        """Takes an event of a project, unless its settings say that nothing is counted."""
        if not self._server.settings.for_root(root).outcomes.enabled:
            return
        waiting = self._waiting.setdefault(root, [])
        waiting.append(event)
        del waiting[:-_MOST]
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self.send_soon)

    def send_soon(self) -> None:
        """Sends what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._server.spawn(self._send(), "tell what became of suggestions")

    async def close(self) -> None:
        """Sends what waits, within a second."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._send()
        self._waiting.clear()

    async def _send(self) -> None:
        async with self._sending:
            for root in list(self._waiting):
                if self._server.board.engine(root) is None:
                    continue  # no engine at present; the next event asks again
                events = self._waiting.pop(root)
                try:
                    await self._server.link.client.tell_outcomes(root, events)
                    self._refused = ""
                except EngineRefused as error:
                    if str(error) != self._refused:  # such as a full disk: said once
                        self._refused = str(error)
                        _log.warning("What became of suggestions is not counted: %s", error)
                except EngineError:
                    self._waiting[root] = [*events, *self._waiting.get(root, ())][-_MOST:]
