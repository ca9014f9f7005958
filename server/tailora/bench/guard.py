"""Ends the engine of a benchmark and removes its folder, whatever becomes of the benchmark itself.

A process of its own whose standard input ends when the benchmark does: ``python -m tailora.bench.guard FOLDER``. Ends
only a process that runs in that folder's home.
"""

import contextlib
import json
import shutil
import sys
from pathlib import Path

import psutil

__all__ = ["clean_up"]

_PATIENCE_S = 10.0


def clean_up(folder: Path) -> None:
    """Ends the engine of the home in ``folder``, if one runs, and removes the folder."""
    home = folder / "home"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, psutil.Error):
        pid = int(json.loads((home / "run" / "engine.json").read_text(encoding="utf-8"))["pid"])
        engine = psutil.Process(pid)
        if engine.environ().get("TAILORA_HOME") == str(home):
            engine.terminate()
            try:
                engine.wait(_PATIENCE_S)
            except psutil.TimeoutExpired:
                engine.kill()
                engine.wait(_PATIENCE_S)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    clean_up(Path(sys.argv[1]))
