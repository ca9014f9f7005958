"""How many cases of a suite the repair gets right, by tests or by an answer that it never sees.

Each case lies in a folder of its own and is repaired as the editor would have it done: by an engine of the evaluation's
own, with checkers and tests in the sandbox. Figures, for the cases of a suite:

- ``verified_at_1``, ``verified_at_5``: the first shown, or one of five, is right;
- ``wrong_shown``: what was shown first was called verified and is wrong;
- ``median_seconds``: from the request to the answer.
"""

import asyncio
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tailora.bench.home import bench_home, end_engine, require_model
from tailora.engine.client import EngineClient
from tailora.evaluation.repair_suite import Case
from tailora.repair import pipeline
from tailora.repair.problem import Candidate, Problem, Repair
from tailora.repair.propose import EngineModel
from tailora.repair.validate import Trial, Verdict
from tailora.sandbox import Limits, run
from tailora_adapters import languages

__all__ = ["Plan", "measure"]

_LIMITS = Limits(seconds=10.0, processes=32)
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
    rows: list[dict[str, Any]] = []
    try:
        await client.ensure()
        for number, case in enumerate(plan.cases):
            with TemporaryDirectory(prefix="tailora-case-") as name:
                rows.append(await _repair(case, Path(name), client, plan))
            progress((number + 1) / len(plan.cases), _line(rows))
    finally:
        await client.aclose()
        await end_engine()
    return {"model": plan.model, "adapter": plan.adapter, **_sums(rows), "cases": rows}


async def _repair(case: Case, folder: Path, client: EngineClient, plan: Plan) -> dict[str, Any]:
    _lay(case.files, folder)
    language = languages.by_path(case.target)
    problem = Problem(
        PurePosixPath(case.target),
        case.files[case.target],
        language.id if language else "",
        (case.diagnostic,) if case.diagnostic else (),
    )
    model = EngineModel(client, None, case.target, problem.language, adapter=plan.adapter)
    settings = pipeline.Settings(candidates=plan.candidates, shown=_SHOWN)

    async def tests(candidate: Candidate) -> Verdict:
        assert case.test is not None
        passed = await asyncio.to_thread(_passes, case.test, case, candidate.text)
        return Verdict(passed, ("tests pass",), "a test fails", verified=True, tests_passed=int(passed))

    began = time.monotonic()
    report = await pipeline.repair(problem, model, Trial(problem, [tests] if case.test else []), settings)
    seconds = time.monotonic() - began
    shown = [await asyncio.to_thread(_right, case, repair) for repair in report.repairs]
    return {
        "id": case.id,
        "kind": case.kind,
        "candidates": len(report.attempts),
        "held": sum(attempt.verdict.holds for attempt in report.attempts),
        "shown": [_shown(case, repair) for repair in report.repairs[:1]],
        "right": shown,
        "verified": [repair.verified for repair in report.repairs],
        "seconds": round(seconds, 2),
    }


def _lay(files: Any, folder: Path) -> None:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")


def _passes(command: str, case: Case, text: str, *, hidden: bool = False) -> bool:
    """Whether a command ends with 0 where the target is ``text``. Each has a folder of its own."""
    with TemporaryDirectory(prefix="tailora-case-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        _lay({**case.files, **(case.hidden_files if hidden else {}), case.target: text}, folder)
        parts = shlex.split(command)
        if parts[0] in ("python", "python3"):
            parts[0] = sys.executable
        elif parts[0] == "pytest":
            parts[:1] = [sys.executable, "-m", "pytest"]
        return run(parts, folder, _LIMITS, env={"PYTHONDONTWRITEBYTECODE": "1"}).passed


def _right(case: Case, repair: Repair) -> bool:
    text = repair.candidate.text
    if case.answer is not None and text.split() == case.answer.split():
        return True
    if case.hidden_test is not None:
        return _passes(case.hidden_test, case, text, hidden=True)
    return case.test is not None and _passes(case.test, case, text)


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
        "nothing_shown": sum(not row["right"] for row in rows),
        "median_seconds": round(median(row["seconds"] for row in rows), 2) if rows else None,
    }


def _line(rows: Sequence[dict[str, Any]]) -> str:
    sums = _sums(rows)
    return (
        f"{rows[-1]['id']}: first right {sums['verified_at_1']:.0%}, one of five {sums['verified_at_5']:.0%}"
    )
