"""A decoder cut in two computes the same, and learns above the cut only."""

from typing import Any

import pytest
import torch

from tailora_adapters.base.load import load_model
from tailora_adapters.methods import LoraSettings, attach, freeze_below, resume
from tailora_adapters.training.split import SplitDecoder

ROWS, LENGTH = 2, 30
IDS = torch.randint(0, 440, (ROWS, LENGTH), generator=torch.Generator().manual_seed(1))
FLAT, LENGTHS = IDS.flatten(), [LENGTH] * ROWS


@pytest.mark.parametrize("cut", [0, 1, 2, 4])
def test_upper_of_lower_is_the_whole(tiny: Any, make_lora: Any, cut: int) -> None:
    model = resume(load_model(tiny.name).model, make_lora(1)).eval()
    decoder = SplitDecoder(model, cut)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        whole = model(input_ids=IDS).logits.float()
        hidden = decoder.upper(decoder.lower(FLAT, LENGTHS), LENGTHS)
        assert torch.equal(decoder.logits(hidden), whole.flatten(0, 1))
        model.model.model.layers[0].self_attn.o_proj.lora_B["default"].weight.zero_()
        changed = decoder.upper(decoder.lower(FLAT, LENGTHS), LENGTHS)
    assert not torch.equal(changed, hidden)  # a view, not a copy


@torch.no_grad()
def test_sequences_of_other_lengths_do_not_see_each_other(tiny: Any) -> None:
    model = load_model(tiny.name).model
    decoder = SplitDecoder(model, 2)
    lengths = [7, 30, 1, 22]
    hidden = decoder.upper(decoder.lower(FLAT, lengths), lengths)
    assert hidden.shape == (60, 64)
    for part, ids in zip(hidden.split(lengths), FLAT.split(lengths), strict=True):
        alone = decoder.logits(part)
        torch.testing.assert_close(alone, model(input_ids=ids[None]).logits[0].float(), rtol=0.05, atol=0.1)


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
    below = decoder.lower(FLAT, LENGTHS)
    assert not below.requires_grad
    torch.autograd.backward(decoder.upper(below, LENGTHS).float().square().mean())
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    layers = {int(name.split(".layers.")[1].split(".")[0]) for name in with_gradient}
    assert layers == {2, 3}
    assert all("lora_" in name for name in with_gradient)
