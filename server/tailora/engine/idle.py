"""Tells when nobody has needed the engine for long enough that it may end. Knows no clock of its own."""

import time
from collections.abc import Callable

__all__ = ["IdleWatch"]


class IdleWatch:
    """Asked now and then; ``in_use`` says whether somebody needs the engine at that moment."""

    def __init__(self, in_use: Callable[[], bool], limit_s: float, *, now: float | None = None) -> None:
        self._in_use = in_use
        self._limit_s = limit_s
        self._last_use = time.monotonic() if now is None else now

    def expired(self, now: float) -> bool:
        """Whether nobody has used the engine for ``limit_s`` (monotonic seconds)."""
        if self._in_use():
            self._last_use = now
        return now - self._last_use >= self._limit_s
