"""A new LoRA changes nothing yet; only the layers above the cut learn; a damaged one is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tailora_adapters.base.load import load_model
from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.methods import LoraSettings, attach, freeze_below, resume

IDS = torch.tensor([[5, 9, 200, 31, 7]])


@torch.no_grad()
def logits(model: Any) -> torch.Tensor:
    return model(input_ids=IDS).logits


def test_new_lora_changes_nothing(tiny: Any) -> None:
    model = load_model(tiny.name).model
    before = logits(model)
    wrapped = attach(model, LoraSettings(rank=3))
    assert torch.equal(logits(wrapped), before)
    trained = {name for name, parameter in wrapped.named_parameters() if parameter.requires_grad}
    assert len(trained) == 4 * 7 * 2  # layers, projections, A and B
    assert all("lora_" in name for name in trained)


def test_resume_and_freeze(tiny: Any, make_lora: Callable[..., Path]) -> None:
    model = resume(load_model(tiny.name).model, make_lora(1))
    freeze_below(model, 2)
    layers = {
        int(name.split(".layers.")[1].split(".")[0])
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    assert layers == {2, 3}
    assert not any(p.requires_grad for name, p in model.named_parameters() if "lora_" not in name)
    bare = load_model(tiny.name).model
    assert not torch.allclose(logits(model), logits(bare))


@pytest.mark.parametrize("damage", ["missing", "config", "weights"])
def test_damaged_adapter(tiny: Any, make_lora: Callable[..., Path], damage: str) -> None:
    folder = make_lora(2)
    if damage == "missing":
        folder = folder / "nowhere"
    elif damage == "config":
        (folder / "adapter_config.json").write_text("{")
    else:
        path = folder / "adapter_model.safetensors"
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(AdapterCorrupt):
        resume(load_model(tiny.name).model, folder)
