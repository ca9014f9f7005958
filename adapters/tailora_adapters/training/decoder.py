"""What training and measuring need of a model: two halves, cut at a layer, over sequences without padding.

::

    ids -> embedding -> layers[:k] -> kept activations -> layers[k:] -> norm -> output matrix at the labels only
           '------ no gradients, once ------'            '---- gradients, every epoch ----'

Sequences lie one behind the other: ids (tokens,), activations (tokens, hidden), ``lengths`` says where each ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor, nn

from tailora_adapters.base import eight_bits

__all__ = ["Cache", "Decoder", "make_decoder"]


@dataclass(slots=True)
class Cache:
    """Keys and values by layer and sequence, for tokens that are yet to come."""

    layers: dict[int, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)
    lengths: list[int] = field(default_factory=list)
    """Tokens of each sequence that all layers have read."""

    def to(self, dtype: torch.dtype) -> "Cache":
        """Another one that may grow by itself."""
        return Cache(
            {
                layer: [(keys.to(dtype), values.to(dtype)) for keys, values in pairs]
                for layer, pairs in self.layers.items()
            },
            list(self.lengths),
        )

    def crop(self, lengths: Sequence[int]) -> None:
        """Forgets what stands behind so many tokens of each sequence."""
        for layer, pairs in self.layers.items():
            self.layers[layer] = [
                (keys[:length], values[:length])
                for (keys, values), length in zip(pairs, lengths, strict=True)
            ]
        self.lengths = list(lengths)


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


def make_decoder(model: PeftModel | nn.Module, first_layer: int) -> Decoder:
    """The fastest that fits the model and its device. What lies below ``first_layer`` is as it is now."""
    from tailora_adapters.training.lean import LeanDecoder
    from tailora_adapters.training.split import SplitDecoder

    if next(model.parameters()).device.type != "cpu":
        return SplitDecoder(model, first_layer)
    try:
        return LeanDecoder(model, first_layer, eight_bits=_fast_eight_bits(model))
    except ValueError:
        return SplitDecoder(model, first_layer)


def _fast_eight_bits(model: nn.Module) -> bool:
    """Whether 8-bit products are right here; these processors have VNNI, and are faster with it."""
    width: int = model.config.hidden_size  # type: ignore[union-attr,assignment]
    return eight_bits.is_right(width)
