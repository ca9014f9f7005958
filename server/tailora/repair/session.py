"""A repair from beginning to end, for the editor, the command line and the evaluation alike: of a diagnostic or of
lines that were selected, by the checkers that are there; of a failing test, by running it.

For a test the project is copied, the tests run, and the files that they make suspect tried in turn until one has an
edit that holds: only for trusted workspaces whose user asked for it. Invariants: the user's folder is only read; and
nothing of the copy or of what ran in it is left, however it ends.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tailora.repair import pipeline
from tailora.repair.checkers import Checker
from tailora.repair.context import Surroundings
from tailora.repair.failing_test import FailingTest, look_at
from tailora.repair.pipeline import Report, Settings
from tailora.repair.problem import Problem, Span
from tailora.repair.propose import Model
from tailora.repair.questions import ask_checkers, relevant
from tailora.repair.scratch import ScratchCopy
from tailora.repair.tests import find_python, in_thread
from tailora.repair.validate import Trial
from tailora.sandbox import Limits

__all__ = ["TestRepair", "repair_lines", "repair_test", "selected"]

_LOOK = 0.2
"""Share of the progress that the first run of the tests is."""


@dataclass(frozen=True, slots=True)
class TestRepair:
    """What came of a failing test."""

    __test__ = False

    problem: Problem
    """The file that was repaired; the most suspect one where nothing holds."""
    report: Report
    """Of ``problem``; its repairs are verified, or there are none."""
    failing: tuple[str, ...]
    """The tests that fail."""
    said: str
    """The end of what the first of them said."""


def selected(problem: Problem, lines: Span) -> Problem:
    """``problem`` as another version of just these lines."""
    marks = tuple(float(line in lines) for line in range(problem.text.count("\n") + 1))
    return replace(problem, suspects=marks, within=lines)


async def repair_lines(
    problem: Problem,
    path: Path,
    checkers: Sequence[Checker],
    model_for: Callable[[Problem], Model],
    *,
    around: Surroundings,
    settings: Settings = Settings(),
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> Report:
    """Looks for an edit that clears the problem's findings; without any, for another version of its lines.

    Args:
        path: Where the file lies or would lie.
        checkers: All that there are for the file.

    Raises:
        EngineError: the model cannot be asked.
    """
    progress(0.0, "looking around in the project")
    problem = await around.add_to(problem)
    source = problem.findings[0].source if problem.findings else ""
    trial = Trial(problem, ask_checkers(problem, path, relevant(checkers, source)))
    return await pipeline.repair(problem, model_for(problem), trial, settings, progress=progress)


async def repair_test(
    root: Path,
    nodes: Sequence[str],
    model_for: Callable[[Problem], Model],
    *,
    settings: Settings = Settings(),
    limits: Limits = Limits(),
    texts: Mapping[str, str] = {},
    around: Surroundings | None = None,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
    clock: Callable[[], float] = time.monotonic,
) -> TestRepair:
    """Looks for an edit with which the tests ``nodes`` pass, and no other one fails that concerns what is changed.

    Args:
        nodes: pytest's node ids, relative to ``root``.
        limits: For each run of the tests.
        settings: ``seconds`` are for all files together, from when the failing tests are known.
        texts: What files hold that are not saved yet, by their paths relative to ``root``.
        around: The project, if the model is to be told of it.

    Raises:
        RepairError: none of the tests fails, they cannot be run, or run nothing of the project.
        EngineError: the model cannot be asked.
    """
    progress(0.0, "copying the project")
    async with _copy_of(root) as copy:

        def prepare(_cancelled: Callable[[], bool]) -> Path:
            for path, text in texts.items():
                copy.put(path, text)
            return find_python(root)

        python = await in_thread(prepare)
        progress(_LOOK / 2, "running the tests")
        failing = await look_at(copy, nodes, python=python, limits=limits)
        return await _in_turn(failing, model_for, around or Surroundings(None), settings, progress, clock)


async def _in_turn(
    failing: FailingTest,
    model_for: Callable[[Problem], Model],
    around: Surroundings,
    settings: Settings,
    progress: Callable[[float, str], None],
    clock: Callable[[], float],
) -> TestRepair:
    until, tried = clock() + settings.seconds, list[TestRepair]()
    count = len(failing.problems)
    for place, problem in enumerate(failing.problems):
        left = until - clock()
        if tried and left <= 0:
            break

        def step(fraction: float, message: str, place: int = place, problem: Problem = problem) -> None:
            done = _LOOK + (1 - _LOOK) * (place + fraction) / count
            progress(done, f"{problem.path.name}: {message}")

        # Half of what is left, so that a suspect that is innocent leaves time for the others.
        seconds = left if place == count - 1 else left / 2
        told = await around.add_to(problem)
        report = await pipeline.repair(
            told,
            model_for(told),
            Trial(problem, [failing.ask(problem)]),
            replace(settings, seconds=seconds),
            progress=step,
            clock=clock,
        )
        progress(_LOOK + (1 - _LOOK) * (place + 1) / count, "running other tests of what was changed")
        spared = await failing.sparing_others(problem, report.repairs)
        report = replace(report, repairs=tuple(spared))
        made = TestRepair(problem, report, failing.failing, failing.said)
        if report.repairs:
            return made
        tried.append(made)
    return tried[0]


@contextlib.asynccontextmanager
async def _copy_of(root: Path) -> AsyncIterator[ScratchCopy]:
    copy, stack = ScratchCopy(root), contextlib.ExitStack()
    try:
        await in_thread(lambda _cancelled: stack.enter_context(copy))
        yield copy
    finally:
        await asyncio.shield(asyncio.to_thread(stack.close))
