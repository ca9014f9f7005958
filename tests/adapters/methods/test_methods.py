"""Every method: computed as peft does, saved so that plain peft loads it, and nothing of it left when it is off."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from tailora_adapters.errors import AdapterCorrupt, MethodError
from tailora_adapters.methods import METHODS, Method, method_named, parameters_of, settings_of
from tailora_adapters.methods.attached import Attached, load_on, put_on
from tailora_adapters.training.decoder import Cache, Decoder
from tailora_adapters.training.lean import LeanDecoder
from tailora_adapters.training.save import as_saved, save_adapter
from tailora_adapters.training.split import SplitDecoder

LENGTHS = [17, 9]
IDS = torch.randint(0, 440, (sum(LENGTHS),), generator=torch.Generator().manual_seed(2))
PUT_ON = [method for method in METHODS.values() if method.parts]

pytestmark = [
    pytest.mark.usefixtures("one_thread", "tiny"),  # compiled code is kept in the test's own folder
    pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated:FutureWarning"),  # peft's own
    pytest.mark.filterwarnings("ignore:Unsupported layer type:UserWarning"),
]


@pytest.fixture(params=PUT_ON, ids=lambda method: method.name)
def method(request: pytest.FixtureRequest) -> Method:
    found: Method = request.param
    return found


@pytest.fixture
def base(make_model: Any) -> Any:
    return make_model("qwen2").float()


@pytest.fixture
def adapter(method: Method, base: Any) -> Attached:
    """One that was moved away from its start, by as much as shows, to values that can be saved."""
    layers = range(0 if method.whole else 2, 4)
    found = put_on(base, method, method.defaults, layers)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in found.parameters().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
            parameter.copy_(as_saved(parameter))
        for part in found.parts:
            for name in ("vera_A", "vera_B"):
                for shared in getattr(part.base_model, name, {}).values():
                    shared.copy_(shared.to(torch.bfloat16))
    base.eval()
    return found


def cut(method: Method) -> int:
    return 0 if method.whole else 2


def computed(decoder: Decoder) -> Tensor:
    return decoder.logits(decoder.upper(decoder.lower(IDS, LENGTHS), LENGTHS))


def by_peft(model: Any) -> Tensor:
    """Logits of each sequence by itself, without those of tokens ahead."""
    with torch.no_grad():
        rows = [model(input_ids=ids[None]).logits[0] for ids in IDS.split(LENGTHS)]
    return torch.cat([row[len(row) - length :] for row, length in zip(rows, LENGTHS, strict=True)])


def test_both_decoders_compute_what_peft_does(method: Method, adapter: Attached) -> None:
    expected = by_peft(adapter.parts[-1])
    lean = computed(LeanDecoder(adapter, cut(method), form=torch.float32))
    torch.testing.assert_close(lean.detach(), expected, atol=3e-5, rtol=1e-4)
    split = computed(SplitDecoder(adapter, cut(method)))
    torch.testing.assert_close(split.detach(), expected, atol=3e-5, rtol=1e-4)


def test_every_parameter_gets_the_gradient_that_peft_gives_it(method: Method, adapter: Attached) -> None:
    def gradients(decoder: Decoder) -> dict[str, Tensor]:
        torch.autograd.backward(computed(decoder).square().mean())
        found = {name: parameter.grad for name, parameter in adapter.parameters().items()}
        adapter.base.zero_grad(set_to_none=True)
        for part in adapter.parts:
            part.zero_grad(set_to_none=True)
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    expected = gradients(SplitDecoder(adapter, cut(method)))
    found = gradients(LeanDecoder(adapter, cut(method), form=torch.float32))
    assert found.keys() == expected.keys() == adapter.parameters().keys()
    for name, gradient in expected.items():
        # Lean keeps what it needs for gradients in bfloat16.
        assert (found[name] - gradient).norm() < 0.01 * gradient.norm() + 1e-6, name


def test_with_a_cache_it_is_the_same(method: Method, adapter: Attached) -> None:
    decoder = LeanDecoder(adapter, cut(method), form=torch.float32)
    with torch.no_grad():
        expected = decoder.upper(decoder.lower(IDS, LENGTHS), LENGTHS)
        cache, parts = Cache(), []
        first, second = IDS.split(LENGTHS)
        for ids in ((first[:10], second[:2]), (first[10:11], second[2:3]), (first[11:], second[3:])):
            lengths = [len(part) for part in ids]
            hidden = decoder.upper(decoder.lower(torch.cat(ids), lengths, cache), lengths, cache)
            parts.append(hidden.split(lengths))
    found = torch.cat([torch.cat(rows) for rows in zip(*parts, strict=True)])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_saved_it_is_the_same_for_plain_peft_and_for_us(
    method: Method, adapter: Attached, make_model: Any, tmp_path: Path
) -> None:
    expected = by_peft(adapter.parts[-1])
    save_adapter(adapter, tmp_path)
    ours = load_on(make_model("qwen2").float(), tmp_path, trainable=False)
    torch.testing.assert_close(by_peft(ours.parts[-1]), expected, atol=3e-5, rtol=1e-4)
    lean = computed(LeanDecoder(ours, cut(method), form=torch.float32))
    torch.testing.assert_close(lean.detach(), expected, atol=3e-5, rtol=1e-4)
    if len(method.parts) == 1:
        plain = PeftModel.from_pretrained(make_model("qwen2").float(), str(tmp_path)).eval()
        torch.testing.assert_close(by_peft(plain), expected, atol=3e-5, rtol=1e-4)


def test_off_it_is_the_base(method: Method, adapter: Attached, make_model: Any) -> None:
    expected = by_peft(make_model("qwen2").float())
    decoders: Iterator[Decoder] = iter(
        (LeanDecoder(adapter, cut(method), form=torch.float32), SplitDecoder(adapter, cut(method)))
    )
    for decoder in decoders:
        with decoder.without_adapter():
            torch.testing.assert_close(computed(decoder).detach(), expected, atol=3e-5, rtol=1e-4)
        assert not torch.allclose(computed(decoder).detach(), expected, atol=1e-3)


def test_what_a_new_one_changes(method: Method, base: Any, make_model: Any) -> None:
    """Nothing, where it can be so; tokens ahead always show."""
    adapter = put_on(base, method, method.defaults, range(cut(method), 4))
    expected = by_peft(make_model("qwen2").float())
    found = computed(LeanDecoder(adapter, cut(method), form=torch.float32)).detach()
    assert torch.allclose(found, expected, atol=1e-4) != method.whole


@pytest.mark.parametrize(
    "name, given, message",
    [
        ("lora", {"rank": "65"}, "1 to 32 are possible"),
        ("lora", {"rank": 0}, "lora.rank must be a whole number from 1 to 128, not 0"),
        ("lora", {"rank": 4096}, "a whole number from 1 to 128"),
        ("lora", {"rank": "high"}, "lora.rank must be a whole number"),
        ("lora", {"rank": 4.5}, "a whole number"),
        ("lora", {"rank": float("inf")}, "a whole number"),
        ("lora", {"target_modules": "q_proj, x_proj"}, "a list with any of q_proj, k_proj"),
        ("lora", {"target_modules": []}, "a list with any of"),
        ("lora", {"ranks": 4}, "no setting 'ranks'; it has: rank, alpha"),
        ("norms", {"target_modules": "norm"}, "a list with any of input_layernorm"),
        ("prefix", {"tokens": 0}, "1 to 256"),
        ("prefix", {"tokens": 10_000}, "1 to 256"),
        ("prefix", {"start": "zero"}, "one of activations, random"),
        ("prefix", {"projection": "maybe"}, "true or false"),
        ("prompt", {"text": "x" * 2001}, "a text of at most 2000 characters"),
        ("houlsby", {"width": 100}, "1 to 64"),
        ("vera", {"rank": 5000}, "1 to 1024"),
        ("p-tuning", {"encoder": "GRU"}, "one of LSTM, MLP"),
        ("adalora", {"orthogonality": "nan"}, "must be a number from 0 to 10"),
    ],
)
def test_settings_that_do_not_fit(name: str, given: dict[str, Any], message: str, base: Any) -> None:
    method = method_named(name)
    with pytest.raises(MethodError, match=message):
        put_on(base, method, settings_of(method, given), range(4))


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda one: one.name)
def test_defaults_are_within_their_bounds(method: Method) -> None:
    for parameter in parameters_of(method).values():
        assert parameter.read(parameter.default) == parameter.default


def test_an_unknown_method() -> None:
    with pytest.raises(MethodError, match="no method 'magic'; there are: lora, qlora"):
        method_named("magic")


@pytest.mark.parametrize("damage", ["method", "shape", "tensor"])
def test_an_adapter_that_cannot_be_read(damage: str, base: Any, make_model: Any, tmp_path: Path) -> None:
    method = METHODS["adalora"]
    settings = replace(method.defaults, initial_rank=4, target_rank=2)
    adapter = put_on(base, method, settings, range(4))
    save_adapter(adapter, tmp_path)
    config = tmp_path / "adapter_config.json"

    def change(**values: Any) -> None:
        config.write_text(json.dumps(json.loads(config.read_text()) | values))

    if damage == "method":
        change(peft_type="MAGIC")
    elif damage == "shape":
        change(init_r=5)
    else:
        (tmp_path / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(AdapterCorrupt):
        load_on(make_model("qwen2").float(), tmp_path)
