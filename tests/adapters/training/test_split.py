"""A decoder cut in two computes the same, and learns above the cut only."""

from typing import Any

import pytest
import torch

from tailora_adapters.base.load import load_model
from tailora_adapters.methods import LoraSettings, attach, freeze_below, resume
from tailora_adapters.training.split import SplitDecoder

IDS = torch.randint(0, 440, (2, 30), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cut", [0, 1, 2, 4])
def test_upper_of_lower_is_the_whole(tiny: Any, make_lora: Any, cut: int) -> None:
    model = resume(load_model(tiny.name).model, make_lora(1)).eval()
    decoder = SplitDecoder(model, cut)
    with torch.no_grad():
        whole = model(input_ids=IDS).logits.float()
        hidden = decoder.upper(decoder.lower(IDS))
        assert torch.equal(decoder.logits(hidden.flatten(0, 1)), whole.flatten(0, 1))
        model.model.model.layers[0].self_attn.o_proj.lora_B["default"].weight.zero_()
        changed = decoder.upper(decoder.lower(IDS))
    assert not torch.equal(changed, hidden)  # a view, not a copy


def test_two_cuts_leave_the_model_alone(tiny: Any) -> None:
    model = load_model(tiny.name).model
    before = model(input_ids=IDS).logits
    SplitDecoder(model, 3)
    assert len(model.model.layers) == 4
    assert torch.equal(model(input_ids=IDS).logits, before)


def test_gradients_above_the_cut_only(tiny: Any) -> None:
    model = attach(load_model(tiny.name).model, LoraSettings(rank=2))
    freeze_below(model, 2)
    decoder = SplitDecoder(model, 2)
    below = decoder.lower(IDS)
    assert not below.requires_grad
    torch.autograd.backward(decoder.upper(below).float().square().mean())
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    layers = {int(name.split(".layers.")[1].split(".")[0]) for name in with_gradient}
    assert layers == {2, 3}
    assert all("lora_" in name for name in with_gradient)
