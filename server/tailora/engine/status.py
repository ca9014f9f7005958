"""The engine status: put together from its parts, and told to all who listen whenever it changes.

Knows nothing of HTTP. Listeners get the newest status, never a queue of old ones, and at most ten a second.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil

from tailora import __version__

__all__ = ["StatusHub"]

_LEAST_INTERVAL_S = 0.1
_KEEPALIVE_S = 15.0


class StatusHub:
    """Composes and publishes statuses. Event loop only.

    Args:
        problems: Settings that could not be used.
        interval_s: The least time between two statuses to one listener.
        keepalive_s: The longest silence towards a listener.
    """

    def __init__(
        self,
        problems: list[str],
        *,
        interval_s: float = _LEAST_INTERVAL_S,
        keepalive_s: float = _KEEPALIVE_S,
    ) -> None:
        self.model: Callable[[], dict[str, Any]] = dict
        self.project: Callable[[str], dict[str, Any]] = lambda _root: {}
        self.requests: Callable[[], dict[str, int]] = dict
        self._problems = problems
        self._interval_s = interval_s
        self._keepalive_s = keepalive_s
        self._started = time.monotonic()
        self._process = psutil.Process()
        self._listeners: set[asyncio.Event] = set()
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many event streams are open."""
        return len(self._listeners)

    def compose(self, project: str | None) -> dict[str, Any]:
        """The engine status."""
        return {
            "engine": {
                "pid": os.getpid(),
                "version": __version__,
                "uptime_s": round(time.monotonic() - self._started, 1),
                "rss_mb": round(self._process.memory_info().rss / 2**20, 1),
                "problems": self._problems,
            },
            "model": self.model(),
            "project": self.project(project) if project is not None else None,
            "requests": self.requests(),
        }

    def changed(self) -> None:
        """Something that a status shows may have changed."""
        for listener in self._listeners:
            listener.set()

    def close(self) -> None:
        """Ends all streams."""
        self._closed = True
        self.changed()

    async def listen(self, project: str | None) -> AsyncIterator[dict[str, Any] | None]:
        """A status at once and on every change; None where a sign of life is due instead."""
        changed = asyncio.Event()
        self._listeners.add(changed)
        try:
            last: dict[str, Any] | None = None
            said = time.monotonic()
            while not self._closed:
                changed.clear()
                status = self.compose(project)
                # Uptime and memory always differ: alone they are no news.
                seen = {key: value for key, value in status.items() if key != "engine"}
                if seen != last:
                    last = seen
                    yield status
                    said = time.monotonic()
                    await asyncio.sleep(self._interval_s)
                try:
                    # Changes that show nothing new do not put off the sign of life.
                    due = said + self._keepalive_s - time.monotonic()
                    await asyncio.wait_for(changed.wait(), max(0.0, due))
                except TimeoutError:
                    yield None
                    said = time.monotonic()
        finally:
            self._listeners.discard(changed)
