"""One command under limits: time, memory, processes, disk, and where the system allows it no network and no writing
outside its folder.

Knows nothing of what runs or why. Blocks until the command has ended: callers on an event loop use a thread. A
command's descendants never outlive the call.
"""

import contextlib
import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import psutil

__all__ = ["Ended", "Limits", "Outcome", "passes", "run"]

Ended = Literal["exit", "time", "memory", "processes", "disk", "cancelled"]

_JAIL = Path(__file__).with_name("_jail.py")
_LOOK_S = 0.02
_MEASURE_S = 0.1
_DISK_EVERY = 5
"""Measurements."""
_HEAD, _TAIL = 16 * 1024, 48 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may use."""

    seconds: float = 60.0
    memory: int = 2 << 30
    """Bytes of all its processes together."""
    processes: int = 64
    disk: int = 256 << 20
    """Bytes that it may add to the folders that it may write, and of one file."""
    network: bool = False
    address_space: int = 16 << 30
    """Bytes of one process. Far above ``memory``, as runtimes reserve much that they never touch."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int | None
    """Exit code, 128 + the number of the signal that ended it; None where it was stopped for a limit."""
    ended: Ended
    output: str
    """Standard output and error: the first 16 KB and the last 48 KB."""
    seconds: float
    guards: frozenset[str]
    """Which of ``processes``, ``network`` and ``files`` the system kept it from; see ``_jail``."""

    @property
    def passed(self) -> bool:
        """Whether it ended by itself with 0."""
        return self.code == 0

    @property
    def why(self) -> str:
        """How it ended, in words."""
        if self.ended == "exit":
            return f"ended with code {self.code}"
        return {
            "time": f"was stopped after {self.seconds:.0f} s",
            "memory": "was stopped, as it took too much memory",
            "processes": "was stopped, as it started too many processes",
            "disk": "was stopped, as it wrote too much",
            "cancelled": "was cancelled",
        }[self.ended]


def run(
    command: Sequence[str],
    folder: Path,
    limits: Limits = Limits(),
    *,
    env: Mapping[str, str] | None = None,
    writable: Sequence[Path] = (),
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Runs ``command`` in ``folder``, which it may write, besides a temporary folder of its own.

    Args:
        env: The whole environment but for ``HOME`` and ``TMPDIR``, which are the temporary folder; nothing of ours is
            inherited but ``PATH`` and the locale.
        writable: More folders that it may write.
        cancelled: Asked fifty times a second; stops the command.

    Raises:
        OSError: no process can be started; on Windows never, as nothing keeps it within its limits there yet.
    """
    if os.name == "nt":
        raise OSError(errno.ENOSYS, "Windows is not supported yet")
    with tempfile.TemporaryDirectory(prefix="tailora-run-", ignore_cleanup_errors=True) as scratch:
        return _run(command, folder, limits, env or {}, [folder, Path(scratch), *writable], cancelled)


def _run(
    command: Sequence[str],
    folder: Path,
    limits: Limits,
    env: Mapping[str, str],
    writable: list[Path],
    cancelled: Callable[[], bool],
) -> Outcome:
    scratch = str(writable[1])
    inherited = {
        key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "SYSTEMROOT") if key in os.environ
    }
    said, say = os.pipe()
    spec = {
        "report": say,
        "network": limits.network,
        "writable": [str(path.resolve()) for path in writable],
        "limits": {
            "CPU": int(limits.seconds) + 1,
            "AS": limits.address_space,
            "FSIZE": limits.disk,
            "NPROC": limits.processes,
            "CORE": 0,
        },
    }
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_JAIL), json.dumps(spec), *command],
            cwd=folder,
            env={**inherited, **env, "HOME": scratch, "TMPDIR": scratch, "TMP": scratch, "TEMP": scratch},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[say],
        )
    except BaseException:
        os.close(said)
        raise
    finally:
        os.close(say)
    assert process.stdout is not None
    output = _Output(process.stdout)
    try:
        ended = _watch(process, limits, writable, cancelled, began)
    finally:
        _kill(process)
        with os.fdopen(said, "rb") as pipe:
            report = pipe.read()
    seconds = time.monotonic() - began
    return Outcome(
        process.returncode if ended == "exit" else None,
        ended,
        output.text(),
        seconds,
        frozenset(json.loads(report)) if report else frozenset(),
    )


def _watch(
    process: subprocess.Popen[bytes],
    limits: Limits,
    writable: Sequence[Path],
    cancelled: Callable[[], bool],
    began: float,
) -> Ended:
    """Until the process ends or must be ended, and why."""
    at_first = sum(map(_size, writable))
    measured, rounds = began, 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
            return "exit"
        now = time.monotonic()
        if cancelled():
            return "cancelled"
        if now - began > limits.seconds:
            return "time"
        if now - measured < _MEASURE_S:
            continue
        measured, rounds = now, rounds + 1
        count, memory = _tree(process.pid)
        if count > limits.processes:
            return "processes"
        if memory > limits.memory:
            return "memory"
        if rounds % _DISK_EVERY == 0 and sum(map(_size, writable)) - at_first > limits.disk:
            return "disk"


def _tree(pid: int) -> tuple[int, int]:
    """Number of processes and bytes in memory, of a process and its descendants."""
    count = memory = 0
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in (top, *top.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                memory += process.memory_info().rss
                count += 1
    return count, memory


def _size(folder: Path) -> int:
    """Bytes in a folder."""
    total, folders = 0, [str(folder)]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its descendants, those in sessions of their own included."""
    descendants: list[psutil.Process] = []
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            descendants = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    with contextlib.suppress(ProcessLookupError, PermissionError, AttributeError):
        os.killpg(process.pid, 9)
    for descendant in descendants:
        with contextlib.suppress(psutil.Error):
            descendant.kill()
    process.wait()


class _Output:
    """Reads a pipe to its end without keeping all of it."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._head, self._tail, self._left_out = bytearray(), bytearray(), 0
        self._thread = threading.Thread(target=self._read, name="sandbox output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            while part := self._pipe.read1(65536):  # type: ignore[attr-defined]
                room = _HEAD - len(self._head)
                self._head += part[:room]
                self._tail += part[room:]
                if (excess := len(self._tail) - _TAIL) > 0:
                    del self._tail[:excess]
                    self._left_out += excess

    def text(self) -> str:
        """What came; call it when the process has ended."""
        self._thread.join(2.0)
        gap = f"\n[… {self._left_out} bytes …]\n".encode() if self._left_out else b""
        return bytes(self._head + gap + self._tail).decode(errors="replace")


def passes(program: str, *, seconds: float = 8.0) -> bool:
    """Whether a Python program ends by itself with exit code 0, in an empty folder, with the standard library only."""
    memory = 1 << 30
    limits = Limits(seconds, memory=memory, processes=8, disk=1 << 20, address_space=memory)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return run([sys.executable, "-I", "-S", "-B", "-c", program], Path(folder), limits).passed
