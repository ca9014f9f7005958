"""Several LoRAs of one base model as one, by peft's ``add_weighted_adapter``.

The base's weights play no part, so it is stood in for by matrices of one number. ``svd`` and ``cat`` are the weighted
sum of the updates themselves; the others combine A and B, or prune (Yadav et al., arXiv 2306.01708; Yu et al.,
arXiv 2311.03099). Knows nothing of versions.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from tailora_adapters.errors import AdapterCorrupt, MethodError
from tailora_adapters.methods.growth import factor_of

__all__ = ["COMBINATIONS", "PRUNING", "Sum", "weighted_sum"]

PRUNING = (
    *("ties", "ties_svd", "dare_linear", "dare_linear_svd", "dare_ties", "dare_ties_svd"),
    *("magnitude_prune", "magnitude_prune_svd"),
)
"""Those that want a density."""
COMBINATIONS = ("svd", "cat", "linear", *PRUNING)


@dataclass(frozen=True, slots=True)
class Sum:
    """One LoRA."""

    config: Mapping[str, Any]
    """What goes to ``adapter_config.json``: of a plain LoRA."""
    tensors: Mapping[str, Tensor]
    """By the name that peft saves it by, float32."""


def weighted_sum(
    model: Path, folders: Sequence[Path], weights: Sequence[float], how: str, density: float, seed: int
) -> Sum:
    """The LoRAs in ``folders``, times ``weights``; ``model`` is the folder of their base.

    What all of them have alike, as the layers below the cut of training, stays as it is where the weights' sum is 1.

    Raises:
        AdapterCorrupt: one cannot be read, or does not fit the base.
        MethodError: they cannot be combined in this way.
    """
    names = [f"part{number}" for number in range(len(folders))]
    together = _together(_stand_in(model), folders, names)
    configs = [together.peft_config[name] for name in names]
    if len({(frozenset(one.target_modules), str(one.layers_to_transform)) for one in configs}) > 1:
        raise MethodError(
            "only versions on the same projections and layers can be combined; these are on different ones"
        )
    torch.manual_seed(seed)  # dare prunes by chance
    try:
        together.base_model.add_weighted_adapter(
            names,
            list(weights),
            "sum",
            combination_type="cat" if how == "svd" else how,
            density=density if how in PRUNING else None,
            svd_full_matrices=False,
        )
    except (ValueError, TypeError) as error:
        raise MethodError(f"these versions cannot be combined by {how}: {error}") from error
    rank = max(config.r for config in configs) if how == "svd" else together.peft_config["sum"].r
    factor = factor_of(configs[0].to_dict())
    tensors: dict[str, Tensor] = {}
    for name, layer in together.base_model.model.named_modules():
        if isinstance(layer, LoraLayer) and "sum" in layer.lora_A:
            a, b = _alike(layer, names, weights) or _summed(layer, rank if how == "svd" else None)
            tensors[f"base_model.model.{name}.lora_A.weight"] = _padded(a, rank, 0)
            tensors[f"base_model.model.{name}.lora_B.weight"] = _padded(b / factor, rank, 1)
    return Sum(
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": rank,
            "lora_alpha": _whole(rank * factor),
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": sorted(configs[0].target_modules),
            "layers_to_transform": configs[0].layers_to_transform,
            "use_rslora": False,
            "inference_mode": True,
        },
        tensors,
    )


def _stand_in(model: Path) -> nn.Module:
    """The model's modules, without its weights."""
    with torch.device("meta"):
        found: nn.Module = AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(model, local_files_only=True)
        )
    for module in found.modules():
        if isinstance(module, nn.Linear):
            size = module.out_features, module.in_features
            module.weight = nn.Parameter(torch.zeros(1, 1).expand(size), requires_grad=False)
    return found


def _together(base: nn.Module, folders: Sequence[Path], names: Sequence[str]) -> PeftModel:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft's own
            found = PeftModel.from_pretrained(
                base, str(folders[0]), adapter_name=names[0], torch_device="cpu"
            )
            for folder, name in zip(folders[1:], names[1:], strict=True):
                found.load_adapter(str(folder), adapter_name=name, torch_device="cpu")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise AdapterCorrupt(f"a version cannot be read: {error}") from error
    return found


def _alike(layer: Any, names: Sequence[str], weights: Sequence[float]) -> tuple[Tensor, Tensor] | None:
    """What all have, if they have the same and it is to stay; with the factor in B."""
    if not math.isclose(sum(weights), 1.0, abs_tol=1e-6) or not all(name in layer.lora_A for name in names):
        return None
    first, *others = (
        (layer.lora_A[name].weight.data, layer.lora_B[name].weight.data * layer.scaling[name])
        for name in names
    )
    if all(torch.equal(first[0], a) and torch.equal(first[1], b) for a, b in others):
        return first
    return None


def _summed(layer: Any, rank: int | None) -> tuple[Tensor, Tensor]:
    """What peft made, with the factor in B; of the nearest ``rank``, if one is given."""
    a, b = layer.lora_A["sum"].weight.data, layer.lora_B["sum"].weight.data * layer.scaling["sum"]
    if rank is None:
        return a, b
    # B A = Qb (Rb Ra^T) Qa^T, where only the small matrix in the middle needs a decomposition.
    left, upper = torch.linalg.qr(b)  # (out, all ranks), (all ranks, all ranks)
    right, lower = torch.linalg.qr(a.T)  # (in, all ranks), (all ranks, all ranks)
    u, sizes, v = torch.linalg.svd(upper @ lower.T)
    roots = sizes[:rank].sqrt()
    return roots[:, None] * (v[:rank] @ right.T), (left @ u[:, :rank]) * roots


def _padded(value: Tensor, rank: int, dimension: int) -> Tensor:
    """With zeros up to the rank."""
    lacking = list(value.shape)
    lacking[dimension] = rank - value.shape[dimension]
    return torch.cat((value, value.new_zeros(lacking)), dimension).contiguous()


def _whole(number: float) -> float:
    return round(number) if math.isclose(number, round(number)) else number
