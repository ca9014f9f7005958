"""A decoder for training on CPUs: what transformers and peft would compute, in less time and memory.

For the Llama family (RMSNorm, rotary positions, grouped queries, SwiGLU; Qwen2 and Llama among them) with plain LoRA.
Sequences lie one behind the other, without padding::

    x (tokens, hidden) --norm--> q k v --attention within each sequence--> o --+--> norm --> gate up --> down --+-->

The frozen weights are in the form that the processor multiplies fast, forward and backward; LoRA's parameters are those
of the ``PeftModel``, which saves them. Knows nothing of data or optimizers.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from tailora_adapters.training.decoder import Cache
from tailora_adapters.training.frozen import FrozenWeight, Lora, project
from tailora_adapters.training.fused import norm, rotate, swiglu
from tailora_adapters.training.memory import release

__all__ = ["LeanDecoder"]

_FAMILIES = ("llama", "mistral", "qwen2")


class _Layer:
    """One layer's weights."""

    def __init__(self, module: Any, *, trained: bool, form: torch.dtype) -> None:
        attention, mlp = module.self_attn, module.mlp
        self.input_norm = module.input_layernorm.weight.float()
        self.output_norm = module.post_attention_layernorm.weight.float()

        def group(*linears: nn.Module) -> tuple[list[FrozenWeight], list[Lora | None]]:
            pairs = [_parts(linear, trained=trained, form=form) for linear in linears]
            return [weight for weight, _ in pairs], [lora for _, lora in pairs]

        self.qkv = group(attention.q_proj, attention.k_proj, attention.v_proj)
        self.o = group(attention.o_proj)
        self.gate_up = group(mlp.gate_proj, mlp.up_proj)
        self.down = group(mlp.down_proj)
        if form != torch.bfloat16:  # else the weights themselves are multiplied with
            release(
                weight
                for name, weight in module.named_parameters()
                if name.endswith("proj.weight") or ".base_layer.weight" in name
            )


def _parts(linear: nn.Module, *, trained: bool, form: torch.dtype) -> tuple[FrozenWeight, Lora | None]:
    plain = isinstance(linear, LoraLinear) and not (linear.lora_variant or linear.lora_bias.get("default"))
    base = linear.get_base_layer() if isinstance(linear, LoraLinear) and plain else linear
    if type(base) is not nn.Linear:
        raise ValueError(f"{type(base).__name__} is left to transformers")
    weight, lora = base.weight.detach(), None
    if isinstance(linear, LoraLinear) and "default" in linear.lora_A:
        if trained:
            a, b = linear.lora_A["default"].weight, linear.lora_B["default"].weight
            lora = Lora(a, b, linear.scaling["default"])
        else:  # merged: the layer stays as it is, and costs nothing more
            weight = weight.float() + linear.get_delta_weight("default").detach().float()
    return FrozenWeight(weight, base.bias, backward=trained, form=form), lora


class LeanDecoder:
    """The layers of one model, in two halves; LoRA below ``first_layer`` is merged. See ``decoder.Decoder``.

    ``form``: of the frozen weights, int8, bfloat16 or float32; the output matrix is never in 8 bits.

    Raises:
        ValueError: the model is of another family, or its adapter is no plain LoRA.
    """

    caches = True

    def __init__(self, model: PeftModel | nn.Module, first_layer: int, *, form: torch.dtype) -> None:
        causal_lm: Any = model.get_base_model() if isinstance(model, PeftModel) else model
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
        self._norm = decoder.norm.weight.float()
        self._epsilon: float = config.rms_norm_eps
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._width: int = getattr(config, "head_dim", None) or config.hidden_size // self._heads
        self._frequencies = decoder.rotary_emb.inv_freq.float()
        self._layers = [
            _Layer(module, trained=number >= first_layer, form=form)
            for number, module in enumerate(decoder.layers)
        ]

    @torch.no_grad()
    def lower(self, ids: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """Activations that enter layer ``first_layer``. ids (tokens,) -> (tokens, hidden)."""
        return self._run(F.embedding(ids, self.embedding).float(), lengths, 0, self.first_layer, cache)

    def upper(self, x: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """(tokens, hidden) -> the last hidden states, (tokens, hidden)."""
        x = self._run(x.float(), lengths, self.first_layer, len(self._layers), cache)
        if cache is not None:
            before = cache.lengths or [0] * len(lengths)
            cache.lengths = [old + new for old, new in zip(before, lengths, strict=True)]
        return norm(x, self._norm, self._epsilon)

    def logits(self, hidden: Tensor) -> Tensor:
        """(labels, hidden) -> (labels, vocabulary), float32."""
        return (hidden.to(self.head_weight.dtype) @ self.head_weight.T).float()

    def _run(self, x: Tensor, lengths: Sequence[int], first: int, end: int, cache: Cache | None) -> Tensor:
        before = cache.lengths if cache is not None and cache.lengths else [0] * len(lengths)
        rotation = self._rotation(before, lengths)
        places = cache.places(lengths) if cache is not None else None
        for number in range(first, end):
            layer = self._layers[number]
            q, k, v = project(norm(x, layer.input_norm, self._epsilon), *layer.qkv)
            q = rotate(q.view(len(x), self._heads, self._width), *rotation)
            k = rotate(k.view(len(x), self._kv_heads, self._width), *rotation)
            v = v.view(len(x), self._kv_heads, self._width)
            if cache is None or places is None:
                mixed = _each_to_itself(q, k, v, lengths)
            else:
                mixed = _each_to_cache(q, *cache.append(number, k, v, places), before, lengths)
            x = x + project(mixed, *layer.o)[0]
            gate, up = project(norm(x, layer.output_norm, self._epsilon), *layer.gate_up)
            x = x + project(swiglu(gate, up), *layer.down)[0]
        return x

    def _rotation(self, before: Sequence[int], lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (tokens, width / 2)."""
        places = torch.cat([torch.arange(b, b + n) for b, n in zip(before, lengths, strict=True)])
        angles = places[:, None].float() * self._frequencies
        return angles.cos(), angles.sin()


def _each_to_itself(q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Tensor:
    """Every sequence attends to itself. q (tokens, heads, width), k and v alike -> (tokens, heads * width)."""
    sequences = zip(*(part.split_with_sizes(list(lengths)) for part in (q, k, v)), strict=True)
    return torch.cat([_attention(*sequence) for sequence in sequences])


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
