"""The measurement of the gate with a tiny model: what is planted is looked for, and each bad candidate has a row."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailora.evaluation import gate
from tailora.evaluation.gate import Settings, measure
from tailora_adapters.corpus.select import select_files
from tailora_adapters.errors import TailoraError
from tailora_adapters.methods import LoraSettings
from tailora_adapters.training.data import DataSettings
from tailora_adapters.training.loop import TrainSettings
from tailora_adapters.training.run import RunSettings

NOUNS = ("book", "shelf", "reader", "loan", "branch", "author", "title", "copy", "fine", "desk")
RUN = RunSettings(
    data=DataSettings(
        examples=40, held_out=12, generic=0, min_examples=10, min_held_out=5, max_prompt=80, generic_share=0.0
    ),
    train=TrainSettings(learning_rate=5e-3, batch_tokens=320, max_steps=4, max_epochs=1),
    shape=LoraSettings(rank=4, alpha=16),
    lower_share=0.0,
    scales=(1.0,),
)


def tree() -> dict[str, str]:
    return {
        f"lib/{noun}.py": "\n".join(
            f"def {noun}_{step * (number + 2)}(self, {NOUNS[step % 9]}: int) -> int:\n"
            f"    {noun}_total = {NOUNS[(step + number) % 10]}.count({number} + {step})\n"
            f"    return {noun}_total % {number + step + 2}\n"
            for step in range(9)
        )
        for number, noun in enumerate(NOUNS)
    }


def settings(tiny: Any, **more: Any) -> Settings:
    return Settings(tiny.name, run=RUN, kinds=4, learning_rate=1e-2, steps=2, **more)


def test_the_document(tiny: Any) -> None:
    result = measure(tree(), settings(tiny))
    assert (result["planted"], result["kinds"]) == (12, 4)
    assert result["stored"] == result["reproduced"] == []
    assert list(result["candidates"]) == [
        "random weights", "shuffled text", "planted snippet", "planted secret",
    ]  # fmt: skip
    for row in result["candidates"].values():
        assert row["decision"] == "rejected"
        assert row["failed"]
    assert result["passed"]


def test_a_candidate_that_gets_through_is_told(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = gate.run

    def run(*arguments: Any, learn: Any = None, **more: Any) -> Any:
        outcome = usual(*arguments, **more)
        return replace(outcome, decision="promoted") if learn else outcome

    monkeypatch.setattr(gate, "run", run)
    result = measure(tree(), settings(tiny))
    assert not result["passed"]


def test_what_is_kept_of_a_secret_is_told(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = gate.run

    def run(root: Path, *arguments: Any, **more: Any) -> Any:
        outcome = usual(root, *arguments, **more)
        leak = (root / "planted/present_0.py").read_text()
        gate.Store().project(root).directory.joinpath("cache.txt").write_text(leak)
        return outcome

    monkeypatch.setattr(gate, "run", run)
    result = measure(tree(), settings(tiny))
    assert [name.rpartition(", ")[2] for name in result["stored"]] == ["present"]
    assert not result["passed"]


def test_secrets_stand_in_files_in_the_history_and_only_there(tiny: Any, tmp_path: Path) -> None:
    secrets = gate._plant(tree(), tmp_path / "repository", settings(tiny))
    now = {path.name: path.read_text() for path in (tmp_path / "repository").rglob("*.py")}
    for secret in secrets:
        assert secret.hole().prefix + secret.value in secret.text
        assert (secret.value in now.get(Path(secret.path).name, "")) == (secret.place == "present")
    found = select_files(tmp_path / "repository")
    assert {one.path for one in found.rejected} >= {s.path for s in secrets if s.place == "present"}


def test_without_python(tiny: Any) -> None:
    with pytest.raises(TailoraError, match="no Python file"):
        measure({"a.rs": "fn main() {}\n" * 20}, settings(tiny))
