"""How much slower an adapter of each method serves than the base model alone, and than the foundation adapter.

Each reads a prompt and writes some tokens with the engine's own decoder, side by side with the base and the foundation
adapter in every turn, so that what the machine does besides meets all alike. Knows nothing of how adapters are trained.
"""

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tailora.bench.host import describe_host
from tailora_adapters import foundation
from tailora_adapters.base import cache, catalogue
from tailora_adapters.errors import MethodError, TailoraError
from tailora_adapters.methods import Method, method_named
from tailora_adapters.temporary import temporary_folder

__all__ = ["describe", "measure", "measure_untrained"]

_PROMPT = 320
"""Tokens."""
_WRITTEN = 24
_BASE, _FOUNDATION = "base", "foundation"

Progress = Callable[[float, str], None]


def measure(
    model: str, folders: Mapping[str, Path], repeats: int, progress: Progress = lambda _done, _text: None
) -> dict[str, dict[str, Any]]:
    """By name, milliseconds of the prompt and of a token (the median of a turn's tokens, then of the turns), and the
    medians of the turns' ratios less one, of tokens with the quarter below and above (``spread``). ``base`` and, where
    one ships, ``foundation`` are among them.

    Raises:
        AdapterCorrupt: an adapter does not fit the model.
        TailoraError: the engine would not serve this model by its own decoder.
    """
    from tailora.engine.decoder import LeanAdapter, LeanDecoder, supports
    from tailora.engine.torch_generator import lean_decoder

    folder, _ = cache.open_record(catalogue.find(model))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if not supports(config):
        raise TailoraError(f"{model} is served by transformers: how fast methods are there is not measured")
    decoder, _ = lean_decoder(folder, progress=progress)
    adapters: dict[str, LeanAdapter | None] = {_BASE: None}
    if floor := foundation.find(model):
        adapters[_FOUNDATION] = decoder.load_adapter(floor.path)
    peers = list(adapters)
    for name, place in folders.items():
        adapters[name] = decoder.load_adapter(place)
    chance = random.Random(0)
    ids = [chance.randrange(config["vocab_size"]) for _ in range(_PROMPT)]
    visits: dict[str, list[_Visit]] = {name: [] for name in adapters}

    def visit(decoder: LeanDecoder, names: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Milliseconds of a prompt and, as the median, of a token. What the machine does besides changes within a
        second: prompts follow each other, then tokens take turns."""
        states, prompts = {}, {}
        for name in chance.sample(names, len(names)):
            states[name] = decoder.new_state(_PROMPT + _WRITTEN, adapters[name])
            began = time.perf_counter()
            decoder.forward(ids, states[name], adapters[name])
            prompts[name] = 1_000 * (time.perf_counter() - began)
        tokens: dict[str, list[float]] = {name: [] for name in names}
        for token in ids[:_WRITTEN]:
            for name in chance.sample(names, len(names)):
                began = time.perf_counter()
                decoder.forward([token], states[name], adapters[name])
                tokens[name].append(1_000 * (time.perf_counter() - began))
        return {name: (prompts[name], statistics.median(tokens[name])) for name in names}

    for turn in range(repeats + 1):  # the first is not counted
        for name in chance.sample(sorted(folders), len(folders)):
            took = visit(decoder, [*peers, name])
            for each in took if turn else ():
                visits[each].append(_Visit(took[each], took[_BASE], took.get(_FOUNDATION)))
        progress((turn + 1) / (repeats + 1), f"turn {turn} of {repeats}")
    return {name: {**_told(visits[name]), "repeats": repeats} for name in adapters}


@dataclass(frozen=True, slots=True)
class _Visit:
    """Milliseconds of a prompt and of a token, each (prompt, token): an adapter's, and what was timed beside it."""

    own: tuple[float, float]
    base: tuple[float, float]
    foundation: tuple[float, float] | None


def _told(visits: Sequence[_Visit]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "decode_ms_per_token": round(statistics.median(visit.own[1] for visit in visits), 3),
        "prefill_ms": round(statistics.median(visit.own[0] for visit in visits), 1),
    }
    for peer in (_BASE, _FOUNDATION):
        pairs = [(visit.own, other) for visit in visits if (other := getattr(visit, peer))]
        for place, part in enumerate(("prefill", "decode")) if pairs else ():
            ratios = sorted(own[place] / other[place] - 1 for own, other in pairs)
            told[f"{part}_over_{peer}"] = round(statistics.median(ratios), 4)
            if (part, peer) == ("decode", _BASE):
                quarter = len(ratios) // 4
                told["spread"] = [round(ratios[quarter], 4), round(ratios[-1 - quarter], 4)]
    return told


def measure_untrained(model: str, names: Sequence[str], repeats: int, progress: Progress) -> dict[str, Any]:
    """Of new adapters of these methods, with their usual settings: they compute as much as trained ones.

    Raises:
        MethodError: there is no such method, or it is not served.
        ModelMissing, ModelCorrupt, ModelError: the base model.
    """
    methods = [method_named(name) for name in names]
    if unserved := [method for method in methods if not method.served]:
        raise MethodError(f"{unserved[0].title} makes a whole model: it is not served")
    with temporary_folder("tailora-bench") as work:
        for number, method in enumerate(methods):
            progress(0.5 * number / len(methods), f"making an adapter: {method.title}")
            _make(model, method, work / method.name)
        folders = {method.name: work / method.name for method in methods}
        told = measure(model, folders, repeats, lambda done, text: progress(0.5 + 0.5 * done, text))
    return {"machine": describe_host(model), "prompt": _PROMPT, "written": _WRITTEN, "methods": told}


def _make(model: str, method: Method, folder: Path) -> None:
    from tailora_adapters.training.adapters import Session
    from tailora_adapters.training.save import save_adapter

    session = Session(model, None, method=replace(method, quantization=None), lower_share=0.5, seed=1)
    save_adapter(session.model, folder)
    describe(model, method, folder)


def describe(model: str, method: Method, folder: Path) -> None:
    """Notes beside an adapter what it stands above, as the engine looks for it in a version's manifest."""
    floor = foundation.find(model)
    below = floor.sha256 if floor and method.floor == "merged" else None
    (folder / "manifest.json").write_text(
        json.dumps({"below": below, "base": {"name": model}}), encoding="utf-8"
    )
