"""Several LoRAs as one: the weighted sum of what each does, in whatever form they are saved."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tailora_adapters.errors import AdapterCorrupt, MethodError
from tailora_adapters.methods.growth import factor_of
from tailora_adapters.methods.weighted_sum import Sum, weighted_sum

pytestmark = pytest.mark.usefixtures("one_thread")


def updates(config: Any, tensors: Any) -> dict[str, Tensor]:
    """What each projection's weight changes by."""
    return {
        name.replace(".lora_A.weight", ""): tensors[name.replace("lora_A", "lora_B")].float()
        @ value.float()
        * factor_of(config)
        for name, value in tensors.items()
        if ".lora_A." in name
    }


def of_folder(folder: Path) -> dict[str, Tensor]:
    config = json.loads((folder / "adapter_config.json").read_text())
    return updates(config, load_file(folder / "adapter_model.safetensors"))


def of_sum(found: Sum) -> dict[str, Tensor]:
    return updates(found.config, found.tensors)


def added(tiny: Any, folders: list[Path], weights: list[float], how: str = "cat") -> Sum:
    return weighted_sum(tiny.folder, folders, weights, how, 0.5, 1)


def assert_is(found: Sum, folders: list[Path], weights: list[float]) -> None:
    parts = [of_folder(folder) for folder in folders]
    for name, update in of_sum(found).items():
        expected = sum(
            weight * part.get(name, torch.zeros_like(update))
            for part, weight in zip(parts, weights, strict=True)
        )
        torch.testing.assert_close(update, expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("weights", [[0.7, 0.3], [1.0, -0.5]])
def test_the_sum_is_exact_by_cat(tiny: Any, make_lora: Any, weights: list[float]) -> None:
    folders = [make_lora(1, rank=4), make_lora(2, rank=2, use_rslora=True)]
    found = added(tiny, folders, weights)
    assert found.config["r"] == 6
    assert_is(found, folders, weights)


def test_svd_is_the_nearest_of_the_parts_rank(tiny: Any, make_lora: Any) -> None:
    folders = [make_lora(1, rank=4), make_lora(2, rank=2)]
    weights = [0.7, 0.3]
    found = added(tiny, folders, weights, "svd")
    assert (found.config["r"], found.config["lora_alpha"]) == (4, 8)
    exact = of_sum(added(tiny, folders, weights))
    for name, update in of_sum(found).items():
        left, sizes, right = torch.linalg.svd(exact[name])
        nearest = left[:, :4] @ sizes[:4].diag() @ right[:4]
        torch.testing.assert_close(update, nearest, atol=1e-4, rtol=1e-3)


def test_layers_and_projections_are_those_of_the_parts(tiny: Any, make_lora: Any) -> None:
    modules = "self_attn.q_proj", "mlp.up_proj"
    folders = [make_lora(seed, modules=modules, layers=(2, 3)) for seed in (1, 2)]
    found = added(tiny, folders, [0.5, 0.5])
    assert (found.config["target_modules"], found.config["layers_to_transform"]) == (
        ["q_proj", "up_proj"],
        [2, 3],
    )
    assert len(found.tensors) == 8
    assert_is(found, folders, [0.5, 0.5])
    with pytest.raises(MethodError, match="same projections and layers"):
        added(tiny, [folders[0], make_lora(3, modules=modules)], [0.5, 0.5])


@pytest.mark.parametrize("how", ["svd", "cat", "linear", "dare_ties", "ties_svd"])
def test_what_all_have_alike_stays_as_it_is(tiny: Any, make_lora: Any, tmp_path: Path, how: str) -> None:
    first, second = make_lora(1), make_lora(2)
    state, shared = (
        load_file(second / "adapter_model.safetensors"),
        load_file(first / "adapter_model.safetensors"),
    )
    save_file(
        {name: shared[name] if ".layers.0." in name else value for name, value in state.items()},
        second / "adapter_model.safetensors",
    )
    found = of_sum(added(tiny, [first, second], [0.4, 0.6], how))
    alone = of_folder(first)
    for name, update in found.items():
        assert torch.isfinite(update).all()
        assert torch.equal(update, alone[name]) == (".layers.0." in name), name


def test_what_cannot_be_combined(tiny: Any, make_lora: Any) -> None:
    with pytest.raises(MethodError, match="same r value"):
        added(tiny, [make_lora(1, rank=4), make_lora(2, rank=2)], [0.5, 0.5], "linear")
    broken = make_lora(3)
    (broken / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(AdapterCorrupt, match="cannot be read"):
        added(tiny, [make_lora(1), broken], [0.5, 0.5])
