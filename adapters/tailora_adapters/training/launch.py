"""A training run in a worker process, waited for: what the command line and the demo use.

The engine starts workers in its own way (suspending them for completions); both speak the worker protocol.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailora_adapters.errors import AdapterCorrupt, TrainingFailed
from tailora_adapters.manifest import Check, GateResult, decode
from tailora_adapters.methods import method_named, settings_of
from tailora_adapters.purposes import PurposeName

__all__ = ["gate_of", "judge_in_worker", "method_arguments", "run_worker", "train_in_worker"]

Progress = Callable[[float, str], None]


def train_in_worker(
    root: Path,
    model: str,
    *,
    seconds: float | None = None,
    seed: int = 1,
    full: bool = False,
    scale: float | None = None,
    changed: Sequence[str] = (),
    purpose: PurposeName = "completion",
    method: Sequence[str] = (),
    progress: Progress = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """Runs a worker to its end and returns its ``done`` event. Interrupting it ends the worker.

    ``full`` begins from the foundation again instead of what serves; ``scale`` is the adapter's, or else the gate's
    choice; ``changed`` are paths that changed since the last run; ``purpose`` is what the adapter is for;
    ``method`` are the worker's arguments that say how (``method_arguments``).
    """
    arguments = ["--seed", str(seed), *method]
    if seconds is not None:
        arguments += ["--seconds", str(seconds)]
    if full:
        arguments.append("--full")
    arguments += _for(purpose)
    if scale is not None:
        arguments += ["--scale", str(scale)]
    if not changed:
        return _work(root, model, arguments, progress)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as listing:
        listing.writelines(f"{path}\n" for path in changed)
        listing.flush()
        return _work(root, model, [*arguments, "--changed-file-list", listing.name], progress)


def method_arguments(name: str, given: Mapping[str, object], learning_rate: float | None = None) -> list[str]:
    """For a worker that is to train with the method of that name; ``given`` are the method's own settings.

    Raises:
        MethodError: there is no such method, or not with such settings.
    """
    settings_of(method_named(name), given)
    values = {
        key: ",".join(value) if isinstance(value, list | tuple) else value for key, value in given.items()
    }
    arguments = ["--method", name]
    for key, value in values.items():
        arguments += ["--set", f"{key}={value}"]
    return arguments if learning_rate is None else [*arguments, "--learning-rate", repr(learning_rate)]


def judge_in_worker(
    root: Path,
    model: str,
    version: str,
    *,
    purpose: PurposeName = "completion",
    progress: Progress = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """Has a worker run the gate on a version that is stored already, and returns its ``done`` event.

    ``purpose`` is what that version is for. The worker changes nothing in the store: whoever asks promotes or rejects.
    """
    return _work(root, model, ["--judge", version, *_for(purpose)], progress)


def _for(purpose: PurposeName) -> list[str]:
    return [] if purpose == "completion" else ["--for", purpose]


def gate_of(done: dict[str, Any]) -> GateResult:
    """What the gate said, from a ``done`` event.

    Raises:
        TrainingFailed: it said nothing; the message has the event's reason.
    """
    gate = done.get("gate")
    try:
        if done["decision"] not in ("promoted", "rejected") or gate is None:
            raise TrainingFailed(str(done["reason"]))
        figures = {
            name: float(value)
            for name, value in gate.items()
            if type(value) in (int, float) and name != "version"
        }
        checks = tuple(decode(Check, check) for check in gate["checks"])
    except (AdapterCorrupt, LookupError, TypeError, AttributeError) as error:
        raise TrainingFailed(f"the worker's answer cannot be read: {error!r}") from error
    return GateResult(done["decision"], str(done["reason"]), checks, figures)


def _work(root: Path, model: str, arguments: list[str], progress: Progress) -> dict[str, Any]:
    return run_worker(
        "tailora_adapters.training.worker", ["--root", str(root), "--model", model, *arguments], progress
    )


def run_worker(module: str, arguments: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Runs a module that speaks the worker protocol to its end, and returns its ``done`` event; where it ended without
    one, one that says so. Interrupting it ends the process."""
    command = [sys.executable, "-P", "-m", module, "--parent-pid", str(os.getpid()), *arguments]
    done: dict[str, Any] | None = None
    last_words: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                event = _event(line)
                if event is None:
                    last_words = [*last_words[-19:], line.rstrip()]
                elif event["event"] == "progress":
                    progress(event["fraction"], f"{event['stage']}: {event['message']}")
                else:
                    done = event
        except BaseException:
            process.kill()
            raise
    if done is None:
        reason = f"the training process ended with code {process.returncode}"
        return {
            "event": "done",
            "decision": "failed",
            "version": None,
            "reason": "\n".join([reason, *last_words]),
            "gate": None,
        }
    return done


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
