"""How long the functions of a large repository take to index, and one changed file after that.

The repository is made of the sources of installed packages. Knows nothing of how clones are found.
"""

import importlib.metadata
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from tailora_adapters.clones.functions import functions_of
from tailora_adapters.clones.groups import grouped
from tailora_adapters.clones.index import CloneIndex
from tailora_adapters.clones.limits import LEAST_TOKENS
from tailora_adapters.errors import TailoraError
from tailora_adapters.store import Store

__all__ = ["measure"]

_LARGEST = 256 * 1024


def measure(
    functions: int,
    changes: int,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """Times in seconds, memory in MB, of a repository of at least so many functions.

    Raises:
        TailoraError: the installed packages have fewer.
    """
    with tempfile.TemporaryDirectory(prefix="tailora-clones-") as name:
        root = Path(name) / "repository"
        files, count = _gather(root, functions, progress)
        index = CloneIndex(Store(Path(name) / "store").project(root))
        first_s, first_cpu_s = _timed(lambda: index.update(progress))
        idle_s, _ = _timed(index.update)
        updates, updates_cpu = [], []
        step = max(1, len(files) // changes)
        for path in files[::step][:changes]:
            path.write_text(path.read_text(encoding="utf-8") + "\n\nCHANGED = 1\n", encoding="utf-8")
            wall, cpu = _timed(index.update)
            updates.append(wall)
            updates_cpu.append(cpu)
        began = time.perf_counter()
        clones = index.clones()
        return {
            "functions": count,
            "files": len(files),
            "compared": len(index.places(LEAST_TOKENS)),
            "first_s": round(first_s, 2),
            "first_cpu_s": round(first_cpu_s, 2),
            "unchanged_s": round(idle_s, 3),
            "update_median_s": round(statistics.median(updates), 3),
            "update_max_s": round(max(updates), 3),
            "update_cpu_median_s": round(statistics.median(updates_cpu), 3),
            "update_cpu_max_s": round(max(updates_cpu), 3),
            "read_pairs_s": round(time.perf_counter() - began, 3),
            "pairs": len(clones),
            "groups": len(grouped(clones)),
            "index_mb": round(index.path.stat().st_size / 2**20, 1),
            "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
        }


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and those of a processor: less where other programs have it."""
    began, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - began, time.process_time() - used


def _gather(root: Path, functions: int, progress: Callable[[float, str], None]) -> tuple[list[Path], int]:
    """Copies sources until they have enough functions."""
    count, files = 0, []
    for path, relative in _sources():
        text = path.read_text(encoding="utf-8", errors="replace")
        here = len(functions_of(text, "python"))
        if here:
            target = root / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            files.append(target)
            count += here
            progress(0.0, f"gathering functions, {count:,}")
        if count >= functions:
            return files, count
    raise TailoraError(f"the installed packages have {count:,} functions only: ask for fewer")


def _sources() -> Iterator[tuple[Path, Path]]:
    """Python files of installed packages, smallest packages first, and where they go."""
    packages = []
    for distribution in importlib.metadata.distributions():
        found = [
            (Path(str(distribution.locate_file(file))), Path(str(file)))
            for file in distribution.files or ()
            if str(file).endswith(".py") and ".." not in str(file)
        ]
        packages.append((len(found), distribution.metadata["Name"] or "", found))
    for _, _, found in sorted(packages, key=lambda one: one[:2]):
        for path, relative in found:
            if path.is_file() and path.stat().st_size <= _LARGEST:
                yield path, relative
