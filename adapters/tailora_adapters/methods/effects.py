"""What an adapter does to a model of the Llama family, whatever method made it: a few small tensors for each layer.

::

    y = gain * (W x) + bias + shift + factor B A x        a projection
    h -> h + up(activation(down(h)))                      behind attention or behind the MLP
    weights of norms; keys and values, or embeddings, of tokens ahead of all others

Training computes through these tensors and serving through the same ones, so that what is judged is what serves. Reads
adapters by the names in which peft saves them; knows nothing of files, of peft's modules or of how a model is computed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import AdapterCorrupt

__all__ = [
    "Ahead",
    "Bottleneck",
    "Effect",
    "Effects",
    "Frozen",
    "LayerEffects",
    "read_effects",
    "stacked",
    "state_of",
]

_PREFIX = "base_model.model.model."


@dataclass(frozen=True, slots=True)
class Effect:
    """On one projection W (out, in): y = gain * (W x) + shift + factor B A x."""

    a: Tensor | None = None  # (rank, in)
    b: Tensor | None = None  # (out, rank)
    factor: float = 1.0
    gain: Tensor | None = None  # (out,)
    shift: Tensor | None = None  # (out,), beside the projection's own bias


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """h + up(gelu(down(h))), of (tokens, hidden)."""

    down: Tensor  # (width, hidden)
    down_bias: Tensor  # (width,)
    up: Tensor  # (hidden, width)
    up_bias: Tensor  # (hidden,)

    def __call__(self, h: Tensor) -> Tensor:
        """(tokens, hidden) -> (tokens, hidden)."""
        low = F.gelu(F.linear(h, self.down, self.down_bias), approximate="tanh")
        return h + F.linear(low, self.up, self.up_bias)


@dataclass(frozen=True, slots=True)
class LayerEffects:
    """On one layer."""

    projections: Mapping[str, Effect] = field(default_factory=dict)
    """By name, as ``Shape.projections`` has it."""
    norm_in: Tensor | None = None  # (hidden,), in place of the layer's own
    norm_post: Tensor | None = None
    after_attention: Bottleneck | None = None
    after_mlp: Bottleneck | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """Tokens ahead of all others: their keys and values, or the embeddings that these are computed from."""

    keys_values: Tensor | None = (
        None  # (layers, 2, tokens, kv heads, head width); keys as they are attended to
    )
    embeddings: Tensor | None = None  # (tokens, hidden)

    def __len__(self) -> int:
        if self.keys_values is not None:
            return self.keys_values.shape[2]
        return 0 if self.embeddings is None else len(self.embeddings)


@dataclass(frozen=True, slots=True)
class Effects:
    """On a whole model."""

    layers: tuple[LayerEffects, ...]
    norm: Tensor | None = None  # (hidden,), in place of the last norm's
    ahead: Ahead = Ahead()


class Frozen(Protocol):
    """A projection's weight W (out, in), as far as an effect may depend on it."""

    @property
    def bias(self) -> Tensor | None:
        """(out,)."""
        ...

    def product(self, x: Tensor) -> Tensor:
        """W x without the bias: (n, in) -> (n, out)."""
        ...

    @property
    def row_norms_squared(self) -> Tensor:
        """(out,)."""
        ...


FrozenOf = Callable[[int, str], Frozen]
"""By layer and projection."""


def read_effects(
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    shape: Shape,
    frozen: FrozenOf,
) -> Effects:
    """The effects of one adapter in peft's format: ``config`` is its ``adapter_config.json``, ``tensors`` are by their
    saved names and may have gradients.

    Raises:
        AdapterCorrupt: a method that is not known here, or tensors that are of another model's shape or left over.
    """
    parts = config.get("parts")
    if isinstance(parts, list):
        return _together([read_effects(part, state_of(part, tensors), shape, frozen) for part in parts])
    method = _method(config)
    reader = _READERS.get(method)
    if reader is None:
        raise AdapterCorrupt(f"adapters of the method {method or 'unknown'} cannot be served")
    found = _Tensors(tensors)
    try:
        effects = reader(_Reading(config, found, shape, frozen))
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise AdapterCorrupt(f"an adapter of the method {method} cannot be read: {error}") from error
    if found.unused:
        raise AdapterCorrupt(f"weights that do not belong to this base model: {sorted(found.unused)[0]}")
    return effects


def stacked(below: Effects, above: Effects) -> Effects:
    """Both at once: ``above`` was trained on a model that has ``below``, which is a LoRA, in its weights."""
    layers = []
    for low, high in zip(below.layers, above.layers, strict=True):
        names = {**low.projections, **high.projections}
        merged = {name: _stacked(low.projections.get(name), high.projections.get(name)) for name in names}
        layers.append(
            LayerEffects(merged, high.norm_in, high.norm_post, high.after_attention, high.after_mlp)
        )
    return Effects(tuple(layers), above.norm, above.ahead)


def _stacked(low: Effect | None, high: Effect | None) -> Effect:
    if low is None or low.a is None or low.b is None:
        return high or Effect()
    below = low.factor * low.b
    if high is None:
        return low
    if high.gain is not None:
        below = high.gain[:, None] * below
    if high.a is None or high.b is None:
        return Effect(low.a, below, 1.0, high.gain, high.shift)
    a = torch.cat((low.a, high.a))
    b = torch.cat((below, high.factor * high.b), dim=1)
    return Effect(a, b, 1.0, high.gain, high.shift)


_MARKS: Mapping[str, str] = {
    "LORA": "lora_",
    "BOTTLENECK": "bottleneck_",
    "PREFIX_TUNING": "prompt_embeddings",
}
"""What the names of a hybrid's tensors have in them, by the method of the part that they belong to."""


def _method(config: Mapping[str, Any]) -> str:
    value = config.get("peft_type", "")
    return str(getattr(value, "value", value)).upper()


def state_of(part: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one part of an adapter, which may have one only."""
    mark = _MARKS.get(_method(part), "")
    return {name: tensor for name, tensor in tensors.items() if mark in name}


def _together(parts: Sequence[Effects]) -> Effects:
    """Of parts that have no place in common."""
    layers = []
    for found in zip(*(part.layers for part in parts), strict=True):
        projections = {name: effect for layer in found for name, effect in layer.projections.items()}
        after_attention = next((layer.after_attention for layer in found if layer.after_attention), None)
        after_mlp = next((layer.after_mlp for layer in found if layer.after_mlp), None)
        layers.append(LayerEffects(projections, None, None, after_attention, after_mlp))
    return Effects(tuple(layers), ahead=next((part.ahead for part in parts if len(part.ahead)), Ahead()))


class _Tensors:
    """Tensors by saved name; knows which were asked for."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self.unused = set(tensors)

    def get(self, name: str, *size: int) -> Tensor | None:
        """The tensor of this size; None where there is none."""
        found = self._tensors.get(name)
        if found is None:
            return None
        self.unused.discard(name)
        if tuple(found.shape) != size:
            raise ValueError(f"{name} has the shape {tuple(found.shape)}, this base model needs {size}")
        return found


@dataclass(frozen=True, slots=True)
class _Reading:
    config: Mapping[str, Any]
    tensors: _Tensors
    shape: Shape
    frozen: FrozenOf

    def layers(self, of_projection: Callable[[int, str, str, int, int], Effect | None]) -> Effects:
        """Effects on projections alone; ``of_projection`` gets layer, name, where its tensors are, out and in."""
        layers = []
        for number in range(self.shape.layers):
            effects = {
                name: effect
                for name, (out, width) in self.shape.projections.items()
                if (effect := of_projection(number, name, f"{_PREFIX}layers.{number}.{name}.", out, width))
            }
            layers.append(LayerEffects(effects))
        return Effects(tuple(layers))

    def none(self) -> tuple[LayerEffects, ...]:
        return tuple(LayerEffects() for _ in range(self.shape.layers))


def _lora(reading: _Reading) -> Effects:
    """LoRA, rank-stabilized (Kalajdzievski, arXiv 2312.03732) and weight-decomposed ones (DoRA, Liu et al.,
    arXiv 2402.09353)."""
    config, tensors = reading.config, reading.tensors
    odd = [
        key
        for key in ("rank_pattern", "alpha_pattern", "lora_bias", "alora_invocation_tokens")
        if config.get(key)
    ]
    if odd or config.get("bias", "none") != "none":
        raise ValueError(f"{', '.join(odd) or 'bias'} is not supported")
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    factor = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)

    def effect(layer: int, name: str, at: str, out: int, width: int) -> Effect | None:
        a = tensors.get(f"{at}lora_A.weight", rank, width)
        b = tensors.get(f"{at}lora_B.weight", out, rank)
        if (a is None) != (b is None):
            raise ValueError(f"{at} has only half a LoRA")
        if a is None or b is None:
            return None
        if not config.get("use_dora"):
            return Effect(a, b, factor)
        magnitude = tensors.get(f"{at}lora_magnitude_vector", out)
        if magnitude is None:
            raise ValueError(f"{at}lora_magnitude_vector is missing")
        # The norm is a constant to gradients, as in the paper's section 4.3.
        gain = magnitude / _norms(reading.frozen(layer, name), a.detach(), factor * b.detach())
        return Effect(a, gain[:, None] * b, factor, gain)

    return reading.layers(effect)


def _norms(frozen: Frozen, a: Tensor, b: Tensor) -> Tensor:
    """(out,): lengths of the rows of W + B A, without forming it: |w|^2 + 2 b (A w) + b (A A^T) b."""
    cross = (b * frozen.product(a).T).sum(1)
    return (frozen.row_norms_squared + 2 * cross + ((b @ (a @ a.T)) * b).sum(1)).sqrt()


def _adalora(reading: _Reading) -> Effects:
    """AdaLoRA (Zhang et al., arXiv 2303.10512): B diag(E) A, where what was pruned is zero in E."""
    config, tensors = reading.config, reading.tensors
    if config.get("rank_pattern"):
        raise ValueError("rank_pattern is not supported: what was pruned must be there as zeros")
    rank = int(config["init_r"])
    factor = float(config["lora_alpha"]) / (rank + 1e-5)  # as peft's SVDLinear has it, small number included

    def effect(layer: int, name: str, at: str, out: int, width: int) -> Effect | None:
        a = tensors.get(f"{at}lora_A", rank, width)
        b = tensors.get(f"{at}lora_B", out, rank)
        e = tensors.get(f"{at}lora_E", rank, 1)
        if a is None and b is None and e is None:
            return None
        if a is None or b is None or e is None:
            raise ValueError(f"{at} has only half an AdaLoRA")
        if not e.requires_grad:
            left = e[:, 0] != 0
            a, b, e = a[left], b[:, left], e[left]
        return Effect(a * e, b, factor)

    return reading.layers(effect)


def _vera(reading: _Reading) -> Effects:
    """VeRA (Kopiczko et al., arXiv 2310.11454): random matrices that all layers share, and two trained vectors each."""
    config, tensors, shape = reading.config, reading.tensors, reading.shape
    rank, targets = int(config["r"]), set(config["target_modules"])
    sizes = [size for name, size in shape.projections.items() if name.partition(".")[2] in targets]
    shared_a = tensors.get("base_model.vera_A", rank, max(width for _, width in sizes))
    shared_b = tensors.get("base_model.vera_B", max(out for out, _ in sizes), rank)
    if shared_a is None or shared_b is None:
        raise ValueError("the shared matrices are missing: it must be saved with save_projection")

    def effect(layer: int, name: str, at: str, out: int, width: int) -> Effect | None:
        of_b, of_d = tensors.get(f"{at}vera_lambda_b", out), tensors.get(f"{at}vera_lambda_d", rank)
        if of_b is None or of_d is None:
            return None
        return Effect(of_d[:, None] * shared_a[:, :width], of_b[:, None] * shared_b[:out])

    return reading.layers(effect)


def _ia3(reading: _Reading) -> Effects:
    """IA3 (Liu et al., arXiv 2205.05638): keys, values and the MLP's inner activations are scaled."""
    tensors = reading.tensors

    def effect(layer: int, name: str, at: str, out: int, width: int) -> Effect | None:
        if name == "mlp.up_proj":
            # What enters the last projection is silu(gate) * up: scaling it is scaling ``up``.
            inner = at.replace("up_proj", "down_proj")
            gain = tensors.get(f"{inner}ia3_l", 1, out)
            return None if gain is None else Effect(gain=gain[0])
        if name == "mlp.down_proj":
            return None
        gain = tensors.get(f"{at}ia3_l", out, 1)
        if gain is None:
            return None
        gain, bias = gain[:, 0], reading.frozen(layer, name).bias
        return Effect(gain=gain, shift=None if bias is None else (gain - 1) * bias)

    return reading.layers(effect)


def _norm_tuning(reading: _Reading) -> Effects:
    """The weights of norms (Zhao et al., "Tuning LayerNorm in Attention", arXiv 2312.11420)."""
    hidden = reading.shape.hidden

    def weight(at: str) -> Tensor | None:
        return reading.tensors.get(f"{_PREFIX}{at}.ln_tuning_layers.weight", hidden)

    layers = tuple(
        LayerEffects(
            norm_in=weight(f"layers.{number}.input_layernorm"),
            norm_post=weight(f"layers.{number}.post_attention_layernorm"),
        )
        for number in range(reading.shape.layers)
    )
    return Effects(layers, norm=weight("norm"))


def _bottleneck(reading: _Reading) -> Effects:
    """Adapters behind attention and MLP (Houlsby et al., arXiv 1902.00751) or MLP alone (Pfeiffer et al.,
    arXiv 2005.00247)."""
    hidden, width = reading.shape.hidden, int(reading.config["width"])

    def behind(layer: int, part: str) -> Bottleneck | None:
        at = f"{_PREFIX}layers.{layer}.{part}.bottleneck_"
        sizes = {
            "down.weight": (width, hidden), "down.bias": (width,), "up.weight": (hidden, width), "up.bias": (hidden,)
        }  # fmt: skip
        found = [reading.tensors.get(at + name, *size) for name, size in sizes.items()]
        present = [tensor for tensor in found if tensor is not None]
        if present and len(present) < len(found):
            raise ValueError(f"{at} is not whole")
        return Bottleneck(*present) if present else None

    layers = tuple(
        LayerEffects(
            after_attention=behind(number, "self_attn.o_proj"), after_mlp=behind(number, "mlp.down_proj")
        )
        for number in range(reading.shape.layers)
    )
    return Effects(layers)


def _prefix(reading: _Reading) -> Effects:
    """Prefix tuning (Li and Liang, arXiv 2101.00190), P-tuning v2 (Liu et al., arXiv 2110.07602): keys and values."""
    shape, count = reading.shape, int(reading.config["num_virtual_tokens"])
    inner = shape.kv_heads * shape.head_width
    flat = reading.tensors.get("prompt_embeddings", count, shape.layers * 2 * inner)
    if flat is None:
        raise ValueError("prompt_embeddings is missing")
    parts = flat.view(count, shape.layers, 2, shape.kv_heads, shape.head_width)
    return Effects(reading.none(), ahead=Ahead(keys_values=parts.permute(1, 2, 0, 3, 4)))


def _prompt(reading: _Reading) -> Effects:
    """Prompt tuning (Lester et al., arXiv 2104.08691) and P-tuning (Liu et al., arXiv 2103.10385): embeddings."""
    count = int(reading.config["num_virtual_tokens"])
    embeddings = reading.tensors.get("prompt_embeddings", count, reading.shape.hidden)
    if embeddings is None:
        raise ValueError("prompt_embeddings is missing")
    return Effects(reading.none(), ahead=Ahead(embeddings=embeddings))


_READERS: Mapping[str, Callable[[_Reading], Effects]] = {
    "LORA": _lora,
    "ADALORA": _adalora,
    "VERA": _vera,
    "IA3": _ia3,
    "LN_TUNING": _norm_tuning,
    "BOTTLENECK": _bottleneck,
    "PREFIX_TUNING": _prefix,
    "PROMPT_TUNING": _prompt,
    "P_TUNING": _prompt,
}
