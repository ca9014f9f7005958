"""Runs a comparison cell by cell, each in a process of its own, and goes on where an earlier one was interrupted.

Knows nothing of what a cell does.
"""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailora.evaluation.methods.comparison import Cell, Comparison, cells_of
from tailora.evaluation.methods.places import Places
from tailora_adapters.errors import TailoraError
from tailora_adapters.methods import method_named
from tailora_adapters.training.launch import run_worker

__all__ = ["Outcome", "compare"]

Progress = Callable[[float, str], None]

_BASELINE_COST = 0.18
"""Of each, against a method with five runs."""
_WHOLE_COST = 1.6
"""Of a method that trains through all layers, against one that trains through half of them."""
_FULL_COST = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is there now."""

    results: tuple[Path, ...]
    failed: tuple[str, ...]
    """Cells that came to nothing, and why."""
    begun: int
    """How often the comparison had been begun before."""


def compare(comparison: Comparison, out: Path, command: Sequence[str], progress: Progress) -> Outcome:
    """Makes the documents that are not there yet. A task whose baselines cannot be asked, perhaps as the repository is
    too small for it, is left out, and the others go on.

    Raises:
        TailoraError: ``out`` holds another comparison; or no task's baselines could be asked.
    """
    begun = comparison.write(out)
    places = Places(out, tuple(command), begun)
    places.note()
    cells = cells_of(comparison)
    clock = _Clock([_cost(comparison, cell) for cell in cells], progress)
    failed: list[str] = []
    left_out: dict[str, str] = {}
    for number, cell in enumerate(cells):
        if cell.task in left_out or all(path.exists() for path in _results(comparison, cell, places)):
            clock.skip(number)
            continue
        method = ["--method", cell.method] if cell.method else []
        done = run_worker(
            "tailora.evaluation.methods.cell",
            ["--out", str(out), "--task", cell.task, *method],
            functools.partial(clock, number, cell),
        )
        if done["decision"] == "failed":
            reason = str(done["reason"])
            if cell.method is None:
                left_out[cell.task] = reason
            failed.append(f"{cell.task if cell.method is None else cell.name}: {reason}")
    if left_out and len(left_out) == len(comparison.tasks):
        raise TailoraError(next(iter(left_out.values())))
    progress(1.0, "done")
    results = [path for cell in cells for path in _results(comparison, cell, places) if path.exists()]
    return Outcome(tuple(results), tuple(failed), begun)


def _said(text: str) -> str:
    return text.partition(": ")[2] or text


def _results(comparison: Comparison, cell: Cell, places: Places) -> list[Path]:
    if cell.method is None:
        return [places.result(cell.task, name, 0) for name in comparison.asked]
    return [places.result(cell.task, cell.method, seed) for seed in comparison.seeds]


def _cost(comparison: Comparison, cell: Cell) -> float:
    """Roughly, to tell how much is left."""
    if cell.method is None:
        return _BASELINE_COST * len(comparison.asked)
    method = method_named(cell.method)
    runs = len(comparison.grid(cell.method)) + len(comparison.seeds) - 1
    return runs / 5 * (_FULL_COST if not method.parts else _WHOLE_COST if method.whole else 1.0)


class _Clock:
    """Fractions of cells to one of the whole, with the time that is left, as far as one can tell."""

    def __init__(self, costs: Sequence[float], progress: Progress) -> None:
        self._costs = costs
        self._progress = progress
        self._began = time.monotonic()
        self._skipped = 0.0

    def skip(self, number: int) -> None:
        """A cell that is not run."""
        self._skipped += self._costs[number]

    def __call__(self, number: int, cell: Cell, done: float, text: str) -> None:
        total = sum(self._costs)
        reached = sum(self._costs[:number]) + done * self._costs[number]
        worked = reached - self._skipped
        elapsed = time.monotonic() - self._began
        left = ""
        if worked > 0.02 * total:
            minutes = elapsed / worked * (total - reached) / 60
            left = f", about {minutes:.0f} min left" if minutes >= 1 else ", less than a minute left"
        self._progress(reached / total, f"{cell.task}: {_said(text)}{left}")
