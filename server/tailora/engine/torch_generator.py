"""The engine's own ``Generator``: a prompt, a KV state that may already hold most of it, tokens one by one.

Chooses the decoder for the machine; everything else is the same for all of them. Runs on the generation thread.
transformers and peft are imported only where the lean decoder cannot serve: they would double the time to start.
Knows nothing of HTTP, projects or scheduling.
"""

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tailora.engine.decoder import LeanDecoder, supports
from tailora.engine.generator import AdapterRef, GenerationRequest, GenerationStats, GenerationStep
from tailora.engine.kv import KvPool
from tailora.errors import PromptTooLong
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.device import Quantization, default_device, pick_quantization
from tailora_adapters.base.prompt import PromptBudget, build_prompt
from tailora_adapters.base.tokenizer import CodeTokenizer, TextStream

__all__ = ["TorchGenerator", "prepare"]

_log = logging.getLogger(__name__)

_PREFILL_CHUNK = 64
"""Tokens read between two looks at ``cancelled``."""
_KEPT_ADAPTERS = 4


def prepare(model: str, progress: Callable[[float, str], None]) -> None:
    """Does once what the first load on a CPU would do: packs the weights.

    Raises:
        ModelMissing, ModelCorrupt: see ``base.cache.open_record``.
    """
    folder, _ = cache.open_record(catalogue.find(model))
    if default_device() == "cpu" and supports(_config(folder)):
        LeanDecoder(folder, packed=True, progress=lambda done: progress(done, "packing weights (once)"))


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


class TorchGenerator:
    """Implements ``tailora.engine.generator.Generator``."""

    def __init__(
        self,
        model: str,
        *,
        quantization: Quantization = "auto",
        device: str = "auto",
        threads: int = 0,
        budget: PromptBudget = PromptBudget(),
        kv_states: int = 8,
    ) -> None:
        self._name = model
        self._device = default_device() if device == "auto" else device
        self._quantization = pick_quantization(quantization, self._device)
        self._budget = budget
        self._pool: KvPool[Any] = KvPool(kv_states)
        self._decoder: Any = None
        self._tokenizer: CodeTokenizer | None = None
        self._adapters: OrderedDict[str, Any] = OrderedDict()
        if threads:
            torch.set_num_threads(threads)

    @property
    def loaded(self) -> bool:
        """Whether ``generate`` can run."""
        return self._decoder is not None

    def info(self) -> dict[str, object]:
        """See ``Generator.info``. ``fim`` is None until the tokenizer was read."""
        tokenizer = self._tokenizer
        return {
            "name": self._name,
            "quantization": self._quantization,
            "device": self._device,
            "fim": None if tokenizer is None else tokenizer.fim.fills_holes,
        }

    def load(self, progress: Callable[[float, str], None]) -> None:
        """See ``Generator.load``."""
        if self.loaded:
            return
        progress(0.0, f"opening {self._name}")
        folder, _ = cache.open_record(catalogue.find(self._name))
        self._tokenizer = CodeTokenizer.from_folder(folder)
        progress(0.1, "loading weights")
        lean = self._device == "cpu" and self._quantization in ("int4", "none") and supports(_config(folder))
        if lean:
            self._decoder = LeanDecoder(
                folder,
                packed=self._quantization == "int4",
                progress=lambda done: progress(0.1 + 0.9 * done, "packing weights (once)"),
            )
        else:
            # Packed weights are the lean decoder's own; any other model serves them dense, and says so.
            if self._quantization == "int4":
                self._quantization = "none"
            from tailora.engine.transformers_decoder import TransformersDecoder
            from tailora_adapters.base.load import load_model

            loaded = load_model(self._name, quantization=self._quantization, device=self._device)
            self._decoder = TransformersDecoder(loaded.model)
        if not self._tokenizer.fim.fills_holes:
            _log.warning("%s has no fill-in-the-middle tokens: text after the cursor is ignored", self._name)
        progress(1.0, "ready")

    def unload(self) -> None:
        """See ``Generator.unload``."""
        self._decoder = None
        self._adapters.clear()
        self._pool.clear()

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Iterator[GenerationStep]:
        """See ``Generator.generate``."""
        assert self._decoder is not None, "load() comes first"
        assert self._tokenizer is not None
        tokenizer = self._tokenizer
        adapter = self._adapter(request.adapter)
        key = request.adapter.key if request.adapter else ""
        prompt = build_prompt(
            tokenizer,
            request.prefix,
            request.suffix,
            context=[(snippet.path, snippet.text) for snippet in request.context],
            path=request.path,
            budget=self._budget,
        )
        if not prompt:
            prompt = [tokenizer.end_id]
        if len(prompt) + request.max_tokens > self._decoder.max_length:
            raise PromptTooLong(
                f"{len(prompt)} prompt tokens and {request.max_tokens} to write exceed the model's context"
                f" of {self._decoder.max_length}: ask for fewer tokens"
            )
        stats = GenerationStats(prompt_tokens=len(prompt))
        state = self._pool.take(key, request.document, prompt)
        if state is None:
            state = self._decoder.new_state(len(prompt) + request.max_tokens)
        stats.cached_tokens = len(state.tokens)
        try:
            logits = self._prefill(prompt[len(state.tokens) :], state, adapter, stats, cancelled)
            if logits is not None:
                yield from self._decode(request, tokenizer, logits, state, adapter, stats, cancelled)
        finally:
            if state.tokens:
                self._pool.put(key, request.document, state)

    def _adapter(self, ref: AdapterRef | None) -> Any:
        if ref is None:
            return None
        if ref.key not in self._adapters:
            self._adapters[ref.key] = self._decoder.load_adapter(ref.path)
            while len(self._adapters) > _KEPT_ADAPTERS:
                _, oldest = self._adapters.popitem(last=False)
                self._decoder.drop_adapter(oldest)
        self._adapters.move_to_end(ref.key)
        return self._adapters[ref.key]

    def _prefill(
        self, ids: list[int], state: Any, adapter: Any, stats: GenerationStats, cancelled: Callable[[], bool]
    ) -> Tensor | None:
        """Logits after the prompt, or None when cancelled; what was read stays in ``state`` either way."""
        began = time.perf_counter()
        logits: Tensor | None = None
        for begin in range(0, len(ids), _PREFILL_CHUNK):
            if cancelled():
                return None
            chunk = ids[begin : begin + _PREFILL_CHUNK]
            last = begin + _PREFILL_CHUNK >= len(ids)
            # Dense however short the rest is: what a prompt gives must not depend on how much of it was cached.
            logits = self._decoder.forward(chunk, state, adapter, want_logits=last, dense=True)
        stats.prefill_ms = (time.perf_counter() - began) * 1000
        return logits

    def _decode(
        self,
        request: GenerationRequest,
        tokenizer: CodeTokenizer,
        logits: Tensor,
        state: Any,
        adapter: Any,
        stats: GenerationStats,
        cancelled: Callable[[], bool],
    ) -> Iterator[GenerationStep]:
        began = time.perf_counter()
        sampler = _Sampler(request)
        stream = TextStream(tokenizer)
        stops = _StopStrings(request.stop)
        while stats.completion_tokens < request.max_tokens:
            if cancelled():
                return
            token = sampler.pick(logits)
            if token in tokenizer.stop_ids:
                yield GenerationStep(stops.flush(), "stop", stats)
                return
            stats.completion_tokens += 1
            text, stopped = stops.push(stream.push(token))
            stats.decode_ms = (time.perf_counter() - began) * 1000
            if stopped:
                yield GenerationStep(text, "stop", stats)
                return
            yield GenerationStep(text, None, stats)
            if stats.completion_tokens < request.max_tokens:
                if cancelled():
                    return
                logits = self._decoder.forward([token], state, adapter)
                stats.decode_ms = (time.perf_counter() - began) * 1000
        yield GenerationStep(stops.flush(), "length", stats)


class _Sampler:
    """Greedy at temperature 0, else nucleus sampling (Holtzman et al., arXiv 1904.09751)."""

    def __init__(self, request: GenerationRequest) -> None:
        self._temperature = request.temperature
        self._top_p = request.top_p
        self._random = torch.Generator()
        if request.seed is not None:
            self._random.manual_seed(request.seed)
        else:
            self._random.seed()

    def pick(self, logits: Tensor) -> int:
        """A token id from (vocabulary,) logits."""
        if self._temperature <= 0:
            return int(logits.argmax())
        probabilities = (logits / self._temperature).softmax(-1)
        ordered, ids = probabilities.sort(descending=True)
        ordered[ordered.cumsum(-1) - ordered > self._top_p] = 0
        return int(ids[torch.multinomial(ordered, 1, generator=self._random)])


class _StopStrings:
    """Cuts the text before the first stop string; holds back what may become one."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""

    def push(self, text: str) -> tuple[str, bool]:
        """Text that is safe to pass on, and whether a stop string came."""
        if not self._stops:
            return text, False
        text = self._held + text
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        keep = max(
            (n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0
        )
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        """What was held back, when no more comes."""
        held, self._held = self._held, ""
        return held
