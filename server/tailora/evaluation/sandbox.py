"""Runs a Python program that nobody has read: a process of its own with limits, in an empty folder.

Limits time, processor time, memory, file size and the number of processes; the environment is empty and the
interpreter isolated. It is no jail: where the system offers no more, a program could still reach the network.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile

__all__ = ["passes"]

_MEMORY = 1 << 30
_FILE = 1 << 20


def passes(program: str, *, seconds: float = 8.0) -> bool:
    """Whether ``program`` ends by itself with exit code 0."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _LIMITS.format(seconds=int(seconds)) + program],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


_LIMITS = f"""\
import resource as _r
_r.setrlimit(_r.RLIMIT_CPU, ({{seconds}}, {{seconds}}))
_r.setrlimit(_r.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
_r.setrlimit(_r.RLIMIT_FSIZE, ({_FILE}, {_FILE}))
_r.setrlimit(_r.RLIMIT_NPROC, (0, 0))
_r.setrlimit(_r.RLIMIT_CORE, (0, 0))
del _r
"""
