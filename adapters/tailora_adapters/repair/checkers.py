"""Static checkers of Python as programs that are asked about many files at once.

For training, where a copy of a repository lies in a temporary folder. No settings are read but those written here, from
no project and no user, nothing of the repository is executed, and nothing is fetched: pyright itself is not asked, as
its package on PyPI downloads its program, but basedpyright, which brings it along and says the same. Knows nothing of
bugs.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tailora_adapters.errors import CheckFailed

__all__ = ["CHECKERS", "Checker", "Finding", "Sources", "ask", "installed"]

_MOST_OUTPUT = 32 << 20
"""Bytes."""
_LOOK_EVERY_S = 0.5
_TAKES_CODE = ("PYTHONPATH", "PYTHONHOME", "NODE_PATH", "NODE_OPTIONS")
_SETTINGS = ("RUFF_", "TY_", "PYRIGHT_", "BASEDPYRIGHT_")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a repository's copy lies."""

    folder: Path
    """The copy: absolute, without links."""
    empty: Path
    """Where programs start, as interpreters look for modules there, and where they look for their user's settings."""
    roots: Sequence[str]
    """Folders of the copy that modules are imported from."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a checker says of a line."""

    path: str
    """Relative to the copy, with ``/``."""
    rule: str
    message: str
    """The first line, as editors show it: without the rule."""
    line: int
    """From 0."""


@dataclass(frozen=True, slots=True)
class Checker:
    """One program. Its ``command`` gets the executable, the copy and the files to check, relative to it; ``read``
    its answer, as path, rule, message and line from 1."""

    name: str
    command: Callable[[Path, Sources, Sequence[str]], list[str]]
    read: Callable[[Any], Iterator[tuple[str, str, str, int]]]
    batch: int
    """Texts at a time."""
    most: int | None = None
    """Texts in all, if it is too slow for more."""


def _ruff(executable: Path, sources: Sources, paths: Sequence[str]) -> list[str]:
    options = ["--isolated", "--no-cache", "--no-fix", "--select", "E9,F,B", "--output-format", "json"]
    files = [str(sources.folder / path) for path in paths]
    return [str(executable), "check", *options, "--exit-zero", "--quiet", "--", *files]


def _read_ruff(answer: Any) -> Iterator[tuple[str, str, str, int]]:
    for item in answer:
        yield item["filename"], item["code"] or "", item["message"], item["location"]["row"]


def _ty(executable: Path, sources: Sources, paths: Sequence[str]) -> list[str]:
    settings = f"[environment]\nroot = {json.dumps(list(sources.roots))}\n"
    (sources.folder / "ty.toml").write_text(settings, encoding="utf-8")  # ends the search for another one
    options = ["--project", str(sources.folder), "--python", sys.prefix, "--output-format", "gitlab"]
    options += ["--exit-zero", "--no-progress", "--no-respect-ignore-files"]
    files = [str(sources.folder / path) for path in paths]
    return [str(executable), "check", *options, "--", *files]


def _read_ty(answer: Any) -> Iterator[tuple[str, str, str, int]]:
    for item in answer:
        rule, place = item["check_name"], item["location"]
        message = item["description"].removeprefix(f"{rule}: ")
        yield place["path"], rule, message, place["positions"]["begin"]["line"]


def _basedpyright(executable: Path, sources: Sources, paths: Sequence[str]) -> list[str]:
    settings = {
        "include": list(paths),
        "exclude": [],
        "extraPaths": list(sources.roots),
        "typeCheckingMode": "standard",
    }
    place = sources.folder / "pyrightconfig.json"
    place.write_text(json.dumps(settings), encoding="utf-8")
    return [str(executable), "--project", str(place), "--outputjson", "--pythonpath", sys.executable]


def _read_basedpyright(answer: Any) -> Iterator[tuple[str, str, str, int]]:
    for item in answer["generalDiagnostics"]:
        if item["severity"] != "information":
            yield item["file"], item.get("rule", ""), item["message"], item["range"]["start"]["line"] + 1


CHECKERS = (
    Checker("ruff", _ruff, _read_ruff, batch=160),
    Checker("ty", _ty, _read_ty, batch=160),
    Checker("basedpyright", _basedpyright, _read_basedpyright, batch=30, most=60),
)
"""The cheapest first."""


def installed(root: Path, checkers: Iterable[Checker] = CHECKERS) -> list[tuple[Checker, Path]]:
    """Those that are installed, beside the running interpreter or in PATH, but not inside ``root``."""
    own = Path(sysconfig.get_path("scripts"))
    found: list[tuple[Checker, Path]] = []
    for checker in checkers:
        for folder in (own, *_path(root)):
            executable = shutil.which(checker.name, path=str(folder))
            # Windows looks in the working directory first.
            if executable and Path(executable).parent == folder:
                found.append((checker, Path(executable)))
                break
    return found


def ask(
    checker: Checker, executable: Path, sources: Sources, paths: Sequence[str], *, root: Path, seconds: float
) -> list[Finding]:
    """What a checker says of files of a copy of ``root``.

    Raises:
        CheckFailed: it cannot be run, takes longer than ``seconds``, or answers what cannot be read.
        OSError: its settings cannot be written.
    """
    command = checker.command(executable, sources, paths)
    output = _run(command, sources.empty, _environment(root, sources.empty), seconds)
    try:
        found = list(checker.read(json.loads(output)))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckFailed(f"its answer cannot be read ({error!r})") from error
    findings = []
    for path, rule, message, line in found:
        with contextlib.suppress(ValueError):  # another file
            relative = (sources.empty / path).relative_to(sources.folder).as_posix()
            findings.append(Finding(relative, rule, message.split("\n", 1)[0], line - 1))
    return findings


def _run(command: Sequence[str], cwd: Path, env: dict[str, str], seconds: float) -> bytes:
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise CheckFailed(f"it cannot be started: {error.strerror or error}") from error
        until = time.monotonic() + seconds
        try:
            code = None
            while code is None:
                late = time.monotonic() >= until
                code = _code(process, until)
                if os.fstat(output.fileno()).st_size > _MOST_OUTPUT:
                    raise CheckFailed(f"it wrote more than {_MOST_OUTPUT >> 20} MB")
                if code is None and late:
                    raise CheckFailed(f"it took longer than {seconds:.0f} s and was stopped")
        finally:
            _end(process)
        if code not in (0, 1):
            raise CheckFailed(f"it ended with code {code}")
        output.seek(0)
        return output.read(_MOST_OUTPUT)


def _code(process: subprocess.Popen[bytes], until: float) -> int | None:
    """How a process ended; None where it goes on after a moment, or at ``until``."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(max(0.0, min(_LOOK_EVERY_S, until - time.monotonic())))
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and what it started: basedpyright's command is a program that starts another one."""
    if process.returncode is not None:  # its number may be another's by now
        return
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()


def _environment(root: Path, empty: Path) -> dict[str, str]:
    """Ours, without what has other code executed or changes a checker's rules."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in _TAKES_CODE and not name.upper().startswith(_SETTINGS)
    }
    env["PATH"] = os.pathsep.join(str(folder) for folder in _path(root))
    return env | {"XDG_CONFIG_HOME": str(empty), "APPDATA": str(empty)}


def _path(root: Path) -> list[Path]:
    """The folders of PATH, without relative ones and those inside ``root``."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    real = root.resolve()
    return [it for it in folders if it.is_absolute() and not it.resolve().is_relative_to(real)]
