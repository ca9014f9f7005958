"""What a process holds in memory: the most it ever held, and pages that it can do without."""

import bisect
import ctypes
import mmap
import os
import re
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

__all__ = ["bound_primitives", "give_back", "peak_rss_mb", "release"]

_MAPS = Path("/proc/self/maps")
_STATUS = Path("/proc/self/status")
_PRIMITIVES = 32
_DONT_NEED = 4
"""``MADV_DONTNEED``: pages of a mapped file that nobody wrote to are read from it again when they are touched."""


def peak_rss_mb() -> float:
    """Most memory that this process ever held, MiB; pages of mapped files included."""
    try:  # a process that was started by fork and exec has its parent's in ``ru_maxrss``
        found = re.search(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return round(int(found[1]) / 2**10, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def bound_primitives() -> None:
    """Has oneDNN keep few compiled products; to be called before the first. It keeps one for every number of tokens,
    and no two steps of training have the same: 500 MB after 45 steps (docs/experiments.md). What the user has set is
    left alone."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_PRIMITIVES))


def give_back() -> None:
    """Gives memory that was freed back to the system, which glibc does not do by itself. Elsewhere nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def release(tensors: Iterable[Tensor]) -> None:
    """Lets go of the pages of tensors that are not needed for now, and were never written to.

    Only where they are mapped from a file (on Linux; elsewhere nothing happens): what is in memory alone stays.
    """
    try:
        files = _file_mappings()
    except OSError:
        return
    libc = ctypes.CDLL(None)
    for tensor in tensors:
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        place = bisect.bisect_right(files, (start, sys.maxsize)) - 1
        if start < end and place >= 0 and end <= files[place][1]:
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONT_NEED)


def _file_mappings() -> list[tuple[int, int]]:
    """Begin and end of every stretch of memory that is mapped from a file, in order."""
    found = []
    for line in _MAPS.read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, _, _, _, inode, *_ = line.split(maxsplit=5)
        if inode != "0":
            low, high = (int(address, 16) for address in addresses.split("-"))
            found.append((low, high))
    return found
