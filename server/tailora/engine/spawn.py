"""Starts an engine as a process of its own: detached, its output in a log file, not too often.

Knows nothing of how to find the engine or talk to it. An engine that keeps dying is started at growing
intervals, so that no client ends up in a loop.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tailora.errors import EngineUnreachable
from tailora_adapters.paths import cache_dir

__all__ = ["COMMAND", "Launcher", "Started"]

# -P: the working folder is not searched for modules, so no file of the user's shadows one of ours.
COMMAND = (sys.executable, "-P", "-m", "tailora.engine")

_WINDOW_S = 300.0
"""Only starts within this time count as repeated."""
_PAUSES_S = (0.0, 0.0, 2.0, 10.0, 30.0, 60.0)
"""The pause before the next start, by how many there were within the window. The first restart is at once."""
_LOG_LIMIT_BYTES = 1_000_000
_TAIL_BYTES = 4_000
_TAIL_LINES = 12


class Started:
    """A process that was started."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start
        # Collects the exit status whenever it comes, so that no zombie stays behind in a long-lived editor.
        threading.Thread(target=process.wait, name="engine-reaper", daemon=True).start()

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        try:
            with self._log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(min(self._log_start, end), end - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-_TAIL_LINES:])


class Launcher:
    """Starts engines by ``command`` (default: this installation's) and counts how often."""

    def __init__(self, command: Sequence[str] | None, clock: Callable[[], float]) -> None:
        self._command = tuple(command or COMMAND)
        self._clock = clock
        self._starts: list[float] = []
        self._last_failure = ""

    def start(self) -> Started:
        """Starts one.

        Raises:
            EngineUnreachable: too soon after earlier starts, or the process cannot be started.
        """
        now = self._clock()
        self._starts = [start for start in self._starts if now - start < _WINDOW_S]
        pause = _PAUSES_S[min(len(self._starts), len(_PAUSES_S) - 1)]
        left = self._starts[-1] + pause - now if self._starts else 0.0
        if left > 0:
            why = f": {self._last_failure}" if self._last_failure else ""
            raise EngineUnreachable(f"the engine keeps ending; next try in {left:.0f} s{why}")
        self._starts.append(now)
        try:
            return self._spawn()
        except OSError as error:
            raise EngineUnreachable(f"the engine cannot be started: {error}") from error

    def _spawn(self) -> Started:
        log = cache_dir() / "logs" / "engine-output.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        too_long = log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES
        detached = 0
        if sys.platform == "win32":
            detached = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
        with log.open("wb" if too_long else "ab") as output:
            log_start = output.tell()
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=Path.home(),
                start_new_session=True,
                creationflags=detached,
            )
            return Started(process, log, log_start)

    def failure(self, what: str, started: Started) -> EngineUnreachable:
        """The error for a start that came to nothing, with what the process wrote."""
        tail = started.log_tail()
        self._last_failure = f"{what}\n{tail}" if tail else what
        return EngineUnreachable(self._last_failure)
