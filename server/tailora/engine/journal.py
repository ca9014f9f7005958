"""Which files of a project changed since they were last learned.

Pure bookkeeping: knows nothing of file systems or of processes, and takes the time as an argument. Written by
a watcher's thread and read by the event loop, so every method takes the lock. Invariant: a noted file stays until
a run that was given it had its say; beyond ``LIMIT`` files that wait only that there are more is kept.
"""

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["LIMIT", "Change", "Journal", "Kept", "News"]

LIMIT = 5_000
"""Files that are kept by name; as many as a run reads at most."""
_BYTES_PER_TOKEN = 3.5


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one file since it was last learned."""

    first: float
    last: float
    bytes: int
    """Estimate of what is new in it, at least 1."""
    size: int | None = None
    """In bytes, 0 where it is gone; None: not known."""

    def after(self, earlier: "Change | None") -> "Change":
        """This and an earlier one as one."""
        if earlier is None:
            return self
        size = earlier.size if self.size is None else self.size
        return Change(
            min(earlier.first, self.first), max(earlier.last, self.last), earlier.bytes + self.bytes, size
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a journal outlives its process."""

    changes: Mapping[str, Change]
    many: bool = False
    committed: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What a decision needs to know of a journal."""

    files: int
    many: bool
    resting: int
    new_tokens: int
    fresh_tokens: int
    waiting_since: float
    quiet_since: float
    committed: bool


class Journal:
    """The changes of one project. Times are monotonic seconds of the caller's clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fresh: dict[str, Change] = {}
        """Since the last run began."""
        self._earlier: dict[str, Change] = {}
        """Given to a run that failed, or from an earlier process."""
        self._running: dict[str, Change] = {}
        self._sizes: dict[str, int] = {}
        """Of files as they were last learned, as far as they are known."""
        self._many = self._running_many = False
        self._committed = self._running_committed = False
        self._last_event = -math.inf
        self.revision = 0
        """Grows with every change of what ``kept`` returns."""

    def know(self, sizes: Mapping[str, int]) -> None:
        """Sizes of files as they are now, so that a later change is measured by what it adds."""
        with self._lock:
            self._sizes.update(sizes)

    def note(self, sizes: Mapping[str, int], now: float, *, many: bool = False) -> None:
        """Files (relative paths) that were written, moved or deleted, with their sizes now (0: gone).

        Args:
            many: There may be more.
        """
        with self._lock:
            if many:
                self._last_event, self._many = now, True
            for path, size in sizes.items():
                self._last_event = now
                known = self._fresh.get(path)
                if known is None and self._is_full(path):
                    self._many = True
                    continue
                new = max(1, abs(size - self._sizes.get(path, 0)))
                if known is None:
                    self._fresh[path] = Change(now, now, new, size)
                else:
                    self._fresh[path] = Change(known.first, now, max(new, known.bytes), size)
            self.revision += 1

    def _is_full(self, path: str) -> bool:
        # What a run was given takes no places: an edit while it goes on is the next one's.
        return len(self._fresh) + len(self._earlier) >= LIMIT and path not in self._earlier

    def disturb(self, now: float) -> None:
        """Something that prolongs the quiet period but is nothing to learn, such as a git HEAD move."""
        with self._lock:
            self._last_event = now

    def commit(self) -> None:
        """What changed so far was committed."""
        with self._lock:
            if self._fresh or self._earlier:
                self._committed = True
                self.revision += 1

    def changed(self) -> tuple[str, ...]:
        """The files that changed, those in training included, sorted."""
        with self._lock:
            return tuple(sorted({*self._fresh, *self._earlier, *self._running}))

    @property
    def many(self) -> bool:
        """Whether there are more than are named: any file may have changed."""
        with self._lock:
            return self._many or self._running_many

    @property
    def has_fresh(self) -> bool:
        """Whether something changed since the last run began."""
        with self._lock:
            return bool(self._fresh)

    def __len__(self) -> int:
        with self._lock:
            return len({*self._fresh, *self._earlier, *self._running})

    def news(self, now: float, hot_s: float) -> News:
        """How things stand; files that changed less than ``hot_s`` ago do not rest."""
        with self._lock:
            waiting = _union(self._earlier, self._fresh)
            return News(
                files=len(waiting),
                many=self._many,
                resting=sum(change.last <= now - hot_s for change in waiting.values()),
                new_tokens=_tokens(waiting.values()),
                fresh_tokens=_tokens(self._fresh.values()),
                waiting_since=min((change.first for change in waiting.values()), default=math.inf),
                quiet_since=self._last_event,
                committed=self._committed,
            )

    def begin(self, now: float, hot_s: float) -> tuple[str, ...]:
        """A run starts with what has changed by now; returns its files, sorted.

        Files that changed less than ``hot_s`` ago are left for the next run, and wait anew.
        """
        with self._lock:
            waiting = _union(self._earlier, self._fresh)
            self._running = {path: change for path, change in waiting.items() if change.last <= now - hot_s}
            hot = waiting.keys() - self._running.keys()
            self._fresh = {
                path: Change(now, waiting[path].last, waiting[path].bytes, waiting[path].size) for path in hot
            }
            self._earlier = {}
            self._running_many, self._many = self._many, False
            self._running_committed, self._committed = self._committed, False
            for path, change in self._running.items():
                if change.size:
                    self._sizes[path] = change.size
                elif change.size == 0:
                    self._sizes.pop(path, None)
            self.revision += 1
            return tuple(sorted(self._running))

    def end(self, *, learned: bool) -> None:
        """The run ended. ``learned``: it had its say on what it was given."""
        with self._lock:
            if not learned:
                given = _union(self._earlier, self._running)
                self._earlier = _newest(given, LIMIT - len(self._fresh))
                self._many |= self._running_many or len(self._earlier) < len(given)
                self._committed |= self._running_committed
            self._running = {}
            self._running_many = self._running_committed = False
            self.revision += 1

    def kept(self) -> Kept:
        """What must not be lost, a run on its way counted as one that will fail."""
        with self._lock:
            changes = _union(self._running, self._earlier, self._fresh)
            many = self._many or self._running_many or len(changes) > LIMIT
            return Kept(_newest(changes, LIMIT), many, self._committed or self._running_committed)

    def restore(self, kept: Kept, now: float) -> None:
        """Takes what an earlier process kept; the quiet time begins anew."""
        with self._lock:
            self._earlier = _union(kept.changes, self._earlier)
            self._many |= kept.many
            self._committed |= kept.committed
            if kept.changes:
                self._last_event = max(self._last_event, now)


def _union(*parts: Mapping[str, Change]) -> dict[str, Change]:
    """Changes by file, the parts from the earliest to the latest."""
    result: dict[str, Change] = {}
    for part in parts:
        for path, change in part.items():
            result[path] = change.after(result.get(path))
    return result


def _newest(changes: Mapping[str, Change], most: int) -> dict[str, Change]:
    """At most so many of them, the latest."""
    if len(changes) <= most:
        return dict(changes)
    return dict(sorted(changes.items(), key=lambda item: item[1].last, reverse=True)[:most])


def _tokens(changes: Iterable[Change]) -> int:
    return math.ceil(sum(change.bytes for change in changes) / _BYTES_PER_TOKEN)
