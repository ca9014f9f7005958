"""Which device there is, and which representation of the weights goes with it. Imports torch, nothing larger."""

from dataclasses import dataclass
from typing import Literal

import torch

__all__ = ["QUANTIZATIONS", "Gpu", "Quantization", "default_device", "find_gpu", "pick_quantization"]

Quantization = Literal["auto", "nf4", "int8", "packed", "none"]
QUANTIZATIONS: tuple[Quantization, ...] = ("auto", "nf4", "int8", "packed", "none")
"""``nf4`` and ``int8`` by bitsandbytes; ``packed``: packed by the engine's own decoder (CPU); ``none``: bfloat16."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that torch can use. Written from torch's documentation; not tried on CUDA yet."""

    name: str
    memory_mb: int
    """In all, not what is free."""


def find_gpu() -> Gpu | None:
    """The first CUDA device; None without one."""
    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(0)
    return Gpu(found.name, found.total_memory >> 20)


def default_device() -> str:
    """``cuda`` where there is a usable GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_quantization(wanted: Quantization, device: str) -> Quantization:
    """Resolves ``auto``: NF4 on CUDA (QLoRA's choice), packed 4 bits on the CPU (fastest there)."""
    if wanted != "auto":
        return wanted
    return "nf4" if device.startswith("cuda") else "packed"
