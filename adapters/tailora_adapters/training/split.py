"""A decoder cut in two at a layer: below it nothing is trained, so that its activations can be kept.

::

    ids -> embedding -> layers[:k] -> kept activations -> layers[k:] -> norm -> lm_head at the labels only
           '------ no gradients, once ------'            '---- gradients, every epoch ----'

Works on any transformers decoder with ``model.layers`` and ``model.norm``, with or without LoRA inside. Knows
nothing of data or optimizers.
"""

import copy
from typing import Any, cast

import torch
from peft import PeftModel
from torch import Tensor, nn

__all__ = ["SplitDecoder"]


class SplitDecoder:
    """Two views of one model's modules; parameters are shared, nothing is copied."""

    def __init__(self, model: PeftModel | nn.Module, first_layer: int) -> None:
        causal_lm: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        decoder = causal_lm.model
        assert 0 <= first_layer <= len(decoder.layers)
        self.first_layer = first_layer
        self.device: torch.device = causal_lm.device
        self._lower: Any = _view(decoder, decoder.layers[:first_layer], nn.Identity())
        self._upper: Any = _view(decoder, decoder.layers[first_layer:], decoder.norm)
        self._head: Any = causal_lm.lm_head

    @torch.no_grad()
    def lower(self, ids: Tensor) -> Tensor:
        """Activations that enter layer ``first_layer``. ids (batch, seq) -> (batch, seq, hidden)."""
        return cast(Tensor, self._lower(input_ids=ids, use_cache=False).last_hidden_state)

    def upper(self, activations: Tensor) -> Tensor:
        """(batch, seq, hidden) -> the decoder's last hidden states, (batch, seq, hidden)."""
        return cast(Tensor, self._upper(inputs_embeds=activations, use_cache=False).last_hidden_state)

    @property
    def head_weight(self) -> Tensor:
        """The frozen output matrix, (vocabulary, hidden)."""
        return cast(Tensor, self._head.weight)

    def logits(self, hidden: Tensor) -> Tensor:
        """(labels, hidden) -> (labels, vocabulary), float32."""
        return cast(Tensor, self._head(hidden).float())


def _view(decoder: nn.Module, layers: nn.ModuleList, norm: nn.Module) -> nn.Module:
    view = copy.copy(decoder)
    view._modules = dict(decoder._modules)
    view.layers = layers
    view.norm = norm
    # transformers loops over layers[: config.num_hidden_layers], which a shorter list satisfies.
    return view
