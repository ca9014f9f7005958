"""A LoRA that goes on from another one with a higher rank or another alpha: it computes the same until it is trained.

The rows that are new in A are random and the columns that are new in B zero, as in a LoRA that begins (Hu et al.,
arXiv 2106.09685, section 4.1). Knows nothing of training.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedModel

from tailora_adapters.errors import AdapterCorrupt, MethodError
from tailora_adapters.methods.attached import Attached, load_on, put_on
from tailora_adapters.methods.lora import LoraSettings
from tailora_adapters.methods.method import Method

__all__ = ["factor_of", "grown", "train_only", "widened"]


def factor_of(config: Mapping[str, Any]) -> float:
    """What B A is multiplied with."""
    rank, alpha = float(str(config["r"])), float(str(config["lora_alpha"]))
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def widened(state: Mapping[str, Tensor], rank: int, ratio: float) -> dict[str, Tensor]:
    """A LoRA's matrices by name, float32, with zeros up to ``rank`` and B times ``ratio``; higher ranks stay."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        value = value.float()
        if ".lora_A." in name and value.shape[0] < rank:  # (rank, in)
            value = torch.cat((value, value.new_zeros(rank - value.shape[0], value.shape[1])))
        elif ".lora_B." in name:  # (out, rank)
            if value.shape[1] < rank:
                value = torch.cat((value, value.new_zeros(value.shape[0], rank - value.shape[1])), 1)
            value = value * ratio
        found[name] = value
    return found


def grown(base: PreTrainedModel, folder: Path, method: Method, settings: LoraSettings) -> Attached:
    """A copy of the LoRA in ``folder`` of the rank and alpha of ``settings``.

    Raises:
        AdapterCorrupt: it cannot be read, or does not fit the base.
        MethodError: it has a higher rank.
    """
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        state = load_file(folder / "adapter_model.safetensors")
        rank, factor, modules = int(config["r"]), factor_of(config), tuple(config["target_modules"])
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error
    wanted = settings.alpha / settings.rank
    if settings.rank == rank and math.isclose(factor, wanted):
        return load_on(base, folder)
    if settings.rank < rank:
        raise MethodError(
            f"the rank is {settings.rank}, but {method.title} goes on from the foundation adapter, whose rank is "
            f"{rank}: choose at least that, or a method that begins above it, such as rslora"
        )
    layers: int = base.config.num_hidden_layers
    adapter = put_on(base, method, replace(settings, target_modules=modules), range(layers))
    tensors = adapter.tensors()
    with torch.no_grad():
        for name, value in widened(state, settings.rank, factor / wanted).items():
            if name not in tensors:
                raise AdapterCorrupt(f"the adapter in {folder} does not fit the model: {name}")
            rows = rank if ".lora_A." in name else len(value)
            tensors[name][:rows].copy_(value[:rows])
    return adapter


def train_only(adapter: Attached, modules: tuple[str, ...]) -> None:
    """Leaves what a LoRA has on other projections as it is.

    Raises:
        MethodError: it has none on these.
    """
    trained = False
    for name, parameter in adapter.parameters().items():
        chosen = name.split(".lora_")[0].rpartition(".")[2] in modules
        parameter.requires_grad_(parameter.requires_grad and chosen)
        trained |= chosen
    if not trained:
        raise MethodError(
            f"the foundation adapter has nothing on {', '.join(modules)}: choose other target_modules"
        )
