"""The engine serves every method's adapter as peft computes it: many tokens and few, with and without compiled code,
and by transformers, as on GPUs and beside weights in NF4."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from tailora.engine.decoder import LeanDecoder
from tailora.engine.native.weights import pack_five, unpack_five
from tailora.engine.transformers_decoder import TransformersDecoder
from tailora_adapters.base.load import load_model
from tailora_adapters.errors import AdapterCorrupt, ModelError
from tailora_adapters.methods import METHODS, Method
from tailora_adapters.methods.attached import put_on
from tailora_adapters.training.save import as_saved, save_adapter

IDS = torch.randint(0, 440, (30,), generator=torch.Generator().manual_seed(2)).tolist()

pytestmark = [
    pytest.mark.usefixtures("one_thread", "tiny"),
    pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module", params=["torch", "native", "transformers"])
def decoder(request: pytest.FixtureRequest, tiny_model: Any) -> LeanDecoder | TransformersDecoder:
    if request.param == "transformers":
        return TransformersDecoder(
            AutoModelForCausalLM.from_pretrained(tiny_model.folder, dtype=torch.float32)
        )
    return LeanDecoder(
        tiny_model.folder, packed=request.param == "native", native=request.param == "native", float32=True
    )


@pytest.fixture(params=[method for method in METHODS.values() if method.parts], ids=lambda one: one.name)
def method(request: pytest.FixtureRequest) -> Method:
    found: Method = request.param
    return found


def saved(method: Method, model: Any, folder: Path) -> Tensor:
    """An adapter that was moved away from its start, and the logits that peft computes with it."""
    adapter = put_on(model, method, method.defaults, range(0 if method.whole else 2, 4))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in adapter.parameters().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
            parameter.copy_(as_saved(parameter))
        adapter.train(False)
        save_adapter(adapter, folder)
        logits: Tensor = adapter.parts[-1](input_ids=torch.tensor([IDS])).logits[0]
    return logits[-len(IDS) :]


def near(found: Tensor, expected: Tensor) -> bool:
    """Within what bfloat16, and inputs of 8 bits, leave of it."""
    return bool((found - expected).norm() < 0.07 * expected.norm())


def in_five_bits(model: Any) -> Any:
    """The model with weights as the compiled code has them."""
    with torch.no_grad():
        for layer in model.model.layers:
            attention, mlp = layer.self_attn, layer.mlp
            for parts in (
                (attention.q_proj, attention.k_proj, attention.v_proj),
                (attention.o_proj,),
                (mlp.gate_proj, mlp.up_proj),
                (mlp.down_proj,),
            ):
                whole = unpack_five(pack_five(torch.cat([part.weight for part in parts])))
                for part, weight in zip(
                    parts, whole.split([len(part.weight) for part in parts]), strict=True
                ):
                    part.weight.copy_(weight)
        model.lm_head.weight.copy_(unpack_five(pack_five(model.lm_head.weight))[: len(model.lm_head.weight)])
    return model


def test_many_tokens_and_few(
    method: Method, decoder: LeanDecoder | TransformersDecoder, make_model: Any, tmp_path: Path
) -> None:
    expected = saved(method, make_model("qwen2").float(), tmp_path)
    adapter = decoder.load_adapter(tmp_path)
    base = decoder.forward(IDS, decoder.new_state(30), None, all_logits=True)
    many = decoder.forward(IDS, decoder.new_state(30, adapter), adapter, all_logits=True)
    assert many is not None
    assert base is not None
    assert near(many, expected)
    assert (base - expected).norm() > 2 * (many - expected).norm()
    if decoder.packed:
        expected = saved(method, in_five_bits(make_model("qwen2").float()), tmp_path / "five")
        adapter = decoder.load_adapter(tmp_path / "five")
    state = decoder.new_state(0, adapter)
    single = [decoder.forward([token], state, adapter) for token in IDS]
    assert near(torch.stack([row for row in single if row is not None]), expected)


def test_few_tokens_are_the_same_alone_and_together(
    method: Method, decoder: LeanDecoder | TransformersDecoder, make_model: Any, tmp_path: Path
) -> None:
    saved(method, make_model("qwen2").float(), tmp_path)
    adapter = decoder.load_adapter(tmp_path)
    state = decoder.new_state(30, adapter)
    decoder.forward(IDS[:20], state, adapter)
    count = 1 + decoder.guessable(state)
    together = decoder.forward(IDS[20 : 20 + count], state.copy(20), adapter, all_logits=True)
    assert together is not None
    for token, row in zip(IDS[20:], together, strict=False):
        alone = decoder.forward([token], state, adapter)
        assert alone is not None
        assert torch.equal(alone, row)


def test_a_state_is_copied_and_cropped_with_what_stands_ahead(
    decoder: LeanDecoder | TransformersDecoder, make_model: Any, tmp_path: Path
) -> None:
    expected = saved(METHODS["prefix"], make_model("qwen2").float(), tmp_path)
    adapter = decoder.load_adapter(tmp_path)
    state = decoder.new_state(4, adapter)
    decoder.forward(IDS, state, adapter)
    state.crop(12)
    other = state.copy(10)
    rest = decoder.forward(IDS[10:], other, adapter, all_logits=True)
    assert rest is not None
    assert near(rest, expected[10:])


@pytest.mark.parametrize("name", ["rslora", "dora", "ia3", "norms", "houlsby", "prefix", "prompt"])
def test_above_the_foundation_adapter(
    name: str,
    decoder: LeanDecoder | TransformersDecoder,
    make_model: Any,
    make_lora: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from peft import PeftModel

    from tailora.engine import adapter_weights
    from tailora_adapters.foundation import FoundationAdapter

    floor = make_lora(4)
    merged = PeftModel.from_pretrained(make_model("qwen2").float(), str(floor)).merge_and_unload()
    expected = saved(METHODS[name], merged, tmp_path)
    found: Any = FoundationAdapter(floor, "f" * 64, None)  # type: ignore[arg-type]
    monkeypatch.setattr(adapter_weights.foundation, "find", lambda _model: found)
    manifest = {"below": "f" * 64, "base": {"name": "tiny"}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    adapter = decoder.load_adapter(tmp_path)
    logits = decoder.forward(IDS, decoder.new_state(30, adapter), adapter, all_logits=True)
    assert logits is not None
    assert near(logits, expected)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"below": "0" * 64}))
    with pytest.raises(AdapterCorrupt, match="train it anew"):
        decoder.load_adapter(tmp_path)


def test_beside_weights_in_four_bits(method: Method, tiny: Any, tmp_path: Path) -> None:
    from peft.utils.integrations import dequantize_module_weight

    try:
        quantized = load_model(tiny.name, quantization="nf4").model
    except ModelError as error:
        pytest.skip(f"bitsandbytes refuses this processor: {error}")
    same = load_model(tiny.name).model.float()
    for name, module in same.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            four = quantized.get_submodule(name)
            assert type(four).__name__ == "Linear4bit"
            module.weight.data = dequantize_module_weight(four).float()
    expected = saved(method, same, tmp_path)
    decoder = TransformersDecoder(quantized)
    adapter = decoder.load_adapter(tmp_path)
    assert near(decoder.forward(IDS, decoder.new_state(30, adapter), adapter, all_logits=True), expected)
