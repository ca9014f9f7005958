"""Which device there is, and which representation of the weights goes with it. Imports torch, nothing larger."""

import functools
import math
import time
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

__all__ = [
    "QUANTIZATIONS",
    "Gpu",
    "Quantization",
    "default_device",
    "fast_dtype",
    "find_gpu",
    "pick_quantization",
]

Quantization = Literal["auto", "nf4", "int8", "packed", "none"]
QUANTIZATIONS: tuple[Quantization, ...] = ("auto", "nf4", "int8", "packed", "none")
"""``nf4`` and ``int8`` by bitsandbytes; ``packed``: packed by the engine's own decoder (CPU); ``none``: bfloat16."""


_EMULATED = 1.5
"""Times as long as float32: less is within what other work on the machine does to a measurement."""


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


@functools.cache
def fast_dtype() -> torch.dtype:
    """bfloat16, or float32 on a CPU that emulates it: measured, in about a tenth of a second."""
    x, weight = torch.rand(128, 1024), torch.rand(1024, 1024)
    plain, narrow = (_fastest(x.to(dtype), weight.to(dtype)) for dtype in (torch.float32, torch.bfloat16))
    return torch.float32 if narrow > _EMULATED * plain else torch.bfloat16


def _fastest(x: torch.Tensor, weight: torch.Tensor) -> float:
    """Seconds for a product, the best of a few."""
    best = math.inf
    for _ in range(4):
        began = time.perf_counter()
        F.linear(x, weight)
        best = min(best, time.perf_counter() - began)
    return best


def pick_quantization(wanted: Quantization, device: str) -> Quantization:
    """Resolves ``auto``: NF4 on CUDA (QLoRA's choice), packed 4 bits on the CPU (fastest there)."""
    if wanted != "auto":
        return wanted
    return "nf4" if device.startswith("cuda") else "packed"
