"""An adapter from its PEFT folder to tensors that the engine's decoder computes with, beside the base's own weights.

Several projections that read the same input (q, k and v; gate and up) are one group::

    x (tokens, in) --A_cat (3 rank, in)--> t (tokens, 3 rank) --B block (out_q + out_k + out_v, 3 rank)--> delta

What the adapter of a method does is ``methods.effects``'s to say. One that stands above the foundation adapter brings
that along, as more ranks. Knows nothing of projects or of which version serves. safetensors only.
"""

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from tailora_adapters import foundation
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.methods.effects import Ahead, Bottleneck, Effect, Effects, Frozen, read_effects, stacked

__all__ = [
    "FEW",
    "AdapterWeights",
    "FewBottleneck",
    "GroupChange",
    "LayerChange",
    "load_effects",
    "load_weights",
    "stored_weight",
]

FEW = 8
"""Up to so many tokens at once are few: float32 for an adapter, packed weights for a decoder."""

Groups = Mapping[str, Sequence[str]]
"""The projections of each group, by name."""


@dataclass(frozen=True, slots=True)
class _LowRank:
    """The low-rank update of one group of projections, scale included."""

    a: Tensor  # (FEW, in, ranks), float32; the first dimension is none in memory
    b: Tensor  # (FEW, ranks, out), likewise
    one_a: Tensor  # (in, ranks), their first: taking it out 192 times a token takes half a millisecond
    one_b: Tensor
    many_a: Tensor  # (in, ranks), of the type for many tokens at once
    many_b: Tensor  # (ranks, out), likewise
    """For a few, the CPU's bfloat16 matmul takes longer to begin than float32's takes."""

    def add_to(self, y: Tensor, x: Tensor) -> Tensor:
        if (count := len(x)) == 1:
            return y + (x @ self.one_a) @ self.one_b
        if count <= FEW:
            # One small matmul a token: then a token's result does not depend on how many come with it.
            low = torch.bmm(x.unsqueeze(1), self.a[:count])
            return y + torch.bmm(low, self.b[:count]).squeeze(1)
        low = x.to(self.many_a.dtype) @ self.many_a
        # In place and in y's type: else each product would make (tokens, out) of another type, and convert it.
        b = self.many_b if y.dtype == self.many_b.dtype else self.one_b.to(y.dtype)
        return y.addmm_(low.to(y.dtype), b)


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What an adapter does to one group of projections."""

    low_rank: _LowRank | None
    gain: Tensor | None  # (out,), of the weights' own product

    def add_to(self, y: Tensor, x: Tensor) -> Tensor:
        """``y`` (tokens, out), the weights' product, changed for the float32 ``x`` (tokens, in), perhaps in place."""
        if self.gain is not None:
            y = y.float() * self.gain
        return y if self.low_rank is None else self.low_rank.add_to(y, x)


class FewBottleneck:
    """A bottleneck whose result for a token does not depend on how few come with it."""

    def __init__(self, weights: Bottleneck) -> None:
        self.weights = weights
        self._down = weights.down.T.expand(FEW, -1, -1)
        self._up = weights.up.T.expand(FEW, -1, -1)

    @property
    def transposed(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Down (width, hidden), its bias, up (width, hidden), its bias."""
        return self.weights.down, self.weights.down_bias, self.weights.up.T, self.weights.up_bias

    def __call__(self, h: Tensor) -> Tensor:
        """(tokens, hidden) -> (tokens, hidden), float32."""
        h, count, weights = h.float(), len(h), self.weights
        if count > FEW:
            return weights(h)
        low = torch.bmm(h.unsqueeze(1), self._down[:count]) + weights.down_bias
        return h + (torch.bmm(F.gelu(low, approximate="tanh"), self._up[:count]) + weights.up_bias).squeeze(1)


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What an adapter does to one layer beside its projections' products."""

    norm_in: Tensor | None = None  # (hidden,), in place of the layer's own
    norm_post: Tensor | None = None
    shift: Tensor | None = None  # (q + k + v outputs,), beside the bias
    after_attention: FewBottleneck | None = None
    after_mlp: FewBottleneck | None = None

    @property
    def empty(self) -> bool:
        """Whether it does nothing."""
        return all(
            part is None
            for part in (self.norm_in, self.norm_post, self.shift, self.after_attention, self.after_mlp)
        )


@dataclass(frozen=True, slots=True)
class AdapterWeights:
    """A whole adapter."""

    groups: Mapping[tuple[int, str], GroupChange]
    """By layer number and group name."""
    layers: Mapping[int, LayerChange]
    norm: Tensor | None
    """In place of the last norm's weight."""
    ahead: Ahead


def load_weights(
    folder: Path, shape: Shape, groups: Groups, dtype: torch.dtype, weight_of: Callable[[str], Tensor]
) -> AdapterWeights:
    """Reads an adapter; for ``weight_of`` and errors see ``load_effects``."""
    effects = load_effects(folder, shape, weight_of)
    changes = {
        (number, group): change
        for number, layer in enumerate(effects.layers)
        for group, names in groups.items()
        if (change := _group(names, shape, layer.projections, dtype)) is not None
    }
    layers = {
        number: other for number in range(shape.layers) if not (other := _layer(effects, number, shape)).empty
    }
    return AdapterWeights(changes, layers, effects.norm, effects.ahead)


def load_effects(folder: Path, shape: Shape, weight_of: Callable[[str], Tensor]) -> Effects:
    """What an adapter does, with the foundation adapter where it stands above that. ``weight_of`` gives a base model's
    weight by its name in the file, for methods that need it, and raises ``LookupError`` where there is none.

    Raises:
        AdapterCorrupt: unreadable, of a method or a foundation adapter that is not known here, of another model's
            shape, or with weights that are not numbers.
    """
    floor = _below(folder)
    low = _read(floor, shape, _Weights(weight_of, None)) if floor else None
    effects = _read(folder, shape, _Weights(weight_of, low))
    return effects if low is None else stacked(low, effects)


def stored_weight(folder: Path, name: str) -> Tensor:
    """One of a base model's weights, from its file: not all are in memory as they were stored.

    Raises:
        LookupError: it has none of that name.
    """
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        if name not in file.keys():  # noqa: SIM118 - not a mapping
            raise LookupError(name)
        tensor: Tensor = file.get_tensor(name)
    return tensor


class _Weights:
    """The base's projections, with the foundation adapter in them where the adapter stands above it."""

    def __init__(self, weight_of: Callable[[str], Tensor], below: Effects | None) -> None:
        self._weight_of = weight_of
        self._below = below

    def __call__(self, layer: int, name: str) -> Frozen:
        effect = self._below.layers[layer].projections.get(name) if self._below else None
        return _Projection(f"model.layers.{layer}.{name}", self._weight_of, effect)


class _Projection:
    """One of them; read from the file as far as it is asked for."""

    def __init__(self, at: str, weight_of: Callable[[str], Tensor], below: Effect | None) -> None:
        self._at, self._weight_of, self._below = at, weight_of, below

    @functools.cached_property
    def _weight(self) -> Tensor:
        """(out, in), float32."""
        weight, effect = self._weight_of(f"{self._at}.weight").float(), self._below
        if effect is None or effect.a is None or effect.b is None:
            return weight
        return weight.addmm(effect.b, effect.a, alpha=effect.factor)

    @property
    def bias(self) -> Tensor | None:
        try:
            return self._weight_of(f"{self._at}.bias").float()
        except LookupError:
            return None

    def product(self, x: Tensor) -> Tensor:
        return x @ self._weight.T

    @property
    def row_norms_squared(self) -> Tensor:
        return self._weight.square().sum(-1)


def _read(folder: Path, shape: Shape, weights: _Weights) -> Effects:
    try:
        config: Any = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        state = {
            name: tensor.float() for name, tensor in load_file(folder / "adapter_model.safetensors").items()
        }
        if not isinstance(config, dict):
            raise TypeError("its configuration is no JSON object")
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error
    # A sum is nan or infinite if one of its parts is.
    if not all(math.isfinite(float(tensor.sum())) for tensor in state.values()):
        raise AdapterCorrupt(f"the adapter in {folder} holds weights that are not numbers")
    try:
        return read_effects(config, state, shape, weights)
    except AdapterCorrupt as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be served: {error}") from error


def _below(folder: Path) -> Path | None:
    """Folder of the foundation adapter that this one stands above, if it does; its manifest tells.

    Raises:
        AdapterCorrupt: that one is not here any more.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        wanted, model = manifest.get("below"), manifest["base"]["name"]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    if wanted is None:
        return None
    found = foundation.find(str(model))
    if found is None or found.sha256 != wanted:
        raise AdapterCorrupt(
            f"the adapter in {folder} stands above a foundation adapter that is not here any more: train it anew"
        )
    return found.path


def _group(
    names: Sequence[str], shape: Shape, effects: Mapping[str, Effect], dtype: torch.dtype
) -> GroupChange | None:
    sizes = [shape.projections[name] for name in names]
    starts = [sum(out for out, _ in sizes[:place]) for place in range(len(names) + 1)]
    gain: Tensor | None = None
    pairs: list[tuple[int, Tensor, Tensor]] = []
    for place, name in enumerate(names):
        effect = effects.get(name)
        if effect is None:
            continue
        if effect.gain is not None:
            gain = torch.ones(starts[-1]) if gain is None else gain
            gain[starts[place] : starts[place + 1]] = effect.gain
        if effect.a is not None and effect.b is not None:
            pairs.append((place, effect.a, effect.factor * effect.b))
    if not pairs:
        return None if gain is None else GroupChange(None, gain)
    ranks = sum(len(a) for _, a, _ in pairs)
    a_all = torch.empty((sizes[0][1], ranks))
    b_all = torch.zeros((ranks, starts[-1]))
    row = 0
    for place, a, b in pairs:
        a_all[:, row : row + len(a)] = a.T
        b_all[row : row + len(a), starts[place] : starts[place + 1]] = b.T
        row += len(a)
    every_a, every_b = a_all.expand(FEW, -1, -1), b_all.expand(FEW, -1, -1)
    return GroupChange(_LowRank(every_a, every_b, a_all, b_all, a_all.to(dtype), b_all.to(dtype)), gain)


def _layer(effects: Effects, number: int, shape: Shape) -> LayerChange:
    layer = effects.layers[number]
    shift: Tensor | None = None
    names = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    if any((effect := layer.projections.get(name)) and effect.shift is not None for name in names):
        parts = []
        for name in names:
            effect = layer.projections.get(name)
            none = torch.zeros(shape.projections[name][0])
            parts.append(none if effect is None or effect.shift is None else effect.shift)
        shift = torch.cat(parts)
    return LayerChange(
        layer.norm_in,
        layer.norm_post,
        shift,
        FewBottleneck(layer.after_attention) if layer.after_attention else None,
        FewBottleneck(layer.after_mlp) if layer.after_mlp else None,
    )
