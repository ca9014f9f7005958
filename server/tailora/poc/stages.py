"""A proof of concept from its beginning to the figures: step by step within the time, or on from where it was.

Nothing is trained or tested in this process: ``compare`` has each cell done by a process of its own. Knows nothing of
how it is shown. Invariant: every step's runs have the same questions and the same baselines.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailora.evaluation.methods.compare import compare
from tailora.evaluation.methods.comparison import Comparison, Prices, Sizes
from tailora.evaluation.methods.places import Places
from tailora.poc.candidates import Figures, figures, read_reports
from tailora.poc.ledger import Ledger
from tailora.poc.measure import DATA_SEED, SIZES, Measured
from tailora.poc.plan import BASELINES, CANDIDATES, Step, estimate, following, steps_for

__all__ = ["Skipped", "Tried", "run"]

Progress = Callable[[float, str], None]

_TASK = "completion"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A step for which the time did not suffice."""

    step: Step
    seconds: float | None
    """That it was estimated to take."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was done."""

    figures: Figures
    seconds: dict[str, float]
    """By step."""
    skipped: tuple[Skipped, ...]
    failed: dict[str, str]
    """Candidates that could not be trained, and why."""


def run(
    root: Path,
    measured: Measured,
    work: Path,
    minutes: float,
    command: Sequence[str],
    progress: Progress,
    sizes: Sizes = SIZES,
) -> Tried:
    """Tries what fits into the time.

    Args:
        work: The folder of the runs; what is there of this proof of concept is not done again.
        minutes: For all steps together, with what earlier ones took; a step that was begun is finished.
        command: That makes the same again.

    Raises:
        TailoraError: ``work`` holds something else; the baselines could not be asked.
        ReportInvalid: a report in it is of an older version or damaged.
    """
    ledger = Ledger.open(work, {"repository": measured.sha256, "model": measured.model})
    stages = _Stages(root, measured, work, ledger, tuple(command), progress, 60 * minutes, sizes)
    stages.check()
    ledger.retry()
    return stages.run()


@dataclass(slots=True)
class _Stages:
    root: Path
    measured: Measured
    work: Path
    ledger: Ledger
    command: tuple[str, ...]
    progress: Progress
    budget: float
    sizes: Sizes

    def run(self) -> Tried:
        steps = self._steps()
        while step := following(steps, self.ledger.done, self.ledger.begun, self.budget):
            self._do(step)
            steps = self._steps()
        self.progress(1.0, "done")
        done, found = self.ledger.done, self._figures()
        return Tried(
            found,
            dict(done),
            tuple(Skipped(one, estimate(one, done, steps)) for one in steps if one.name not in done),
            self._failed(found),
        )

    def _failed(self, found: Figures) -> dict[str, str]:
        """Candidates without any figure."""
        measured = {one.method for one in found.candidates}
        steps = {name: why for name, why in self.ledger.failed.items() if name not in measured}
        return {**steps, **found.failed}

    def check(self) -> None:
        """Before anything is trained: whether all that is there can be used."""
        read_reports(sorted(self.work.glob(f"*/{_TASK}-*-seed-*.json")))

    def _steps(self) -> tuple[Step, ...]:
        return steps_for(self._order(), len(self._comparison(steps_for()[0]).asked))

    def _order(self) -> list[str]:
        """Candidates that have figures, by the loss of their first runs; first those that more was begun of."""
        named = [*self.ledger.done, *self.ledger.begun]
        reached = [name for name in CANDIDATES if any(one.startswith(f"{name}-") for one in named)]
        found = self._figures([step for step in steps_for() if step.name in CANDIDATES]).candidates
        ordered = [one.method for one in sorted(found, key=lambda one: one.loss.value)]
        return list(dict.fromkeys((*reached, *ordered))) or list(CANDIDATES[:1])

    def _figures(self, steps: Sequence[Step] | None = None) -> Figures:
        if BASELINES not in self.ledger.done:
            return Figures("", (), {})
        named = steps_for() if steps is None else steps
        asked = self._results(steps_for()[0])
        return figures(
            read_reports(asked),
            [
                read_reports(self._results(one))
                for one in named
                if one.method and one.name in self.ledger.done
            ],
        )

    def _do(self, step: Step) -> None:
        folder = self.work / step.name
        comparison = self._comparison(step)
        if step.method:  # what is forgotten is reckoned from the base's answers
            folder.mkdir(parents=True, exist_ok=True)
            for path in self._results(steps_for()[0]):
                if not (folder / path.name).exists():
                    shutil.copyfile(path, folder / path.name)
        with self.ledger.timing(step.name) as watch:

            def tell(_fraction: float, text: str) -> None:
                watch.tick()
                spent = self.ledger.spent()
                left = max(0.0, self.budget - spent) / 60
                told = text.partition(", about ")[0].partition(", less than ")[0]
                share = min(0.99, spent / self.budget) if self.budget else 0.99
                self.progress(share, f"{step.name}: {told}, about {left:.0f} min of the time left")

            outcome = compare(comparison, folder, self.command, tell)
        if step.method and outcome.failed:
            self.ledger.fail(step.name, "; ".join(outcome.failed))

    def _comparison(self, step: Step) -> Comparison:
        return Comparison(
            root=self.root,
            model=self.measured.model,
            methods=(step.method,) if step.method else (),
            tasks=(_TASK,),
            seeds=step.seeds or (1,),
            rates=step.rates,
            sizes=self.sizes,
            prices=Prices(
                kwh=0.0, hour=0.0
            ),  # reckoned by themselves, so that other prices need no other runs
            data_seed=DATA_SEED,
            latency_repeats=0,
        )

    def _results(self, step: Step) -> list[Path]:
        """The step's own reports that are there."""
        comparison, places = self._comparison(step), Places(self.work / step.name)
        if step.method:
            paths = [places.result(_TASK, step.method, seed) for seed in step.seeds]
        else:
            paths = [places.result(_TASK, name, 0) for name in comparison.asked]
        return [path for path in paths if path.exists()]
