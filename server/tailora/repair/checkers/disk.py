"""Which files of a project have changed: a language server that is kept must hear of it."""

import os
from pathlib import Path

__all__ = ["snapshot"]

_SUFFIXES = (
    ".py", ".pyi", ".toml", ".cfg", ".ini", ".json", ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs",
)  # fmt: skip
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "venv", "env"})
_MOST = 50_000
"""Files."""

Snapshot = dict[str, tuple[int, int]]


def snapshot(root: Path) -> Snapshot:
    """Time of change and size of every file that checkers read. Blocks: about 0.1 s for 10 000 files."""
    found: Snapshot = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _PASSED_OVER and not name.startswith(".")]
        for name in names:
            if name.endswith(_SUFFIXES):
                path = f"{folder}{os.sep}{name}"
                try:
                    stat = os.stat(path)  # noqa: PTH116 - for thousands of files
                except OSError:
                    continue
                found[path] = stat.st_mtime_ns, stat.st_size
        if len(found) > _MOST:
            break
    return found
