"""Any model through transformers: bitsandbytes on the CPU, states that are cut and copied, adapters, and single
tokens by a static cache as on CUDA, with and without a compiler."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tailora.engine.decoder import LeanDecoder
from tailora.engine.generator import GenerationRequest
from tailora.engine.static_decode import StaticDecode, Step
from tailora.engine.torch_generator import TorchGenerator
from tailora.engine.transformers_decoder import TransformersDecoder, TransformersState
from tailora_adapters.base.load import load_model
from tailora_adapters.errors import AdapterCorrupt, ModelError
from tailora_adapters.methods import METHODS
from tailora_adapters.methods.attached import put_on
from tailora_adapters.training.save import save_adapter

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


def uncompiled(step: Step) -> Step:
    return step


traced: Callable[[Step], Step] = partial(torch.compile, backend="eager", dynamic=False)


class Counted:
    """A compiler whose results count their calls, and fail after the first ``good``."""

    def __init__(self, compiler: Callable[[Step], Step] = uncompiled, good: int = 1000) -> None:
        self.calls = 0
        self.compiled = 0
        self._compiler, self._good = compiler, good

    def __call__(self, step: Step) -> Step:
        self.compiled += 1
        compiled = self._compiler(step)

        def counted(ids: torch.Tensor) -> torch.Tensor:
            logits = compiled(ids)
            if self.calls == self._good:
                raise RuntimeError("out of memory")
            self.calls += 1
            return logits

        return counted


@pytest.fixture
def exact(tiny: Any) -> Any:
    """The tiny model in float32: what differs by more than rounding shows."""
    return load_model(tiny.name).model.float()


def start(decoder: TransformersDecoder, length: int = 40, adapter: str | None = None) -> TransformersState:
    state = decoder.new_state(60)
    decoder.forward(IDS[:length], state, adapter, want_logits=False)
    return state


def decode(
    decoder: TransformersDecoder, state: TransformersState, end: int = 60, adapter: str | None = None
) -> torch.Tensor:
    """Logits behind each of ``IDS`` from the state's last token to ``end``, one token at a time."""
    return torch.stack([decoder.forward([i], state, adapter) for i in IDS[len(state.tokens) : end]])


def read_at_once(decoder: TransformersDecoder, adapter: str | None = None) -> torch.Tensor:
    return decoder.forward(IDS, decoder.new_state(60), adapter, all_logits=True)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says, without torch's own."""
    return [record.message for record in caplog.records if record.name.startswith("tailora")]


equal = partial(torch.testing.assert_close, rtol=0, atol=1e-4)


@pytest.mark.parametrize("compiler", [uncompiled, traced])
@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_static_decoding(
    make_model: Callable[..., Any], architecture: str, compiler: Callable[[Step], Step]
) -> None:
    model = make_model(architecture).float()
    counted = Counted(compiler)
    plain, static = TransformersDecoder(model), TransformersDecoder(model, StaticDecode(counted))
    state = start(static)
    equal(decode(static, state), decode(plain, start(plain)))
    assert (counted.compiled, counted.calls) == (1, 20)
    assert state.tokens == IDS
    assert state.cache.get_seq_length() == 60


def test_no_slot_on_a_cpu_unless_given(exact: Any) -> None:
    plain, static = TransformersDecoder(exact), TransformersDecoder(exact, StaticDecode(uncompiled))
    for decoder, taken in (plain, False), (static, True):
        state = start(decoder)
        assert (state.step(exact, IDS[40], None) is not None) is taken


def test_static_first_token_and_shapes(exact: Any) -> None:
    counted = Counted()
    decoder = TransformersDecoder(exact, StaticDecode(counted))
    expected = read_at_once(decoder)
    state = decoder.new_state(60)
    equal(decoder.forward(IDS[:1], state, None), expected[0])
    assert not counted.calls
    equal(decoder.forward(IDS[1:2], state, None, all_logits=True), expected[1:2])
    assert decoder.forward(IDS[2:3], state, None, want_logits=False) is None
    assert counted.calls == 2
    equal(decoder.forward(IDS[3:], state, None, all_logits=True), expected[3:])


def test_static_after_crop(exact: Any) -> None:
    decoder = TransformersDecoder(exact, StaticDecode(uncompiled))
    expected = read_at_once(decoder)
    state = start(decoder)
    decode(decoder, state, 50)
    for token in (1, 2, 3):
        decoder.forward([token], state, None)
    state.crop(45)
    equal(decode(decoder, state), expected[45:])
    state.crop(30)
    equal(decode(decoder, state), expected[30:])


def test_static_with_two_states_in_turn(exact: Any) -> None:
    decoder = TransformersDecoder(exact, StaticDecode(uncompiled))
    expected = read_at_once(decoder)
    one, two = start(decoder, 40), start(decoder, 30)
    for end in range(1, 20, 3):
        equal(decode(decoder, one, 40 + end), expected[len(one.tokens) - (3 if end > 1 else 1) : 40 + end])
        equal(decode(decoder, two, 30 + end), expected[len(two.tokens) - (3 if end > 1 else 1) : 30 + end])
    assert (one.cache.get_seq_length(), two.cache.get_seq_length()) == (59, 49)


def test_static_copy(exact: Any) -> None:
    decoder = TransformersDecoder(exact, StaticDecode(uncompiled))
    expected = read_at_once(decoder)
    state = start(decoder)
    decode(decoder, state, 50)
    longer, shorter = state.copy(50), state.copy(20)
    decoder.forward([1], state, None)
    equal(decode(decoder, longer), expected[50:])
    equal(decode(decoder, shorter), expected[20:])
    state.crop(50)
    equal(decode(decoder, state), expected[50:])


def test_static_with_several_tokens_in_between(exact: Any) -> None:
    counted = Counted()
    decoder = TransformersDecoder(exact, StaticDecode(counted))
    expected = read_at_once(decoder)
    state = start(decoder)
    equal(decode(decoder, state, 45), expected[40:45])
    equal(decoder.forward(IDS[45:52], state, None, all_logits=True), expected[45:52])
    equal(decode(decoder, state), expected[52:])
    assert counted.calls == 13


@pytest.mark.parametrize("compiler", [uncompiled, traced])
def test_static_with_adapters(
    exact: Any, make_lora: Callable[..., Path], compiler: Callable[[Step], Step]
) -> None:
    counted = Counted(compiler)
    decoder = TransformersDecoder(exact, StaticDecode(counted))
    folders = make_lora(1), make_lora(2, rank=8, modules=("self_attn.q_proj", "mlp.up_proj"))

    def check(adapter: str | None) -> torch.Tensor:
        before = counted.calls
        found = decode(decoder, start(decoder, adapter=adapter), adapter=adapter)
        equal(found, read_at_once(decoder, adapter)[40:])
        assert counted.calls == before + 20
        assert not found.requires_grad
        return found

    bare = check(None)
    one, two = (decoder.load_adapter(folder) for folder in folders)
    first = check(one)
    equal(check(None), bare)
    second = check(two)
    assert not near(first, bare, 0.3)
    assert not near(first, second, 0.3)
    before = counted.compiled
    equal(check(one), first)
    equal(check(None), bare)
    assert counted.compiled == before
    decoder.drop_adapter(one)
    equal(check(two), second)
    one = decoder.load_adapter(folders[0])
    equal(check(one), first)
    for adapter in one, two:
        decoder.drop_adapter(adapter)
    equal(check(None), bare)


@pytest.mark.parametrize("good", [0, 7])
def test_static_failure(exact: Any, caplog: pytest.LogCaptureFixture, good: int) -> None:
    counted = Counted(good=good)
    decoder = TransformersDecoder(exact, StaticDecode(counted))
    expected = read_at_once(decoder)
    state, other = start(decoder), start(decoder)
    with caplog.at_level(logging.WARNING):
        equal(decode(decoder, state), expected[40:])
        equal(decode(decoder, other), expected[40:])
    (message,) = told(caplog)
    assert "slower" in message
    assert (counted.compiled, counted.calls) == (1, good)


def test_static_without_a_compiler(exact: Any, caplog: pytest.LogCaptureFixture) -> None:
    def missing(_graph: Any, _inputs: Any) -> Any:
        raise RuntimeError("no triton")

    decoder = TransformersDecoder(exact, StaticDecode(partial(torch.compile, backend=missing)))
    state = start(decoder)
    equal(decode(decoder, state), read_at_once(decoder)[40:])
    assert len(told(caplog)) == 1


def test_static_beyond_the_capacity(exact: Any) -> None:
    counted = Counted()
    decoder = TransformersDecoder(exact, StaticDecode(counted, capacity=45))
    expected = read_at_once(decoder)
    state = start(decoder)
    equal(decode(decoder, state), expected[40:])
    assert counted.calls == 5
    state.crop(42)
    equal(decode(decoder, state, 44), expected[42:44])
    assert counted.calls == 7


def test_static_leaves_nothing_behind(exact: Any) -> None:
    decoder = TransformersDecoder(exact, StaticDecode(uncompiled))
    broken = start(decoder, 50)
    for layer in broken.cache.layers:
        layer.values = torch.full_like(layer.values, torch.nan)
    assert decode(decoder, broken, 51).isnan().all()
    equal(decode(decoder, start(decoder)), read_at_once(decoder)[40:])


def test_static_refuses_sliding_windows(
    make_model: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model("qwen2", use_sliding_window=True, sliding_window=16, max_window_layers=2).float()
    plain = TransformersDecoder(model)
    decoder = TransformersDecoder(model, StaticDecode(uncompiled))
    equal(decode(decoder, start(decoder)), decode(plain, start(plain)))
    assert len(told(caplog)) == 1


def test_a_model_that_no_adapter_fits(make_lora: Callable[..., Path]) -> None:
    model = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=512, n_positions=64))
    decoder = TransformersDecoder(model)
    assert decoder.forward(IDS, decoder.new_state(60), None).shape == (512,)
    with pytest.raises(AdapterCorrupt, match="Llama family only, and not on gpt2"):
        decoder.load_adapter(make_lora(6))


@pytest.mark.parametrize("name", ["prefix", "prompt", "norms", "houlsby"])
def test_static_with_other_methods(exact: Any, tiny: Any, tmp_path: Path, name: str) -> None:
    """Tokens ahead of all others, norms and small networks, in turn with the model alone."""
    method = METHODS[name]
    adapter = put_on(
        load_model(tiny.name).model.float(), method, method.defaults, range(0 if method.whole else 2, 4)
    )
    with torch.no_grad():
        for number, parameter in enumerate(adapter.parameters().values()):
            parameter.add_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)) * 0.1
            )
    save_adapter(adapter, tmp_path)
    decoder = TransformersDecoder(exact, StaticDecode(traced))
    loaded = decoder.load_adapter(tmp_path)
    bare = read_at_once(decoder)
    state = decoder.new_state(60, loaded)
    whole = decoder.forward(IDS, state.copy(0), loaded, all_logits=True)
    assert not near(whole, bare, 0.1)
    decoder.forward(IDS[:40], state, loaded, want_logits=False)
    equal(decode(decoder, state, 50, loaded), whole[40:50])
    equal(decode(decoder, start(decoder)), bare[40:])
    equal(decode(decoder, state, 60, loaded), whole[50:])
    state.crop(45)
    equal(decode(decoder, state, 60, loaded), whole[45:])
