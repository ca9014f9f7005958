"""Any causal model through transformers' own forward pass: correct, slower than the lean decoder on CPUs.

Serves quantizations by bitsandbytes (NF4, int8), CUDA, and architectures that the lean decoder does not know.
Adapters are peft's, loaded until whoever asked for them drops them. Single tokens are compiled on CUDA, see
``static_decode``. CUDA figures are not measured yet. Knows nothing of text or requests.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from tailora.engine.adapter_weights import below
from tailora.engine.static_decode import StaticDecode
from tailora_adapters.errors import AdapterCorrupt

__all__ = ["TransformersDecoder", "TransformersState"]


class TransformersState:
    """A ``DynamicCache`` and the tokens that it stands for; ``static`` may hold the newest of its keys and values."""

    halted_ids: tuple[int, ...] = ()
    """Nothing: transformers' forward pass is not stopped half way."""

    def __init__(self, static: StaticDecode | None = None) -> None:
        self.tokens: list[int] = []
        self._static = static
        self._cache = DynamicCache()
        self.prompt_end: tuple[int, Tensor] | None = None
        """Length of the prompt that was read last, and the logits behind it."""

    @property
    def cache(self) -> DynamicCache:
        """Keys and values of all tokens."""
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
        if (excess := self.cache.get_seq_length() - length) > 0:
            self.cache.crop(-excess)

    def copy(self, length: int) -> "TransformersState":
        """A state of its own with the first ``length`` tokens."""
        other = TransformersState(self._static)
        other.tokens = self.tokens[:length]
        other.prompt_end = self.prompt_end if self.prompt_length <= length else None
        for number, layer in enumerate(self.cache.layers):
            other.cache.update(layer.keys[:, :, :length].clone(), layer.values[:, :, :length].clone(), number)
        return other


def _check_method(folder: Path) -> None:
    """One adapter at a time can be put on here, and nothing ahead of the tokens."""
    try:
        kind = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("peft_type")
    except (OSError, ValueError, AttributeError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error
    if kind != "LORA" or below(folder) is not None:
        raise AdapterCorrupt(
            f"the adapter in {folder} was trained with a method that is served on CPUs with quantization 'packed' or"
            " 'none' only; train with the method lora or qlora"
        )


class TransformersDecoder:
    """The same calls as ``LeanDecoder``. One thread at a time. ``static`` serves single tokens; without it, there is
    one on CUDA only, and not for int8: it has the processor look for outliers, which graphs cannot record."""

    packed = False

    def __init__(self, model: PreTrainedModel, static: StaticDecode | None = None) -> None:
        self._base = model
        self._peft: PeftModel | None = None
        self._loaded: list[str] = []
        self._active: str | None = ""
        """The adapter that peft is set to, None for none; empty where peft chose."""
        if static is None and model.device.type == "cuda" and not getattr(model, "is_loaded_in_8bit", False):
            static = StaticDecode()
        self._static = static
        self.max_length: int = model.config.max_position_embeddings

    def new_state(self, capacity: int, adapter: str | None = None) -> TransformersState:
        """An empty state; it grows as needed."""
        return TransformersState(self._static)

    def load_adapter(self, folder: Path) -> str:
        """Loads a PEFT adapter and returns the name that ``forward`` takes until ``drop_adapter``.

        Raises:
            AdapterCorrupt: unreadable, of another model's shape, or of a method that the lean decoder alone serves.
        """
        _check_method(folder)
        name = folder.name.replace(".", "_") + f"_{abs(hash(folder)):x}"
        self._modules_change()
        try:
            if self._peft is None:
                self._peft = PeftModel.from_pretrained(self._base, str(folder), adapter_name=name)
                self._peft.eval()
            elif name not in self._loaded:
                self._peft.load_adapter(str(folder), adapter_name=name)
        except Exception as error:
            raise AdapterCorrupt(f"the adapter in {folder} cannot be loaded: {error}") from error
        if name not in self._loaded:
            self._loaded.append(name)
        return name

    def guessable(self, state: TransformersState) -> int:
        """None: nothing promises that a token's result is the same in company."""
        return 0

    def drop_adapter(self, adapter: str) -> None:
        """Unloads an adapter: loading slows down as adapters pile up in one model (peft issue 981)."""
        assert self._peft is not None
        self._modules_change()
        self._loaded.remove(adapter)
        if not self._loaded:  # peft cannot be without any
            self._base, self._peft = self._peft.unload(), None
            return
        self._peft.set_adapter(self._loaded[-1])  # peft warns where the active one goes
        self._peft.delete_adapter(adapter)

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
        self._activate(adapter)
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

    def _activate(self, adapter: str | None) -> None:
        """Has the base model, which peft's layers are in, compute with an adapter, or with none. Only where that is
        new: peft goes through all modules."""
        if self._peft is None or adapter == self._active:
            return
        if adapter is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(adapter)
        self._active = adapter

    def _modules_change(self) -> None:
        self._active = ""
        if self._static is not None:
            self._static.forget()
