"""A process that brings a project's index up to date and tells the clones of some of its files.

``python -m tailora_adapters.clones.worker --root ROOT [--min-tokens N] [--threshold X] [--parent-pid PID]``: the files
come on stdin as a JSON list of paths, relative to the root, with ``/``; on stdout comes one JSON object. Lines and
columns are from 0, columns in characters. A file that is not learned is left out. Ends when ``PID`` is gone; runs at
the lowest priority, as nobody waits for it.

    {"files": {PATH: {"sha256", "functions": [
        {"line", "column", "end_column", "clones": [
            {"path", "line", "column", "end_column", "name", "type", "similarity"}]}]}},
     "problem": text | null}
"""

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import psutil

from tailora_adapters.clones.groups import Clone, Place
from tailora_adapters.clones.index import CloneIndex
from tailora_adapters.clones.limits import MIN_TOKENS, THRESHOLD
from tailora_adapters.errors import TailoraError
from tailora_adapters.store import Store

__all__ = ["main", "repeats"]

_LOOK_S = 2.0


def repeats(
    clones: Sequence[Clone], paths: Collection[str]
) -> dict[str, dict[Place, list[tuple[Place, Clone]]]]:
    """Of each path, its functions that repeat others, in order, with these, most similar first."""
    found: dict[str, dict[Place, list[tuple[Place, Clone]]]] = {}
    for clone in clones:
        for here, there in ((clone.left, clone.right), (clone.right, clone.left)):
            if here.path in paths:
                found.setdefault(here.path, {}).setdefault(here, []).append((there, clone))
    for path, functions in found.items():
        for others in functions.values():
            others.sort(key=lambda one: (one[1].kind, -one[1].similarity, one[0]))
        found[path] = dict(sorted(functions.items()))
    return found


def _told(functions: dict[Place, list[tuple[Place, Clone]]]) -> list[dict[str, Any]]:
    return [
        {
            **_spot(here),
            "clones": [
                {
                    "path": there.path,
                    "name": there.name,
                    **_spot(there),
                    "type": clone.kind,
                    "similarity": clone.similarity,
                }
                for there, clone in others
            ],
        }
        for here, others in functions.items()
    ]


def _spot(place: Place) -> dict[str, int]:
    return {"line": place.line, "column": place.column, "end_column": place.end_column}


def _answer(root: Path, paths: Collection[str], min_tokens: int, threshold: float) -> dict[str, Any]:
    try:
        index = CloneIndex(Store().project(root))
        index.update()
        hashes = index.known_files()
        found = repeats(index.clones(threshold=threshold, min_tokens=min_tokens), paths)
    except TailoraError as error:
        return {"files": {}, "problem": str(error)}
    files = {
        path: {"sha256": hashes[path], "functions": _told(found.get(path, {}))}
        for path in paths
        if path in hashes
    }
    return {"files": files, "problem": None}


def _end_with(parent: int) -> None:
    """Ends this process when ``parent`` has ended; what is in the index by then stays."""
    stop = threading.Event()

    def watch() -> None:
        while psutil.pid_exists(parent):
            stop.wait(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _step_back() -> None:
    with contextlib.suppress(OSError, psutil.Error):
        process = psutil.Process()
        process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if os.name == "nt" else 19)  # type: ignore[attr-defined,unused-ignore]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tailora_adapters.clones.worker")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--min-tokens", type=int, default=MIN_TOKENS)
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument("--parent-pid", type=int, default=0)
    arguments = parser.parse_args(argv)
    if arguments.parent_pid:
        _end_with(arguments.parent_pid)
    _step_back()
    paths = [str(path) for path in json.load(sys.stdin)]
    print(json.dumps(_answer(arguments.root, paths, arguments.min_tokens, arguments.threshold)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
