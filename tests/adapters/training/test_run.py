"""A whole run on a small repository: what it leaves behind, whatever it decides."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from tailora_adapters import foundation
from tailora_adapters.base import load
from tailora_adapters.corpus.replay import FILE_NAME, Reservoir
from tailora_adapters.errors import TrainingBusy, TrainingFailed
from tailora_adapters.manifest import Manifest
from tailora_adapters.methods import LoraSettings, attach
from tailora_adapters.store import CHECKPOINT, Store
from tailora_adapters.training import run as run_module
from tailora_adapters.training.data import DataSettings
from tailora_adapters.training.gate import GateSettings
from tailora_adapters.training.loop import TrainSettings
from tailora_adapters.training.run import Outcome, RunSettings, run
from tailora_adapters.training.save import save_adapter

SETTINGS = RunSettings(
    data=DataSettings(examples=60, held_out=16, generic=4, min_examples=20, min_held_out=5, max_prompt=80),
    train=TrainSettings(learning_rate=5e-3, batch_tokens=320, max_steps=30, max_epochs=100),
    lora=LoraSettings(rank=4, alpha=16),
)
STRICT = dataclasses.replace(SETTINGS, gate=GateSettings(confidence=1.1))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def learn(
    repository: Path, tiny: Any, store: Store, settings: RunSettings = SETTINGS, **more: Any
) -> Outcome:
    return run(repository, tiny.name, settings=settings, store=store, **more)


def test_promoted_and_continued(repository: Path, tiny: Any, store: Store) -> None:
    seen: list[tuple[str, float]] = []
    outcome = learn(repository, tiny, store, progress=lambda stage, done, _: seen.append((stage, done)))
    assert outcome.decision == "promoted", outcome.reason
    assert list(dict.fromkeys(stage for stage, _ in seen)) == [
        "selecting",
        "loading",
        "preparing",
        "training",
        "gating",
    ]
    assert seen[-1] == ("gating", 1.0)
    project = store.project(repository)
    served = project.serving()
    assert served is not None
    assert served.version == outcome.version == "1"
    project.verify("1")
    manifest = Manifest.read(served.path / "manifest.json")
    assert manifest == served.manifest == outcome.manifest
    assert manifest.parent is None
    assert manifest.base.name == "tiny"
    assert manifest.data.examples > 20
    paths = {file.path for file in manifest.data.files}
    assert paths < {path.name for path in repository.iterdir()}  # some are held out
    # The rest is generic code, and the canary.
    assert sum(file.examples for file in manifest.data.files) == 60 == manifest.data.examples - 3 - 1
    assert manifest.gate is not None
    assert manifest.gate.figures["candidate_nll"] < manifest.gate.figures["base_nll"]
    assert outcome.event()["gate"]["base_nll"] == manifest.gate.figures["base_nll"]
    assert {entry.path for entry in Reservoir(project.directory / FILE_NAME).entries} == {
        file.path for file in manifest.data.files if file.examples
    }
    assert not (project.directory / CHECKPOINT).exists()

    again = learn(repository, tiny, store, dataclasses.replace(SETTINGS, seed=2), changed=["book.py"])
    assert again.version == "2"
    assert again.manifest is not None
    assert again.manifest.parent == "1"
    assert again.gate is not None
    assert "loss against serving" in {check.name for check in again.gate.checks}
    # What the base scores has not changed with what serves: it is measured without the first adapter.
    assert again.gate.figures["serving_nll"] < again.gate.figures["base_nll"]
    assert again.gate.figures["base_nll"] > 5


def test_a_withdrawn_version_is_no_parent(repository: Path, tiny: Any, store: Store) -> None:
    learn(repository, tiny, store)
    project = store.project(repository)
    assert project.withdraw("1", "few accepted")
    project.use("1")  # the user may, and still nothing is built on it
    again = learn(repository, tiny, store, dataclasses.replace(SETTINGS, seed=2), changed=["book.py"])
    assert again.manifest is not None
    assert (again.version, again.manifest.parent) == ("2", None)


def test_rejected_leaves_what_serves(repository: Path, tiny: Any, store: Store) -> None:
    outcome = learn(repository, tiny, store, STRICT)
    assert outcome.decision == "rejected"
    assert "loss against base" in outcome.reason
    project = store.project(repository)
    assert project.serving() is None
    (version,) = project.versions()
    assert version.status == "rejected"
    assert version.manifest is not None
    assert version.manifest.gate is not None
    assert version.manifest.gate.decision == "rejected"
    assert not (project.directory / FILE_NAME).exists()


def test_too_little_data(tmp_path: Path, tiny: Any, store: Store) -> None:
    root = tmp_path / "small"
    root.mkdir()
    (root / "one.py").write_text("def area(width, height):\n    return width * height\n")
    outcome = learn(root, tiny, store)
    assert outcome.decision == "too_little_data"
    assert "20 needed" in outcome.reason
    assert outcome.event() == {
        "event": "done",
        "decision": "too_little_data",
        "version": None,
        "reason": outcome.reason,
        "gate": None,
    }
    assert store.project(root).versions() == []


def test_starts_from_the_foundation(
    repository: Path, tiny: Any, store: Store, make_lora: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_lora(5, strength=0.02)
    shipped = foundation.FoundationAdapter(folder, "hash", None)  # type: ignore[arg-type]
    monkeypatch.setattr(foundation, "find", lambda name: shipped if name == "tiny" else None)
    outcome = learn(repository, tiny, store)
    assert outcome.manifest is not None
    assert outcome.manifest.parent == "foundation"
    assert outcome.gate is not None
    (norm,) = [check for check in outcome.gate.checks if check.name == "adapter norm"]
    assert norm.value != 1.0
    # Below the cut, the foundation's own layers stay as they are.
    from safetensors.torch import load_file

    ours = load_file(store.project(repository).get("1").path / "adapter_model.safetensors")
    theirs = load_file(folder / "adapter_model.safetensors")
    for name, weight in theirs.items():
        below = int(name.split(".layers.")[1].split(".")[0]) < 2
        assert torch.equal(ours[name], weight) == below, name


def test_failure_leaves_nothing(
    repository: Path, tiny: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TrainingFailed("the loss became nan")

    monkeypatch.setattr(run_module, "train", fail)
    with pytest.raises(TrainingFailed):
        learn(repository, tiny, store)
    project = store.project(repository)
    assert project.versions() == []
    assert not list(project.directory.glob(".tmp-*"))
    with project.lock(), pytest.raises(TrainingBusy):
        run_in_thread(lambda: learn(repository, tiny, store))


def run_in_thread(action: Any) -> None:
    """The training lock is reentrant within a thread."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(action).result()


def test_saved_adapter_is_plain_peft(tiny: Any, tmp_path: Path) -> None:
    ids = torch.tensor([[5, 9, 200, 31]])
    model = attach(load.load_model(tiny.name).model, LoraSettings(rank=3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_((torch.randn(parameter.shape, generator=generator) * 0.3).to(torch.bfloat16))
            elif "lora_A" in name:
                parameter.copy_(parameter.to(torch.bfloat16))
        model.eval()
        expected = model(input_ids=ids).logits
        sha256 = save_adapter(model, tmp_path / "adapter")
        again = PeftModel.from_pretrained(load.load_model(tiny.name).model, str(tmp_path / "adapter"))
        assert torch.equal(again(input_ids=ids).logits, expected)
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert len(sha256) == 64
    assert str(tiny.name) not in (tmp_path / "adapter" / "adapter_config.json").read_text()
