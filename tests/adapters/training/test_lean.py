"""The lean decoder computes what transformers and peft do, in values and gradients, and leaves the rest to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from peft import LoHaConfig, LoraConfig, get_peft_model

from tailora_adapters.base import eight_bits
from tailora_adapters.methods import LoraSettings, attach, freeze_below, resume
from tailora_adapters.training.decoder import Cache, Decoder, make_decoder
from tailora_adapters.training.lean import LeanDecoder
from tailora_adapters.training.split import SplitDecoder

LENGTHS = [17, 1, 40, 9]
IDS = torch.randint(0, 440, (sum(LENGTHS),), generator=torch.Generator().manual_seed(2))
LABELS = torch.randint(0, 440, (sum(LENGTHS),), generator=torch.Generator().manual_seed(3))

with_eight_bits = pytest.mark.skipif(
    not eight_bits.is_right(64), reason="this processor has no right 8-bit product"
)
FORMS = [
    pytest.param(torch.bfloat16, id="bfloat16"),
    pytest.param(torch.float32, id="float32"),
    pytest.param(torch.int8, id="8 bits", marks=with_eight_bits),
]

pytestmark = pytest.mark.usefixtures("one_thread", "tiny")  # compiled code is kept in the test's own folder


@pytest.fixture(params=["qwen2", "llama"])
def adapted(request: pytest.FixtureRequest, make_model: Any, make_lora: Callable[..., Path]) -> Any:
    """A model in float32, so that it is the more exact one, with a LoRA."""
    return resume(make_model(request.param).float(), make_lora(3, strength=0.1))


def hidden(decoder: Decoder, lengths: list[int] = LENGTHS, ids: torch.Tensor = IDS) -> torch.Tensor:
    return decoder.upper(decoder.lower(ids, lengths), lengths)


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def gradients(model: Any, decoder: Decoder) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss, and what it asks of every trained parameter."""
    model.zero_grad(set_to_none=True)
    loss = F.cross_entropy(decoder.logits(hidden(decoder)), LABELS)
    torch.autograd.backward(loss)
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.item(), found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [0, 2, 4])
def test_hidden_states_are_those_of_transformers(adapted: Any, cut: int, form: bool) -> None:
    with torch.no_grad():
        expected = hidden(SplitDecoder(adapted, cut))
        found = hidden(LeanDecoder(adapted, cut, form=form))
    assert found.dtype == torch.float32
    assert error(found, expected) < (0.08 if form else 0.03)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cut", [0, 2])
def test_loss_and_gradients_are_those_of_transformers(adapted: Any, cut: int, form: bool) -> None:
    freeze_below(adapted, cut)
    loss, expected = gradients(adapted, SplitDecoder(adapted, cut))
    near, found = gradients(adapted, LeanDecoder(adapted, cut, form=form))
    assert near == pytest.approx(loss, rel=0.02)
    assert found.keys() == expected.keys()
    assert len(found) == (4 - cut) * 7 * 2
    for name, gradient in expected.items():
        alike = F.cosine_similarity(found[name].flatten(), gradient.flatten(), dim=0)
        assert alike > (0.95 if form else 0.99), name
        assert float(found[name].norm()) == pytest.approx(float(gradient.norm()), rel=0.1), name


@torch.no_grad()
def test_what_lies_below_the_cut_is_merged_and_above_it_shared(adapted: Any) -> None:
    decoder = LeanDecoder(adapted, 2, form=torch.bfloat16)
    below, whole = decoder.lower(IDS, LENGTHS), hidden(decoder)
    layers = adapted.get_base_model().model.layers
    layers[1].self_attn.q_proj.lora_B["default"].weight.zero_()
    assert torch.equal(decoder.lower(IDS, LENGTHS), below)
    assert torch.equal(hidden(decoder), whole)
    layers[2].self_attn.q_proj.lora_B["default"].weight.zero_()
    assert torch.equal(decoder.lower(IDS, LENGTHS), below)
    assert not torch.equal(hidden(decoder), whole)


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_sequences_of_a_batch_do_not_see_each_other(adapted: Any, form: bool) -> None:
    decoder = LeanDecoder(adapted, 2, form=form)
    before = hidden(decoder).split_with_sizes(LENGTHS)
    other = IDS.clone()
    other[17] += 1  # the second one, which has one token only
    after = hidden(decoder, ids=other).split_with_sizes(LENGTHS)
    for place, (one, same) in enumerate(zip(before, after, strict=True)):
        assert torch.equal(one, same) == (place != 1)
    for part, ids, length in zip(before, IDS.split_with_sizes(LENGTHS), LENGTHS, strict=True):
        assert error(hidden(decoder, [length], ids), part) < 0.02


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_token_by_token_with_a_cache_is_the_whole_at_once(adapted: Any, form: bool) -> None:
    decoder = LeanDecoder(adapted, 2, form=form)
    rows = IDS[:60].split_with_sizes([20, 40])
    whole = hidden(decoder, [20, 40], IDS[:60]).split_with_sizes([20, 40])
    prompts, cache, found = [5, 30], Cache(), []
    states = _read(decoder, [row[:n] for row, n in zip(rows, prompts, strict=True)], cache)
    assert cache.lengths == prompts
    for place, state in enumerate(states):
        assert error(state, whole[place][: prompts[place]]) < 0.02
    for step in range(10):
        states = _read(
            decoder, [row[n + step : n + step + 1] for row, n in zip(rows, prompts, strict=True)], cache
        )
        found.append(states)
    for place, start in enumerate(prompts):
        ours = torch.cat([states[place] for states in found])
        assert error(ours, whole[place][start : start + 10]) < 0.02
    assert cache.lengths == [15, 40]


@torch.no_grad()
def test_a_cropped_cache_goes_on_as_if_nothing_had_been_there(adapted: Any) -> None:
    decoder = LeanDecoder(adapted, 2, form=torch.bfloat16)
    rows, more = [IDS[:9], IDS[20:36]], [IDS[40:43], IDS[50:55]]
    cache = Cache()
    _read(decoder, rows, cache)
    kept = cache.to(torch.float32)
    _read(decoder, [IDS[60:64], IDS[60:61]], cache)
    cache.crop([9, 16])
    assert cache.lengths == kept.lengths == [9, 16]
    for one, other in zip(_read(decoder, more, cache), _read(decoder, more, kept), strict=True):
        assert torch.equal(one, other)


def _read(decoder: Decoder, rows: list[torch.Tensor], cache: Cache) -> list[torch.Tensor]:
    lengths = [len(row) for row in rows]
    below = decoder.lower(torch.cat(rows), lengths, cache)
    return list(decoder.upper(below, lengths, cache).split_with_sizes(lengths))


def loha(model: Any) -> Any:
    return get_peft_model(model, LoHaConfig(r=2, target_modules=["q_proj"]))


def on_the_output(model: Any) -> Any:
    return get_peft_model(model, LoraConfig(r=2, target_modules=["lm_head"]))


def configured(**changes: Any) -> Callable[[Any], Any]:
    def change(model: Any) -> Any:
        for name, value in changes.items():
            setattr(model.config, name, value)
        return model

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(loha, id="LoHa"),
        pytest.param(on_the_output, id="LoRA on the output matrix"),
        pytest.param(configured(model_type="phi3"), id="another family"),
        pytest.param(configured(hidden_act="gelu"), id="another activation"),
        pytest.param(configured(use_sliding_window=True), id="sliding windows"),
    ],
)
def test_what_it_does_not_compute_is_left_to_transformers(
    make_model: Any, change: Callable[[Any], Any]
) -> None:
    model = change(make_model("qwen2").float())
    with pytest.raises(ValueError, match="left to transformers"):
        LeanDecoder(model, 2, form=torch.bfloat16)
    decoder = make_decoder(model, 2)
    assert isinstance(decoder, SplitDecoder)
    with torch.no_grad():
        logits = decoder.logits(hidden(decoder, [40], IDS[:40]))
        torch.testing.assert_close(logits, model(input_ids=IDS[None, :40]).logits[0])


def test_plain_lora_on_a_cpu_is_lean(make_model: Any) -> None:
    assert isinstance(make_decoder(attach(make_model("llama"), LoraSettings()), 2), LeanDecoder)
    assert isinstance(make_decoder(make_model("qwen2"), 0), LeanDecoder)


def test_projections_without_lora_between_such_with(make_model: Any, make_lora: Any) -> None:
    modules = ("self_attn.k_proj", "mlp.down_proj")
    model = resume(make_model("qwen2").float(), make_lora(5, modules=modules, layers=(1, 3)))
    _, expected = gradients(model, SplitDecoder(model, 0))
    _, found = gradients(model, LeanDecoder(model, 0, form=torch.bfloat16))
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert F.cosine_similarity(found[name].flatten(), gradient.flatten(), dim=0) > 0.99, name
