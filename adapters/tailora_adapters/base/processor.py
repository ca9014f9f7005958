"""The processor: its name, its instruction sets and how many cores this process may use. Imports no torch."""

import functools
import os
import platform
from pathlib import Path

__all__ = ["cores", "processor_flags", "processor_name"]

_FLAG_STARTS = ("amx", "asimd", "avx", "bf16", "f16c", "fma", "fphp", "i8mm", "sve")
"""Of those that matter to matrix products, on x86 and ARM."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _cpuinfo() -> dict[str, str]:
    """Linux's description of the first core; empty elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def processor_name() -> str:
    """Architecture and model, as the system calls them."""
    named = _cpuinfo().get("model name") or platform.processor() or "unknown"
    return f"{platform.machine()} {named}"


def processor_flags() -> frozenset[str]:
    """Those instruction sets of the processor that matter to matrix products; empty where the system does not say."""
    flags = _cpuinfo().get("flags") or _cpuinfo().get("Features") or ""
    return frozenset(flag for flag in flags.split() if flag.startswith(_FLAG_STARTS))
