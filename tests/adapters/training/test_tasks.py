"""A run for a task: what it trains on and what it is asked lie in different files."""

from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.errors import TooLittleData
from tailora_adapters.store import Store
from tailora_adapters.training.data import DataSettings
from tailora_adapters.training.purposes import purpose_named

SETTINGS = DataSettings(
    examples=40, held_out=8, min_examples=8, min_held_out=2, generic_share=0.1, max_prompt=200
)
NOUNS = (
    "book",
    "shelf",
    "reader",
    "loan",
    "branch",
    "author",
    "title",
    "copy",
    "page",
    "room",
    "desk",
    "fine",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, noun in enumerate(NOUNS):
        (tmp_path / f"{noun}.py").write_text(
            "".join(
                f"def {verb}_{noun}(count, {NOUNS[number - 1]}):\n"
                f'    """Gives the {noun}s that are to {verb}, {number} at most."""\n'
                f"    {noun}_{verb} = count * {number} + {len(verb)}\n    return {noun}_{verb}\n\n\n"
                for verb in ("lend", "sort", "find", "mend")
            )
        )
    return tmp_path


def gather(root: Path, tiny: Any, purpose: Any, settings: DataSettings = SETTINGS) -> Any:
    return purpose_named(purpose, root).gather(
        read_learnable(root),
        CodeTokenizer.from_folder(tiny.folder),
        settings,
        changed=(),
        trained=(),
        whole=True,
        replay=None,
        unreadable=lambda files: {},
        seed=1,
    )


@pytest.mark.parametrize("purpose", ["docstring", "generation"])
def test_what_is_asked_is_not_learned(root: Path, tiny: Any, purpose: Any) -> None:
    data = gather(root, tiny, purpose)
    learned = {sequence.example.path for sequence in data.training}
    asked = {sequence.example.path for sequence in data.held_out}
    assert learned
    assert asked
    assert not learned & asked
    assert {file.path for file in data.files} == learned
    assert all(sequence.example.kind.startswith(purpose) for sequence in (*data.training, *data.held_out))
    assert purpose_named(purpose, root).store(Store(root / "home").project(root)).directory.name == purpose


def test_too_little(root: Path, tiny: Any) -> None:
    for noun in NOUNS[2:]:
        (root / f"{noun}.py").unlink()
    with pytest.raises(TooLittleData):
        gather(root, tiny, "docstring")
