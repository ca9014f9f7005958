"""Suites are read as they were written, wrong ones are refused by line, and HumanEvalFix becomes cases that run."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tailora.evaluation.repair_suite import Case, from_humanevalfix, read_suite, write_suite
from tailora.repair.problem import Finding
from tailora_adapters.errors import TailoraError

ROW = {
    "task_id": "Python/0",
    "prompt": 'def double(n: int) -> int:\n    """ Twice.\n    >>> double(2)\n    4\n    """\n',
    "canonical_solution": "    return n * 2\n",
    "buggy_solution": "    return n + 3\n",
    "example_test": "def check(double):\n    x = 2\n    assert double(x) == 4\n    assert double(3) == 6\n",
    "test": "def check(double):\n    assert double(5) == 10\n\ncheck(double)",
    "entry_point": "double",
    "bug_type": "operator misuse",
}


def test_round_trip(tmp_path: Path) -> None:
    finding = Finding("Ruff", "F821", "Undefined name `b`", 0, 5, 0, 6)
    cases = [
        Case("1", {"a.py": "x\n"}, "a.py", test="pytest a.py", hidden_test="python b.py", kind="name"),
        Case(
            "2", {"a.py": "'😀', b\n", "b.py": ""}, "a.py", diagnostic=finding, answer="c\n", package="cattrs"
        ),
    ]
    write_suite(cases, tmp_path / "suite.jsonl")
    assert read_suite(tmp_path / "suite.jsonl") == cases
    second = json.loads((tmp_path / "suite.jsonl").read_text().splitlines()[1])
    assert second["diagnostic"]["range"]["start"] == {"line": 0, "character": 6}, "UTF-16, as LSP has it"


@pytest.mark.parametrize(
    "values,message",
    [
        ([], "no JSON object"),
        ({"files": {"a": "x"}, "target": "b", "test": "t"}, "target"),
        ({"files": {"a": "x"}, "target": "a"}, "test, diagnostic and lines"),
        ({"files": {"a": "x"}, "target": "a", "test": "t", "diagnostic": {}}, "test, diagnostic and lines"),
        ({"files": {"a": 1}, "target": "a", "test": "t"}, "files"),
        ({"files": {"../a": "x"}, "target": "../a", "test": "t"}, "inside"),
        ({"files": {"/a": "x"}, "target": "/a", "test": "t"}, "inside"),
        ({"files": {"a": "x"}, "target": "a", "diagnostic": {"message": "m"}}, "range"),
        ({"files": {"a": "x"}, "target": "a", "test": ["t"]}, "test must be"),
    ],
)
def test_wrong_cases_are_refused(tmp_path: Path, values: object, message: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text("\n" + json.dumps(values))
    with pytest.raises(TailoraError, match=message) as caught:
        read_suite(path)
    assert "line 2" in str(caught.value)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(TailoraError, match="cannot be read"):
        read_suite(tmp_path / "missing.jsonl")
    (tmp_path / "bad.jsonl").write_text("{")
    with pytest.raises(TailoraError, match="cannot be read"):
        read_suite(tmp_path / "bad.jsonl")


def test_humanevalfix(tmp_path: Path) -> None:
    path = tmp_path / "HumanEvalFix.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps(ROW) + "\n")
    [case] = from_humanevalfix(path)
    assert case.test == "python -m pytest -q test_examples.py"
    assert "double(5)" not in json.dumps(dict(case.files)), "what is hidden is not among the files"

    def passes(text: str, command: list[str]) -> bool:
        for name, content in {**case.files, **case.hidden_files, case.target: text}.items():
            (tmp_path / name).write_text(content)
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, timeout=60)
        return done.returncode == 0

    assert case.answer is not None
    for text, right in ((case.files["solution.py"], False), (case.answer, True)):
        assert passes(text, ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_examples.py"]) is right
        assert passes(text, ["test_hidden.py"]) is right
    assert case.files["test_examples.py"].count("def test_") == 2


def test_not_humanevalfix(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    with gzip.open(path, "wt") as file:
        file.write("{}\n")
    with pytest.raises(TailoraError, match="HumanEvalFix"):
        list(from_humanevalfix(path))
