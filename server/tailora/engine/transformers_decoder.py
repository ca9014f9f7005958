"""Any causal model through transformers' own forward pass: correct, slower than the lean decoder on CPUs.

Serves quantizations by bitsandbytes (NF4, int8), CUDA, and architectures that the lean decoder does not know.
Adapters of every method are kept until whoever asked for them drops them. Single tokens are compiled on CUDA, see
``static_decode``. CUDA figures are not measured yet. Knows nothing of text or requests.
"""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from tailora.engine.adapter_weights import load_effects, stored_weight
from tailora.engine.changed_model import ChangedModel
from tailora.engine.static_decode import StaticDecode
from tailora_adapters.methods.effects import Ahead

__all__ = ["TransformersDecoder", "TransformersState"]


class TransformersState:
    """A ``DynamicCache`` and the tokens that it stands for; ``static`` may hold the newest of its keys and values.
    ``ahead``: keys and values (1, kv heads, tokens, width) of each layer that come first and are none of ``tokens``."""

    halted_ids: tuple[int, ...] = ()
    """Nothing: transformers' forward pass is not stopped half way."""

    def __init__(
        self, static: StaticDecode | None = None, ahead: Sequence[tuple[Tensor, Tensor]] = ()
    ) -> None:
        self.tokens: list[int] = []
        self._static = static
        self._cache = DynamicCache()
        for number, (keys, values) in enumerate(ahead):
            self._cache.update(keys, values, number)
        self._ahead = self._cache.get_seq_length()
        self.prompt_end: tuple[int, Tensor] | None = None
        """Length of the prompt that was read last, and the logits behind it."""

    @property
    def cache(self) -> DynamicCache:
        """Keys and values of all tokens, those ahead included."""
        if self._static is not None:
            self._static.bring_back(self._cache)
        return self._cache

    def step(self, model: PreTrainedModel, token: int, adapter: str | None) -> Tensor | None:
        """``StaticDecode.step`` behind these tokens; None without a ``static``, too."""
        return None if self._static is None else self._static.step(model, token, self._cache, adapter)

    @property
    def prompt_length(self) -> int:
        """Length of the prompt whose last logits are kept; 0 for none."""
        return self.prompt_end[0] if self.prompt_end is not None else 0

    def crop(self, length: int) -> None:
        """Forgets all tokens after the first ``length``."""
        del self.tokens[length:]
        if length < self.prompt_length:
            self.prompt_end = None
        if (excess := self.cache.get_seq_length() - self._ahead - length) > 0:
            self.cache.crop(-excess)

    def copy(self, length: int) -> "TransformersState":
        """A state of its own with the first ``length`` tokens."""
        end = self._ahead + length
        parts = [
            (layer.keys[:, :, :end].clone(), layer.values[:, :, :end].clone()) for layer in self.cache.layers
        ]
        other = TransformersState(self._static, parts)
        other._ahead = self._ahead
        other.tokens = self.tokens[:length]
        other.prompt_end = self.prompt_end if self.prompt_length <= length else None
        return other


class TransformersDecoder:
    """The same calls as ``LeanDecoder``. One thread at a time. ``static`` serves single tokens; without it, there is
    one on CUDA only, and not for int8: it has the processor look for outliers, which graphs cannot record."""

    packed = False

    def __init__(self, model: PreTrainedModel, static: StaticDecode | None = None) -> None:
        self._base = model
        self._changed = ChangedModel(model)
        self._numbers = itertools.count()
        self._ahead: dict[str, list[tuple[Tensor, Tensor]]] = {}
        """Of each adapter that is loaded; see ``TransformersState``."""
        if static is None and model.device.type == "cuda" and not getattr(model, "is_loaded_in_8bit", False):
            static = StaticDecode()
        self._static = static
        self.max_length: int = model.config.max_position_embeddings

    def new_state(self, capacity: int, adapter: str | None = None) -> TransformersState:
        """A state with nothing but the adapter's tokens ahead of all others; it grows as needed."""
        return TransformersState(self._static, self._ahead[adapter] if adapter is not None else ())

    def load_adapter(self, folder: Path) -> str:
        """Loads a PEFT adapter and returns the name that ``forward`` takes until ``drop_adapter``.

        Raises:
            AdapterCorrupt: see ``load_effects``; or the model is none that adapters fit.
        """
        stored = Path(self._base.name_or_path)
        effects = load_effects(folder, self._changed.shape, lambda weight: stored_weight(stored, weight))
        name = f"adapter_{next(self._numbers)}"
        self._modules_change()
        self._changed.add(name, effects)
        self._ahead[name] = self._read_ahead(name, effects.ahead)
        return name

    @torch.inference_mode()
    def _read_ahead(self, name: str, ahead: Ahead) -> list[tuple[Tensor, Tensor]]:
        device, dtype = self._base.device, self._base.dtype
        if ahead.keys_values is not None:  # (layers, 2, tokens, kv heads, width)
            parts = ahead.keys_values.transpose(2, 3).to(device, dtype)
            return [(keys[None], values[None]) for keys, values in parts]
        if ahead.embeddings is None:
            return []
        self._changed.use(name)
        read = DynamicCache()
        self._base(
            inputs_embeds=ahead.embeddings[None].to(device, dtype),
            cache=read,
            use_cache=True,
            logits_to_keep=1,
        )
        return [(layer.keys, layer.values) for layer in read.layers]

    def guessable(self, state: TransformersState) -> int:
        """None: nothing promises that a token's result is the same in company."""
        return 0

    def drop_adapter(self, adapter: str) -> None:
        """Unloads an adapter."""
        self._modules_change()
        self._changed.remove(adapter)
        del self._ahead[adapter]

    @torch.inference_mode()
    def forward(
        self,
        ids: Sequence[int],
        state: TransformersState,
        adapter: str | None,
        *,
        want_logits: bool = True,
        all_logits: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Tensor | None:
        """As ``LeanDecoder.forward``, but not to be cancelled."""
        self._changed.use(adapter)
        logits = state.step(self._base, ids[0], adapter) if len(ids) == 1 else None
        if logits is None:
            logits = self._run(ids, state, all_logits)
        state.tokens.extend(ids)
        if not want_logits:
            return None
        return logits if all_logits else logits[-1]

    def _run(self, ids: Sequence[int], state: TransformersState, all_logits: bool) -> Tensor:
        out = self._base(
            input_ids=torch.tensor([list(ids)], device=self._base.device),
            cache=state.cache,
            use_cache=True,
            logits_to_keep=0 if all_logits else 1,
        )
        logits: Tensor = out.logits[0].float().cpu()
        return logits

    def _modules_change(self) -> None:
        if self._static is not None:
            self._static.forget()
