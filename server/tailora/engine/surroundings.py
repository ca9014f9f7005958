"""What a schedule must know of the machine: the time, what other processes use, the battery.

Knows nothing of projects. The time that counts is monotonic; the wall clock is for what is kept on disk, and where it
jumps that is logged and nothing else happens.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tailora.engine.machine import OtherWork

__all__ = ["Moment", "Surroundings", "battery_percent"]

_log = logging.getLogger(__name__)

_WINDOW_S = 60.0
_LEAST_WINDOW_S = 5.0
"""Shorter ones say nothing."""
_SAMPLE_EVERY_S = 5.0
_JUMP_S = 60.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The machine as it is now."""

    now: float = 0.0
    """Monotonic seconds."""
    wall: float = 0.0
    """Seconds since the epoch."""
    load: float = 0.0
    """Share of all cores that other processes used over the last minute, 0 to 1."""
    battery_percent: float | None = None
    """None: on mains, or there is no battery."""


def battery_percent() -> float | None:
    """How full the battery is; None on mains, without a battery, and where the system does not tell."""
    battery = psutil.sensors_battery()
    if battery is None or battery.power_plugged is not False:
        return None
    return float(battery.percent)


class Surroundings:
    """Looks at the machine. Event loop only.

    Args:
        clock: Monotonic seconds.
        wall: Seconds since the epoch.
        battery: See ``battery_percent``.
        others: Begins to count what other processes use.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        battery: Callable[[], float | None] = battery_percent,
        others: Callable[[], OtherWork] = OtherWork,
    ) -> None:
        self.clock = clock
        self.wall = wall
        self._battery = battery
        self._others = others
        self._windows: deque[tuple[float, OtherWork]] = deque()
        self._load = 0.0
        self._percent: float | None = None
        self._offset = wall() - clock()

    def moment(self) -> Moment:
        """Now, by the last look."""
        return Moment(self.clock(), self.wall(), self._load, self._percent)

    def look(self) -> Moment:
        """Now, looked at again if the last look was more than a few seconds ago."""
        now = self.clock()
        if not self._windows or now - self._windows[-1][0] >= _SAMPLE_EVERY_S:
            self._windows.append((now, self._others()))
            while len(self._windows) > 1 and now - self._windows[1][0] >= _WINDOW_S:
                self._windows.popleft()
            since, work = self._windows[0]
            self._load = work.share() if now - since >= _LEAST_WINDOW_S else 0.0
            self._percent = self._battery()
        self._note_jump()
        return self.moment()

    def forget_load(self) -> None:
        """Begins anew: what was used until now was partly our own worker's."""
        self._windows.clear()
        self._load = 0.0

    def _note_jump(self) -> None:
        offset = self.wall() - self.clock()
        if abs(jump := offset - self._offset) > _JUMP_S:
            _log.info("the clock was set, or the machine slept: %+.0f s beside the steady clock", jump)
        self._offset = offset
