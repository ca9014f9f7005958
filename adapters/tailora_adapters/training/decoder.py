"""What training and measuring need of a model: two halves, cut at a layer, over sequences without padding.

::

    ids -> embedding -> layers[:k] -> kept activations -> layers[k:] -> norm -> output matrix at the labels only
           '------ no gradients, once ------'            '---- gradients, every epoch ----'

Sequences lie one behind the other: ids (tokens,), activations (tokens, hidden), ``lengths`` says where each ends.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import psutil
import torch
from peft import PeftModel
from torch import Tensor, nn

from tailora_adapters.base import eight_bits
from tailora_adapters.base.device import fast_dtype
from tailora_adapters.methods.attached import Attached, attached

__all__ = ["Cache", "Decoder", "make_decoder"]

_MORE_ROOM = 32
"""Tokens of each sequence, where a cache grows."""
_SPARE = 1.5
"""So many times the weights in float32 must be free for them."""


@dataclass(slots=True)
class Cache:
    """Keys and values of the tokens read so far, for those that are yet to come."""

    layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Of each layer, both (sequences, room, kv heads, width); behind a sequence's length stands nothing that counts."""
    lengths: list[int] = field(default_factory=list)
    """Tokens of each sequence that all layers have read."""
    ahead: int = 0
    """Tokens of an adapter's that stand ahead of each sequence, and do not count as its own."""

    def places(self, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Rows and columns, both (tokens,), of so many tokens more of each sequence."""
        before = self.lengths or [0] * len(lengths)
        rows = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        starts = [self.ahead + begin for begin in before]
        columns = [torch.arange(begin, begin + count) for begin, count in zip(starts, lengths, strict=True)]
        return rows, torch.cat(columns)

    def begin(self, layer: int, keys: Tensor, values: Tensor, sequences: int) -> None:
        """Puts what stands ahead, (tokens, kv heads, width), before each of the layer's sequences."""
        self.layers[layer] = (
            keys.expand(sequences, *keys.shape).contiguous(),
            values.expand(sequences, *values.shape).contiguous(),
        )

    def append(
        self, layer: int, keys: Tensor, values: Tensor, places: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, with these (tokens, kv heads, width) at ``places``. ``lengths`` stay as they are
        until all layers have them."""
        old = self.layers.get(layer, (keys[:0, None], values[:0, None]))
        rows, room = int(places[0].max()) + 1, int(places[1].max()) + 1
        stored = [
            _grown(before, rows, room).index_put_(places, new)
            for before, new in zip(old, (keys, values), strict=True)
        ]
        self.layers[layer] = stored[0], stored[1]
        return self.layers[layer]

    def to(self, dtype: torch.dtype) -> "Cache":
        """Another one that may grow by itself."""
        return Cache(
            {
                layer: (keys.to(dtype, copy=True), values.to(dtype, copy=True))
                for layer, (keys, values) in self.layers.items()
            },
            list(self.lengths),
            self.ahead,
        )

    def keep(self, rows: Sequence[int]) -> None:
        """Forgets all sequences but these."""
        room = self.ahead + max(self.lengths[row] for row in rows) + _MORE_ROOM
        chosen = torch.tensor(rows)
        self.layers = {
            layer: (keys[chosen, :room].contiguous(), values[chosen, :room].contiguous())
            for layer, (keys, values) in self.layers.items()
        }
        self.lengths = [self.lengths[row] for row in rows]

    def crop(self, lengths: Sequence[int]) -> None:
        """Forgets what stands behind so many tokens of each sequence."""
        self.lengths = list(lengths)


def _grown(kept: Tensor, rows: int, room: int) -> Tensor:
    """``kept``, or a copy of it that has room."""
    if kept.shape[0] >= rows and kept.shape[1] >= room:
        return kept
    larger = kept.new_zeros(max(rows, kept.shape[0]), room + _MORE_ROOM, *kept.shape[2:])
    larger[: kept.shape[0], : kept.shape[1]] = kept
    return larger


class Decoder(Protocol):
    """A model in two halves."""

    first_layer: int
    device: torch.device
    caches: bool
    """Whether a ``Cache`` may be given; else whole sequences are read at every call."""

    def lower(self, ids: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """Activations that enter layer ``first_layer``. ids (tokens,) -> (tokens, hidden)."""
        ...

    def upper(self, x: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """(tokens, hidden) -> the last hidden states, (tokens, hidden)."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """(labels, hidden) -> (labels, vocabulary), float32."""
        ...

    @property
    def head_weight(self) -> Tensor:
        """The output matrix, (vocabulary, hidden)."""
        ...

    def without_adapter(self) -> AbstractContextManager[None]:
        """As the base alone for a while."""
        ...


def make_decoder(model: Attached | PeftModel | nn.Module, first_layer: int) -> Decoder:
    """The fastest that fits the model and its device. What lies below ``first_layer`` is as it is now."""
    model = attached(model)
    from tailora_adapters.training.lean import LeanDecoder
    from tailora_adapters.training.split import SplitDecoder

    if model.base.device.type != "cpu":
        return SplitDecoder(model, first_layer)
    try:
        return LeanDecoder(model, first_layer, form=_fast_form(model.base))
    except ValueError:
        return SplitDecoder(model, first_layer)


def _fast_form(model: nn.Module) -> torch.dtype:
    """Of the frozen weights: 8 bits where products of these are right, as such processors have VNNI and are faster with
    it; else float32 where bfloat16 is emulated, if there is memory for it."""
    width: int = model.config.hidden_size  # type: ignore[union-attr,assignment]
    if eight_bits.is_right(width):
        return torch.int8
    needed = 4 * sum(parameter.numel() for parameter in model.parameters())
    if fast_dtype() == torch.float32 and psutil.virtual_memory().available > _SPARE * needed:
        return torch.float32
    return torch.bfloat16
