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
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from tailora.engine.cores import FreeCores
from tailora.engine.decoder import LeanDecoder, supports
from tailora.engine.generator import (
    AdapterRef,
    GenerationRequest,
    GenerationStats,
    GenerationStep,
    TokenScore,
)
from tailora.engine.kv import KvPool
from tailora.engine.machine import choose_representation
from tailora.engine.speculation import PromptLookup
from tailora.errors import PromptTooLong
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.device import Quantization, default_device, pick_quantization
from tailora_adapters.base.prompt import PromptBudget, build_prompt
from tailora_adapters.base.tokenizer import CodeTokenizer, TextStream

__all__ = ["TorchGenerator", "lean_decoder", "prepare"]

_log = logging.getLogger(__name__)

_PREFILL_CHUNK = 352
"""Tokens read at once: 13 % faster than 700, as what a layer computes stays in the processor's cache. The lean decoder
looks at ``cancelled`` between its layers too."""
_KEPT_ADAPTERS = 4
_KV_TOKENS = 12_000
"""Tokens whose keys and values are kept: 12 KB each for the 0.5B model."""
_LOW_MEMORY = 1 << 30
"""With less free memory than this, in bytes, a quarter of the tokens is kept."""
_SHORT_OF_MEMORY = "little memory is left: fewer prompts are kept, so that suggestions may take longer"
_LAST_KEPT = 32
_JUDGED_AT_ONCE = 64
"""Tokens; a row of logits is 600 KB."""


def prepare(model: str, progress: Callable[[float, str], None]) -> None:
    """Does once what the first load on a CPU would do: packs the weights, and measures the processor.

    Raises:
        ModelMissing, ModelCorrupt: see ``base.cache.open_record``.
    """
    folder, _ = cache.open_record(catalogue.find(model))
    if default_device() == "cpu" and supports(_config(folder)):
        found = choose_representation(_config(folder), progress)
        LeanDecoder(
            folder,
            packed=found.packed,
            native=found.native,
            eight=found.eight,
            progress=lambda done: progress(done, "packing weights (once)"),
        )


def lean_decoder(
    folder: Path, *, packed: bool = True, progress: Callable[[float, str], None] = lambda _done, _text: None
) -> tuple[LeanDecoder, str | None]:
    """A converted model as it serves on this processor, and what about that is unusual, if anything.

    Raises:
        ModelCorrupt: a weight is missing.
    """
    found = choose_representation(_config(folder), progress)
    decoder = LeanDecoder(
        folder,
        packed=packed and found.packed,
        native=packed and found.native,
        eight=packed and found.eight,
        float32=found.dense == "float32",
        few=found.few,
        progress=lambda done: progress(0.1 + 0.9 * done, "packing weights (once)"),
    )
    return decoder, None if found.usual else found.found


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
        kv_tokens: int = _KV_TOKENS,
    ) -> None:
        self._name = model
        self._device = default_device() if device == "auto" else device
        self._quantization = pick_quantization(quantization, self._device)
        self._budget = budget
        self._pool: KvPool[Any] = KvPool(kv_tokens)
        self._kv_tokens = kv_tokens
        self._last: OrderedDict[str | None, list[int]] = OrderedDict()
        """Tokens of the last suggestion in each document: likely parts of the next one."""
        self._memory_is_short = False
        self._slow: str | None = None
        self._decoder: Any = None
        self._tokenizer: CodeTokenizer | None = None
        self._adapters: OrderedDict[str, Any] = OrderedDict()
        self._cores: FreeCores | None = None
        self._threads = threads

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
            "note": _SHORT_OF_MEMORY if self._memory_is_short else self._slow,
        }

    def load(self, progress: Callable[[float, str], None]) -> None:
        """See ``Generator.load``."""
        if self.loaded:
            return
        progress(0.0, f"opening {self._name}")
        folder, _ = cache.open_record(catalogue.find(self._name))
        self._tokenizer = CodeTokenizer.from_folder(folder)
        progress(0.1, "loading weights")
        if self._threads:
            torch.set_num_threads(self._threads)
        elif self._device == "cpu":
            self._cores = self._cores or FreeCores()
            self._cores.reset()
        lean = (
            self._device == "cpu" and self._quantization in ("packed", "none") and supports(_config(folder))
        )
        if lean:
            packed = self._quantization == "packed"
            self._decoder, self._slow = lean_decoder(folder, packed=packed, progress=progress)
        else:
            # Packed weights are the lean decoder's own; any other model serves them dense, and says so.
            if self._quantization == "packed":
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
        self._last.clear()

    def generate(self, request: GenerationRequest, cancelled: Callable[[], bool]) -> Iterator[GenerationStep]:
        """See ``Generator.generate``."""
        cores = self._cores
        if cores is None:
            yield from self._generate(request, cancelled)
            return

        def asked_between_steps() -> bool:
            cores.adjust()
            return cancelled()

        yield from self._generate(request, asked_between_steps)

    def _generate(
        self, request: GenerationRequest, cancelled: Callable[[], bool]
    ) -> Iterator[GenerationStep]:
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
            budget=self._budget
            if request.suffix_tokens is None
            else replace(self._budget, suffix=request.suffix_tokens),
        )
        ids = prompt.ids or [tokenizer.end_id]
        middle = None if request.middle is None else [*tokenizer.encode(request.middle), tokenizer.end_id]
        room = request.max_tokens if middle is None else len(middle)
        if len(ids) + room > self._decoder.max_length:
            raise PromptTooLong(
                f"{len(ids)} prompt tokens and {room} to write exceed the model's context"
                f" of {self._decoder.max_length}: ask for fewer tokens"
            )
        stats = GenerationStats(prompt_tokens=len(ids))
        began = time.perf_counter()
        self._mind_memory()
        state = self._pool.take(key, ids) if request.reuse else None
        if state is None:
            state = self._decoder.new_state(len(ids) + room, adapter)
        stats.cached_tokens = len(state.tokens)
        try:
            logits = self._prefill(ids, prompt.tail, state, adapter, cancelled)
            stats.prefill_ms = (time.perf_counter() - began) * 1000
            if logits is None:
                return
            if middle is not None:
                yield from self._judge(middle, logits, state, adapter, request.scores or 0, stats, cancelled)
                return
            if not request.max_tokens:
                yield GenerationStep("", "length", stats)
                return
            yield from self._decode(request, ids, logits, state, adapter, stats, cancelled)
        finally:
            if request.reuse and (state.tokens or state.halted_ids):
                self._pool.put(key, state)

    def _mind_memory(self) -> None:
        """Keeps less where memory is short, before anything fails."""
        short = psutil.virtual_memory().available < _LOW_MEMORY
        self._pool.max_tokens = self._kv_tokens // 4 if short else self._kv_tokens
        if short != self._memory_is_short:
            self._memory_is_short = short
            if short:
                _log.warning(_SHORT_OF_MEMORY)
        self._pool.shrink(self._pool.max_tokens)

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
        self, ids: list[int], tail: int, state: Any, adapter: Any, cancelled: Callable[[], bool]
    ) -> Tensor | None:
        """Logits after the prompt, or None when cancelled; what was read stays in ``state`` either way.

        Where all of the prompt was read before, its logits were kept: the same question gets the same answer.
        What typing leaves alone, ``ids[:tail]``, is read in chunks of its own: they are found again.
        """
        begin = len(state.tokens)
        logits: Tensor | None = state.prompt_end[1] if begin == state.prompt_length == len(ids) else None
        while begin < len(ids):
            if cancelled():
                return None
            end = min(begin + _PREFILL_CHUNK, tail if begin < tail else len(ids))
            logits = self._decoder.forward(
                ids[begin:end], state, adapter, want_logits=end == len(ids), cancelled=cancelled
            )
            if len(state.tokens) < end:
                return None
            begin = end
        if logits is not None:
            state.prompt_end = len(ids), logits
        return logits

    def _judge(
        self,
        middle: list[int],
        logits: Tensor,
        state: Any,
        adapter: Any,
        alternatives: int,
        stats: GenerationStats,
        cancelled: Callable[[], bool],
    ) -> Iterator[GenerationStep]:
        """Reads what stands in the hole, and leaves the prompt alone in ``state``."""
        assert self._tokenizer is not None
        prompt = len(state.tokens)
        stream = TextStream(self._tokenizer)
        rows = logits[None]  # (tokens of a chunk, vocabulary), each row before its token
        try:
            for begin in range(0, len(middle), _JUDGED_AT_ONCE):
                part = middle[begin : begin + _JUDGED_AT_ONCE]
                if cancelled():
                    return
                read = self._decoder.forward(part, state, adapter, all_logits=True)
                before = torch.cat([rows[-1:], read[:-1]])
                for token, row in zip(part, before, strict=True):
                    stats.scores.append(self._score(row, token, stream.push(token), alternatives))
                rows = read
            yield GenerationStep("", "stop", stats)
        finally:
            state.crop(prompt)

    def _score(self, logits: Tensor, token: int, text: str, alternatives: int) -> TokenScore:
        """``token`` among (vocabulary,) logits."""
        assert self._tokenizer is not None
        total = logits.logsumexp(-1)
        top: list[tuple[str, float]] = []
        if alternatives:
            values, ids = logits.topk(alternatives)
            top = [
                (self._tokenizer.decode([other]), float(value - total))
                for other, value in zip(ids.tolist(), values, strict=True)
            ]
        return TokenScore(text, float(logits[token] - total), tuple(top))

    def _decode(
        self,
        request: GenerationRequest,
        ids: list[int],
        logits: Tensor,
        state: Any,
        adapter: Any,
        stats: GenerationStats,
        cancelled: Callable[[], bool],
    ) -> Iterator[GenerationStep]:
        assert self._tokenizer is not None
        began = time.perf_counter()
        stats.first_token_ms = stats.prefill_ms
        if not request.prefix.rpartition("\n")[2].strip():
            # A blank line: the model takes the lines before it for its own, and would say that the hole ends with them.
            logits = logits.clone()
            logits[list(self._tokenizer.stop_ids)] = -torch.inf
        stream = TextStream(self._tokenizer)
        stops = _StopStrings(request.stop)
        lookup = None
        if request.speculation and request.temperature <= 0 and self._decoder.packed:
            last = self._last.get(request.document, ())
            lookup = PromptLookup(ids, (*last, self._tokenizer.end_id), self._tokenizer.stop_ids)
        written: list[int] = []
        try:
            tokens = self._tokens(logits, state, adapter, _Sampler(request), lookup, stats, cancelled)
            for token, row in tokens:
                stats.decode_ms = (time.perf_counter() - began) * 1000
                if token in self._tokenizer.stop_ids:
                    yield GenerationStep(stops.flush(), "stop", stats)
                    return
                written.append(token)
                stats.completion_tokens += 1
                new = stream.push(token)
                if request.scores is not None:
                    stats.scores.append(self._score(row, token, new, request.scores))
                text, stopped = stops.push(new)
                if stopped:
                    yield GenerationStep(text, "stop", stats)
                    return
                yield GenerationStep(text, None, stats)
                if len(written) >= request.max_tokens:
                    break
                if cancelled():
                    return
            if not cancelled():
                yield GenerationStep(stops.flush(), "length", stats)
        finally:
            self._last[request.document] = written
            self._last.move_to_end(request.document)
            if len(self._last) > _LAST_KEPT:
                self._last.popitem(last=False)

    def _tokens(
        self,
        logits: Tensor,
        state: Any,
        adapter: Any,
        sampler: "_Sampler",
        lookup: PromptLookup | None,
        stats: GenerationStats,
        cancelled: Callable[[], bool],
    ) -> Iterator[tuple[int, Tensor]]:
        """Tokens, each with the logits that it was picked from, until cancelled. The same ones with and without
        ``lookup``: a guess is only kept where the model would have written it."""
        token, row = sampler.pick(logits), logits
        while True:
            yield token, row
            if cancelled():
                return
            if lookup is None:
                row = self._decoder.forward([token], state, adapter)
                token = sampler.pick(row)
                continue
            lookup.append(token)
            guesses = lookup.guess(
                min(self._decoder.guessable(state), self._decoder.max_length - len(state.tokens) - 1)
            )
            stats.drafted_tokens += len(guesses)
            rows = self._decoder.forward([token, *guesses], state, adapter, all_logits=True)
            picks = [sampler.pick(row) for row in rows]
            right = 0
            while right < len(guesses) and picks[right] == guesses[right]:
                right += 1
            state.crop(len(state.tokens) - (len(guesses) - right))
            stats.accepted_tokens += right
            for place, guess in enumerate(guesses[:right]):
                lookup.append(guess)
                yield guess, rows[place]
            token, row = picks[right], rows[right]


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
            # On a CPU, torch's takes ten times as long as numpy's: it wakes its threads.
            return int(logits.argmax() if logits.is_cuda else logits.numpy().argmax())
        probabilities = (logits / self._temperature).softmax(-1)
        ordered, ids = probabilities.sort(descending=True, stable=True)
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
