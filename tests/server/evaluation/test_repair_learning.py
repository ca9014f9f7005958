"""What an adapter for repair is worth: what is asked about, and how both ways are compared."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tailora.evaluation import repair_learning
from tailora.evaluation.repair import Plan
from tailora.evaluation.repair_learning import LearningPlan, measure
from tailora.evaluation.repair_suite import Case
from tailora.scratch_commits import commit_all
from tailora_adapters.errors import TailoraError

BODY = "\n\n".join(f"def f{number}(a, b):\n    return a + {number} * b\n" for number in range(8))


class _Engine:
    async def ensure(self) -> None: ...
    async def aclose(self) -> None: ...


class Bench:
    """Stands for the engine, the checkers and the training."""

    def __init__(self) -> None:
        self.decision = "promoted"
        self.learned: list[dict[str, str]] = []
        """The texts of the repository while it was learned."""
        self.asked: list[tuple[Case, str]] = []

    async def repair(self, case: Case, _projects: object, _client: object, plan: Plan) -> dict[str, Any]:
        self.asked.append((case, plan.adapter))
        right = plan.adapter == "repair" or case.kind != "fix"
        return {
            "id": case.id,
            "kind": case.kind,
            "right": [right],
            "seconds": 1.0,
            "reported": [],
            "verified": [],
        }

    def train(self, root: Path, *_: object, **__: object) -> dict[str, Any]:
        self.learned.append({path.name: path.read_text() for path in root.rglob("*.py")})
        return {"decision": self.decision, "reason": "as told", "gate": None}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()

    async def bugs(name: str, _root: Path, aside: Sequence[tuple[Path, str]], *_: object) -> list[Case]:
        return [
            Case(f"{name}/{path.name}", {}, path.name, answer=text, kind="operator") for path, text in aside
        ]

    async def nothing() -> None: ...

    for name, stub in {
        "require_model": lambda _model: None,
        "bench_home": lambda _model: contextlib.nullcontext(),
        "end_engine": nothing,
        "EngineClient": _Engine,
        "repair_case": bench.repair,
        "train_in_worker": bench.train,
        "sums_of": lambda rows: {
            "count": len(rows),
            "verified_at_1": sum(row["right"] == [True] for row in rows) / max(1, len(rows)),
        },
    }.items():
        monkeypatch.setattr(repair_learning, name, stub)
    monkeypatch.setattr(repair_learning.injected, "of_files", bugs)
    return bench


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Nine files, and four small edits of the first one."""
    root = tmp_path / "mine"
    root.mkdir()
    for number in range(9):
        (root / f"m{number}.py").write_text(BODY)
    commit_all(root, "first")
    for number in (1, 2, 5, 6):
        path = root / "m0.py"
        path.write_text(path.read_text().replace(f"a + {number}", f"a - {number}"))
        commit_all(root, str(number))
    return root


def run(*sources: Path, earlier: Sequence[Path] = ()) -> dict[str, Any]:
    return measure(LearningPlan(sources, "tiny", fixes=2, earlier=earlier), lambda *_: None)


def test_what_is_asked_about_was_not_learned(bench: Bench, repository: Path) -> None:
    result = run(repository)
    (learned,) = bench.learned
    edits = [case for case, adapter in bench.asked if case.kind == "fix" and adapter == "repair"]
    before = BODY.replace("a + 1", "a - 1").replace("a + 2", "a - 2")
    after = before.replace("a + 5", "a - 5")
    assert [case.answer for case in edits] == [after, after.replace("a + 6", "a - 6")]
    assert before in learned.values()
    assert not any(" - 5" in text for text in learned.values())
    bugs = {case.target for case, _ in bench.asked if case.kind == "operator"}
    assert bugs
    assert not bugs & learned.keys()
    assert result["fixes"]["without"]["verified_at_1"] == 0
    assert result["fixes"]["with"]["verified_at_1"] == 1
    assert (result["all"]["gained"], result["all"]["lost"]) == (2, 0)
    assert result["all"]["probability_by_chance"] == 0.25


def test_an_adapter_that_does_not_serve_changes_nothing(bench: Bench, repository: Path) -> None:
    bench.decision = "rejected"
    result = run(repository)
    assert {adapter for _, adapter in bench.asked} == {"foundation"}
    assert (result["all"]["gained"], result["all"]["lost"]) == (0, 0)


def test_earlier_runs_count(bench: Bench, repository: Path, tmp_path: Path) -> None:
    first = run(repository)
    first["repositories"] = {"other": first["repositories"]["mine"]}
    path = tmp_path / "first.json"
    path.write_text(json.dumps(first))
    assert run(repository, earlier=[path])["all"]["gained"] == 4
    assert run(earlier=[path])["repositories"].keys() == {"other"}
    path.write_text(json.dumps({**first, "model": "another"}))
    with pytest.raises(TailoraError, match="is about another"):
        run(earlier=[path])
    path.write_text("{}")
    with pytest.raises(TailoraError, match="not what an earlier run printed"):
        run(earlier=[path])
