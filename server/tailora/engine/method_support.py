"""Whether the engine, as it is set up, can serve what a method of fine-tuning makes: asked before anything is trained.

``TransformersDecoder`` serves plain LoRAs alone; the fast path on CPUs serves every method. Imports torch only where
neither the method nor the settings decide. Knows nothing of projects.
"""

import json
from typing import Protocol

from tailora_adapters import foundation
from tailora_adapters.base import cache, catalogue
from tailora_adapters.errors import ModelError
from tailora_adapters.methods import method_named

__all__ = ["EngineSetup", "unserved"]

_LORA = ("lora", "qlora", "rslora", "dora")
"""Saved as a LoRA; served beside quantized weights where they go on from the bare model or the foundation adapter."""


class EngineSetup(Protocol):
    """Of ``EngineOptions``, what matters here."""

    @property
    def model(self) -> str: ...
    @property
    def quantization(self) -> str: ...
    @property
    def device(self) -> str: ...


def unserved(name: str, setup: EngineSetup) -> str | None:
    """Why the engine could not serve a version of the method ``name``, and what to do; None where it can. Blocks.

    Raises:
        MethodError: there is no such method.
    """
    method = method_named(name)
    if name in _LORA and (method.floor == "continued" or foundation.find(setup.model) is None):
        return None
    why = _off_the_fast_path(setup)
    if why is None:
        return None
    return (
        f"{method.title} is not trained: the engine could not serve it {why}. Set learning.method to lora or qlora, "
        'or serve on the CPU with [engine] device = "cpu" and quantization = "packed"'
    )


def _off_the_fast_path(setup: EngineSetup) -> str | None:
    """What keeps the engine from its own decoder; None where it takes that."""
    if setup.quantization in ("nf4", "int8"):
        return f'with quantization = "{setup.quantization}"'
    if setup.device not in ("auto", "cpu"):
        return f'with device = "{setup.device}"'
    from tailora.engine.decoder import supports
    from tailora_adapters.base.device import default_device

    if setup.device == "auto" and (device := default_device()) != "cpu":
        return f"on this machine's GPU ({device})"
    try:
        folder, _ = cache.open_record(catalogue.find(setup.model))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ModelError, OSError, ValueError):
        return None  # whatever is wrong there, training says it
    return None if supports(config) else f"with the model {setup.model}, which its fast path does not know"
