"""The measurement with a tiny model: every step is tested before it is learned, and the document is whole."""

import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tailora.evaluation import personalization
from tailora.evaluation.personalization import Settings, measure, plot
from tailora_adapters.corpus.history import UNCOMMITTED, Edit, recent_edits
from tailora_adapters.corpus.select import select_files
from tailora_adapters.errors import TailoraError
from tailora_adapters.training.data import DataSettings
from tailora_adapters.training.gate import GateSettings
from tailora_adapters.training.loop import TrainSettings
from tailora_adapters.training.run import RunSettings, run

RUN = RunSettings(
    data=DataSettings(examples=40, held_out=12, generic=0, min_examples=5, min_held_out=2, max_prompt=80),
    train=TrainSettings(learning_rate=5e-3, batch_tokens=320, max_steps=4, max_epochs=1),
    gate=GateSettings(confidence=1.1),
)
"""Whatever is trained is not good enough."""
NOUNS = ("book", "shelf", "reader", "loan", "branch", "author", "title", "copy")


def tree(edition: int) -> dict[str, str]:
    """Eight files, of which some say more in each edition."""
    result = {}
    for number, noun in enumerate(NOUNS):
        lines = [f'"""{noun}s."""', "", f"class {noun.capitalize()}:"]
        for step in range(8 + (edition * 3 if number % 2 else 0)):
            lines += [
                f"    def {noun}_{step * (number + 2)}(self, {NOUNS[step % 8]}: int) -> int:",
                f"        {noun}_total = {NOUNS[(step + 1) % 8]}.count({number} + {step})",
                f"        return {noun}_total % {number + step + 2}",
                "",
            ]
        result[f"lib/{noun}.py"] = "\n".join(lines)
    return result


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What each run was told of as changed; nothing is promoted."""
    calls: list[tuple[str, ...]] = []

    def train(root: Path, model: str, **arguments: Any) -> dict[str, Any]:
        calls.append(tuple(arguments["changed"]))
        return {"decision": "too_little_data", "reason": "a test", "version": None, "gate": None}

    monkeypatch.setattr(personalization, "train_in_worker", train)
    return calls


def test_the_document(tiny: Any, learned: list[tuple[str, ...]]) -> None:
    trees = [tree(edition) for edition in range(3)]
    result = measure(trees, Settings(tiny.name, holes=24))
    assert learned == [(), tuple(f"lib/{noun}.py" for noun in sorted(NOUNS[1::2]))]
    for row in ("base", "base_context", "shared", "adapter"):
        assert set(result[row]) == {"nll", "exact_match", "edit_similarity", "stop_rate"}
        assert 0 <= result[row]["edit_similarity"] < 1
    assert result["adapter"] == result["shared"], "nothing was promoted, so the foundation serves"
    assert result["delta_ci95"]["exact_match"] == [0.0, 0.0]
    assert {
        "delta",
        "generic_drop",
        "train_seconds",
        "step_seconds",
        "train_tokens",
        "runs",
        "curve",
        "holes",
    } <= set(result)
    assert [point["seconds"] for point in result["curve"]] == sorted(p["seconds"] for p in result["curve"])
    picture = plot({"package": "p", "from": "1", "to": "2", **result})
    assert ET.fromstring(picture).tag.endswith("svg")
    assert "own adapter" in picture


def test_what_a_step_changed_is_new_and_what_was_there_before_is_not(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[tuple[str, bool]]] = []

    def train(root: Path, model: str, **arguments: Any) -> dict[str, Any]:
        edits = recent_edits(root, select_files(root).files).edits
        seen.append(sorted({(edit.path, edit.commit == UNCOMMITTED) for edit in edits if _fresh(edit)}))
        return {"decision": "too_little_data", "reason": "a test", "version": None, "gate": None}

    def _fresh(edit: Edit) -> bool:
        return time.time() - edit.when < 24 * 3600

    monkeypatch.setattr(personalization, "train_in_worker", train)
    measure([tree(edition) for edition in range(3)], Settings(tiny.name, holes=24))
    changed = [(f"lib/{noun}.py", True) for noun in sorted(NOUNS[1::2])]
    assert seen == [[], changed]


def test_nothing_added(tiny: Any, learned: list[tuple[str, ...]]) -> None:
    with pytest.raises(TailoraError, match="nothing that can be tested"):
        measure([tree(1), tree(1)], Settings(tiny.name))
    with pytest.raises(TailoraError, match="nothing between"):
        measure([tree(1)], Settings(tiny.name))


def test_a_failed_training_is_said(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"decision": "failed", "reason": "out of memory", "version": None, "gate": None}
    monkeypatch.setattr(personalization, "train_in_worker", lambda *_, **__: failed)
    with pytest.raises(TailoraError, match="out of memory"):
        measure([tree(0), tree(1)], Settings(tiny.name, holes=12))


def test_a_training_from_the_foundation_is_compared_with_whatever_the_gate_says(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(root: Path, model: str, **arguments: Any) -> dict[str, Any]:
        return run(root, model, settings=RUN, full=arguments.get("full", False)).event()

    monkeypatch.setattr(personalization, "train_in_worker", train)
    found = measure([tree(0), tree(2)], Settings(tiny.name, holes=24, fresh=True))["fresh"]
    assert (found["increments"], found["fresh_decision"]) == (1, "rejected")
    assert found["incremental_nll"] == found["foundation_nll"], "nothing was promoted"
    assert found["fresh_nll"] != found["foundation_nll"]
    assert found["ratio"] == pytest.approx(found["incremental_nll"] / found["fresh_nll"], abs=1e-4)
