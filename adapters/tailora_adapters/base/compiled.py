"""Compiles a C file of ours for this processor, once, with the system's own C compiler, and loads it.

The library is kept beside the models, in a file named by all that it depends on (source, compiler, flags, processor),
so that a home shared by several machines keeps one for each. Knows nothing of what the code computes.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tailora_adapters.base.processor import processor_flags, processor_name
from tailora_adapters.paths import models_dir

__all__ = ["NativeUnavailable", "compiler", "library", "mark"]

_log = logging.getLogger(__name__)

_FLAGS = (
    "-O3",
    "-std=gnu11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-Wno-psabi",
    "-fPIC",
    "-shared",
    "-pthread",
)
_SECONDS = 120
OFF = "TAILORA_NATIVE"
"""Environment variable: ``0`` keeps the compiled code from being used."""


class NativeUnavailable(Exception):
    """There is no compiled code here; says why."""


def compiler() -> list[str] | None:
    """The C compiler's command: ``$CC``, else the first of cc, gcc and clang. None where there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = shlex.split(name)
        if words and (path := shutil.which(words[0])):
            return [path, *words[1:]]
    return None


def mark(source: Path, *flags: str) -> str:
    """Changes with all that the compiled code depends on but the processor; ``none`` where it cannot be compiled."""
    command = compiler()
    if command is None or os.environ.get(OFF) == "0" or sys.platform == "win32":
        return "none"
    content = repr((command, _FLAGS, flags)).encode() + source.read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]


@functools.cache
def library(source: Path, *flags: str) -> ctypes.CDLL:
    """The compiled code, from the cache or compiled now (about a second).

    Args:
        flags: For the compiler, beside the usual ones.

    Raises:
        NativeUnavailable: switched off, no compiler, or it failed.
    """
    if os.environ.get(OFF) == "0":
        raise NativeUnavailable(f"compiled code is switched off ({OFF}=0)")
    if sys.platform == "win32":
        raise NativeUnavailable("compiled code is for Linux and macOS so far")
    command = compiler()
    if command is None:
        raise NativeUnavailable("no C compiler was found: with gcc or clang it takes half the time")
    depends = repr((mark(source, *flags), processor_name(), sorted(processor_flags())))
    name = f"{source.stem}-{hashlib.sha256(depends.encode()).hexdigest()[:16]}.so"
    kept = models_dir() / ".machine" / name
    try:
        return ctypes.CDLL(str(kept))
    except OSError:
        pass
    with tempfile.TemporaryDirectory(prefix="tailora-") as folder:
        made = Path(folder) / name
        _compile(command, source, flags, made)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            temporary = kept.with_suffix(f".{os.getpid()}")
            shutil.copyfile(made, temporary)
            temporary.replace(kept)
        except OSError as error:
            _log.warning(
                "the compiled code cannot be kept in %s (%s): the next start compiles it again", kept, error
            )
        try:
            return ctypes.CDLL(str(made))
        except OSError as error:
            raise NativeUnavailable(f"the compiled code cannot be loaded: {error}") from error


def _compile(command: list[str], source: Path, flags: tuple[str, ...], target: Path) -> None:
    tune = "-mcpu=native" if platform.machine() in ("aarch64", "arm64") else "-march=native"
    try:
        done = subprocess.run(
            [*command, *_FLAGS, *flags, tune, "-o", str(target), str(source), "-lm"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeUnavailable(f"{command[0]} cannot compile: {error}") from error
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if line.strip()), "no message")
        raise NativeUnavailable(f"{command[0]} cannot compile: {first}")
