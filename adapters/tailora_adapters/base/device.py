"""Which device there is, and which representation of the weights goes with it. Imports torch, nothing larger."""

from typing import Literal

import torch

__all__ = ["QUANTIZATIONS", "Quantization", "default_device", "pick_quantization"]

Quantization = Literal["auto", "nf4", "int8", "int4", "none"]
QUANTIZATIONS: tuple[Quantization, ...] = ("auto", "nf4", "int8", "int4", "none")
"""``nf4`` and ``int8`` by bitsandbytes; ``int4``: packed by the engine's own decoder (CPU); ``none``: bfloat16."""


def default_device() -> str:
    """``cuda`` where there is a usable GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_quantization(wanted: Quantization, device: str) -> Quantization:
    """Resolves ``auto``: NF4 on CUDA (QLoRA's choice), packed 4 bits on the CPU (fastest there)."""
    if wanted != "auto":
        return wanted
    return "nf4" if device.startswith("cuda") else "int4"
