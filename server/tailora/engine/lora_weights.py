"""A LoRA adapter from its PEFT folder to tensors that the engine's decoder adds to its matmuls, unmerged.

Several projections that read the same input (q, k and v; gate and up) are one group::

    x (tokens, in) --A_cat (3 rank, in)--> t (tokens, 3 rank) --B block (out_q + out_k + out_v, 3 rank)--> delta

Knows nothing of projects or versions. safetensors only.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tailora_adapters.errors import AdapterCorrupt

__all__ = ["FEW", "GroupLora", "LoraWeights", "load_lora"]

FEW = 8
"""Up to so many tokens at once are few: float32 for an adapter, packed weights for a decoder."""

_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class GroupLora:
    """The low-rank update of one group of projections, scale included."""

    a: Tensor  # (FEW, in, ranks), float32; the first dimension is none in memory
    b: Tensor  # (FEW, ranks, out), likewise
    one_a: Tensor  # (in, ranks), their first: taking it out 192 times a token takes half a millisecond
    one_b: Tensor
    many_a: Tensor  # (in, ranks), of the type for many tokens at once
    many_b: Tensor  # (ranks, out), likewise
    """For a few, the CPU's bfloat16 matmul takes longer to begin than float32's takes."""

    def add_to(self, y: Tensor, x: Tensor) -> Tensor:
        """``y`` (tokens, out) with the update for the float32 ``x`` (tokens, in), perhaps in place."""
        if (count := len(x)) == 1:
            return y + (x @ self.one_a) @ self.one_b
        if count <= FEW:
            # One small matmul a token: then a token's result does not depend on how many come with it.
            low = torch.bmm(x.unsqueeze(1), self.a[:count])
            return y + torch.bmm(low, self.b[:count]).squeeze(1)
        low = x.to(self.many_a.dtype) @ self.many_a
        return y.addmm_(low, self.many_b) if y.dtype == low.dtype else y.add_(low @ self.many_b)


LoraWeights = Mapping[tuple[int, str], GroupLora]
"""By layer number and group name."""


def load_lora(
    folder: Path, groups: Mapping[str, Sequence[tuple[str, int, int]]], layers: int, dtype: torch.dtype
) -> LoraWeights:
    """Reads an adapter; ``groups`` names the projections of a group with their input and output widths.

    Raises:
        AdapterCorrupt: unreadable, not a LoRA, of another model's shape, or with weights that are not numbers.
    """
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        state = load_file(folder / "adapter_model.safetensors")
        scale = _scale(folder, config)
    except (OSError, ValueError, TypeError, AttributeError, LookupError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error
    found: dict[tuple[int, str], GroupLora] = {}
    used = 0
    for layer in range(layers):
        for group, members in groups.items():
            parts = [
                (
                    state.get(f"{_PREFIX}model.layers.{layer}.{name}.lora_A.weight"),
                    state.get(f"{_PREFIX}model.layers.{layer}.{name}.lora_B.weight"),
                )
                for name, _, _ in members
            ]
            used += 2 * sum(a is not None for a, _ in parts)
            made = _group(folder, members, parts, scale, dtype)
            if made is not None:
                found[layer, group] = made
    if used != len(state):
        raise AdapterCorrupt(f"the adapter in {folder} has weights that do not belong to this base model")
    return found


def _scale(folder: Path, config: dict[str, Any]) -> float:
    odd = ("use_dora", "rank_pattern", "alpha_pattern")
    if (
        config.get("peft_type") != "LORA"
        or any(config.get(key) for key in odd)
        or config.get("bias", "none") != "none"
    ):
        raise AdapterCorrupt(
            f"the adapter in {folder} is not a plain LoRA: serve it with quantization 'nf4' or 'int8'"
        )
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _group(
    folder: Path,
    members: Sequence[tuple[str, int, int]],
    parts: Sequence[tuple[Tensor | None, Tensor | None]],
    scale: float,
    dtype: torch.dtype,
) -> GroupLora | None:
    present = [(i, a, b) for i, (a, b) in enumerate(parts) if a is not None and b is not None]
    if not present:
        return None
    width_in = members[0][1]
    starts = [sum(out for _, _, out in members[:i]) for i in range(len(members) + 1)]
    ranks = sum(a.shape[0] for _, a, _ in present)
    a_all = torch.empty((width_in, ranks))
    b_all = torch.zeros((ranks, starts[-1]))
    row = 0
    for i, a, b in present:
        rank = a.shape[0]
        if a.shape != (rank, width_in) or b.shape != (members[i][2], rank):
            raise AdapterCorrupt(f"the adapter in {folder} was trained for a base model of another shape")
        a_all[:, row : row + rank] = a.T
        b_all[row : row + rank, starts[i] : starts[i + 1]] = b.T
        row += rank
    b_all.mul_(scale)
    if not math.isfinite(float(a_all.sum() + b_all.sum())):  # a sum is nan or infinite if one of its parts is
        raise AdapterCorrupt(f"the adapter in {folder} holds weights that are not numbers")
    every_a, every_b = a_all.expand(FEW, -1, -1), b_all.expand(FEW, -1, -1)
    return GroupLora(every_a, every_b, a_all, b_all, a_all.to(dtype), b_all.to(dtype))
