"""Times of the menu and of chosen fixes: through the real server, with an engine that answers at once."""

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "lsp"))  # tests are no packages; for the stub engine

from stub_engine import StubEngine

from tailora.bench import repair
from tailora.bench.repair import Plan, faulty, measure
from tailora.bench.report import repair_tables
from tailora.cli.bench import app
from tailora.environment import environment
from tailora.evaluation.repair_suite import Case, write_suite
from tailora.repair.problem import Finding
from tailora_adapters.errors import TailoraError

BROKEN = 'def area(width, height):\n    return "ä😀", breadth * height\n'
UNKNOWN = "def other():\n    return nothing_like_it\n"
KINDS = ["1", "20", "500", "selection"]


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubEngine]:
    """A stub engine in the benchmark's home; it mends ``BROKEN``."""
    home = tmp_path_factory.mktemp("h")

    @contextlib.contextmanager
    def bench_home(_model: str) -> Iterator[Path]:
        folder = tmp_path_factory.mktemp("bench")
        with environment({"TAILORA_HOME": str(home)}):
            yield folder

    async def end_engine() -> None:
        engine.calls.append(("end", {}))

    monkeypatch.setattr(repair, "bench_home", bench_home)
    monkeypatch.setattr(repair, "end_engine", end_engine)
    monkeypatch.setattr(repair, "require_model", lambda _model: None)
    engine = StubEngine(home)
    engine.fills = lambda body: 'return "ä😀", width * height'
    engine.start()
    yield engine
    engine.stop()


def finding(text: str, word: str) -> Finding:
    before, _, _ = text.partition(word)
    line, column = before.count("\n"), len(before.rpartition("\n")[2])
    return Finding("Ruff", "F821", f"Undefined name `{word}`", line, column, line, column + len(word))


def suite(folder: Path) -> Path:
    cases = [
        Case("mended", {"area.py": BROKEN}, "area.py", diagnostic=finding(BROKEN, "breadth"), kind="name"),
        Case("a test", {"a.py": "x = 1\n"}, "a.py", test="pytest a.py"),
        Case("not mended", {"lib/o.py": UNKNOWN}, "lib/o.py", diagnostic=finding(UNKNOWN, "nothing_like_it")),
    ]
    write_suite(cases, folder / "suite.jsonl")
    return folder / "suite.jsonl"


def printed(value: dict[str, Any]) -> str:
    text = io.StringIO()
    console = Console(file=text, width=140)
    for table in repair_tables(value):
        console.print(table)
    return text.getvalue()


def test_the_menus_need_no_model(engine: StubEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_model: str) -> None:
        raise TailoraError("the model is missing")

    monkeypatch.setattr(repair, "require_model", missing)
    value = measure(Plan("no model", menus=3), lambda *_: None)
    assert list(value["menu"]) == KINDS
    assert [row["actions"] for row in value["menu"].values()] == [1, 8, 8, 1]
    for row in value["menu"].values():
        assert row["requests"] == 3
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["max_ms"]
    assert value["resolve"] is None
    assert not [asked for asked in engine.completions if asked["max_tokens"]], "nothing is to be written"
    assert "diagnostics: 500" in printed(value)
    assert json.loads(json.dumps(value)) == value


def test_each_diagnostic_of_a_suite_is_resolved(engine: StubEngine, tmp_path: Path) -> None:
    told: list[str] = []
    plan = Plan("stub", suite(tmp_path), menus=1)
    value = measure(plan, lambda _share, text: told.append(text))
    found = value["resolve"]
    first, second = found["rows"]
    assert (found["cases"], found["with_edit"], found["verified"]) == (2, 1, 1)
    assert (first["id"], first["kind"], first["edit"], first["verified"]) == ("mended", "name", True, True)
    assert "diagnostic cleared" in first["title"], (
        "the checker was asked about the place that the suite names"
    )
    assert (second["id"], second["edit"], second["verified"]) == ("not mended", False, False)
    low, high = found["spread_s"]
    assert low <= found["median_s"] <= high
    assert any("mended" in text for text in told)
    assert ("end", {}) in engine.calls
    assert "1 with an edit, 1 verified" in printed(value)
    assert "nothing that holds" in printed(value)


def test_every_other_case(tmp_path: Path) -> None:
    assert [case.id for case in repair._cases(suite(tmp_path), 2)] == ["mended"]


def test_a_suite_without_diagnostics_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tests.jsonl"
    write_suite([Case("a test", {"a.py": "x = 1\n"}, "a.py", test="pytest a.py")], path)
    with pytest.raises(TailoraError, match="no case with a diagnostic"):
        measure(Plan("stub", path), lambda *_: None)


def test_a_package_is_as_it_was_after_a_case(tmp_path: Path) -> None:
    package = tmp_path / "a.py"
    package.write_bytes(b"x = 1\r\n")
    with repair._written({package: "y", tmp_path / "deep" / "b.py": "z"}):
        assert (package.read_text(), (tmp_path / "deep" / "b.py").read_text()) == ("y", "z")
    assert package.read_bytes() == b"x = 1\r\n"
    assert not (tmp_path / "deep" / "b.py").exists()


@pytest.mark.parametrize("count", [0, 1, 20, 500])
def test_the_faults_stand_where_they_are_said_to(count: int) -> None:
    text, findings = faulty(count)
    lines = text.split("\n")
    assert len({finding.message for finding in findings}) == count == text.count("margin_")
    for found in findings:
        assert f"`{lines[found.line][found.column : found.end_column]}`" in found.message
    assert len(lines) == len(faulty(0)[0].split("\n")), "as long as any other"


def test_the_command_prints_one_document(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plans: list[Plan] = []

    def measured(plan: Plan, *_: Any) -> dict[str, Any]:
        plans.append(plan)
        return {"menu": {}}

    monkeypatch.setattr(repair, "measure", measured)
    arguments = ["repair", "--suite", str(tmp_path), "--every", "3", "--menus", "9", "--model", "m", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"menu": {}}
    assert plans == [Plan("m", tmp_path, 3, 9)]
