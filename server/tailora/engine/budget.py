"""How long a project was trained today.

Pure: the time is an argument, in seconds since the epoch; days are those of UTC. Invariant: whatever the clock does,
one jump of it gives at most one day's budget, and no mistake of it holds for longer than two days.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

__all__ = ["Budget"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What is used of it."""

    day: str = ""
    """The latest day that training was counted for, as ISO 8601; empty before the first."""
    seconds: float = 0.0

    def at(self, wall: float) -> "Budget":
        """As it stands at a time."""
        today = datetime.fromtimestamp(wall, UTC).date()
        if not self.day:
            return Budget(today.isoformat())
        day = date.fromisoformat(self.day)
        if today > day:
            return Budget(today.isoformat())
        if day - today > timedelta(days=1):
            # That day never was: the clock had been wrong. Nothing is given back, and tomorrow is a new day.
            return replace(self, day=today.isoformat())
        return self  # also where the clock went back over midnight: that day has had its budget

    def plus(self, seconds: float, wall: float) -> "Budget":
        """After more training."""
        now = self.at(wall)
        return replace(now, seconds=now.seconds + seconds)
