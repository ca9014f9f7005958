"""Runs a project's own tests on its scratch copy, and says of each what came of it.

pytest, started as the project's interpreter would; a plugin inside it (``_pytest_plugin``) reports while tests run, so
a run that is stopped keeps what it had. The sandbox keeps the tests from the user's files where the system can
(``Outcome.guards`` says so). Only for trusted workspaces whose user asked for it: tests are programs.
"""

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from tailora.errors import RepairError
from tailora.repair.scratch import ScratchCopy
from tailora.sandbox import Limits, Outcome, run

__all__ = ["Result", "TestRun", "command_passes", "find_python", "in_thread", "run_tests"]

Result = Literal["passed", "failed", "error", "skipped"]

_PLUGIN = Path(__file__).with_name("_pytest_plugin.py")
_PLUGIN_NAME = "tailora_pytest_plugin"
_RANK: tuple[Result, ...] = ("passed", "skipped", "error", "failed")
_MOST_TEXT = 2_000
_MOST_REPORT = 64 << 20
_ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PY_COLORS": "0"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TestRun:
    """What came of a run."""

    __test__ = False

    results: dict[str, Result]
    """By node. One that was asked for and could not be collected is an ``error``, as is one during which the run was
    stopped; one that was not reached is missing."""
    failures: dict[str, str]
    """The last lines of what pytest says of those that failed or are errors."""
    ran_changed_files: bool
    """Whether every watched file was executed, from the copy and not from the user's folder. If not, the run says
    nothing about a change in them. False where none was watched."""
    lines: dict[str, dict[str, frozenset[int]]]
    """The lines, from 0, that each test executed in files of the project, those of its fixtures included. Only with
    ``spectrum``."""
    outcome: Outcome


async def run_tests(
    copy: ScratchCopy,
    nodes: Sequence[str],
    *,
    python: Path,
    limits: Limits,
    watch: Sequence[str] = (),
    spectrum: bool = False,
) -> TestRun:
    """Runs tests of the copy, which afterwards is as it was before. When it is cancelled, all processes end first.

    Args:
        nodes: pytest's node ids, or files, relative to the root; none for all tests.
        python: The project's interpreter, see ``find_python``.
        watch: Files, relative to the root, that must be executed from the copy.
        spectrum: Whether to collect executed lines.

    Raises:
        RepairError: no process can be started.
    """

    def work(cancelled: Callable[[], bool]) -> TestRun:
        try:
            return _run_tests(copy, nodes, python, limits, watch, spectrum, cancelled)
        finally:
            copy.reset()

    return await in_thread(work)


async def command_passes(
    command: str, folder: Path, *, python: Path = Path(sys.executable), limits: Limits = Limits()
) -> bool:
    """Whether a command line, run in ``folder`` without a shell, ends by itself with exit code 0.

    ``python`` and ``pytest`` mean the given interpreter's. False for a line that is not one.
    """
    with contextlib.suppress(ValueError):
        words = shlex.split(command)
        if words and words[0] in ("python", "python3"):
            words[:1] = [str(python)]
        elif words and words[0] in ("pytest", "py.test"):
            words[:1] = [str(python), "-m", "pytest"]
        if words:
            environment = _environment(python, [folder, folder / "src"])
            done = await in_thread(
                lambda cancelled: _start(words, folder, limits, environment, [], cancelled)
            )
            return done.passed
    return False


def find_python(root: Path) -> Path:
    """The interpreter of a project: that of its virtual environment, else the one that runs us. Blocks.

    Raises:
        RepairError: pytest is not installed there.
    """
    active = os.environ.get("VIRTUAL_ENV")
    environments = [root / name for name in (".venv", "venv", "env")]
    if active and Path(active).absolute().is_relative_to(root.absolute()):
        environments.insert(0, Path(active).absolute())
    inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    python = next((path / inside for path in environments if (path / inside).is_file()), Path(sys.executable))
    ask = "import sys, importlib.util; sys.exit(importlib.util.find_spec('pytest') is None)"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = _start(
            [str(python), "-I", "-c", ask], Path(folder), Limits(seconds=20), {}, [], lambda: False
        )
    if not found.passed:
        raise RepairError(
            f"The project's tests cannot be run: pytest is not installed for {python}. Install it there, for example "
            f"with: {python} -m pip install pytest"
        )
    return python


async def in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    """Runs what blocks, and on cancelling waits until it has stopped, so that nobody takes its folder away."""
    stop = threading.Event()
    task = asyncio.ensure_future(asyncio.to_thread(work, stop.is_set))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([task])
        with contextlib.suppress(Exception):
            task.result()
        raise


def _start(
    command: Sequence[str],
    folder: Path,
    limits: Limits,
    environment: dict[str, str],
    writable: Sequence[Path],
    cancelled: Callable[[], bool],
) -> Outcome:
    try:
        return run(command, folder, limits, env=environment, writable=writable, cancelled=cancelled)
    except OSError as error:
        raise RepairError(f"Tests cannot be run: no process can be started ({error.strerror}).") from error


def _environment(python: Path, path: Sequence[Path]) -> dict[str, str]:
    return _ENVIRONMENT | {
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(map(str, path)),
    }


def _run_tests(
    copy: ScratchCopy,
    nodes: Sequence[str],
    python: Path,
    limits: Limits,
    watch: Sequence[str],
    spectrum: bool,
    cancelled: Callable[[], bool],
) -> TestRun:
    plugin, reports = copy.folder / "tailora-plugin", copy.folder / "tailora-report"
    plugin.mkdir(exist_ok=True)
    reports.mkdir(exist_ok=True)
    shutil.copyfile(_PLUGIN, plugin / f"{_PLUGIN_NAME}.py")
    report = reports / "report.jsonl"
    report.unlink(missing_ok=True)
    spec = {
        "root": str(copy.root),
        "originals": sorted({str(copy.original), str(copy.original.resolve())}),
        "watch": list(watch),
        "spectrum": spectrum,
        "report": str(report),
    }
    environment = _environment(python, [plugin, copy.root, copy.root / "src"])
    environment["TAILORA_TEST_RUN"] = json.dumps(spec)
    options = ["-q", "--tb=short", f"--rootdir={copy.root}", "-p", "no:cacheprovider", "-p", _PLUGIN_NAME]
    command = [str(python), "-m", "pytest", *nodes, *options]
    outcome = _start(command, copy.root, limits, environment, [reports], cancelled)
    said = _Said()
    for entry in _entries(report):
        said.take(entry)
    return said.result(nodes, watch, outcome)


def _entries(report: Path) -> list[dict[str, Any]]:
    """What the plugin wrote; a line that was cut off is passed over."""
    found = []
    with contextlib.suppress(OSError):
        if report.is_symlink():
            return []
        with report.open("rb") as file:
            for line in file.read(_MOST_REPORT).splitlines():
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        found.append(entry)
    return found


class _Said:
    """Puts together what the plugin said."""

    def __init__(self) -> None:
        self._results: dict[str, Result] = {}
        self._failures: dict[str, str] = {}
        self._running: dict[str, None] = {}
        self._ran: dict[str, bool] = {}
        self._lines: dict[str, dict[str, set[int]]] = {}

    def take(self, entry: dict[str, Any]) -> None:
        """One line of the report."""
        match entry:
            case {"start": str(node)}:
                self._running[node] = None
            case {"finish": str(node)}:
                self._running.pop(node, None)
            case {"result": str(node), "outcome": outcome, "text": str(text)} if outcome in _RANK:
                self._add(node, outcome, text)
            case {"ran": str(path), "copy": bool(copied)}:
                self._ran[path] = self._ran.get(path, True) and copied
            case {"lines": str(node), "files": dict(files)}:
                of_node = self._lines.setdefault(node, {})
                for path, lines in files.items():
                    of_node.setdefault(path, set()).update(line - 1 for line in lines)

    def result(self, nodes: Sequence[str], watch: Sequence[str], outcome: Outcome) -> TestRun:
        """All of it, for a run that was asked for ``nodes``."""
        # xdist and the like may have several tests under way.
        for node in self._running:
            self._add(node, "error", f"The run {outcome.why} during this test.")
        if outcome.ended == "exit" and not outcome.passed:
            for node in nodes:
                if not any(_covers(node, found) for found in self._results):
                    self._add(node, "error", self._why_missing(node) or _last_lines(outcome.output))
        return TestRun(
            self._results,
            self._failures,
            bool(watch) and all(self._ran.get(path, False) for path in watch),
            {
                node: {path: frozenset(lines) for path, lines in files.items()}
                for node, files in self._lines.items()
            },
            outcome,
        )

    def _add(self, node: str, outcome: Result, text: str) -> None:
        if _RANK.index(outcome) >= _RANK.index(self._results.get(node, "passed")):
            self._results[node] = outcome
            if outcome in ("failed", "error"):
                self._failures[node] = text[-_MOST_TEXT:]

    def _why_missing(self, node: str) -> str:
        """What is said of the file or class that could not be collected."""
        return next((text for found, text in self._failures.items() if _covers(found, node)), "")


def _covers(node: str, other: str) -> bool:
    """Whether ``other`` is ``node`` or lies in it: a file of a folder, a test of a file, a case of a test."""
    node = node if "::" in node else PurePosixPath(node).as_posix()
    return node in ("", ".") or other == node or other.startswith((node + "/", node + "::", node + "["))


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-30:])[-_MOST_TEXT:]
