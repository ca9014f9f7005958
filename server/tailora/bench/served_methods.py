"""How much slower an adapter of each method serves than the base model alone, and than the foundation adapter.

All take turns, so that what the machine does besides meets all alike: each reads a prompt and writes some tokens with
the engine's own decoder. Knows nothing of how adapters are trained.
"""

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
    """Milliseconds by name; ``base`` and, where one ships, ``foundation`` are among them.

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
    for name, place in folders.items():
        adapters[name] = decoder.load_adapter(place)
    chance = random.Random(0)
    ids = [chance.randrange(config["vocab_size"]) for _ in range(_PROMPT)]
    prefill: dict[str, list[float]] = {name: [] for name in adapters}
    decode: dict[str, list[float]] = {name: [] for name in adapters}

    def one(decoder: LeanDecoder, name: str, counted: bool) -> None:
        adapter = adapters[name]
        state = decoder.new_state(_PROMPT + _WRITTEN, adapter)
        began = time.perf_counter()
        decoder.forward(ids, state, adapter)
        read = time.perf_counter()
        for number in range(_WRITTEN):
            decoder.forward([ids[number]], state, adapter)
        ended = time.perf_counter()
        if counted:
            prefill[name].append(1_000 * (read - began))
            decode[name].append(1_000 * (ended - read) / _WRITTEN)

    for turn in range(repeats + 1):  # the first is not counted
        names = list(adapters)
        chance.shuffle(names)
        for name in names:
            one(decoder, name, counted=turn > 0)
        progress((turn + 1) / (repeats + 1), f"turn {turn} of {repeats}")
    return {
        name: {
            "decode_ms_per_token": round(statistics.median(decode[name]), 3),
            "prefill_ms": round(statistics.median(prefill[name]), 1),
            "decode_over_base": _over(decode[name], decode[_BASE]),
            "prefill_over_base": _over(prefill[name], prefill[_BASE]),
            **(
                {
                    "decode_over_foundation": _over(decode[name], decode[_FOUNDATION]),
                    "prefill_over_foundation": _over(prefill[name], prefill[_FOUNDATION]),
                }
                if _FOUNDATION in adapters
                else {}
            ),
            "spread": _spread(decode[name], decode[_BASE]),
            "repeats": repeats,
        }
        for name in adapters
    }


def _over(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the ratios turn by turn, less one."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)) - 1, 4)


def _spread(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Of those ratios of decoding, the quarter below and the quarter above."""
    ratios = sorted(a / b - 1 for a, b in zip(ours, theirs, strict=True))
    return [round(ratios[len(ratios) // 4], 4), round(ratios[-1 - len(ratios) // 4], 4)]


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
