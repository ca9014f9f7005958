"""Whether good code is left alone: functions whose tests pass, and a repair asked of each as if something were wrong.

Four ways to ask, each by the parts of a repair that the editor uses:

- ``passing_tests``: the failing test is to be repaired, and none fails;
- ``selection``: another version of the function's whole body;
- ``false_ruff``, ``false_pyright``: a diagnostic that its checker does not report.

Nothing of these is to be called verified. A fifth way, ``examples``, is none that a user has, as the editor wants a
test that fails: the body is suspect, and the tests that are seen, which pass already, decide. It shows how much few
tests let through, and is counted apart. Knows nothing of LSP.
"""

import ast
import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tailora.bench.home import bench_home, end_engine, require_model
from tailora.engine.client import EngineClient
from tailora.errors import CheckerFailed, RepairError
from tailora.evaluation.clean_cases import EXAMPLES
from tailora.evaluation.repair import LIMITS, lay, passes
from tailora.evaluation.repair_suite import Case
from tailora.repair import pipeline
from tailora.repair.checkers import Checker, compare, find
from tailora.repair.context import Surroundings
from tailora.repair.problem import Finding, Problem, Repair, Span
from tailora.repair.propose import EngineModel, Model
from tailora.repair.questions import ask_tests, relevant
from tailora.repair.scratch import ScratchCopy
from tailora.repair.session import repair_lines, repair_test, selected
from tailora.repair.tests import run_tests
from tailora.repair.validate import Trial
from tailora_adapters.errors import TailoraError

__all__ = ["WAYS", "Plan", "ask_all", "body_of", "false_finding", "measure"]

WAYS = ("passing_tests", "selection", "false_ruff", "false_pyright")
_APART = "examples"
_FALSE = {
    "false_ruff": ("Ruff", "F821", "Undefined name `{name}`"),
    "false_pyright": ("Pyright", "reportUndefinedVariable", '"{name}" is not defined'),
}
_NONE_FAILS = "there is nothing to repair"
"""Of the message to who asks for the repair of a test that passes."""
_PYTHON = Path(sys.executable)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    cases: Sequence[Case]
    """More than ``count`` where some may fail their own tests."""
    model: str
    count: int = 100
    candidates: int = 10
    examples: bool = False
    """Whether the way that no user has is asked, too."""

    @property
    def ways(self) -> tuple[str, ...]:
        """How each function is asked about."""
        return (*WAYS, _APART) if self.examples else WAYS


def measure(plan: Plan, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Asks about ``plan.count`` functions in each way.

    Raises:
        TailoraError: there are too few cases, the model is missing, or the engine fails.
    """
    if len(plan.cases) < plan.count:
        raise TailoraError(
            f"there are only {len(plan.cases)} functions: name HumanEvalFix by --suite and the infilling benchmark by "
            "--data, or a lower --count"
        )
    require_model(plan.model)
    with bench_home(plan.model):
        return asyncio.run(_measure(plan, progress))


async def _measure(plan: Plan, progress: Callable[[float, str], None]) -> dict[str, Any]:
    client = EngineClient()

    def model_for(problem: Problem) -> EngineModel:
        path = problem.path.as_posix()
        return EngineModel(client, None, path, problem.language, adapter="foundation")

    try:
        await client.ensure()
        return {"model": plan.model, **await ask_all(plan, model_for, progress)}
    finally:
        await client.aclose()
        await end_engine()


async def ask_all(
    plan: Plan, model_for: Callable[[Problem], Model], progress: Callable[[float, str], None]
) -> dict[str, Any]:
    """Asks about each function in each way; those that fail their own tests are left out.

    Raises:
        TailoraError: the model cannot be asked, or tests cannot be run.
    """
    began = time.monotonic()
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    functions = 0
    with _folder() as folder:
        checkers = find(folder, "python", trusted=False)
        try:
            for case in plan.cases:
                if functions == plan.count:
                    break
                if not await _is_clean(case):
                    left_out.append(case.id)
                    continue
                function = _Function(case, folder / f"function-{functions}", checkers, model_for, plan)
                for way in plan.ways:
                    if (row := await function.ask(way)) is not None:
                        rows.append(row)
                functions += 1
                progress(functions / plan.count, _line(case, rows))
        finally:
            await asyncio.gather(*(checker.close() for checker in checkers), return_exceptions=True)
    return {
        "functions": functions,
        "left_out": left_out,
        "ways": {way: _sums([row for row in rows if row["way"] == way]) for way in plan.ways},
        "told_that_none_fails": sum(_NONE_FAILS in row["said"] for row in rows),
        "verified_wrong": sum(row["verified_wrong"] > 0 for row in rows if row["way"] != _APART),
        "seconds": round(time.monotonic() - began, 1),
        "rows": rows,
    }


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Above all functions, for the checkers, which go on."""
    with TemporaryDirectory(prefix="tailora-clean-") as name:
        yield Path(name).resolve()


async def _is_clean(case: Case) -> bool:
    assert case.test is not None
    assert case.hidden_test is not None
    text = case.files[case.target]
    return await passes(case.test, case, text) and await passes(case.hidden_test, case, text, hidden=True)


class _Function:
    """One function that is right, in a folder of its own."""

    def __init__(
        self,
        case: Case,
        root: Path,
        checkers: Sequence[Checker],
        model_for: Callable[[Problem], Model],
        plan: Plan,
    ) -> None:
        lay(case.files, root)
        self._case = case
        self._root = root
        self._checkers = checkers
        self._model_for = model_for
        self._settings = pipeline.Settings(candidates=plan.candidates)
        self._text = case.files[case.target]
        self._body = body_of(self._text)

    async def ask(self, way: str) -> dict[str, Any] | None:
        """What came of asking, as a row; None where the way needs a checker that cannot be asked."""
        said = ""
        began = time.monotonic()
        if way == "passing_tests":
            repairs, said = await self._passing_tests()
        elif way == "selection":
            repairs = await self._checked(selected(self._problem(), self._body))
        elif way == _APART:
            repairs = await self._examples()
        else:
            finding = false_finding(self._text, self._body, *_FALSE[way])
            if not await self._is_false(finding):
                return None
            began = time.monotonic()
            repairs = await self._checked(replace(self._problem(), findings=(finding,)))
        seconds = round(time.monotonic() - began, 2)
        edits = [await self._judged(repair) for repair in repairs]
        verified = [edit for edit in edits if edit["verified"]]
        return {
            "id": self._case.id,
            "way": way,
            "offered": len(edits),
            "verified": len(verified),
            "verified_wrong": sum(not edit["right"] for edit in verified),
            "seconds": seconds,
            "said": said,
            "edits": edits,
        }

    def _problem(self) -> Problem:
        return Problem(PurePosixPath(self._case.target), self._text, "python")

    async def _passing_tests(self) -> tuple[Sequence[Repair], str]:
        try:
            done = await repair_test(
                self._root, [EXAMPLES], self._model_for, settings=self._settings, limits=LIMITS
            )
        except RepairError as error:
            return (), str(error)
        return done.report.repairs, ""

    async def _checked(self, problem: Problem) -> Sequence[Repair]:
        """With the checkers that the editor's repairs ask."""
        report = await repair_lines(
            problem,
            self._root / self._case.target,
            self._checkers,
            self._model_for,
            around=Surroundings(None),
            settings=self._settings,
        )
        return report.repairs

    async def _examples(self) -> Sequence[Repair]:
        """With the tests that are seen."""
        target = self._case.target
        problem = replace(selected(self._problem(), self._body), within=None)
        with ScratchCopy(self._root) as copy:

            async def run(text: str) -> tuple[int, int, str]:
                copy.put(target, text)
                done = await run_tests(copy, [EXAMPLES], python=_PYTHON, limits=LIMITS)
                failed = sum(result != "passed" for result in done.results.values())
                passed = len(done.results) - failed
                return passed, failed or int(not done.outcome.passed), done.outcome.why

            trial = Trial(problem, [ask_tests(run)])
            report = await pipeline.repair(problem, self._model_for(problem), trial, self._settings)
            return report.repairs

    async def _is_false(self, finding: Finding) -> bool:
        """Whether a checker can be asked that would publish it, and does not find it."""
        for checker in relevant(self._checkers, finding.source):
            if checker.reports(finding.source):
                path = self._root / self._case.target
                try:
                    found = await checker.check(path, self._text, codes=[finding.code])
                except CheckerFailed:
                    return False
                return compare(found, found, [finding]) is None
        return False

    async def _judged(self, repair: Repair) -> dict[str, Any]:
        """An edit, and whether it passes the hidden tests if it is called verified."""
        made, hidden = repair.candidate, self._case.hidden_test
        assert hidden is not None
        return {
            "was": self._text.split("\n")[made.span.first : made.span.end],
            "now": list(made.lines),
            "checks": list(repair.checks),
            "verified": repair.verified,
            "right": await passes(hidden, self._case, made.text, hidden=True) if repair.verified else None,
        }


def body_of(text: str) -> Span:
    """The lines of the last function of a module, without its head and its documentation."""
    function = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)][-1]
    documented = ast.get_docstring(function, clean=False) is not None and len(function.body) > 1
    first = function.body[documented]
    assert function.end_lineno is not None
    return Span(first.lineno - 1, function.end_lineno)


def false_finding(text: str, body: Span, source: str, code: str, message: str) -> Finding:
    """What a checker would say if a name in the body's first line were not defined; ``message`` has ``{name}``."""
    line = text.split("\n")[body.first]
    names = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.lineno == body.first + 1
    ]
    if names:
        first = min(names, key=lambda node: node.col_offset)
        name, column = first.id, len(line.encode()[: first.col_offset].decode())
    else:
        word = re.search(r"\w+", line)
        assert word is not None
        name, column = word[0], word.start()
    return Finding(
        source, code, message.format(name=name), body.first, column, body.first, column + len(name)
    )


def _sums(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of one way; all but the time count functions."""
    return {
        "asked": len(rows),
        "offered": sum(row["offered"] > 0 for row in rows),
        "verified": sum(row["verified"] > 0 for row in rows),
        "verified_wrong": sum(row["verified_wrong"] > 0 for row in rows),
        "median_seconds": round(median(row["seconds"] for row in rows), 2) if rows else None,
    }


def _line(case: Case, rows: Sequence[dict[str, Any]]) -> str:
    verified = [row for row in rows if row["verified"]]
    wrong = sum(row["verified_wrong"] > 0 for row in rows)
    return f"{case.id}: {len(rows)} times asked, {len(verified)} verified, of these wrong: {wrong}"
