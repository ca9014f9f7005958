"""Decoding by a compiled forward pass over keys and values that stay in one place, as CUDA graphs need them.

A token of a small model is mostly launches of kernels, which a recorded graph saves; it wants the same addresses and
shapes every time. So there is one slot, which a sequence is copied into when its next token comes, and what was
written there is brought back when the sequence is needed elsewhere. The sizes and the gain on CUDA are not measured
yet. Knows nothing of states, prompts or peft: a sequence is its cache, an adapter a key. The caller sees to it that
the model computes with what the key names, and that whoever reads a cache calls ``bring_back`` first.
"""

import logging
from collections.abc import Callable
from types import FunctionType

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, StaticCache
from transformers.cache_utils import StaticLayer

__all__ = ["StaticDecode", "reduce_overhead"]

_log = logging.getLogger(__name__)

Step = Callable[[Tensor], Tensor]
"""Logits (1, 1, vocabulary) of one token id (1, 1)."""

_CAPACITY = 2_048
"""Tokens that the slot holds: more than a usual prompt and its suggestion. Attention reads all of it every time."""


def reduce_overhead(step: Step) -> Step:
    """Compiled by torch's inductor, replayed as CUDA graphs."""
    return torch.compile(step, mode="reduce-overhead", dynamic=False)


class StaticDecode:
    """The slot, and a compiled forward pass for each key. Always on the same thread: CUDA graphs belong to it."""

    def __init__(self, compiler: Callable[[Step], Step] = reduce_overhead, capacity: int = _CAPACITY) -> None:
        self._compiler = compiler
        self._capacity = capacity
        self._slot: StaticCache | None = None
        self._held: DynamicCache | None = None
        """The cache whose newest tokens are in the slot alone."""
        self._length = 0
        """Tokens of ``_held``, those that only the slot has included."""
        self._steps: dict[str | None, Step] = {}
        self._failed = False

    def step(self, model: PreTrainedModel, token: int, cache: DynamicCache, key: str | None) -> Tensor | None:
        """Logits (1, vocabulary) of ``token`` behind ``cache``, float32 on the CPU.

        None where the plain forward pass has to serve: the cache is empty or exceeds the slot, or this call or one
        before it failed. The cache has lost nothing then.
        """
        length = self._length if self._held is cache else cache.get_seq_length()
        if self._failed or not 0 < length < self._capacity:
            return None
        try:
            # Tensors of the inference mode would be a case that torch.compile meets nowhere else.
            with torch.inference_mode(False), torch.no_grad():  # in this order: the former turns gradients on
                if self._held is not cache:
                    self._take_in(model, cache)
                if key not in self._steps:
                    _log.info("compiling the forward pass: the first tokens take longer")
                    self._steps[key] = self._compile(model)
                logits = self._steps[key](torch.tensor([[token]], device=model.device))[0].float().cpu()
        except Exception:  # noqa: BLE001 - whatever compilers and drivers raise: the plain pass goes on
            _log.warning("no compiled decoding: suggestions are right, but slower", exc_info=True)
            self._failed = True
            self.forget()
            if self._held is None:
                self._slot = None
            return None
        self._length += 1
        return logits

    def bring_back(self, cache: DynamicCache) -> None:
        """Adds to ``cache`` what only the slot has of it. The slot is free then."""
        if self._held is None or self._held is not cache:
            return
        assert self._slot is not None
        for dynamic, static in zip(cache.layers, self._slot.layers, strict=True):
            new = slice(dynamic.get_seq_length(), self._length)
            dynamic.update(static.keys[:, :, new], static.values[:, :, new])
        self._held = None
        if self._failed:
            self._slot = None

    def forget(self) -> None:
        """Drops what was compiled, for all keys: the model's modules change, or are no longer served.

        Dropping the callables would not do: torch keeps what it compiled for each code object.
        """
        if self._steps:
            self._steps.clear()
            torch.compiler.reset()

    def _take_in(self, model: PreTrainedModel, cache: DynamicCache) -> None:
        if self._held is not None:
            self.bring_back(self._held)
        slot = self._allocate(model, cache) if self._slot is None else self._slot
        slot.reset()  # in place; what another sequence left would be masked, but NaN times 0 is NaN
        length = cache.get_seq_length()
        for static, dynamic in zip(slot.layers, cache.layers, strict=True):
            static.keys[:, :, :length].copy_(dynamic.keys)
            static.values[:, :, :length].copy_(dynamic.values)
            static.cumulative_length.fill_(length)  # positions and the mask follow from it
        self._slot = slot
        self._held, self._length = cache, length

    def _allocate(self, model: PreTrainedModel, cache: DynamicCache) -> StaticCache:
        slot = StaticCache(config=model.config, max_cache_len=self._capacity)
        if any(type(layer) is not StaticLayer for layer in slot.layers):
            raise NotImplementedError("layers that keep anything but all keys and values")
        for static, dynamic in zip(slot.layers, cache.layers, strict=True):
            static.lazy_initialization(dynamic.keys, dynamic.values)
        return slot

    def _compile(self, model: PreTrainedModel) -> Step:
        slot = self._slot

        def step(ids: Tensor) -> Tensor:
            logits: Tensor = model(input_ids=ids, cache=slot, use_cache=True, logits_to_keep=1).logits
            return logits

        # A code object for every key: they share neither graphs nor the limit of recompilations.
        own = FunctionType(step.__code__.replace(), globals(), "step", None, step.__closure__)
        return self._compiler(own)
