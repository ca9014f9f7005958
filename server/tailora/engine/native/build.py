"""The compiled pass of ``step.c``. Knows nothing of what it computes."""

import ctypes
from pathlib import Path

from tailora_adapters.base import compiled

__all__ = ["library", "mark"]

_SOURCE = Path(__file__).with_name("step.c")


def mark() -> str:
    """See ``compiled.mark``."""
    return compiled.mark(_SOURCE)


def library() -> ctypes.CDLL:
    """The compiled code.

    Raises:
        NativeUnavailable: switched off, no compiler, or it failed.
    """
    found = compiled.library(_SOURCE)
    found.tailora_step.argtypes = [ctypes.c_void_p]
    found.tailora_step.restype = ctypes.c_int
    return found
