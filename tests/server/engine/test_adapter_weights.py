"""What is no adapter of this base model is refused, by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tailora.engine.decoder import LeanDecoder
from tailora_adapters.errors import AdapterCorrupt

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def decoder(tiny_model: Any) -> LeanDecoder:
    return LeanDecoder(tiny_model.folder, packed=False)


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    state = {name: tensor.clone() for name, tensor in load_file(folder / WEIGHTS).items()}
    edit(state)
    save_file(state, folder / WEIGHTS)
    return folder


def test_delta_is_scale_b_a(decoder: LeanDecoder, make_lora: Callable[..., Path]) -> None:
    folder = make_lora(1, rank=4, modules=("self_attn.q_proj", "self_attn.v_proj"), layers=(2,))
    found = decoder.load_adapter(folder).weights.groups
    assert set(found) == {(2, "qkv")}
    x = torch.randn((3, 64), generator=torch.Generator().manual_seed(0))
    delta = (
        found[2, "qkv"].add_to(torch.zeros((3, 128), dtype=torch.bfloat16), x).float()
    )  # (3, q 64 + k 32 + v 32)
    state = {
        name.split("layers.2.self_attn.")[1]: t.float() for name, t in load_file(folder / WEIGHTS).items()
    }
    for part, name in ((slice(0, 64), "q_proj"), (slice(96, 128), "v_proj")):
        a, b = state[f"{name}.lora_A.weight"], state[f"{name}.lora_B.weight"]
        expected = 2.0 * x.float() @ a.T @ b.T  # alpha / rank = 2
        assert torch.allclose(delta[:, part], expected, atol=0.05, rtol=0.05)
    assert not delta[:, 64:96].any()


@pytest.mark.parametrize("modules", [("mlp.down_proj",), ("mlp.up_proj", "self_attn.o_proj")])
def test_some_modules_only(decoder: LeanDecoder, make_lora: Callable[..., Path], modules: Any) -> None:
    assert len(decoder.load_adapter(make_lora(2, modules=modules)).weights.groups) == 4 * len(modules)


def test_rslora_scales_by_the_root(decoder: LeanDecoder, make_lora: Callable[..., Path]) -> None:
    plain = decoder.load_adapter(make_lora(3, rank=4)).weights.groups
    rslora = decoder.load_adapter(make_lora(3, rank=4, use_rslora=True)).weights.groups
    assert torch.allclose(rslora[0, "o"].low_rank.b.float(), 2 * plain[0, "o"].low_rank.b.float(), rtol=0.02)


def test_no_such_folder(decoder: LeanDecoder, tmp_path: Path) -> None:
    with pytest.raises(AdapterCorrupt, match="cannot be read"):
        decoder.load_adapter(tmp_path / "nowhere")


def test_cut_off_weights(decoder: LeanDecoder, make_lora: Callable[..., Path]) -> None:
    folder = make_lora(4)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-50])
    with pytest.raises(AdapterCorrupt, match="cannot be read"):
        decoder.load_adapter(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"peft_type": "LORA"}', '{"peft_type": "IA3", "r": 4}'])
def test_bad_configuration(decoder: LeanDecoder, make_lora: Callable[..., Path], content: str) -> None:
    folder = make_lora(5)
    (folder / "adapter_config.json").write_text(content)
    with pytest.raises(AdapterCorrupt):
        decoder.load_adapter(folder)


@pytest.mark.parametrize(
    "change_",
    [{"use_dora": True}, {"bias": "all"}, {"alpha_pattern": {"q_proj": 64}}, {"rank_pattern": {"q": 2}}],
)
def test_other_methods(decoder: LeanDecoder, make_lora: Callable[..., Path], change_: dict[str, Any]) -> None:
    folder = make_lora(6)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | change_))
    with pytest.raises(AdapterCorrupt, match="cannot be served"):
        decoder.load_adapter(folder)


def test_numbers_that_are_none(decoder: LeanDecoder, make_lora: Callable[..., Path]) -> None:
    folder = change(make_lora(7), lambda state: next(iter(state.values())).fill_(float("nan")))
    with pytest.raises(AdapterCorrupt, match="not numbers"):
        decoder.load_adapter(folder)


def test_another_models_adapter(decoder: LeanDecoder, make_lora: Callable[..., Path]) -> None:
    name = "base_model.model.model.layers.{}.mlp.down_proj.lora_{}.weight"

    def shape(state: dict[str, torch.Tensor]) -> None:
        state[name.format(0, "A")] = torch.zeros((4, 256))

    def deeper(state: dict[str, torch.Tensor]) -> None:
        state[name.format(9, "A")] = torch.zeros((4, 128))
        state[name.format(9, "B")] = torch.zeros((64, 4))

    def half(state: dict[str, torch.Tensor]) -> None:
        del state[name.format(1, "B")]

    with pytest.raises(AdapterCorrupt, match="this base model needs"):
        decoder.load_adapter(change(make_lora(8), shape))
    with pytest.raises(AdapterCorrupt, match="do not belong"):
        decoder.load_adapter(change(make_lora(8), deeper))
    with pytest.raises(AdapterCorrupt):
        decoder.load_adapter(change(make_lora(8), half))
