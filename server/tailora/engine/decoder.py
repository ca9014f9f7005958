"""A lean decoder for the Llama and Qwen2 family on CPUs.

Two representations of the same weights, chosen per call by the number of tokens: dense bfloat16 (memory-mapped)
for long inputs, where arithmetic is the limit, and 4 bits for a few tokens, where memory bandwidth is. LoRA is
added unmerged, so that an adapter is chosen per request. Knows nothing of text, prompts or requests.

    ids -> embed -> [norm -> qkv (+LoRA) -> rope -> attention -> o (+LoRA)
                     -> norm -> gate, up (+LoRA) -> down (+LoRA)] x layers
        -> norm -> lm_head (last token only)
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from tailora.engine.lora_weights import LoraWeights, load_lora
from tailora.engine.packing import GROUP, Packed, load_packed
from tailora_adapters.errors import ModelCorrupt

__all__ = ["LeanDecoder", "LeanState", "supports"]

_FEW = 6
"""Up to so many tokens at once, the packed weights are faster."""

_GROUPS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}


def supports(config: dict[str, Any]) -> bool:
    """Whether this decoder computes what transformers does for a model with this ``config.json``."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return (
        config.get("model_type") in ("qwen2", "llama")
        and config.get("hidden_act") == "silu"
        and rope.get("rope_type", rope.get("type", "default")) == "default"
        and not config.get("use_sliding_window")
        and not config.get("mlp_bias")
        and all(config[key] % GROUP == 0 for key in ("hidden_size", "intermediate_size"))
    )


class LeanState:
    """Keys and values of the tokens read: (layers, kv heads, capacity, head width) each."""

    def __init__(self, layers: int, heads: int, width: int, capacity: int, dtype: torch.dtype) -> None:
        self.tokens: list[int] = []
        self.k = torch.empty((layers, heads, capacity, width), dtype=dtype)
        self.v = torch.empty((layers, heads, capacity, width), dtype=dtype)

    def crop(self, length: int) -> None:
        """Forgets all tokens after the first ``length``."""
        del self.tokens[length:]

    def copy(self, length: int) -> "LeanState":
        """A state of its own with the first ``length`` tokens."""
        layers, heads, capacity, width = self.k.shape
        other = LeanState(layers, heads, width, capacity, self.k.dtype)
        other.tokens = self.tokens[:length]
        other.k[:, :, :length] = self.k[:, :, :length]
        other.v[:, :, :length] = self.v[:, :, :length]
        return other

    def reserve(self, length: int) -> None:
        """Makes room for ``length`` tokens in all."""
        capacity = self.k.shape[2]
        if length > capacity:
            grown = max(length, capacity * 3 // 2)
            self.k = F.pad(self.k, (0, 0, 0, grown - capacity))
            self.v = F.pad(self.v, (0, 0, 0, grown - capacity))


@dataclass(frozen=True, slots=True)
class _Layer:
    norm_in: Tensor
    norm_post: Tensor
    qkv: tuple[Tensor, ...]  # (out, in) each
    bias: Tensor | None  # (q + k + v outputs,)
    o: tuple[Tensor, ...]
    gate_up: tuple[Tensor, ...]
    down: tuple[Tensor, ...]
    packed: dict[str, Packed]


class LeanDecoder:
    """Weights and forward pass. One thread at a time."""

    def __init__(
        self, folder: Path, *, packed: bool, progress: Callable[[float], None] = lambda _: None
    ) -> None:
        """Loads from a converted model's folder.

        Raises:
            ModelCorrupt: a weight is missing.
        """
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._heads: int = config["num_attention_heads"]
        self._kv_heads: int = config["num_key_value_heads"]
        self._hidden: int = config["hidden_size"]
        self._width: int = config.get("head_dim") or self._hidden // self._heads
        self._inner: int = config["intermediate_size"]
        self._layer_count: int = config["num_hidden_layers"]
        self._eps: float = config["rms_norm_eps"]
        self.max_length: int = config["max_position_embeddings"]
        self.packed = packed
        try:
            self._read(load_file(folder / "model.safetensors"), folder, progress)
        except KeyError as error:
            raise ModelCorrupt(
                f"{folder} lacks the weight {error}: run `tailora model pull` again"
            ) from error
        rope = config.get("rope_parameters") or config
        theta = float(rope.get("rope_theta", 10_000.0))
        steps = torch.arange(0, self._width, 2, dtype=torch.float32) / self._width
        angles = torch.outer(torch.arange(self.max_length, dtype=torch.float32), theta**-steps)
        self._cos = torch.cat((angles, angles), dim=-1).cos()  # (positions, width)
        self._sin = torch.cat((angles, angles), dim=-1).sin()

    def _read(self, state: dict[str, Tensor], folder: Path, progress: Callable[[float], None]) -> None:
        self._embedding = state["model.embed_tokens.weight"]
        self._head = state.get("lm_head.weight", self._embedding)
        self._norm = state["model.norm.weight"].float()
        names = [f"layers.{i}.{group}" for i in range(self._layer_count) for group in _GROUPS] + ["lm_head"]

        def dense(name: str) -> Tensor:
            if name == "lm_head":
                return self._head
            _, layer, group = name.split(".")
            return torch.cat([state[f"model.layers.{layer}.{part}.weight"] for part in _GROUPS[group]])

        packs = load_packed(folder, names, dense, progress) if self.packed else {}
        self._head_packed = packs.get("lm_head")
        self._layers = []
        for i in range(self._layer_count):
            at = f"model.layers.{i}."
            weights = {
                group: tuple(state[f"{at}{part}.weight"] for part in parts)
                for group, parts in _GROUPS.items()
            }
            biases = [state.get(f"{at}{part}.bias") for part in _GROUPS["qkv"]]
            self._layers.append(
                _Layer(
                    norm_in=state[at + "input_layernorm.weight"].float(),
                    norm_post=state[at + "post_attention_layernorm.weight"].float(),
                    bias=torch.cat([b for b in biases if b is not None]) if biases[0] is not None else None,
                    packed={group: packs[f"layers.{i}.{group}"] for group in _GROUPS} if self.packed else {},
                    **weights,
                )
            )

    def new_state(self, capacity: int) -> LeanState:
        """An empty state with room for ``capacity`` tokens."""
        return LeanState(self._layer_count, self._kv_heads, self._width, capacity, torch.bfloat16)

    def load_adapter(self, folder: Path) -> LoraWeights:
        """Reads a LoRA for ``forward``.

        Raises:
            AdapterCorrupt: see ``load_lora``.
        """
        q, kv = self._heads * self._width, self._kv_heads * self._width
        widths = {
            "qkv": ((self._hidden, q), (self._hidden, kv), (self._hidden, kv)),
            "o": ((q, self._hidden),),
            "gate_up": ((self._hidden, self._inner), (self._hidden, self._inner)),
            "down": ((self._inner, self._hidden),),
        }
        groups = {
            group: [(part, *sizes) for part, sizes in zip(parts, widths[group], strict=True)]
            for group, parts in _GROUPS.items()
        }
        return load_lora(folder, groups, self._layer_count, torch.bfloat16)

    def drop_adapter(self, adapter: LoraWeights) -> None:
        """What ``load_adapter`` returned is no longer used: nothing else holds it here."""

    @torch.inference_mode()
    def forward(
        self,
        ids: Sequence[int],
        state: LeanState,
        adapter: LoraWeights | None,
        *,
        want_logits: bool = True,
        all_logits: bool = False,
        dense: bool = False,
    ) -> Tensor | None:
        """Reads ``ids`` after what ``state`` holds, and extends it; with ``dense``, never by the packed weights.

        Returns logits, float32: of the last token (vocabulary,), or with ``all_logits`` (len(ids), vocabulary).
        """
        start, count = len(state.tokens), len(ids)
        state.reserve(start + count)
        few = self.packed and count <= _FEW and not dense
        cos, sin = self._cos[start : start + count], self._sin[start : start + count]
        x = self._embedding[torch.tensor(ids)]  # (tokens, hidden)
        for number, layer in enumerate(self._layers):
            h = self._rms(x, layer.norm_in)
            qkv = self._linear(h, layer, "qkv", number, adapter, few)
            if layer.bias is not None:
                qkv = qkv + layer.bias
            attended = self._attention(qkv, state, number, start, cos, sin)
            x = x + self._linear(attended, layer, "o", number, adapter, few)
            h = self._rms(x, layer.norm_post)
            gate, up = torch.split(
                self._linear(h, layer, "gate_up", number, adapter, few), self._inner, dim=-1
            )
            x = x + self._linear(F.silu(gate) * up, layer, "down", number, adapter, few)
        state.tokens.extend(ids)
        if not want_logits:
            return None
        x = self._rms(x if all_logits else x[-1:], self._norm)
        logits = _int4(x, self._head_packed) if self._head_packed and few else x @ self._head.T
        return logits.float() if all_logits else logits[0].float()

    def _linear(
        self, x: Tensor, layer: _Layer, group: str, number: int, adapter: LoraWeights | None, few: bool
    ) -> Tensor:
        """(tokens, in) -> (tokens, out of all projections of the group)."""
        if few:
            y = _int4(x, layer.packed[group])
        else:
            parts = [F.linear(x, weight) for weight in getattr(layer, group)]
            y = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        lora = adapter.get((number, group)) if adapter else None
        return y if lora is None else y + lora.delta(x)

    def _attention(
        self, qkv: Tensor, state: LeanState, number: int, start: int, cos: Tensor, sin: Tensor
    ) -> Tensor:
        count, heads, kv, width = qkv.shape[0], self._heads, self._kv_heads, self._width
        end = start + count
        q, k, v = torch.split(qkv.view(count, heads + 2 * kv, width), [heads, kv, kv], dim=1)
        q, k = _rope(q, cos, sin), _rope(k, cos, sin)
        state.k[number, :, start:end] = k.transpose(0, 1)
        state.v[number, :, start:end] = v.transpose(0, 1)
        keys, values = state.k[number, :, :end], state.v[number, :, :end]  # (kv, end, width)
        if count == 1:
            # Plain matmuls: the fused CPU kernel is an order of magnitude slower for one query with grouped heads.
            grouped = q.view(kv, heads // kv, width)
            scores = (grouped @ keys.transpose(1, 2)).float() * width**-0.5  # (kv, group, end)
            weighted: Tensor = scores.softmax(-1).to(values.dtype) @ values
            return weighted.reshape(1, heads * width)
        mask = None
        if start:
            mask = torch.ones((count, end), dtype=torch.bool).tril(diagonal=start)
        out = F.scaled_dot_product_attention(
            q.transpose(0, 1)[None],
            keys[None],
            values[None],
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=True,
        )  # (1, heads, tokens, width)
        return out[0].transpose(0, 1).reshape(count, heads * width)

    def _rms(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x.float(), (self._hidden,), weight, self._eps).to(x.dtype)


def _int4(x: Tensor, packed: Packed) -> Tensor:
    product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed[0], GROUP, packed[1])
    return product


def _rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates (tokens, heads, width) by position, in float32 as transformers does for these models' tables."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return (x * cos[:, None] + turned * sin[:, None]).to(x.dtype)
