"""Which files of a project changed since they were last learned, and when it is time to learn them.

Pure bookkeeping: knows nothing of file systems or of processes, and takes the time as an argument. Written by
a watcher's thread and read by the event loop, so every method takes the lock.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Journal", "Rules"]


@dataclass(frozen=True, slots=True)
class Rules:
    """When training starts. Seconds."""

    quiet_s: float = 20.0
    min_gap_s: float = 120.0
    min_changed_files: int = 1


class Journal:
    """The changes of one project. Times are monotonic seconds of the caller's clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: dict[str, float] = {}
        self._last_event = float("-inf")
        self._last_change = float("-inf")
        self._attempted = float("-inf")
        self._ended = float("-inf")

    def note(self, paths: Iterable[str], now: float) -> None:
        """Files (relative paths) that were written, moved or deleted."""
        with self._lock:
            for path in paths:
                self._changed[path] = now
                self._last_change = self._last_event = now

    def disturb(self, now: float) -> None:
        """Something that prolongs the quiet period but is nothing to learn, such as a git HEAD move."""
        with self._lock:
            self._last_event = now

    def changed(self) -> tuple[str, ...]:
        """The files that changed, sorted."""
        with self._lock:
            return tuple(sorted(self._changed))

    def __len__(self) -> int:
        with self._lock:
            return len(self._changed)

    def due_in(self, now: float, rules: Rules) -> float | None:
        """Seconds until training may start (0: now), or None if nothing waits for it.

        After a failed run, what it had is not tried again before something else changes.
        """
        with self._lock:
            if len(self._changed) < rules.min_changed_files or self._last_change <= self._attempted:
                return None
            due = max(self._last_event + rules.quiet_s, self._ended + rules.min_gap_s)
            return max(due - now, 0.0)

    def began(self, now: float) -> None:
        """A run starts with what has changed by now."""
        with self._lock:
            self._attempted = now

    def ended(self, now: float, *, learned: bool) -> None:
        """The run ended. ``learned``: it had its say on what had changed when it began."""
        with self._lock:
            self._ended = now
            if learned:
                self._changed = {path: time for path, time in self._changed.items() if time > self._attempted}

    def retry(self) -> None:
        """Lets the changes that are left start a run again."""
        with self._lock:
            self._attempted = float("-inf")
