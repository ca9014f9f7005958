"""A decoder for training on CPUs: what transformers and peft would compute, in less time and memory.

For the Llama family (RMSNorm, rotary positions, grouped queries, SwiGLU; Qwen2 and Llama among them), with what any
method's adapter does to it (``methods.effects``).
Sequences lie one behind the other, without padding::

    x (tokens, hidden) --norm--> q k v --attention within each sequence--> o --+--> norm --> gate up --> down --+-->

The frozen weights are in the form that the processor multiplies fast, forward and backward; the adapter's parameters
are those of peft's model, which saves them. Tokens ahead of all others are one more sequence, which the others look
back at.
Knows nothing of data or optimizers.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import AdapterCorrupt
from tailora_adapters.methods.attached import Attached, attached
from tailora_adapters.methods.effects import Ahead, Effect, Effects, Frozen, LayerEffects
from tailora_adapters.training.decoder import Cache
from tailora_adapters.training.frozen import FrozenWeight, Lora, linear, project
from tailora_adapters.training.fused import norm, rotate, swiglu
from tailora_adapters.training.memory import release

__all__ = ["LeanDecoder"]

_FAMILIES = ("llama", "mistral", "qwen2")
_GROUPS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
_NONE = LayerEffects()


class _Layer:
    """One layer's weights; a LoRA in it that is not trained is merged."""

    def __init__(self, module: Any, *, trained: bool, form: torch.dtype, lengths: bool) -> None:
        self.input_norm = _plain(module.input_layernorm).weight.detach().float()
        self.output_norm = _plain(module.post_attention_layernorm).weight.detach().float()
        self.merged = False
        self.weights: dict[str, FrozenWeight] = {}
        for name in (name for names in _GROUPS.values() for name in names):
            linear: Any = module.get_submodule(name)
            base = _plain(linear)
            if type(base) is not nn.Linear:
                raise ValueError(f"{type(base).__name__} is left to transformers")
            weight = base.weight.detach()
            if not trained and _is_plain_lora(linear):  # the layer stays as it is, and costs nothing more
                weight = weight.float() + linear.get_delta_weight("default").detach().float()
                self.merged = True
            self.weights[name] = FrozenWeight(weight, base.bias, backward=trained, form=form, lengths=lengths)
        if form != torch.bfloat16:  # else the weights themselves are multiplied with
            release(
                weight
                for name, weight in module.named_parameters()
                if name.endswith("proj.weight") or name.endswith("base_layer.weight")
            )

    def project(self, group: str, x: Tensor, effects: LayerEffects) -> list[Tensor]:
        """x (tokens, in), normed as the group wants it -> for every projection (tokens, out)."""
        names = _GROUPS[group]
        found = [effects.projections.get(name) for name in names]
        weights = [self.weights[name] for name in names]
        loras = [
            Lora(effect.a, effect.b, effect.factor)
            if effect is not None and effect.a is not None and effect.b is not None and effect.gain is None
            else None
            for effect in found
        ]
        outputs = list(project(x, weights, loras))
        for place, (effect, weight) in enumerate(zip(found, weights, strict=True)):
            if effect is not None:
                outputs[place] = _changed(outputs[place], x, effect, weight)
        return outputs


def _changed(y: Tensor, x: Tensor, effect: Effect, weight: FrozenWeight) -> Tensor:
    """``y`` with what is left of an effect beside a LoRA alone."""
    if effect.gain is not None:
        y = y * effect.gain
        if weight.bias is not None:
            y = y + weight.bias * (1 - effect.gain)
        if effect.a is not None and effect.b is not None:
            y = y + F.linear(F.linear(x, effect.a), effect.b) * effect.factor
    return y if effect.shift is None else y + effect.shift


def _plain(module: nn.Module) -> Any:
    """What peft's layers are around."""
    while isinstance(module, BaseTunerLayer):
        module = module.base_layer
    return module


def _is_plain_lora(linear: Any) -> bool:
    return (
        type(linear) is LoraLinear
        and not (linear.lora_variant or linear.lora_bias.get("default"))
        and "default" in linear.lora_A
    )


class LeanDecoder:
    """The layers of one model, in two halves; plain LoRA below ``first_layer`` is merged. See ``decoder.Decoder``.

    ``form``: of the frozen weights, int8, bfloat16 or float32; the output matrix is never in 8 bits.

    Raises:
        ValueError: the model is of another family, or its adapter of a method that is not known.
    """

    caches = True

    def __init__(
        self, model: Attached | PeftModel | nn.Module, first_layer: int, *, form: torch.dtype
    ) -> None:
        self._attached = attached(model)
        causal_lm: Any = self._attached.base
        config, decoder = causal_lm.config, causal_lm.model
        plain = (
            config.model_type in _FAMILIES
            and config.hidden_act == "silu"
            and not getattr(config, "use_sliding_window", False)
            and decoder.rotary_emb.attention_scaling == 1
            and type(decoder.embed_tokens) is nn.Embedding
            and type(causal_lm.lm_head) is nn.Linear
        )
        if not plain:
            raise ValueError(f"this model of type {config.model_type} is left to transformers")
        self.first_layer = first_layer
        self.device = torch.device("cpu")
        self.embedding: Tensor = decoder.embed_tokens.weight
        head: Tensor = causal_lm.lm_head.weight
        self.head_weight: Tensor = head.detach().float() if form == torch.float32 else head
        self._shape = Shape.from_config(config.to_dict())
        self._norm = _plain(decoder.norm).weight.detach().float()
        self._epsilon: float = config.rms_norm_eps
        self._heads, self._kv_heads = self._shape.heads, self._shape.kv_heads
        self._width = self._shape.head_width
        self._frequencies = decoder.rotary_emb.inv_freq.float()
        self._layers = [
            _Layer(
                module,
                trained=number >= first_layer,
                form=form,
                lengths=self._attached.wants_lengths,
            )
            for number, module in enumerate(decoder.layers)
        ]
        self._off = False
        try:
            self._effects()
        except AdapterCorrupt as error:
            raise ValueError(f"left to transformers: {error}") from error

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """As the base alone for a while; a LoRA that is merged below the cut stays."""
        self._off = True
        try:
            yield
        finally:
            self._off = False

    @torch.no_grad()
    def lower(self, ids: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """Activations that enter layer ``first_layer``. ids (tokens,) -> (tokens, hidden)."""
        x = F.embedding(ids, self.embedding).float()
        if not self.first_layer:
            return x
        return self._run(x, lengths, 0, self.first_layer, cache, self._effects())

    def upper(self, x: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """(tokens, hidden) -> the last hidden states, (tokens, hidden)."""
        effects = self._effects()
        x = self._run(x.float(), lengths, self.first_layer, len(self._layers), cache, effects)
        if cache is not None:
            before = cache.lengths or [0] * len(lengths)
            cache.lengths = [old + new for old, new in zip(before, lengths, strict=True)]
        return _normed(x, self._norm, effects.norm, self._epsilon)

    def logits(self, hidden: Tensor) -> Tensor:
        """(labels, hidden) -> (labels, vocabulary), float32."""
        return linear(hidden.to(self.head_weight.dtype), self.head_weight).float()

    def _effects(self) -> Effects:
        if self._off:
            return Effects((_NONE,) * len(self._layers))
        return self._attached.effects(self._shape, self._frozen)

    def _frozen(self, layer: int, name: str) -> Frozen:
        return self._layers[layer].weights[name]

    def _run(
        self, x: Tensor, lengths: Sequence[int], first: int, end: int, cache: Cache | None, effects: Effects
    ) -> Tensor:
        ahead = effects.ahead
        begins = len(ahead) > 0 and (cache is None or not cache.layers)
        virtual = len(ahead) if begins and ahead.embeddings is not None else 0
        if cache is not None:
            cache.ahead = len(ahead)
        before = cache.lengths if cache is not None and cache.lengths else [0] * len(lengths)
        starts = [len(ahead) + begin for begin in before]
        rotation = self._rotation([0] * bool(virtual) + starts, [virtual] * bool(virtual) + list(lengths))
        if virtual and ahead.embeddings is not None:
            x = torch.cat((ahead.embeddings.float(), x))
        places = cache.places(lengths) if cache is not None else None
        for number in range(first, end):
            layer = self._layers[number]
            here = _NONE if layer.merged else effects.layers[number]
            q, k, v = layer.project("qkv", _normed(x, layer.input_norm, here.norm_in, self._epsilon), here)
            q = rotate(q.view(len(x), self._heads, self._width), *rotation)
            k = rotate(k.view(len(x), self._kv_heads, self._width), *rotation)
            v = v.view(len(x), self._kv_heads, self._width)
            prefix = _prefix(ahead, number, k, v) if begins else None
            if cache is None or places is None:
                mixed = _each_to_itself(q[virtual:], k[virtual:], v[virtual:], lengths, prefix)
            else:
                if prefix is not None:
                    cache.begin(number, *prefix, len(lengths))
                stored = cache.append(number, k[virtual:], v[virtual:], places)
                mixed = _each_to_cache(q[virtual:], *stored, starts, lengths)
            if virtual:
                mixed = torch.cat((_attention(q[:virtual], k[:virtual], v[:virtual]), mixed))
            attended = layer.project("o", mixed, here)[0]
            x = x + (here.after_attention(attended) if here.after_attention else attended)
            inner = _normed(x, layer.output_norm, here.norm_post, self._epsilon)
            gate, up = layer.project("gate_up", inner, here)
            out = layer.project("down", swiglu(gate, up), here)[0]
            x = x + (here.after_mlp(out) if here.after_mlp else out)
        return x[virtual:]

    def _rotation(self, before: Sequence[int], lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (tokens, width / 2)."""
        places = torch.cat([torch.arange(b, b + n) for b, n in zip(before, lengths, strict=True)])
        angles = places[:, None].float() * self._frequencies
        return angles.cos(), angles.sin()


def _normed(x: Tensor, weight: Tensor, trained: Tensor | None, epsilon: float) -> Tensor:
    """x (tokens, hidden), by the model's weight or by a ``trained`` one in its place."""
    if trained is None:
        return norm(x, weight, epsilon)
    return norm(x, torch.ones_like(weight), epsilon) * trained


def _prefix(ahead: Ahead, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of the tokens ahead, (tokens, kv heads, width); ``k`` and ``v`` begin with theirs, where there
    are embeddings of them."""
    if ahead.keys_values is not None:
        return ahead.keys_values[layer, 0].float(), ahead.keys_values[layer, 1].float()
    return k[: len(ahead)], v[: len(ahead)]


def _each_to_itself(
    q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int], prefix: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Every sequence attends to itself, and to the ``prefix``. q (tokens, heads, width), k and v alike -> (tokens,
    heads * width)."""
    sequences = zip(*(part.split_with_sizes(list(lengths)) for part in (q, k, v)), strict=True)
    if prefix is None:
        return torch.cat([_attention(*sequence) for sequence in sequences])
    keys, values = prefix
    return torch.cat([_attention(q, torch.cat((keys, k)), torch.cat((values, v))) for q, k, v in sequences])


def _each_to_cache(
    q: Tensor, keys: Tensor, values: Tensor, before: Sequence[int], lengths: Sequence[int]
) -> Tensor:
    """The same to what is cached, too: keys and values (sequences, room, kv heads, width)."""
    if all(length == 1 for length in lengths):
        return _next_tokens(q, keys, values, torch.tensor(before))
    parts = q.split_with_sizes(list(lengths))
    ends = [begin + length for begin, length in zip(before, lengths, strict=True)]
    return torch.cat(
        [
            _attention(part, keys[row, :end], values[row, :end])
            for row, (part, end) in enumerate(zip(parts, ends, strict=True))
        ]
    )


def _next_tokens(q: Tensor, keys: Tensor, values: Tensor, before: Tensor) -> Tensor:
    """One token of each sequence, all at once."""
    count, heads, width = q.shape
    kv_heads = keys.shape[2]
    asked = q.view(count, kv_heads, heads // kv_heads, width)
    scores = asked @ keys.permute(0, 2, 3, 1) / math.sqrt(width)  # (sequences, kv heads, group, room)
    empty = torch.arange(keys.shape[1]) > before[:, None]
    weights = scores.masked_fill_(empty[:, None, None], -math.inf).softmax(-1)
    return (weights @ values.permute(0, 2, 1, 3)).reshape(count, -1)


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One sequence; the queries are its last tokens. q (n, heads, width), k and v (m, kv heads, width)."""
    n, m = len(q), len(k)
    mask = None
    if 1 < n < m:
        mask = torch.ones(n, m, dtype=torch.bool).tril(m - n)
    mixed = F.scaled_dot_product_attention(
        q.transpose(0, 1)[None],
        k.transpose(0, 1)[None],
        v.transpose(0, 1)[None],
        attn_mask=mask,
        is_causal=n == m and n > 1,
        enable_gqa=True,
    )
    return mixed[0].transpose(0, 1).reshape(n, -1)
