"""The infilling benchmark: its data, its programs, and answers judged cut and uncut."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tailora.evaluation import infilling
from tailora.evaluation.infilling import DATA_FILE, Problem, evaluate, find_data, read_problems
from tailora_adapters import foundation
from tailora_adapters.errors import TailoraError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data" / DATA_FILE
    path.parent.mkdir()
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(10):
            row = {
                "task_id": f"T/{number}",
                "prompt": "def f(x):\n",
                "suffix": "",
                "test": f"def check(f):\n    assert f(1) == {number}",
                "entry_point": "f",
                "canonical_solution": "",
            }
            file.write(json.dumps(row) + "\n")
    return path


def test_every(data: Path) -> None:
    assert [p.task_id for p in read_problems(data, 1)] == [f"T/{n}" for n in range(10)]
    assert [p.task_id for p in read_problems(data, 4)] == ["T/0", "T/4", "T/8"]
    assert [p.task_id for p in read_problems(data, 100)] == ["T/0"]


def test_find_data(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAILORA_EVAL_DATA", raising=False)
    assert find_data(data) == data
    assert find_data(data.parent) == data
    monkeypatch.chdir(tmp_path)
    assert find_data(None) == data
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert find_data(None) == data
    with pytest.raises(TailoraError, match="TAILORA_EVAL_DATA"):
        find_data(tmp_path / "nowhere")
    monkeypatch.setenv("TAILORA_EVAL_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(TailoraError):
        find_data(None)
    monkeypatch.setenv("TAILORA_EVAL_DATA", str(data.parent))
    assert find_data(None) == data


def test_a_model_without_foundation_adapter_is_judged_bare(
    tiny: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infilling, "_answer", lambda *_: ("    return 0\n", 0.5))
    result = evaluate(read_problems(data, 5), tiny.name, also_16_bits=True)
    assert "foundation" not in result
    assert "foundation_16_bits" not in result
    assert result["base"]["first_line"] == 0.5


def test_the_adapter_over_16_bits_and_llama_cpp_are_rows_of_their_own(
    tiny: Any, data: Path, make_lora: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = foundation.FoundationAdapter(make_lora(1), "hash", None)  # type: ignore[arg-type]
    monkeypatch.setattr(foundation, "find", lambda name: shipped)
    monkeypatch.setattr(infilling, "_answer", lambda *_: ("    return 0\n", 0.5))

    async def asked(_model: Path, problems: list[Problem], _progress: Any) -> list[tuple[str, float]]:
        return [("    return 5\n", 0.1)] * len(problems)

    monkeypatch.setattr(infilling, "_ask_peer", asked)
    result = evaluate(read_problems(data, 5), tiny.name, also_16_bits=True, peer=data)
    assert result["foundation_16_bits"]["first_line"] == 0.5
    assert result["llama.cpp"]["first_line"] == 0.5
    assert result["llama.cpp"]["failed_first_line"] == ["T/0"]


def test_first_line_and_uncut(tiny: Any, make_lora: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The base runs on past the hole; the foundation adapter stops."""
    shipped = foundation.FoundationAdapter(make_lora(1), "hash", None)  # type: ignore[arg-type]
    monkeypatch.setattr(foundation, "find", lambda name: shipped)
    answers = {None: "    return x + 1\n    return ((\n", "foundation": "    return x + 1\n"}

    def answer(generator: object, problem: Problem, adapter: Any) -> tuple[str, float]:
        return answers[adapter.label if adapter else None], 0.5

    monkeypatch.setattr(infilling, "_answer", answer)
    problem = Problem("T/1", "def f(x):\n", "\n", "def check(f):\n    assert f(1) == 2", "f")
    wrong = Problem("T/2", "def f(x):\n", "\n", "def check(f):\n    assert f(1) == 3", "f")
    fractions: list[float] = []
    result = evaluate([problem, wrong], tiny.name, progress=lambda done, _: fractions.append(done))
    assert result["problems"] == 2
    base = {"first_line": 0.5, "uncut": 0.0, "mean_seconds": 0.5, "failed_first_line": ["T/2"]}
    assert result["base"] == base
    assert result["foundation"] == base | {"uncut": 0.5}
    assert fractions[-1] == 1.0


def test_answers_come_from_the_model(
    trained: Any, word_loras: dict[str, Path], monkeypatch: pytest.MonkeyPatch, training_examples: list[Any]
) -> None:
    shipped = foundation.FoundationAdapter(word_loras["alpha"], "hash", None)  # type: ignore[arg-type]
    monkeypatch.setattr(foundation, "find", lambda name: shipped)
    programs: list[str] = []
    monkeypatch.setattr(infilling, "passes", lambda program: bool(programs.append(program)))
    example = training_examples[0]
    result = evaluate([Problem("T/1", example.prefix, example.suffix, "TEST", "f")], trained.name)
    assert result["base"]["first_line"] == result["foundation"]["uncut"] == 0.0
    assert programs[3] == f"{example.prefix}alpha{example.suffix}\nTEST\ncheck(f)\n"
    assert programs[1] != programs[3]
