"""From a save to a promoted adapter: what is cut off and saved, and what is printed."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tailora.bench import promotion
from tailora.bench.promotion import Plan, cut_ends
from tailora.bench.report import promotion_tables
from tailora.cli.bench import app
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.split import split
from tailora_adapters.errors import TailoraError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(8):
        functions = [
            f"def step_{number}_{place}(width, height):\n"
            f"    area_{place} = width * height + {number * place}\n"
            f"    return area_{place} / {number + place + 1}\n"
            for place in range(4 * (number + 4))
        ]
        (tmp_path / f"module_{number}.py").write_text("\n\n".join(functions))
    return tmp_path


def test_the_ends_of_the_largest_learned_files_are_cut_off(root: Path) -> None:
    before = {path.name: path.read_text() for path in root.iterdir()}
    learned = {file.path for file in split(read_learnable(root).selection.files, seed=1).train}
    ends = cut_ends(root, 2, seed=1)
    assert len(ends) == 2
    assert {end.path for end in ends} <= learned
    for end in ends:
        left = (root / end.path).read_text()
        assert end.whole == before[end.path]
        assert end.whole.startswith(left)
        assert end.whole[len(left) :].startswith("def ")
        assert 0.4 < len(left) / len(end.whole) < 0.7
        assert end.lines == end.whole[len(left) :].count("\n")
    changed = {name for name, text in before.items() if (root / name).read_text() != text}
    assert changed == {end.path for end in ends}


def test_too_few_files_are_left_as_they_are(root: Path) -> None:
    before = {path.name: path.read_text() for path in root.iterdir()}
    with pytest.raises(TailoraError, match="name a larger package"):
        cut_ends(root, 20, seed=1)
    assert {path.name: path.read_text() for path in root.iterdir()} == before


def document() -> dict[str, Any]:
    row = {"file": "a.py", "lines": 40, "worker_s": 91.0, "version": "2", "reason": "better"}
    return {
        "promoted_s": 120.4,
        "quiet_s": 20.0,
        "package": "attrs",
        "saves": [
            {**row, "seconds": 120.4, "decision": "promoted", "has_seen_it": True},
            {**row, "seconds": 99.0, "decision": "promoted", "has_seen_it": False},
        ],
    }


def test_the_table_says_what_became_of_each_save() -> None:
    text = io.StringIO()
    console = Console(file=text, width=120)
    for table in promotion_tables(document()):
        console.print(table)
    assert "attrs: 120 s from saving to promotion" in text.getvalue()
    assert "has not seen the file" in text.getvalue()


def test_the_table_of_a_bench_without_a_promotion() -> None:
    (table,) = promotion_tables(document() | {"promoted_s": None})
    assert table.title == "attrs: none was promoted"


def test_the_command_prints_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []

    def measured(plan: Plan, *_: Any) -> dict[str, Any]:
        plans.append(plan)
        return document()

    monkeypatch.setattr(promotion, "measure", measured)
    arguments = ["promotion", "--model", "m", "--package", "attrs", "--saves", "2", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == document()
    assert plans == [Plan("m", "attrs", 2)]
