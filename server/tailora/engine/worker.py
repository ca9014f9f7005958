"""One training worker as a child process: starts it, reads its JSON lines, stops and ends it.

Knows the worker protocol of ``docs/architecture.md`` and nothing of projects or schedules. Whatever the child
does, ``run`` returns exactly one ``done`` event; the child never outlives the engine.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import psutil

from tailora_adapters.paths import cache_dir

__all__ = ["COMMAND", "Worker", "failed"]

_log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "tailora_adapters.training.worker")

_LINE_LIMIT = 2**20
_LAST_WORDS_S = 2.0
_LOG_LIMIT_BYTES = 5_000_000
_DECISIONS = ("promoted", "rejected", "too_little_data", "failed")


def failed(reason: str) -> dict[str, Any]:
    """The ``done`` event of a run that came to nothing."""
    return {"event": "done", "decision": "failed", "version": None, "reason": reason, "gate": None}


class Worker:
    """One run. All methods belong to the event loop.

    That must be the main thread's: on Linux the child dies with the thread that started it.

    Args:
        command: Program and arguments; ``--parent-pid`` and ``--changed-file-list`` are added.
        on_progress: Called with every ``progress`` event.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        command: Sequence[str],
        on_progress: Callable[[dict[str, Any]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = [*command, "--parent-pid", str(os.getpid())]
        self._on_progress = on_progress
        self._clock = clock
        self._ran_s = 0.0
        self._runs_since: float | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._suspended = False
        self._killed_because = ""
        self._done: dict[str, Any] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, None before it runs."""
        return self._process.pid if self._process else None

    @property
    def running_s(self) -> float:
        """Seconds that it could run so far: suspensions are not counted."""
        return self._ran_s + (0.0 if self._runs_since is None else self._clock() - self._runs_since)

    def _count(self, *, runs: bool) -> None:
        self._ran_s = self.running_s
        self._runs_since = self._clock() if runs else None

    @property
    def ended_because(self) -> str:
        """The reason given to ``kill``, empty without one."""
        return self._killed_because

    async def run(self, changed_files: Sequence[str] = ()) -> dict[str, Any]:
        """Runs it to its end and returns its ``done`` event, or one with ``failed`` and the reason.

        Args:
            changed_files: Relative paths that the worker is told about by a file.
        """
        listing: Path | None = None
        try:
            listing = _write_list(changed_files)
            return await self._run([*self._command, "--changed-file-list", str(listing)])
        except OSError as error:
            return failed(f"the training process cannot be started: {error}")
        finally:
            if listing is not None:
                listing.unlink(missing_ok=True)

    async def _run(self, command: Sequence[str]) -> dict[str, Any]:
        if self._killed_because:
            return failed(self._killed_because)
        process = self._process = await _spawn(command)
        self._count(runs=not self._suspended)
        if self._suspended:
            self._signal_all(stop=True)
        if self.ended_because:  # while it was being started
            self._kill_all()
        reader = asyncio.create_task(self._read_events(process))
        try:
            code = await process.wait()
            # A child of the worker that outlives it could hold the pipe open for ever.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader, _LAST_WORDS_S)
        finally:
            self._count(runs=False)
            self._kill_all()
            reader.cancel()
        if self.ended_because:
            return failed(self._killed_because)
        return self._done or failed(_exit_reason(code))

    async def _read_events(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the limit: the reader has dropped it
                _log.warning("the training worker wrote a line of over %d bytes", _LINE_LIMIT)
                continue
            if not line:
                return
            try:
                event = json.loads(line)
                kind = event["event"]
            except (ValueError, KeyError, TypeError):
                _log.warning("the training worker wrote %r", line[:200])
                continue
            if kind == "progress":
                self._on_progress(event)
            elif kind == "done" and event.get("decision") in _DECISIONS:
                self._done = event

    def suspend(self) -> None:
        """Stops the worker and its children where they are. Idempotent."""
        if not self._suspended:
            self._suspended = True
            self._count(runs=False)
            self._signal_all(stop=True)

    def resume(self) -> None:
        """Lets them go on. Idempotent."""
        if self._suspended:
            self._suspended = False
            self._count(runs=self._process is not None and self._process.returncode is None)
            self._signal_all(stop=False)

    def kill(self, reason: str) -> None:
        """Ends them at once; ``run`` then returns ``failed`` with ``reason``. Idempotent."""
        if not self._killed_because:
            self._killed_because = reason
            self._kill_all()

    def _signal_all(self, *, stop: bool) -> None:
        if self._process is not None and self._process.returncode is None:
            _send_to_group(self._process.pid, "stop" if stop else "continue")

    def _kill_all(self) -> None:
        # Also when the worker itself has ended: its children are still in its group.
        if self._process is not None:
            _send_to_group(self._process.pid, "kill")


if sys.platform == "win32":

    def _send_to_group(pid: int, what: Literal["stop", "continue", "kill"]) -> None:
        with contextlib.suppress(psutil.Error):
            worker = psutil.Process(pid)
            for process in (*worker.children(recursive=True), worker):
                action = {"stop": process.suspend, "continue": process.resume, "kill": process.kill}[what]
                with contextlib.suppress(psutil.Error):
                    action()

else:
    _SIGNALS = {"stop": signal.SIGSTOP, "continue": signal.SIGCONT, "kill": signal.SIGKILL}

    def _send_to_group(pid: int, what: Literal["stop", "continue", "kill"]) -> None:
        # One signal to the whole group: no child can slip through by being born meanwhile.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, _SIGNALS[what])


def _exit_reason(code: int) -> str:
    if code == -9:
        return "the training process was killed (signal 9), as happens when memory runs out"
    if code < 0:
        return f"the training process crashed (signal {-code})"
    return f"the training process ended without a result (exit code {code}); logs/training.log says more"


async def _spawn(command: Sequence[str]) -> asyncio.subprocess.Process:
    group: dict[str, Any] = {}
    if sys.platform != "win32":
        launch = str(Path(__file__).with_name("_launch.py"))
        command = [sys.executable, "-I", "-S", launch, str(os.getpid()), *command]
        # A group of its own in our session: if the engine dies while the worker is stopped, the kernel ends
        # the orphaned group, also where there is no PR_SET_PDEATHSIG.
        group = {"process_group": 0}
    log = cache_dir() / "logs" / "training.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    too_long = log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES
    with log.open("wb" if too_long else "ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            cwd=Path.home(),
            limit=_LINE_LIMIT,
            **group,
        )
    if sys.platform == "win32":
        with contextlib.suppress(psutil.Error):
            psutil.Process(process.pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    return process


def _write_list(files: Sequence[str]) -> Path:
    folder = cache_dir() / "training"
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix="changed-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
        file.writelines(f"{path}\n" for path in files)
    return Path(name)
