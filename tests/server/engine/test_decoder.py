"""The lean decoder computes what transformers computes, however the tokens are handed to it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tailora.engine.decoder import LeanDecoder, supports
from tailora.engine.native.weights import pack_five, unpack_five
from tailora.engine.packing import dequantize, quantize
from tailora_adapters.base.compiled import compiler
from tailora_adapters.errors import ModelCorrupt

IDS = [int(i) for i in torch.randint(0, 440, (90,), generator=torch.Generator().manual_seed(3))]


def reference(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation="sdpa"
    ).eval()


@torch.inference_mode()
def forward(model: Any, ids: list[int] = IDS) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids])).logits[0].float()


def read(decoder: LeanDecoder, chunks: list[list[int]], adapter: Any = None) -> torch.Tensor:
    state = decoder.new_state(8)  # smaller than needed: it grows
    return torch.cat([decoder.forward(chunk, state, adapter, all_logits=True) for chunk in chunks])


def cut(ids: list[int], size: int) -> list[list[int]]:
    return [ids[i : i + size] for i in range(0, len(ids), size)]


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    # Rounding to bfloat16 in another order leaves 2 to 4 % of the logits' spread; a wrong mask, position or
    # weight leaves more than half of it.
    error = float((ours - theirs).square().mean().sqrt() / theirs.std())
    assert error < 0.07
    assert float((ours.argmax(-1) == theirs.argmax(-1)).float().mean()) > 0.8


@pytest.mark.parametrize("size", [1, 7, 64, 90])
@pytest.mark.parametrize("which", ["tiny_model", "tiny_llama_model"])
def test_equals_transformers_in_chunks_of_any_size(
    which: str, size: int, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which).folder
    decoder = LeanDecoder(folder, packed=False)
    assert_same(read(decoder, cut(IDS, size)), forward(reference(folder)))


def test_position_matters_far_from_the_beginning(tiny_model: Any) -> None:
    ids = IDS * 12  # 1080 tokens
    decoder = LeanDecoder(tiny_model.folder, packed=False)
    ours = read(decoder, [*cut(ids[:1000], 250), *cut(ids[1000:], 1)])
    assert_same(ours[-80:], forward(reference(tiny_model.folder), ids)[-80:])


def test_last_logits_are_those_of_the_last_token(tiny_model: Any) -> None:
    decoder = LeanDecoder(tiny_model.folder, packed=False)
    every = read(decoder, [IDS])
    last = decoder.forward(IDS, decoder.new_state(100), None)
    assert torch.allclose(last, every[-1], atol=0.1)
    assert decoder.forward(IDS, decoder.new_state(100), None, want_logits=False) is None


def test_continues_after_crop_and_copy(tiny_model: Any) -> None:
    decoder = LeanDecoder(tiny_model.folder, packed=False)
    expected = read(decoder, [IDS])
    state = decoder.new_state(100)
    decoder.forward([*IDS[:40], 7, 8, 9], state, None)
    other = state.copy(30)
    state.crop(40)
    assert_same(decoder.forward(IDS[40:], state, None, all_logits=True), expected[40:])
    # The copy is its own: what happened to the first state meanwhile does not show.
    assert_same(decoder.forward(IDS[30:], other, None, all_logits=True), expected[30:])
    assert state.tokens == other.tokens == IDS


@pytest.mark.parametrize("size", [1, 5, 90])
def test_adapter_equals_peft(tiny_model: Any, make_lora: Callable[..., Path], size: int) -> None:
    folder = make_lora(1)
    decoder = LeanDecoder(tiny_model.folder, packed=False)
    model = reference(tiny_model.folder)
    bare = forward(model)
    theirs = forward(PeftModel.from_pretrained(model, str(folder)))
    ours = read(decoder, cut(IDS, size), decoder.load_adapter(folder))
    assert (theirs - bare).abs().max() > 1, "the adapter changes nothing"
    assert_same(ours, theirs)
    assert_same(read(decoder, cut(IDS, size)), bare)


kernels = pytest.mark.parametrize(
    "native",
    [False, pytest.param(True, marks=pytest.mark.skipif(compiler() is None, reason="no C compiler"))],
)


def quantized(folder: Path, native: bool) -> Any:
    model = reference(folder)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            weight = module.weight.data
            short = unpack_five(pack_five(weight))[: len(weight)] if native else dequantize(*quantize(weight))
            module.weight.data = short.to(torch.bfloat16)
    return model


@kernels
@pytest.mark.parametrize("size", [1, 4, 6])
@pytest.mark.parametrize("which", ["tiny_model", "tiny_llama_model"])
def test_packed_weights_are_the_quantized_ones(
    which: str, request: pytest.FixtureRequest, make_lora: Callable[..., Path], size: int, native: bool
) -> None:
    tiny = request.getfixturevalue(which)
    decoder = LeanDecoder(tiny.folder, packed=True, native=native, few=8)
    model = quantized(tiny.folder, native)
    assert_same(read(decoder, cut(IDS, size)), forward(model))
    if which == "tiny_model":
        folder = make_lora(2)
        theirs = forward(PeftModel.from_pretrained(model, str(folder)))
        assert_same(read(decoder, cut(IDS, size), decoder.load_adapter(folder)), theirs)


@kernels
@pytest.mark.parametrize("adapted", [False, True])
def test_guesses_are_read_bit_for_bit_as_if_alone(
    tiny_model: Any, make_lora: Callable[..., Path], native: bool, adapted: bool
) -> None:
    if adapted and not native:
        pytest.skip(
            "at the tiny model's width, torch's elementwise loops round by their length; test_fast_path does it"
        )
    decoder = LeanDecoder(tiny_model.folder, packed=True, native=native, few=16)
    adapter = decoder.load_adapter(make_lora(2)) if adapted else None
    state = decoder.new_state(8)
    for start in (1, 20, 57, 62, 63, 64, 70):
        state.crop(0)
        decoder.forward(IDS[:start], state, adapter, want_logits=False)
        count = decoder.guessable(state) + 1
        assert count >= 1
        alone = [decoder.forward([token], state, adapter) for token in IDS[start : start + count]]
        state.crop(start)
        together = decoder.forward(IDS[start : start + count], state, adapter, all_logits=True)
        assert torch.equal(together, torch.stack(alone))


@kernels
def test_a_token_after_an_input_that_was_stopped(tiny_model: Any, native: bool) -> None:
    decoder = LeanDecoder(tiny_model.folder, packed=True, native=native)
    state, other = decoder.new_state(100), decoder.new_state(100)
    for each in (state, other):
        decoder.forward(IDS[:20], each, None)
    assert decoder.forward(IDS[20:60], state, None, cancelled=lambda: True) is None
    assert torch.equal(decoder.forward(IDS[70:72], state, None), decoder.forward(IDS[70:72], other, None))
    assert not state.halted_ids
    assert state.tokens == other.tokens


def test_an_input_stopped_between_layers_goes_on(tiny_model: Any) -> None:
    decoder = LeanDecoder(tiny_model.folder, packed=False)
    expected = read(decoder, [IDS])
    for layers in (0, 1, 3):
        state = decoder.new_state(100)
        decoder.forward(IDS[:20], state, None)
        polls = iter([False] * layers)
        assert decoder.forward(IDS[20:], state, None, cancelled=lambda p=polls: next(p, True)) is None
        assert state.tokens == IDS[:20]
        assert state.halted_ids == IDS[20:]
        assert_same(decoder.forward(IDS[20:], state, None, all_logits=True), expected[20:])
        assert not state.halted_ids
        # Other tokens than those that it was stopped in are read from the beginning.
        state.crop(20)
        decoder.forward(IDS[30:], state, None, cancelled=lambda: True)
        assert_same(decoder.forward(IDS[20:], state, None, all_logits=True), expected[20:])


def test_float32_arithmetic_is_the_same_model(tiny_model: Any) -> None:
    wide = LeanDecoder(tiny_model.folder, packed=False, float32=True)
    assert_same(read(wide, cut(IDS, 30)), forward(reference(tiny_model.folder)))


def test_long_inputs_use_the_dense_weights(tiny_model: Any) -> None:
    packed, dense = (LeanDecoder(tiny_model.folder, packed=packed) for packed in (True, False))
    ours, theirs = packed.new_state(100), dense.new_state(100)
    packed.forward(IDS, ours, None)
    dense.forward(IDS, theirs, None)
    assert torch.equal(ours.k[:, :, : len(IDS)], theirs.k[:, :, : len(IDS)])


def test_supports_only_what_it_computes(tiny_model: Any, tiny_llama_model: Any) -> None:
    config = json.loads((tiny_model.folder / "config.json").read_text())
    assert supports(config)
    assert supports(json.loads((tiny_llama_model.folder / "config.json").read_text()))
    for change in (
        {"use_sliding_window": True},
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0}},
        {"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}},
        {"model_type": "starcoder2"},
        {"hidden_act": "gelu"},
        {"mlp_bias": True},
        {"hidden_size": 72},
    ):
        assert not supports(config | change), change


def test_missing_weight_is_a_corrupt_model(tiny_model: Any, tmp_path: Path) -> None:
    config = json.loads((tiny_model.folder / "config.json").read_text()) | {"num_hidden_layers": 5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((tiny_model.folder / "model.safetensors").read_bytes())
    with pytest.raises(ModelCorrupt, match=r"layers\.4"):
        LeanDecoder(tmp_path, packed=False)
