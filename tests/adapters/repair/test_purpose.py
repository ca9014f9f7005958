"""What a run for repair trains on and is asked: by time, by file, and in the words of a checker."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.errors import TooLittleData
from tailora_adapters.repair.purpose import repair_purpose
from tailora_adapters.store import Store
from tailora_adapters.training.data import DataSettings, RunData

SETTINGS = DataSettings(examples=60, held_out=24, min_examples=20, min_held_out=6, max_prompt=200)


def module(number: int, sign: str = "+") -> str:
    functions = "".join(
        f"def shape_{number}_{index}(width, height, depth):\n    if width is None:\n        return None\n"
        f"    total = width {sign} height * {index}\n    return total - depth\n\n\n"
        for index in range(4)
    )
    return f"import os\n\n\n{functions}HOME_{number} = os.getcwd()\n"


def commit(root: Path, minute: int) -> None:
    date = datetime(2026, 1, 1, 0, minute, tzinfo=UTC).isoformat()
    settings = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    for arguments in (("add", "-A"), ("commit", "-q", "--no-verify", "-m", "x", "--date", date)):
        subprocess.run(["git", *settings, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    for number in range(16):
        (root / f"m{number}.py").write_text(module(number))
    commit(root, 0)
    for number in range(12):
        path = root / f"m{number}.py"
        path.write_text(
            path.read_text().replace(f"width + height * {number % 4}", f"width - height * {number}")
        )
        commit(root, number + 1)
    return root


def gather(root: Path, tiny: Any, **changes: Any) -> RunData:
    options: dict[str, Any] = {"changed": (), "trained": (), "whole": True, "replay": None, "seed": 1}
    options["unreadable"] = lambda files: {}
    return repair_purpose(root, lambda asked: ["told"] * len(asked)).gather(
        read_learnable(root), CodeTokenizer.from_folder(tiny.folder), SETTINGS, **(options | changes)
    )


def test_the_newest_fixes_are_asked_and_never_learned(root: Path, tiny: Any) -> None:
    data = gather(root, tiny)
    asked = {data.held_out[place].example.middle for place in data.newest}
    assert asked
    assert {example.example.kind for example in (data.held_out[place] for place in data.newest)} == {"fix"}
    assert not asked & {
        sequence.example.middle for sequence in data.training if sequence.example.kind == "fix"
    }


def test_bugs_are_asked_in_other_files(root: Path, tiny: Any) -> None:
    data = gather(root, tiny)
    learned = {sequence.example.path for sequence in data.training}
    asked = {
        sequence.example.path for place, sequence in enumerate(data.held_out) if place not in data.newest
    }
    assert asked
    assert not asked & learned
    assert {file.path for file in data.files} == learned


def test_what_checkers_say_is_learned_and_asked(root: Path, tiny: Any) -> None:
    data = gather(root, tiny)
    for sequence in (*data.training, *data.held_out):
        assert ("# told\n" in sequence.example.prefix) == sequence.example.kind.startswith("bug")


def test_all_kinds_are_learned(root: Path, tiny: Any) -> None:
    kinds = {sequence.example.kind.split()[0] for sequence in gather(root, tiny).training}
    assert kinds == {"fix", "bug", "same"}


def test_too_little(tmp_path: Path, tiny: Any) -> None:
    root = tmp_path / "small"
    root.mkdir()
    (root / "a.py").write_text(module(1))
    with pytest.raises(TooLittleData):
        gather(root, tiny)


def test_versions_lie_apart(root: Path, tmp_path: Path) -> None:
    project = Store(tmp_path / "store").project(root)
    assert repair_purpose(root).store(project) is project.repair
