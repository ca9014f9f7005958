"""How many threads to compute with: as many as there are cores that nobody else uses at the moment.

Two threads that meet hundreds of times a token are slower than one where another process takes turns with one of
them: on 2 cores beside a busy process 60 to 130 ms a token with two, 40 with one; 25 with two on quiet cores.
Knows nothing of what is computed. Belongs to the thread that computes.
"""

import os
import time
from collections.abc import Callable

import psutil
import torch

__all__ = ["FreeCores"]

_WINDOW_S = 0.1
_STALE_S = 1.0
"""A longer window says little about now: it only begins the next one."""


def _usage() -> tuple[float, float]:
    """Seconds of computing so far: of the whole machine, and of this process."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Linux counts a guest's time in ``user`` too; only the part that is not idle matters here.
    busy = sum(times) - idle - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return busy, time.process_time()


class FreeCores:
    """Adjusts torch's number of threads.

    Args:
        most: Never more threads than that. Default: torch's own choice.
        cores: Of the machine, as the system counts them.
        usage: Seconds of computing so far, of the machine and of this process.
        set_threads: Told every change.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        most: int | None = None,
        *,
        cores: int | None = None,
        usage: Callable[[], tuple[float, float]] = _usage,
        set_threads: Callable[[int], None] = torch.set_num_threads,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most or torch.get_num_threads()
        self._cores = cores or os.cpu_count() or 1
        self._usage = usage
        self._set_threads = set_threads
        self._clock = clock
        self._at = float("-inf")
        self._machine = self._own = 0.0
        self.threads = self._most
        """In use now."""

    def reset(self) -> None:
        """All of them again: measurements of the machine begin so."""
        self._at = float("-inf")
        self._use(self._most)

    def adjust(self) -> None:
        """Looks again if a tenth of a second went by. Cheap enough for every layer of the model."""
        now = self._clock()
        elapsed = now - self._at
        if self._most == 1 or elapsed < _WINDOW_S:
            return
        machine, own = self._usage()
        others = ((machine - self._machine) - (own - self._own)) / elapsed
        self._at, self._machine, self._own = now, machine, own
        if elapsed > _STALE_S:
            return
        self._use(min(max(1, round(self._cores - others)), self._most))

    def _use(self, threads: int) -> None:
        if threads != self.threads:
            self.threads = threads
            self._set_threads(threads)
