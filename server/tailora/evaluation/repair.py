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
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from tailora.repair.failing_test import look_at
from tailora.repair.imports import known_imports, missing_name
from tailora.repair.problem import Candidate, Problem, Repair
from tailora.repair.propose import EngineModel
from tailora.repair.questions import ask_checkers, ask_tests, relevant
from tailora.repair.scratch import ScratchCopy
from tailora.repair.tests import command_passes
from tailora.repair.validate import Trial, Verdict
from tailora.sandbox import Limits
from tailora_adapters import languages
from tailora_adapters.corpus.chance import luck
from tailora_adapters.errors import TailoraError
from tailora_adapters.training.gate import probability_by_chance
from tailora_adapters.training.launch import train_in_worker

__all__ = ["LIMITS", "Plan", "lay", "measure", "passes"]

LIMITS = Limits(seconds=10.0, processes=32)
"""For each run of a case's tests."""
_SHOWN = 5
_ASIDE = 1 / 3
"""Of a package's files."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    cases: Sequence[Case]
    model: str
    adapter: str = "foundation"
    candidates: int = 10
    learn: bool = False
    """Whether each package's adapter for repair is trained first, without the files that cases are about."""


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
        projects = _Projects(Path(name))
        try:
            if plan.learn:
                return await _with_and_without(plan, projects, client, progress)
            await client.ensure()
            rows = await _rows(plan, plan.cases, projects, client, progress)
        finally:
            await projects.close()
            await client.aclose()
            await end_engine()
    return {"model": plan.model, "adapter": plan.adapter, **_sums(rows), "cases": rows}


async def _rows(
    plan: Plan,
    cases: Sequence[Case],
    projects: "_Projects",
    client: EngineClient,
    progress: Callable[[float, str], None],
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, case in enumerate(cases):
        rows.append(await _repair(case, projects, client, plan))
        progress((number + 1) / len(cases), _line(rows))
    return rows


async def _with_and_without(
    plan: Plan, projects: "_Projects", client: EngineClient, progress: Callable[[float, str], None]
) -> dict[str, Any]:
    """The same cases with the adapter for repair and without, of files that no training saw.

    Raises:
        TailoraError: no case is about an installed package, or a training fails.
    """
    packages = sorted({case.package for case in plan.cases if case.package})
    cases = [case for case in plan.cases if case.package and _set_aside(case.target)]
    if not cases:
        raise TailoraError("no case of the suite is about a file of an installed package that is set aside")
    runs: dict[str, Any] = {}
    for package in packages:
        done = await asyncio.to_thread(projects.learn, package, plan.model, progress)
        runs[package] = {key: done[key] for key in ("decision", "reason", "gate")}
    await client.ensure()
    without = await _rows(plan, cases, projects, client, progress)
    adapted = await _rows(replace(plan, adapter="repair"), cases, projects, client, progress)
    was, now = ([row["right"][:1] == [True] for row in rows] for rows in (without, adapted))
    return {
        "model": plan.model,
        "runs": runs,
        "without": _sums(without),
        "with": _sums(adapted),
        "gained": sum(after and not before for before, after in zip(was, now, strict=True)),
        "lost": sum(before and not after for before, after in zip(was, now, strict=True)),
        "probability_by_chance": round(probability_by_chance(was, now), 4),
        "cases": {"without": without, "with": adapted},
    }


def _set_aside(path: str) -> bool:
    """Whether a file is kept from a package's training, for cases to be about."""
    return luck(0, "set aside", path) < _ASIDE


class _Projects:
    """Where cases lie: each package once, each other case in a folder of its own; the checkers go on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._packages: dict[str, Path] = {}
        self._checkers: dict[tuple[Path, str], list[Checker]] = {}

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

    def learn(self, package: str, model: str, progress: Callable[[float, str], None]) -> dict[str, Any]:
        """Trains a package's adapter for repair without the files that are set aside. Blocks for minutes.

        Raises:
            TailoraError: the training fails.
        """
        root = self._package(package)
        aside = [path for path in root.rglob("*.py") if _set_aside(path.relative_to(root).as_posix())]
        texts = {path: path.read_bytes() for path in aside}
        for path in aside:
            path.unlink()
        try:
            done = train_in_worker(
                root, model, repair=True, progress=lambda share, text: progress(share, f"{package}: {text}")
            )
        finally:
            for path, text in texts.items():
                path.write_bytes(text)
        if done["decision"] == "failed":
            raise TailoraError(f"{package}: {done['reason']}")
        return done

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


async def _repair(case: Case, projects: _Projects, client: EngineClient, plan: Plan) -> dict[str, Any]:
    root = projects.lay(case)
    known = languages.by_path(case.target)
    language = known.id if known else ""
    problem = Problem(
        PurePosixPath(case.target),
        case.files[case.target],
        language,
        (case.diagnostic,) if case.diagnostic else (),
    )
    if (name := missing_name(problem)) is not None:
        problem = replace(problem, imports=tuple(known_imports(name, problem.path, _sources(root))))
    project = root if plan.adapter == "repair" else None
    model = EngineModel(client, project, case.target, language, adapter=plan.adapter)
    settings = pipeline.Settings(candidates=plan.candidates, shown=_SHOWN)
    checkers = projects.checkers(case, root, language)
    began = time.monotonic()
    if case.diagnostic is not None:
        asks = ask_checkers(problem, root / case.target, relevant(checkers, case.diagnostic.source))
        report = await pipeline.repair(problem, model, Trial(problem, asks), settings)
    else:
        report = await _repair_test(case, root, problem, model, settings)
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
    case: Case, root: Path, problem: Problem, model: EngineModel, settings: pipeline.Settings
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
            return await pipeline.repair(problem, model, Trial(problem, [found.ask(problem)]), settings)

        async def run_test(text: str) -> tuple[int, int, str]:
            assert case.test is not None
            copy.put(case.target, text)
            passed = await command_passes(case.test, copy.root, limits=LIMITS)
            copy.reset()
            return int(passed), int(not passed), "the test fails"

        async def ask(candidate: Candidate) -> Verdict:
            return replace(await ask_tests(run_test)(candidate), verified=not nodes)

        return await pipeline.repair(problem, model, Trial(problem, [ask]), settings)


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


def _sources(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root).as_posix(), path.read_text(encoding="utf-8", errors="replace")


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
    more in it than in the answer (without one: than in the broken file, of which the diagnostic must be gone)."""
    text = repair.candidate.text
    if case.answer is not None and _same(text, case.answer):
        return True
    if case.hidden_test is not None:
        return await passes(case.hidden_test, case, text, hidden=True)
    if case.test is not None:
        return await passes(case.test, case, text)
    path, asked = root / case.target, False
    assert case.diagnostic is not None
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


def _sums(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
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


def _line(rows: Sequence[dict[str, Any]]) -> str:
    sums = _sums(rows)
    return (
        f"{rows[-1]['id']}: first right {sums['verified_at_1']:.0%}, one of five {sums['verified_at_5']:.0%}"
    )
