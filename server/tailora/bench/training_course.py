"""Along a training run: the time, and copies of what has been learned at evenly spaced places.

The copies are measured when the run is over, so that neither the clock nor the peak of memory has anything of measuring
in it. Knows nothing of models.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tailora.bench.training_job import Measurement

__all__ = ["Copy", "Course"]

V = TypeVar("V", bound=Mapping[str, Any])

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Copy(Generic[V]):
    """Parameters at one place."""

    step: int
    seconds: float
    values: V

    def measured(self, loss: float) -> Measurement:
        """With the held-out loss that they have."""
        return Measurement(self.step, self.seconds, loss)


class Course(Generic[V]):
    """One run.

    Args:
        measurements: Copies to take in equal parts of the run, the last one at its end.
        copy: Copies the parameters.
        clock: Seconds.
    """

    def __init__(
        self, measurements: int, copy: Callable[[], V], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._measurements = measurements
        self._copy = copy
        self._clock = clock
        self._taken = 0
        """Parts of the run that need no copy any more."""
        self.step = 0
        self.seconds = 0.0
        self.copies = [Copy(0, 0.0, copy())]
        self._at = clock()

    def begin(self) -> None:
        """Training starts now."""
        self._at = self._clock()

    def after(self, step: int, done: float) -> None:
        """A step is over, and so is this share of the run. What is done in here is no training time."""
        self.seconds += self._clock() - self._at
        self.step = step
        if (part := int(done * self._measurements + _ROUNDING)) > self._taken:
            self._taken = part
            self._keep()
        self._at = self._clock()

    def end(self) -> None:
        """The last step is over."""
        if self.copies[-1].step != self.step:
            self._keep()

    def _keep(self) -> None:
        self.copies.append(Copy(self.step, self.seconds, self._copy()))
