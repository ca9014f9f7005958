"""Newest wins: of all that is asked for one document, only the newest is worked on, and so of what is done ahead.

Knows nothing of what is worked on. Invariant: every ``take`` returns or raises exactly once, as soon as it is
overtaken, cancelled or done.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["Later", "Turns"]

T = TypeVar("T")


class Turns:
    """Who has the turn, by key."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def take(self, key: str, work: Coroutine[Any, Any, T]) -> T | None:
        """Runs ``work`` and ends what runs for ``key``; None if it is ended the same way itself.

        Raises:
            asyncio.CancelledError: the caller was cancelled; so was ``work``.
        """
        task = asyncio.ensure_future(work)
        self.drop(key)
        self._running[key] = task
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling() or not task.cancelled():
                raise
            return None
        finally:
            if self._running.get(key) is task:
                del self._running[key]

    def drop(self, key: str) -> None:
        """Ends what runs for ``key``, if anything does."""
        if (running := self._running.pop(key, None)) is not None:
            running.cancel()


class Later:
    """Work that nobody waits for, one piece by key."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]) -> None:
        self._spawn = spawn
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        """Runs ``work`` and ends what runs for ``key``."""
        self.drop(key)
        task = self._spawn(work, "work ahead")
        self._running[key] = task
        task.add_done_callback(lambda done: self._running.get(key) is done and self._running.pop(key))

    def drop(self, key: str) -> None:
        """Ends what runs for ``key``, if anything does."""
        if (running := self._running.pop(key, None)) is not None:
            running.cancel()
