"""One side of ``time_to_loss`` in a process of its own: ``python -P -m tailora.bench.training_side SIDE JOB FOLDER``.

One JSON object a line on stdout, ``{"event": "progress", "fraction", "message"}``, and a last one ``{"event": "done",
"trained"}``; everything else on stderr, and an exit code other than 0 where it failed. Ends when nobody reads it.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import IO, Any

from tailora.bench.training_job import SIDES, Job, Trained
from tailora_adapters import threads
from tailora_adapters.errors import TailoraError

__all__ = ["main"]


def main() -> int:
    """Command line entry."""
    began = time.perf_counter()
    side, job, folder = sys.argv[1:]
    assert side in SIDES
    # Libraries that print must not garble the protocol.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threads.settle()
    try:
        trained = _train(side, Job.read(Path(job)), Path(folder), began, out)
    except TailoraError as error:
        print(error, file=sys.stderr)
        return 1
    _write(out, {"event": "done", "trained": trained.as_dict()})
    return 0


def _train(side: str, job: Job, folder: Path, began: float, out: IO[str]) -> Trained:
    def progress(fraction: float, message: str) -> None:
        _write(out, {"event": "progress", "fraction": fraction, "message": message})

    if side == "ours":
        from tailora.bench.our_training import train_our_way

        return train_our_way(job, began, progress)
    from tailora.bench.plain_training import train_plainly

    return train_plainly(job, began, folder, progress)


def _write(out: IO[str], event: dict[str, Any]) -> None:
    print(json.dumps(event), file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main())
