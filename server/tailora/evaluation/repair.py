"""How many cases of a suite the repair gets right, by tests or by an answer that it never sees.

Each case lies in a folder of its own and is repaired as the editor would have it done: by an engine of the evaluation's
own, with checkers and tests in the sandbox. Figures, for the cases of a suite:

- ``verified_at_1``, ``verified_at_5``: the first shown, or one of five, is right;
- ``wrong_shown``: what was shown first was called verified and is wrong;
- ``verified_and_reported``: the same, and the checker that published the diagnostic, asked anew, still reports it or
  something new;
- ``same_as_answer``: what was shown first is the answer, but for white space;
- ``median_seconds``: from the request to the answer.
"""

import asyncio
import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tailora.bench.home import bench_home, end_engine, require_model
from tailora.engine.client import EngineClient
from tailora.errors import CheckerFailed, RepairError
from tailora.evaluation.injected import lay_package
from tailora.evaluation.repair_suite import Case
from tailora.repair import pipeline
from tailora.repair.checkers import Checker, compare, find
from tailora.repair.context import Past, Surroundings
from tailora.repair.failing_test import look_at
from tailora.repair.problem import Candidate, Problem, Repair
from tailora.repair.propose import EngineModel
from tailora.repair.questions import ask_tests
from tailora.repair.scratch import ScratchCopy
from tailora.repair.session import repair_lines, selected
from tailora.repair.tests import command_passes
from tailora.repair.validate import Trial, Verdict
from tailora.sandbox import Limits
from tailora_adapters import languages

__all__ = ["LIMITS", "Plan", "Projects", "lay", "line_of", "measure", "passes", "repair_case", "sums_of"]

LIMITS = Limits(seconds=10.0, processes=32)
"""For each run of a case's tests."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    cases: Sequence[Case]
    model: str
    adapter: str = "foundation"
    candidates: int = 10


def measure(plan: Plan, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Repairs all cases.

    Raises:
        TailoraError: the model is missing, or the engine fails.
    """
    require_model(plan.model)
    with bench_home(plan.model):
        return asyncio.run(_measure(plan, progress))


async def _measure(plan: Plan, progress: Callable[[float, str], None]) -> dict[str, Any]:
    client = EngineClient()
    with TemporaryDirectory(prefix="tailora-cases-") as name:
        projects = Projects(Path(name))
        try:
            await client.ensure()
            rows: list[dict[str, Any]] = []
            for number, case in enumerate(plan.cases):
                rows.append(await repair_case(case, projects, client, plan))
                progress((number + 1) / len(plan.cases), line_of(rows))
        finally:
            await projects.close()
            await client.aclose()
            await end_engine()
    return {"model": plan.model, "adapter": plan.adapter, **sums_of(rows), "cases": rows}


class Projects:
    """Where cases lie: each package once, each other case in a folder of its own; the checkers go on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._packages: dict[str, Path] = {}
        self._checkers: dict[tuple[Path, str], list[Checker]] = {}
        self.past = Past()

    def lay(self, case: Case) -> Path:
        """The root of a case's project. Files of a package's case stay as they are: checkers are given the text."""
        if case.package is None:
            root = self._folder / f"case-{len(list(self._folder.iterdir()))}"
            lay(case.files, root)
            return root
        return self._package(case.package)

    def _package(self, name: str) -> Path:
        if name not in self._packages:
            self._packages[name] = lay_package(name, self._folder)
        return self._packages[name]

    def add(self, name: str, root: Path) -> None:
        """A project that cases name as their package."""
        self._packages[name] = root

    def checkers(self, case: Case, root: Path, language: str) -> list[Checker]:
        """The checkers for a case. Cases without a package share those of the folder above them all."""
        place = root if case.package is not None else self._folder
        if (place, language) not in self._checkers:
            self._checkers[place, language] = find(place, language, trusted=False)
        return self._checkers[place, language]

    async def close(self) -> None:
        """Ends the checkers."""
        found = [checker for checkers in self._checkers.values() for checker in checkers]
        await asyncio.gather(*(checker.close() for checker in found), return_exceptions=True)


async def repair_case(case: Case, projects: Projects, client: EngineClient, plan: Plan) -> dict[str, Any]:
    """Repairs one case; what came of it, for ``sums_of``."""
    root = projects.lay(case)
    known = languages.by_path(case.target)
    language = known.id if known else ""
    problem = Problem(
        PurePosixPath(case.target),
        case.files[case.target],
        language,
        (case.diagnostic,) if case.diagnostic else (),
    )
    project = root if plan.adapter == "repair" else None

    def model_for(told: Problem) -> EngineModel:
        return EngineModel(client, project, case.target, language, adapter=plan.adapter, context=told.context)

    around = Surroundings(root, projects.past)
    settings = pipeline.Settings(candidates=plan.candidates, shown=_SHOWN)
    checkers = projects.checkers(case, root, language)
    began = time.monotonic()
    if case.test is None:
        path = root / case.target
        if case.lines is not None:
            problem = selected(problem, case.lines)
        report = await repair_lines(problem, path, checkers, model_for, around=around, settings=settings)
    else:
        report = await _repair_test(case, root, problem, model_for, around, settings)
    seconds = time.monotonic() - began
    right = [await _right(case, repair, root, checkers) for repair in report.repairs]
    first = report.repairs[:1]
    return {
        "id": case.id,
        "kind": case.kind,
        "candidates": len(report.attempts),
        "held": sum(attempt.verdict.holds for attempt in report.attempts),
        "shown": [_shown(case, repair) for repair in first],
        "right": right,
        "same": [case.answer is not None and _same(repair.candidate.text, case.answer) for repair in first],
        "verified": [repair.verified for repair in report.repairs],
        "reported": [await _reported(case, repair, root, checkers) for repair in first if repair.verified],
        "seconds": round(seconds, 2),
    }


async def _repair_test(
    case: Case,
    root: Path,
    problem: Problem,
    model_for: Callable[[Problem], EngineModel],
    around: Surroundings,
    settings: pipeline.Settings,
) -> pipeline.Report:
    """By pytest, as for a user; by any other command, without knowing what it executes."""
    assert case.test is not None
    nodes = _pytest_nodes(case.test)
    with ScratchCopy(root) as copy:
        found = None
        if nodes:
            # Where none fails, that they pass with a candidate says nothing.
            with contextlib.suppress(RepairError):
                found = await look_at(copy, nodes, python=Path(sys.executable), limits=LIMITS)
        if found is not None:
            problem = next((one for one in found.problems if one.path == problem.path), problem)
            problem = await around.add_to(problem)
            return await pipeline.repair(
                problem, model_for(problem), Trial(problem, [found.ask(problem)]), settings
            )

        async def run_test(text: str) -> tuple[int, int, str]:
            assert case.test is not None
            copy.put(case.target, text)
            passed = await command_passes(case.test, copy.root, limits=LIMITS)
            copy.reset()
            return int(passed), int(not passed), "the test fails"

        async def ask(candidate: Candidate) -> Verdict:
            return replace(await ask_tests(run_test)(candidate), verified=not nodes)

        problem = await around.add_to(problem)
        return await pipeline.repair(problem, model_for(problem), Trial(problem, [ask]), settings)


def _pytest_nodes(command: str) -> list[str] | None:
    """The nodes of a plain call of pytest; None for any other command."""
    words = shlex.split(command)
    if words[:3] in (["python", "-m", "pytest"], ["python3", "-m", "pytest"]):
        words = words[3:]
    elif words[:1] == ["pytest"]:
        words = words[1:]
    else:
        return None
    return [word for word in words if not word.startswith("-")] or None


def lay(files: Mapping[str, str], folder: Path) -> None:
    """Writes texts by their paths in ``folder``."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")


async def passes(command: str, case: Case, text: str, *, hidden: bool = False) -> bool:
    """Whether a command ends with 0 where the target is ``text``. Each has a folder of its own."""
    with TemporaryDirectory(prefix="tailora-case-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lay({**case.files, **(case.hidden_files if hidden else {}), case.target: text}, folder)
        return await command_passes(command, folder, limits=LIMITS)


async def _right(case: Case, repair: Repair, root: Path, checkers: Sequence[Checker]) -> bool:
    """By the hidden test, else the test; of a diagnostic, whether it is the answer, or no checker that can be run finds
    more in it than in the answer (without one: than in the broken file, of which the diagnostic must be gone); of a
    selection, whether it is the answer."""
    text = repair.candidate.text
    if case.answer is not None and _same(text, case.answer):
        return True
    if case.hidden_test is not None:
        return await passes(case.hidden_test, case, text, hidden=True)
    if case.test is not None:
        return await passes(case.test, case, text)
    if case.diagnostic is None:
        return False
    path, asked = root / case.target, False
    for checker in checkers:
        targets = (
            (case.diagnostic,) if case.answer is None and checker.reports(case.diagnostic.source) else ()
        )
        try:
            before = await checker.check(path, case.answer or case.files[case.target])
            compared = compare(before, await checker.check(path, text), targets)
        except CheckerFailed:
            continue
        asked = True
        if compared is None or compared.new or not compared.gone:
            return False
    return asked


async def _reported(case: Case, repair: Repair, root: Path, checkers: Sequence[Checker]) -> bool:
    """Whether the checker that published the diagnostic, asked anew, still reports it, or something new."""
    if case.diagnostic is None:
        return False
    path, text = root / case.target, case.files[case.target]
    codes = [case.diagnostic.code] if case.diagnostic.code else []
    for checker in checkers:
        if not checker.reports(case.diagnostic.source):
            continue
        try:
            before = await checker.check(path, text, codes=codes)
            after = await checker.check(path, repair.candidate.text, codes=codes)
        except CheckerFailed:
            continue
        compared = compare(before, after, (case.diagnostic,))
        if compared is not None and (compared.new or not compared.gone):
            return True
    return False


def _same(one: str, other: str) -> bool:
    return one.split() == other.split()


def _shown(case: Case, repair: Repair) -> dict[str, Any]:
    span = repair.candidate.span
    return {
        "was": case.files[case.target].split("\n")[span.first : span.end],
        "now": list(repair.candidate.lines),
        "checks": list(repair.checks),
    }


def sums_of(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of some cases."""
    count = len(rows) or 1
    return {
        "count": len(rows),
        "verified_at_1": round(sum(row["right"][:1] == [True] for row in rows) / count, 4),
        "verified_at_5": round(sum(any(row["right"][:_SHOWN]) for row in rows) / count, 4),
        "wrong_shown": sum(row["right"][:1] == [False] and row["verified"][0] for row in rows),
        "verified_and_reported": sum(row["reported"] == [True] for row in rows),
        "same_as_answer": round(sum(row["same"] == [True] for row in rows) / count, 4),
        "nothing_shown": sum(not row["right"] for row in rows),
        "median_seconds": round(median(row["seconds"] for row in rows), 2) if rows else None,
    }


def line_of(rows: Sequence[dict[str, Any]]) -> str:
    """How it goes so far."""
    sums = sums_of(rows)
    return (
        f"{rows[-1]['id']}: first right {sums['verified_at_1']:.0%}, one of five {sums['verified_at_5']:.0%}"
    )
