"""Any model through transformers: bitsandbytes on the CPU, states that are cut and copied, peft's adapters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tailora.engine.decoder import LeanDecoder
from tailora.engine.generator import GenerationRequest
from tailora.engine.torch_generator import TorchGenerator
from tailora.engine.transformers_decoder import TransformersDecoder
from tailora_adapters.base.load import load_model
from tailora_adapters.errors import AdapterCorrupt, ModelError

IDS = [int(i) for i in torch.randint(0, 440, (60,), generator=torch.Generator().manual_seed(5))]


@pytest.fixture
def decoder(tiny: Any) -> TransformersDecoder:
    return TransformersDecoder(load_model(tiny.name).model)


def near(ours: torch.Tensor, theirs: torch.Tensor, limit: float = 0.07) -> bool:
    return float((ours - theirs).square().mean().sqrt() / theirs.std()) < limit


def test_equals_the_lean_decoder(decoder: TransformersDecoder, tiny: Any) -> None:
    lean = LeanDecoder(tiny.folder, packed=False)
    ours = decoder.forward(IDS, decoder.new_state(60), None, all_logits=True)
    assert near(ours, lean.forward(IDS, lean.new_state(60), None, all_logits=True))
    last = decoder.forward(IDS, decoder.new_state(60), None)
    assert last.shape == (512,)
    assert near(last, ours[-1])
    assert decoder.max_length == lean.max_length


def test_continues_after_crop_and_copy(decoder: TransformersDecoder) -> None:
    expected = decoder.forward(IDS, decoder.new_state(60), None, all_logits=True)
    state = decoder.new_state(60)
    assert decoder.forward([*IDS[:40], 1, 2, 3], state, None, want_logits=False) is None
    other = state.copy(20)
    state.crop(40)
    assert near(decoder.forward(IDS[40:], state, None, all_logits=True), expected[40:])
    assert near(decoder.forward(IDS[20:], other, None, all_logits=True), expected[20:])
    assert state.tokens == other.tokens == IDS


def test_adapters_come_and_go(decoder: TransformersDecoder, make_lora: Callable[..., Path]) -> None:
    def run(adapter: str | None) -> torch.Tensor:
        return decoder.forward(IDS, decoder.new_state(60), adapter, all_logits=True)

    bare = run(None)
    one, two = decoder.load_adapter(make_lora(1)), decoder.load_adapter(make_lora(2))
    first, second = run(one), run(two)
    assert not near(first, second, 0.3)
    assert not near(first, bare, 0.3)
    assert torch.equal(run(None), bare)
    assert torch.equal(run(one), first)
    decoder.drop_adapter(one)
    assert torch.equal(run(two), second)
    assert torch.equal(run(None), bare)
    assert torch.equal(run(decoder.load_adapter(make_lora(1))), first)


def test_last_adapter_dropped(decoder: TransformersDecoder, make_lora: Callable[..., Path]) -> None:
    bare = decoder.forward(IDS, decoder.new_state(60), None)
    decoder.drop_adapter(decoder.load_adapter(make_lora(1)))
    assert torch.equal(decoder.forward(IDS, decoder.new_state(60), None), bare)
    decoder.load_adapter(make_lora(2))


def test_bad_adapters(decoder: TransformersDecoder, make_lora: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(AdapterCorrupt):
        decoder.load_adapter(tmp_path)
    broken = make_lora(3)
    weights = broken / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(AdapterCorrupt):
        decoder.load_adapter(broken)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_bitsandbytes_on_the_cpu(trained: Any, training_examples: list[Any], quantization: Any) -> None:
    try:
        loaded = load_model(trained.name, quantization=quantization)
    except ModelError as error:
        pytest.skip(f"bitsandbytes refuses this processor: {error}")
    kinds = {type(module).__name__ for module in loaded.model.modules()}
    assert ("Linear4bit" if quantization == "nf4" else "Linear8bitLt") in kinds
    generator = TorchGenerator(trained.name, quantization=quantization, device="cpu")
    generator.load(lambda _fraction, _text: None)
    assert generator.info()["quantization"] == quantization
    right = 0
    for example in training_examples:
        request = GenerationRequest(example.prefix, example.suffix, max_tokens=60, document="a.py")
        steps = list(generator.generate(request, lambda: False))
        assert steps[-1].finish_reason in ("stop", "length")
        right += "".join(step.text for step in steps) == example.middle
    assert right > len(training_examples) / 2
