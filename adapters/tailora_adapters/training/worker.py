"""The training process: ``python -m tailora_adapters.training.worker``. One JSON object a line on stdout, logs on
stderr; the protocol is in ``docs/architecture.md``. Ends itself when the process that started it is gone.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tailora_adapters import threads
from tailora_adapters.errors import TailoraError
from tailora_adapters.purposes import PURPOSES

__all__ = ["Emitter", "follow", "main"]

_log = logging.getLogger(__name__)

_PROGRESS_EVERY_S = 0.25


def main() -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description="Trains one project's adapter; see docs/architecture.md.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--changed-file-list", type=Path, default=None)
    parser.add_argument("--parent-pid", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None, help="time for training proper")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--scale", type=float, default=None, help="of the adapter; default: what measures best"
    )
    parser.add_argument("--method", default="lora", help="of fine-tuning")
    parser.add_argument("--learning-rate", type=float, default=None, help="default: the method's usual one")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the method")
    parser.add_argument("--full", action="store_true", help="begin from the foundation again")
    parser.add_argument(
        "--for", dest="purpose", choices=PURPOSES, default="completion", help="what the adapter is for"
    )
    parser.add_argument("--judge", metavar="VERSION", default=None, help="only run the gate on a version")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    emit = Emitter.on_stdout()
    if arguments.parent_pid is not None:
        follow(arguments.parent_pid)
    threads.settle()
    try:
        done = _run(arguments, emit)
    except TailoraError as error:
        done = _failed(str(error))
    except MemoryError:
        done = _failed("training ran out of memory")
    except Exception as error:  # noqa: BLE001 - the process boundary: whoever waits gets an answer
        _log.exception("training failed")
        done = _failed(f"training failed: {type(error).__name__}: {error}")
    emit.write(done)
    return 1 if done["decision"] == "failed" else 0


def _run(arguments: argparse.Namespace, emit: "Emitter") -> dict[str, Any]:
    from dataclasses import replace

    from tailora_adapters.methods import method_named
    from tailora_adapters.training.memory import bound_primitives
    from tailora_adapters.training.purposes import purpose_named
    from tailora_adapters.training.run import RunSettings, judge, run

    bound_primitives()
    changed: list[str] = []
    if arguments.changed_file_list is not None:
        changed = arguments.changed_file_list.read_text(encoding="utf-8").splitlines()
    given = dict(one.split("=", 1) for one in arguments.set)
    settings = RunSettings.of(method_named(arguments.method), given, arguments.learning_rate)
    settings = replace(settings, seed=arguments.seed)
    if arguments.seconds is not None:
        settings = replace(settings, train=replace(settings.train, max_seconds=arguments.seconds))
    if arguments.scale is not None:
        settings = replace(settings, scales=(arguments.scale,))
    purpose = purpose_named(arguments.purpose, arguments.root)
    if arguments.judge is not None:
        outcome = judge(
            arguments.root,
            arguments.model,
            arguments.judge,
            settings=settings,
            purpose=purpose,
            progress=emit.progress,
        )
    else:
        outcome = run(
            arguments.root,
            arguments.model,
            settings=settings,
            changed=changed,
            full=arguments.full,
            purpose=purpose,
            progress=emit.progress,
        )
    return outcome.event()


def _failed(reason: str) -> dict[str, Any]:
    return {"event": "done", "decision": "failed", "version": None, "reason": reason, "gate": None}


class Emitter:
    """Writes events; progress at most a few times a second."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._last = 0.0
        self._stage = ""

    @classmethod
    def on_stdout(cls) -> "Emitter":
        """Libraries that print write to stderr from here on, so that they do not garble the protocol."""
        out = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        return cls(out)

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """One progress event, unless the last was a moment ago."""
        now = time.monotonic()
        if stage == self._stage and now - self._last < _PROGRESS_EVERY_S:
            return
        self._stage, self._last = stage, now
        self.write({"event": "progress", "stage": stage, "fraction": round(fraction, 4), "message": message})

    def write(self, event: dict[str, Any]) -> None:
        """One line."""
        print(json.dumps(event), file=self._out, flush=True)


def follow(parent: int) -> None:
    """Has this process end with ``parent``."""
    threading.Thread(target=_until_gone, args=(parent,), daemon=True).start()


def _until_gone(parent: int) -> None:
    """Ends this process when ``parent`` is gone (another process took over as our parent, or its id is free)."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    _log.warning("the engine is gone: training ends here, and goes on from its last checkpoint another time")
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
