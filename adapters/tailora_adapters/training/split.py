"""Two halves of any transformers decoder with ``model.layers`` and ``model.norm``, with or without an adapter inside.

Runs where ``lean`` does not: on GPUs, for other families, for other methods. Knows nothing of data or optimizers.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import DynamicCache

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.methods.attached import Attached, attached
from tailora_adapters.methods.effects import Ahead
from tailora_adapters.training.decoder import Cache

__all__ = ["SplitDecoder"]


class SplitDecoder:
    """Two views of one model's modules; parameters are shared, nothing is copied. See ``decoder.Decoder``."""

    caches = False

    def __init__(self, model: Attached | PeftModel | nn.Module, first_layer: int) -> None:
        self._attached = attached(model)
        causal_lm: Any = self._attached.base
        self._shape: dict[str, Any] = causal_lm.config.to_dict()
        self._off = False
        decoder = causal_lm.model
        assert 0 <= first_layer <= len(decoder.layers)
        self.first_layer = first_layer
        self.device: torch.device = causal_lm.device
        self._lower: Any = _view(decoder, decoder.layers[:first_layer], nn.Identity())
        self._upper: Any = _view(decoder, decoder.layers[first_layer:], decoder.norm)
        self._head: Any = causal_lm.lm_head

    @contextmanager
    def without_adapter(self) -> Iterator[None]:
        """As the base alone for a while."""
        layers = [module for module in self._attached.base.modules() if isinstance(module, BaseTunerLayer)]
        self._off = True
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            self._off = False
            for layer in layers:
                layer.enable_adapters(True)

    @torch.no_grad()
    def lower(self, ids: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """Activations that enter layer ``first_layer``. ids (tokens,) -> (tokens, hidden)."""
        assert cache is None
        return _flat(self._lower(input_ids=_padded(ids, lengths), use_cache=False).last_hidden_state, lengths)

    def upper(self, x: Tensor, lengths: Sequence[int], cache: Cache | None = None) -> Tensor:
        """(tokens, hidden) -> the decoder's last hidden states, (tokens, hidden)."""
        assert cache is None
        inputs, more, virtual = _padded(x, lengths), {"use_cache": False}, 0
        ahead = Ahead() if self._off else self._attached.ahead(Shape.from_config(self._shape))
        if ahead.embeddings is not None:
            virtual = len(ahead)
            inputs = torch.cat((ahead.embeddings.to(x.dtype).expand(len(lengths), -1, -1), inputs), dim=1)
        elif ahead.keys_values is not None:
            more = {"use_cache": True, "cache": _cache(ahead.keys_values.to(x.dtype), len(lengths))}
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.dtype == torch.bfloat16):
            hidden = self._upper(inputs_embeds=inputs, **more).last_hidden_state[:, virtual:]
        return _flat(hidden, lengths)

    @property
    def head_weight(self) -> Tensor:
        """The output matrix, (vocabulary, hidden)."""
        return cast(Tensor, self._head.weight)

    def logits(self, hidden: Tensor) -> Tensor:
        """(labels, hidden) -> (labels, vocabulary), float32."""
        return cast(Tensor, self._head(hidden.to(self.head_weight.dtype)).float())


def _padded(flat: Tensor, lengths: Sequence[int]) -> Tensor:
    # Padding on the right needs no mask under causal attention.
    return torch.nn.utils.rnn.pad_sequence(list(flat.split_with_sizes(list(lengths))), batch_first=True)


def _cache(keys_values: Tensor, rows: int) -> DynamicCache:
    """(layers, 2, tokens, kv heads, width) ahead of each of so many rows."""
    cache = DynamicCache()
    for number, layer in enumerate(keys_values):
        keys, values = (part.transpose(0, 1).expand(rows, -1, -1, -1) for part in layer)
        cache.update(keys, values, number)
    return cache


def _flat(padded: Tensor, lengths: Sequence[int]) -> Tensor:
    return torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])


def _view(decoder: nn.Module, layers: nn.ModuleList, norm: nn.Module) -> nn.Module:
    view = copy.copy(decoder)
    view._modules = dict(decoder._modules)
    view.layers = layers
    view.norm = norm
    # transformers loops over layers[: config.num_hidden_layers], which a shorter list satisfies.
    return view
