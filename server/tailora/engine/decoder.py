"""A lean decoder for the Llama and Qwen2 family on CPUs.

Two representations of the same weights, chosen per call by the number of tokens: dense (8 bits, or bfloat16 as stored)
for long inputs, where arithmetic is the limit, and packed for a few tokens, where memory bandwidth is: 5 bits and
compiled code (``native``), or 4 bits and torch's kernel where there is no compiler. What an adapter does is added
unmerged, so that one is chosen per request; its tokens ahead of all others are read once. Knows nothing of text,
prompts or requests.

    ids -> embed -> [norm -> qkv (+LoRA) -> rope -> attention -> o (+LoRA, bottleneck)
                     -> norm -> gate, up (+LoRA) -> down (+LoRA, bottleneck)] x layers
        -> norm -> lm_head (last token only)

The residual stream is float32. A long input can be stopped between two layers; what was computed stays in the state and
is taken up again if the same input comes next, so that someone who types faster than a prompt is read loses nothing.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from tailora.engine.adapter_weights import (
    FEW,
    AdapterWeights,
    FewBottleneck,
    LayerChange,
    load_weights,
    stored_weight,
)
from tailora.engine.eight_bits import load_eight_bits
from tailora.engine.native.build import library
from tailora.engine.native.model import (
    MOST_TOKENS,
    NativeAdapter,
    NativeChange,
    NativeLayer,
    NativeModel,
    NativeVariant,
)
from tailora.engine.native.weights import load_five
from tailora.engine.packing import GROUP, Packed, load_packed
from tailora.engine.widened import widened_linear
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.base.compiled import NativeUnavailable
from tailora_adapters.base.eight_bits import EightBits
from tailora_adapters.errors import ModelCorrupt

__all__ = ["BLOCK", "LeanAdapter", "LeanDecoder", "LeanState", "supports"]

_log = logging.getLogger(__name__)

BLOCK = 64
"""Keys are multiplied in whole blocks; tokens that are to come out as if written alone must not cross one."""

_GROUPS = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}

_MOST_GUESSES = 7
_MOST_TORCH_GUESSES = 3
"""More tokens than four at once cost torch's 4-bit kernel twice the time."""

_EIGHT = ("o", "gate_up", "down")
"""In 8 bits for long inputs, where that is wanted. Half of what would be lost is lost on queries and keys, for 7 % of
the arithmetic: they stay in 16 (docs/experiments.md)."""


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


@dataclass(frozen=True, slots=True)
class _Halted:
    """An input that was stopped before ``layer``."""

    ids: list[int]
    layer: int
    x: Tensor  # (tokens, hidden)


class LeanState:
    """Keys and values of the tokens read: (layers, kv heads, capacity, head width) each. ``ahead``: so many of an
    adapter's own come first, and are none of ``tokens``."""

    def __init__(
        self, layers: int, heads: int, width: int, capacity: int, dtype: torch.dtype, ahead: int = 0
    ) -> None:
        self.tokens: list[int] = []
        self.ahead = ahead
        self.halted: _Halted | None = None
        self.prompt_end: tuple[int, Tensor] | None = None
        """Length of the prompt that was read last, and the logits behind it."""
        # Zeros, as attention multiplies what lies behind the last token by 0; and whole blocks.
        capacity = -(-(ahead + capacity) // BLOCK) * BLOCK
        self.k = torch.zeros((layers, heads, capacity, width), dtype=dtype)
        self.v = torch.zeros((layers, heads, capacity, width), dtype=dtype)

    @property
    def length(self) -> int:
        """Of what stands in it, tokens ahead included."""
        return self.ahead + len(self.tokens)

    @property
    def halted_ids(self) -> list[int]:
        """The input after ``tokens`` that was stopped between two layers."""
        return self.halted.ids if self.halted is not None else []

    def crop(self, length: int) -> None:
        """Forgets all tokens after the first ``length``."""
        if length < len(self.tokens):
            self.halted = None
            del self.tokens[length:]
        if length < self.prompt_length:
            self.prompt_end = None

    @property
    def prompt_length(self) -> int:
        """Length of the prompt whose last logits are kept; 0 for none."""
        return self.prompt_end[0] if self.prompt_end is not None else 0

    def copy(self, length: int) -> "LeanState":
        """A state of its own with the first ``length`` tokens."""
        layers, heads, capacity, width = self.k.shape
        other = LeanState(layers, heads, width, capacity - self.ahead, self.k.dtype, self.ahead)
        other.tokens = self.tokens[:length]
        other.prompt_end = self.prompt_end if self.prompt_length <= length else None
        end = self.ahead + length
        other.k[:, :, :end] = self.k[:, :, :end]
        other.v[:, :, :end] = self.v[:, :, :end]
        return other

    def reserve(self, length: int) -> None:
        """Makes room for ``length`` tokens in all, those ahead included."""
        capacity = self.k.shape[2]
        if length > capacity:
            grown = -(-max(length, capacity * 3 // 2) // BLOCK) * BLOCK
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
    eight: dict[str, EightBits]


@dataclass(frozen=True, slots=True)
class LeanAdapter:
    """An adapter, for torch and for the compiled code."""

    weights: AdapterWeights
    native: NativeAdapter | None
    norm: Tensor | None
    """In place of the last norm's weight, with the root of the width in it."""
    ahead: "LeanState | None" = None
    """Keys and values of its tokens ahead of all others."""


_NO_CHANGE = LayerChange()


class LeanDecoder:
    """Weights and forward pass. One thread at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        packed: bool,
        native: bool = False,
        eight: bool = False,
        float32: bool = False,
        few: int = FEW,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Loads from a converted model's folder.

        Args:
            packed: Whether a few tokens are computed from packed weights.
            native: Whether that is done by compiled code, from weights in 5 bits, instead of by torch from 4. Where
                there is no such code, torch serves; that is logged.
            eight: Whether more are computed from weights in 8 bits.
            float32: The dense weights are widened on the fly, for processors that multiply in bfloat16 slowly.
            few: Up to so many tokens the packed weights are faster; at most ``FEW``, or ``MOST_TOKENS`` by compiled
                code.

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
        self._folder = folder
        self._shape = Shape.from_config(config)
        self.packed = packed
        self._eight = eight
        self._float32 = float32
        if packed and native:
            try:
                library()
            except NativeUnavailable as reason:
                _log.warning("%s: torch serves instead, in twice the time", reason)
                native = False
        self._few = min(few, MOST_TOKENS if native else FEW)
        rope = config.get("rope_parameters") or config
        theta = float(rope.get("rope_theta", 10_000.0))
        steps = torch.arange(0, self._width, 2, dtype=torch.float32) / self._width
        angles = torch.outer(torch.arange(self.max_length, dtype=torch.float32), theta**-steps)
        self._cos = torch.cat((angles, angles), dim=-1).cos()  # (positions, width)
        self._sin = torch.cat((-angles, angles), dim=-1).sin()
        self._future = torch.full((FEW, FEW + BLOCK), -torch.inf).triu(diagonal=1)
        self._native: NativeModel | None = None
        shape = Shape.from_config(config) if packed and native else None
        try:
            self._read(load_file(folder / "model.safetensors"), folder, shape, progress)
        except KeyError as error:
            raise ModelCorrupt(
                f"{folder} lacks the weight {error}: run `tailora model pull` again"
            ) from error

    def _read(
        self, state: dict[str, Tensor], folder: Path, native: Shape | None, progress: Callable[[float], None]
    ) -> None:
        self._embedding = state["model.embed_tokens.weight"]
        self._head = state.get("lm_head.weight", self._embedding)
        root = self._hidden**0.5
        self._root_eps = torch.tensor(self._eps * self._hidden).sqrt()
        self._norm = state["model.norm.weight"].float() * root
        names = [f"layers.{i}.{group}" for i in range(self._layer_count) for group in _GROUPS] + ["lm_head"]

        def dense(name: str) -> Tensor:
            if name == "lm_head":
                return self._head
            _, layer, group = name.split(".")
            return torch.cat([state[f"model.layers.{layer}.{part}.weight"] for part in _GROUPS[group]])

        share = 0.6 if self._eight else 1.0

        def packing(done: float) -> None:
            progress(share * done)

        packs = load_packed(folder, names, dense, packing) if self.packed and native is None else {}
        fives = load_five(folder, names, dense, packing) if native is not None else {}
        eights = (
            load_eight_bits(
                folder,
                [name for name in names if name.endswith(_EIGHT)],
                dense,
                lambda done: progress(share + (1 - share) * done),
            )
            if self._eight
            else {}
        )
        self._head_packed = packs.get("lm_head")
        self._layers = []
        for i in range(self._layer_count):
            at = f"model.layers.{i}."
            weights = {
                group: ()
                if eights and group in _EIGHT
                else tuple(state[f"{at}{part}.weight"] for part in parts)
                for group, parts in _GROUPS.items()
            }
            biases = [state.get(f"{at}{part}.bias") for part in _GROUPS["qkv"]]
            self._layers.append(
                _Layer(
                    norm_in=state[at + "input_layernorm.weight"].float() * root,
                    norm_post=state[at + "post_attention_layernorm.weight"].float() * root,
                    bias=torch.cat([b for b in biases if b is not None]) if biases[0] is not None else None,
                    packed={group: packs[f"layers.{i}.{group}"] for group in _GROUPS} if packs else {},
                    eight={group: eights[f"layers.{i}.{group}"] for group in _EIGHT} if eights else {},
                    **weights,
                )
            )
        if native is not None:
            self._native_layers = [
                NativeLayer(
                    layer.norm_in,
                    layer.norm_post,
                    layer.bias,
                    {group: fives[f"layers.{i}.{group}"] for group in _GROUPS},
                )
                for i, layer in enumerate(self._layers)
            ]
            self._native = NativeModel(
                native,
                self._native_layers,
                root_eps=float(self._root_eps),
                cosine=self._cos,
                sine=self._sin,
                norm=self._norm,
                head=fives["lm_head"],
            )

    def new_state(self, capacity: int, adapter: LeanAdapter | None = None) -> LeanState:
        """An empty state with room for ``capacity`` tokens; with an ``adapter``, for that one alone."""
        ahead = adapter.ahead if adapter is not None else None
        count = ahead.ahead if ahead is not None else 0
        state = LeanState(self._layer_count, self._kv_heads, self._width, capacity, torch.bfloat16, count)
        if ahead is not None:
            state.k[:, :, :count] = ahead.k[:, :, :count]
            state.v[:, :, :count] = ahead.v[:, :, :count]
        return state

    def load_adapter(self, folder: Path) -> LeanAdapter:
        """Reads an adapter for ``forward``.

        Raises:
            AdapterCorrupt: see ``load_weights``.
        """
        many = torch.float32 if self._float32 else torch.bfloat16
        weights = load_weights(
            folder, self._shape, _GROUPS, many, lambda name: stored_weight(self._folder, name)
        )
        root = self._hidden**0.5
        layers = {
            number: replace(
                change,
                norm_in=None if change.norm_in is None else change.norm_in * root,
                norm_post=None if change.norm_post is None else change.norm_post * root,
            )
            for number, change in weights.layers.items()
        }
        weights = replace(weights, layers=layers)
        norm = None if weights.norm is None else weights.norm * root
        adapter = LeanAdapter(weights, self._native_adapter(weights, norm), norm)
        return replace(adapter, ahead=self._read_ahead(adapter)) if len(weights.ahead) else adapter

    def _native_adapter(self, weights: AdapterWeights, norm: Tensor | None) -> NativeAdapter | None:
        if self._native is None:
            return None
        changes: dict[tuple[int, str], NativeChange] = {}
        behind = {"o": "after_attention", "down": "after_mlp"}
        for number in range(self._layer_count):
            layer = weights.layers.get(number, _NO_CHANGE)
            for group in _GROUPS:
                change = weights.groups.get((number, group))
                bottleneck: FewBottleneck | None = getattr(layer, behind[group]) if group in behind else None
                if change is None and bottleneck is None:
                    continue
                low = change.low_rank if change is not None else None
                changes[number, group] = NativeChange(
                    (low.one_a.T, low.one_b) if low is not None else None,
                    change.gain if change is not None else None,
                    bottleneck.transposed if bottleneck is not None else None,
                )
        return NativeAdapter(self._layer_count, changes, self._variant(weights, norm))

    def _variant(self, weights: AdapterWeights, norm: Tensor | None) -> NativeVariant | None:
        """The compiled code's model for an adapter with norms or biases of its own."""
        other = norm is not None or any(
            part is not None
            for layer in weights.layers.values()
            for part in (layer.norm_in, layer.norm_post, layer.shift)
        )
        if self._native is None or not other:
            return None
        layers = []
        for number, native in enumerate(self._native_layers):
            change = weights.layers.get(number, _NO_CHANGE)
            layers.append(
                NativeLayer(
                    native.norm_in if change.norm_in is None else change.norm_in,
                    native.norm_post if change.norm_post is None else change.norm_post,
                    _sum(native.bias, change.shift),
                    native.records,
                )
            )
        return self._native.variant(layers, self._norm if norm is None else norm)

    @torch.inference_mode()
    def _read_ahead(self, adapter: LeanAdapter) -> LeanState:
        """A state with nothing but the adapter's tokens ahead of all others."""
        ahead = adapter.weights.ahead
        state = LeanState(self._layer_count, self._kv_heads, self._width, 0, torch.bfloat16, len(ahead))
        if ahead.keys_values is not None:  # (layers, 2, tokens, kv heads, width)
            state.k[:, :, : len(ahead)] = ahead.keys_values[:, 0].transpose(1, 2)
            state.v[:, :, : len(ahead)] = ahead.keys_values[:, 1].transpose(1, 2)
        elif ahead.embeddings is not None:
            self._through(ahead.embeddings.float(), 0, state, 0, adapter, few=False)
        return state

    def guessable(self, state: LeanState) -> int:
        """How many guessed tokens can be read behind the next one so that every result is, bit for bit, what it
        would be alone: the packed weights' kernel works row by row, the dense weights' does not."""
        if not self.packed:
            return 0
        if self._native is not None:
            return min(self._few, _MOST_GUESSES + 1) - 1
        return max(0, min(self._few, _MOST_TORCH_GUESSES + 1, BLOCK - state.length % BLOCK) - 1)

    def drop_adapter(self, adapter: LeanAdapter) -> None:
        """What ``load_adapter`` returned is no longer used: nothing else holds it here."""

    @torch.inference_mode()
    def forward(
        self,
        ids: Sequence[int],
        state: LeanState,
        adapter: LeanAdapter | None,
        *,
        want_logits: bool = True,
        all_logits: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Tensor | None:
        """Reads ``ids`` after what ``state`` holds, and extends it.

        Returns logits, float32: of the last token (vocabulary,), or with ``all_logits`` (len(ids), vocabulary).
        None where none are wanted, or where ``cancelled`` was true between two layers of an input too long for
        the packed weights; the state is then not extended, but holds what was computed for the next call with
        the same ``ids``.
        """
        start, count = state.length, len(ids)
        state.reserve(start + count)
        few = self.packed and count <= self._few
        if few and self._native is not None:
            state.halted = None
            x = F.embedding(torch.tensor(ids), self._embedding).float()
            native = adapter.native if adapter is not None else None
            wanted = 0 if not want_logits else count if all_logits else 1
            found = self._native.step(x, state.k, state.v, start, native, wanted)
            state.tokens.extend(ids)
            return (found if all_logits else found[0]) if want_logits else None
        halted, state.halted = state.halted, None
        if halted is not None and halted.ids == ids:
            x, first = halted.x, halted.layer
        else:
            x, first = F.embedding(torch.tensor(ids), self._embedding).float(), 0  # (tokens, hidden)
        x, reached = self._through(x, first, state, start, adapter, few=few, cancelled=cancelled)
        if reached < self._layer_count:
            state.halted = _Halted(list(ids), reached, x)
            return None
        state.tokens.extend(ids)
        if not want_logits:
            return None
        x = x if all_logits else x[-1:]
        own_norm = adapter.norm if adapter is not None else None
        if self._native is not None and len(x) <= MOST_TOKENS:
            logits = self._native.logits(x, own_norm)
            return logits if all_logits else logits[0]
        x = self._rms(x, self._norm if own_norm is None else own_norm)
        packed = self._head_packed if len(x) <= FEW else None
        logits = _int4(x, packed) if packed else self._dense(x, self._head)
        return logits.float() if all_logits else logits[0].float()

    def _through(
        self,
        x: Tensor,
        first: int,
        state: LeanState,
        start: int,
        adapter: LeanAdapter | None,
        *,
        few: bool,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[Tensor, int]:
        """``x`` (tokens, hidden) behind ``start`` others, from layer ``first`` on; and the layer before which it was
        stopped, or the number of layers."""
        count = len(x)
        weights = adapter.weights if adapter is not None else None
        cos, sin = self._cos[start : start + count, None], self._sin[start : start + count, None]
        keys, values = state.k.unbind(0), state.v.unbind(0)
        mask = self._mask(start, count) if count <= FEW else None
        for number in range(first, self._layer_count):
            if count > FEW and cancelled():
                return x, number
            layer = self._layers[number]
            change = weights.layers.get(number, _NO_CHANGE) if weights is not None else _NO_CHANGE
            h = self._rms(x, layer.norm_in if change.norm_in is None else change.norm_in)
            qkv = self._linear(h, layer, "qkv", number, weights, few)
            if (bias := _sum(layer.bias, change.shift)) is not None:
                qkv = qkv + bias
            attended = self._attention(qkv, keys[number], values[number], start, cos, sin, mask)
            out = self._linear(attended, layer, "o", number, weights, few)
            x = x + (change.after_attention(out) if change.after_attention else out)
            h = self._rms(x, layer.norm_post if change.norm_post is None else change.norm_post)
            gate, up = torch.split(
                self._linear(h, layer, "gate_up", number, weights, few), self._inner, dim=-1
            )
            h = F.silu(gate).mul_(up).float()
            out = self._linear(h, layer, "down", number, weights, few)
            x = x + (change.after_mlp(out) if change.after_mlp else out)
        return x, self._layer_count

    def _linear(
        self, x: Tensor, layer: _Layer, group: str, number: int, weights: AdapterWeights | None, few: bool
    ) -> Tensor:
        """(tokens, in) float32 -> (tokens, out of all projections of the group)."""
        if few:
            y = _int4(x, layer.packed[group])
        elif group in layer.eight:
            y = layer.eight[group].multiply(x)
        else:
            short = x if self._float32 else x.to(torch.bfloat16)
            parts = [self._dense(short, weight) for weight in getattr(layer, group)]
            y = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        change = weights.groups.get((number, group)) if weights is not None else None
        return y if change is None else change.add_to(y, x)

    def _dense(self, x: Tensor, weight: Tensor) -> Tensor:
        return widened_linear(x, weight) if self._float32 else F.linear(x.to(torch.bfloat16), weight)

    def _mask(self, start: int, count: int) -> Tensor:
        """What to add to the scores of a few tokens: (1, tokens * heads a kv head, whole blocks of keys)."""
        padded = -(-(start + count) // BLOCK) * BLOCK
        mask = torch.zeros((count, padded))
        mask[:, start:] = self._future[:count, : padded - start]
        return mask.repeat_interleave(self._heads // self._kv_heads, 0)[None]

    def _attention(
        self,
        qkv: Tensor,
        keys: Tensor,
        values: Tensor,
        start: int,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """(tokens, all heads * width) -> (tokens, heads * width); writes into ``keys`` and ``values``, (kv heads,
        capacity, width) each. ``mask`` is that of a few tokens."""
        count, heads, kv, width = qkv.shape[0], self._heads, self._kv_heads, self._width
        end = start + count
        qkv = qkv.view(count, heads + 2 * kv, width)
        q, k = torch.split(_rope(qkv[:, : heads + kv], cos, sin), [heads, kv], dim=1)
        keys[:, start:end] = k.transpose(0, 1)
        values[:, start:end] = qkv[:, heads + kv :].transpose(0, 1)
        if mask is not None:
            padded = mask.shape[-1]
            attended = self._attend_few(q, keys[:, :padded], values[:, :padded], mask)
        else:
            attended = self._attend_many(q, keys[:, :end], values[:, :end])
        return attended.reshape(count, heads * width).float()

    def _attend_few(self, q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """(tokens, heads, width), (kv heads, padded, width) twice -> (tokens, heads, width).

        Plain float32 matmuls: the fused CPU kernel is an order of magnitude slower for so few queries with
        grouped heads, and so is a matmul in bfloat16. A token's result is the same, bit for bit, whether it
        comes alone or with others: the matmuls run over whole blocks of ``BLOCK`` keys, as their sums depend on the
        length.
        """
        count, kv, width = q.shape[0], self._kv_heads, self._width
        grouped = (
            q.view(count, kv, -1, width).transpose(0, 1).reshape(kv, -1, width)
        )  # (kv, tokens * group, width)
        scores = torch.baddbmm(mask, grouped, keys.float().transpose(1, 2), alpha=width**-0.5)
        weighted = scores.softmax(-1) @ values.float()
        return weighted.view(kv, count, -1, width).transpose(0, 1)

    def _attend_many(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(tokens, heads, width), (kv heads, end, width) twice -> (tokens, heads, width)."""
        count, end = q.shape[0], keys.shape[1]
        q = q.to(keys.dtype)
        mask = None
        if end > count:
            mask = torch.ones((count, end), dtype=torch.bool).tril(diagonal=end - count)
        out = F.scaled_dot_product_attention(
            q.transpose(0, 1)[None],
            keys[None],
            values[None],
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=True,
        )  # (1, heads, tokens, width)
        attended: Tensor = out[0].transpose(0, 1)
        return attended

    def _rms(self, x: Tensor, weight: Tensor) -> Tensor:
        """x / sqrt(mean(x^2) + eps) * weight, float32; ``weight`` holds the square root of the width already."""
        length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        normed: Tensor = (x * weight) / torch.hypot(length, self._root_eps)
        return normed


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return one if other is None else other if one is None else one + other


def _int4(x: Tensor, packed: Packed) -> Tensor:
    product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(
        x.to(torch.bfloat16), packed[0], GROUP, packed[1]
    )
    return product


def _rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates (tokens, heads, width) by position, to float32; the first half of ``sin`` carries the minus sign."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)
