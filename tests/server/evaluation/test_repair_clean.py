"""Good code that a repair is asked for: what is offered, what is called verified, and what of it is wrong."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tailora.cli.evaluate import app
from tailora.evaluation import repair_clean
from tailora.evaluation.clean_cases import clean_cases
from tailora.evaluation.infilling import DATA_FILE
from tailora.evaluation.repair_clean import WAYS, Plan, ask_all, body_of, false_finding, measure
from tailora.evaluation.repair_suite import Case
from tailora.repair.problem import Problem, Span
from tailora.repair.propose import Fill, Score
from tailora_adapters.errors import TailoraError
from tailora_adapters.repair.hole import Hole

DOUBLE = {
    "task_id": "Python/0",
    "prompt": 'def double(n: int) -> int:\n    """ Twice.\n    >>> double(2)\n    4\n    """\n',
    "canonical_solution": "    return n * 2\n",
    "buggy_solution": "    return n + 3\n",
    "example_test": "def check(double):\n    assert double(2) == 4\n",
    "test": "def check(double):\n    assert double(5) == 10\n\ncheck(double)",
    "entry_point": "double",
    "bug_type": "operator misuse",
}
HALF = "def half(n):\n    whole = n // 2\n    return whole\n"
TEST = (
    "METADATA = {}\n\ndef check(candidate):\n    assert True, 'so'\n    assert candidate(2) == 1\n"
    "    assert candidate(4) == 2\n    assert candidate(6) == 3\n    assert candidate(9) == 4\n"
)


def hole(number: int, line: int, test: str = TEST, text: str = HALF) -> dict[str, str]:
    lines = text.splitlines(keepends=True)
    return {
        "task_id": f"SingleLineInfilling/HumanEval/{number}/L{line}",
        "prompt": "".join(lines[: line + 1]),
        "canonical_solution": lines[line + 1],
        "suffix": "".join(lines[line + 2 :]),
        "test": test,
        "entry_point": "half",
    }


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """HumanEvalFix with problem 0, and the infilling benchmark with two holes of 0 and of 1."""
    rows = [hole(0, 0), hole(0, 1), hole(1, 0), hole(1, 1)]
    found = tmp_path / "HumanEvalFix.jsonl.gz", tmp_path / DATA_FILE
    for path, content in zip(found, ([DOUBLE], rows), strict=True):
        with gzip.open(path, "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in content)
    return found


def passes(case: Case, folder: Path, text: str, command: list[str]) -> bool:
    for name, content in {**case.files, **case.hidden_files, case.target: text}.items():
        (folder / name).write_text(content)
    command = [sys.executable, *command]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=60).returncode == 0


class Writes:
    """Writes the same into every hole of a function; ends nothing elsewhere."""

    async def taught(self) -> bool:
        return False

    def __init__(self, lines: dict[str, str]) -> None:
        self.lines = lines
        """By a function's head."""

    def __call__(self, problem: Problem) -> "Writes":
        return self

    async def fill(
        self,
        hole: Hole,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Fill:
        text = next((text for head, text in self.lines.items() if head in hole.prefix), "")
        return Fill(text, finished=bool(text))

    async def judge(self, prefix: str, middle: str, suffix: str) -> tuple[Score, ...]:
        return tuple(Score(line, -0.5) for line in middle.splitlines(keepends=True))


async def asked(
    cases: Sequence[Case], lines: dict[str, str], told: Callable[[float, str], None] = lambda *_: None
) -> dict[str, Any]:
    plan = Plan(cases, "no model", len(cases), candidates=2, examples=True)
    return await ask_all(plan, Writes(lines), told)


def test_each_problem_once_and_right(files: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = clean_cases(*files)
    assert (first.id, second.id) == ("Python/0", "SingleLineInfilling/HumanEval/1")
    assert first.files["solution.py"] == first.answer == DOUBLE["prompt"] + DOUBLE["canonical_solution"]
    assert second.files["solution.py"] == second.answer == HALF
    seen = second.files["test_examples.py"]
    assert (seen.count("def test_"), "candidate(6)" in seen, "candidate(9)" in seen) == (3, True, False)
    wrong = HALF.replace("// 2", "// 2 if n < 9 else 0")
    examples, hidden = (
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_examples.py"],
        ["test_hidden.py"],
    )
    assert passes(second, tmp_path, HALF, examples)
    assert passes(second, tmp_path, HALF, hidden)
    assert passes(second, tmp_path, wrong, examples)
    assert not passes(second, tmp_path, wrong, hidden)


def test_either_file_does(files: tuple[Path, Path]) -> None:
    assert [case.id for case in clean_cases(files[0], None)] == ["Python/0"]
    assert [case.id for case in clean_cases(None, files[1])] == [
        "SingleLineInfilling/HumanEval/0",
        "SingleLineInfilling/HumanEval/1",
    ]


def test_a_test_without_assertions_of_its_own_is_seen_as_a_whole(tmp_path: Path) -> None:
    text = "def check(candidate):\n    for n in range(9):\n        assert candidate(n) == n // 2\n"
    with gzip.open(tmp_path / DATA_FILE, "wt") as file:
        file.write(json.dumps(hole(3, 0, test=text)) + "\n")
    (case,) = clean_cases(None, tmp_path / DATA_FILE)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_examples.py"]
    assert passes(case, tmp_path, HALF, command)
    assert not passes(case, tmp_path, HALF.replace("// 2", "// 3"), command)


async def test_what_the_seen_tests_let_through_is_found_to_be_wrong(files: tuple[Path, Path]) -> None:
    told: list[tuple[float, str]] = []
    lines = {"def double": "return 4", "def half": "return n // 2 if n < 9 else 0"}
    result = await asked(clean_cases(*files), lines, lambda *step: told.append(step))
    assert (result["functions"], result["left_out"]) == (2, [])
    ways = result["ways"]
    assert list(ways) == [*WAYS, "examples"]
    assert [row["asked"] for row in ways.values()] == [2] * 5
    assert (ways["passing_tests"]["offered"], result["told_that_none_fails"]) == (0, 2)
    for way in ("selection", "false_ruff", "false_pyright"):
        assert ways[way]["offered"] == 2, way
        assert ways[way]["verified"] == 0, way
    examples = ways["examples"]
    assert (examples["offered"], examples["verified"], examples["verified_wrong"]) == (2, 2, 2)
    assert result["verified_wrong"] == 0  # counted apart
    assert [share for share, _ in told] == [0.5, 1.0]
    edit = next(row for row in result["rows"] if row["way"] == "examples")["edits"][0]
    assert (edit["now"], edit["verified"], edit["right"]) == (["    return 4"], True, False)
    assert edit["checks"] == ["parses", "test passes"]
    assert json.loads(json.dumps(result)) == result


async def test_another_way_to_say_the_same_is_not_wrong(files: tuple[Path, Path]) -> None:
    (case,) = clean_cases(files[0], None)
    result = await asked([case], {"def double": "return n + n"})
    examples = result["ways"]["examples"]
    assert (examples["verified"], examples["verified_wrong"], result["verified_wrong"]) == (1, 0, 0)


async def test_a_function_that_fails_its_own_tests_is_left_out_and_no_more_are_asked_about(
    files: tuple[Path, Path],
) -> None:
    good, other = clean_cases(*files)
    assert other.answer is not None
    broken = replace(other, id="broken", files={**other.files, other.target: other.answer.replace("2", "3")})
    result = await ask_all(Plan([broken, good, other], "no model", 1, 1), Writes({}), lambda *_: None)
    assert (result["functions"], result["left_out"]) == (1, ["broken"])
    assert {row["id"] for row in result["rows"]} == {good.id}


async def test_without_a_checker_its_diagnostics_are_not_asked_about(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair_clean, "find", lambda *_arguments, **_more: [])
    result = await asked(clean_cases(files[0], None), {"def double": "return 4"})
    ways = result["ways"]
    assert [row["asked"] for row in ways.values()] == [1, 1, 0, 0, 1]
    assert ways["false_ruff"]["median_seconds"] is None
    assert ways["selection"]["verified"] == 0


def test_too_few_functions(files: tuple[Path, Path]) -> None:
    with pytest.raises(TailoraError, match="only 2 functions"):
        measure(Plan(clean_cases(*files), "no model"), lambda *_: None)


def test_the_body_is_the_code_of_the_last_function() -> None:
    text = 'def a():\n    return 1\n\n\ndef b(n):\n    """Doc.\n\n    More."""\n\n    x = a()\n\n    return x\n\n'
    assert body_of(text) == Span(9, 12)
    assert body_of('def only():\n    """Doc."""\n') == Span(1, 2)


@pytest.mark.parametrize(
    "line,name", [("x = 'ä😀' + other(n)", "other"), ("return True", "return"), ("x += n", "n")]
)
def test_a_false_diagnostic_is_about_a_word_of_the_first_line(line: str, name: str) -> None:
    text = f"def f(n):\n    {line}\n    return n\n"
    found = false_finding(text, body_of(text), "Ruff", "F821", "Undefined name `{name}`")
    assert (found.line, found.message) == (1, f"Undefined name `{name}`")
    assert text.split("\n")[1][found.column : found.end_column] == name


@pytest.mark.parametrize("wrong,code", [(0, 0), (2, 1)])
def test_the_command_ends_with_1_if_a_verified_edit_is_wrong(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, wrong: int, code: int
) -> None:
    plans: list[Plan] = []
    row = {"asked": 2, "offered": 1, "verified": wrong, "verified_wrong": wrong, "median_seconds": 1.5}
    value = {"functions": 2, "left_out": [], "ways": {"examples": row}, "told_that_none_fails": 2}
    value["verified_wrong"] = wrong

    def measured(plan: Plan, *_: Any) -> dict[str, Any]:
        plans.append(plan)
        return value

    monkeypatch.setattr(repair_clean, "measure", measured)
    arguments = ["repair-clean", "--suite", str(files[0]), "--data", str(files[1]), "--count", "2"]
    done = CliRunner().invoke(app, [*arguments, "--model", "m", "--json"])
    assert done.exit_code == code, done.output
    assert json.loads(done.stdout) == value
    done = CliRunner().invoke(app, [*arguments, "--model", "m"])
    assert done.exit_code == code
    assert f"failing the hidden tests: {wrong}" in done.stdout
    assert [(len(plan.cases), plan.model, plan.count, plan.candidates) for plan in plans] == [
        (2, "m", 2, 10)
    ] * 2
