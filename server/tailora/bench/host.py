"""What a benchmark ran on: processor, memory, system, versions. Knows nothing of what is measured."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import psutil

from tailora import __version__

__all__ = ["describe_host"]


def describe_host(model: str) -> dict[str, Any]:
    """Processor, memory in MB and versions, as every document has them under ``machine``."""
    return {
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(logical=False),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total >> 20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "tailora": __version__,
        "torch": importlib.metadata.version("torch"),
        "model": model,
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
