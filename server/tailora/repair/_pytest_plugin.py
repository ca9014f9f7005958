"""Loaded into the project's own pytest as ``tailora_pytest_plugin``: says what each test did while it does it.

One file without dependencies, for Python 3.8 and pytest 6 and later. ``TAILORA_TEST_RUN`` is a JSON object: ``root``
(the copy), ``originals`` (the user's folder, by all its names), ``watch`` (files of it), ``spectrum`` and ``report``, a
file to which one JSON object a line is appended:

- ``{"start": node}`` and ``{"finish": node}``;
- ``{"result": node, "outcome": ..., "text": ...}``, several for one node, of which the worst counts;
- ``{"ran": path, "copy": bool}``: a watched file was executed, from the copy or from the user's folder;
- ``{"lines": node, "files": {path: [...]}}``: executed lines, from 1, several for one node.

An editable install names the user's folder; what it would import from there is imported from the copy.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

_spec = json.loads(os.environ["TAILORA_TEST_RUN"])
_root = _spec["root"]
_originals = _spec["originals"]
_pid = os.getpid()
_most_text = 2000
_most_lines = 32 << 20
"""Bytes about executed lines in a report."""
_flush_s = 0.5


def _write(**entry: Any) -> None:
    if os.getpid() != _pid:
        return  # a test forked
    data = (json.dumps(entry) + "\n").encode()
    file = os.open(_spec["report"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, data)
    finally:
        os.close(file)


# Results.


def _last_lines(text: str) -> str:
    lines = text.splitlines()[-30:]
    return "\n".join(lines)[-_most_text:]


def pytest_runtest_logstart(nodeid: str, location: Any) -> None:
    _write(start=nodeid)


def pytest_runtest_logfinish(nodeid: str, location: Any) -> None:
    _write(finish=nodeid)


def pytest_runtest_logreport(report: Any) -> None:
    if report.outcome == "failed":
        outcome = "failed" if report.when == "call" else "error"
        _write(result=report.nodeid, outcome=outcome, text=_last_lines(report.longreprtext))
    elif report.outcome == "skipped" or (report.outcome == "passed" and report.when == "call"):
        _write(result=report.nodeid, outcome=report.outcome, text="")


def pytest_collectreport(report: Any) -> None:
    if report.outcome == "failed":
        _write(result=report.nodeid, outcome="error", text=_last_lines(report.longreprtext))
    elif report.outcome == "skipped":
        _write(result=report.nodeid, outcome="skipped", text="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: Any) -> None:
    # Coverage that the project's settings ask for costs time, and takes the place of the spectrum's tracer.
    if getattr(early_config.known_args_namespace, "cov_source", None):
        early_config.known_args_namespace.cov_source = []


# Which files are imported.


def _in_copy(path: str) -> str | None:
    """What lies in the copy in the place of a path in the user's folder; None if the path is elsewhere."""
    for original in _originals:
        if path == original or path.startswith(original + os.sep):
            moved = _root + path[len(original) :]
            return moved if os.path.exists(moved) else None  # noqa: PTH110  asked on every import
    return None


class _FromCopy:
    """Finds in the copy what the finders after it find in the user's folder."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        finders = sys.meta_path
        for finder in finders[finders.index(self) + 1 :] if self in finders else ():
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                return _moved(spec)
        return None

    def invalidate_caches(self) -> None:
        pass


def _moved(spec: Any) -> Any:
    places = spec.submodule_search_locations
    moved_places = None if places is None else [_in_copy(place) or place for place in list(places)]
    origin = _in_copy(spec.origin) if spec.has_location and spec.origin else None
    if origin is not None:
        loader = None if hasattr(spec.loader, "path") else spec.loader
        moved = importlib.util.spec_from_file_location(
            spec.name, origin, loader=loader, submodule_search_locations=moved_places
        )
        return moved or spec
    if moved_places is not None and moved_places != list(places) and spec.origin is None:
        moved = importlib.machinery.ModuleSpec(spec.name, None, is_package=True)
        moved.submodule_search_locations = moved_places
        return moved
    return spec


def _import_from_copy() -> None:
    added = []
    for index, path in enumerate(sys.path):
        moved = _in_copy(path)
        if moved:
            sys.path[index] = moved
            added.append(moved)
    # For programs that the tests start.
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(known + [path for path in added if path not in known])
    sys.meta_path.insert(0, _FromCopy())


_import_from_copy()

_watched = {_root + os.sep + path: (path, True) for path in _spec["watch"]}
for _original in _originals:
    _watched.update({_original + os.sep + path: (path, False) for path in _spec["watch"]})
_told: set[tuple[str, bool]] = set()


def _executed(filename: Any) -> None:
    found = _watched.get(filename)
    if found is not None and found not in _told:
        _told.add(found)
        _write(ran=found[0], copy=found[1])


def _audit(event: str, args: Any) -> None:
    # Raised for the code of every module, however it is loaded.
    if event == "exec" and args:
        _executed(getattr(args[0], "co_filename", None))


for _module in list(sys.modules.values()):
    _executed(getattr(_module, "__file__", None))
if _watched:
    sys.addaudithook(_audit)


# Which lines are executed.


def _monitoring() -> Any:
    """``sys.monitoring``, from Python 3.12 on."""
    return getattr(sys, "monitoring", None)


class _Spectrum:
    """Collects the executed lines of files in the copy, in all threads."""

    def __init__(self) -> None:
        self._node: str | None = None
        self._seen: set[tuple[str, int]] = set()
        self._flushed: set[tuple[str, int]] = set()
        self._written = 0
        self._paths: dict[str, str | None] = {}
        self._lock = threading.Lock()
        self._before: Any = None
        self._tool: int | None = None
        self._monitoring = _monitoring()
        if self._monitoring is not None:
            self._tool = next(
                (tool for tool in (3, 4, 5, 1) if self._monitoring.get_tool(tool) is None), None
            )
        if self._tool is not None:
            events = self._monitoring.events
            self._monitoring.use_tool_id(self._tool, "tailora")
            self._monitoring.register_callback(self._tool, events.PY_START, self._on_start)
            self._monitoring.register_callback(self._tool, events.PY_RESUME, self._on_start)
            self._monitoring.register_callback(self._tool, events.LINE, self._on_line)
        # A test that never ends is killed; what it did until then is what one wants to know.
        threading.Thread(target=self._keep_flushing, name="tailora", daemon=True).start()

    def start(self, node: str) -> None:
        if os.getpid() != _pid:
            return
        with self._lock:
            self._node, self._seen, self._flushed = node, set(), set()
        if self._tool is not None:
            events = self._monitoring.events
            self._monitoring.set_events(self._tool, events.PY_START | events.PY_RESUME)
            self._monitoring.restart_events()
        else:
            self._before = sys.gettrace()
            threading.settrace(self._trace)
            sys.settrace(self._trace)

    def stop(self) -> None:
        if self._tool is not None:
            self._monitoring.set_events(self._tool, 0)
        else:
            sys.settrace(self._before)
            threading.settrace(self._before)
        self._flush()
        self._node = None

    def _keep_flushing(self) -> None:
        wait = threading.Event().wait
        while not wait(_flush_s):
            self._flush()

    def _flush(self) -> None:
        if os.getpid() != _pid:
            return  # the lock may be held by a thread that a fork left behind
        with self._lock:
            new = self._seen.copy() - self._flushed
            self._flushed |= new
            if not new or self._node is None or self._written > _most_lines:
                return
            files: dict[str | None, list[int]] = {}
            for filename, line in new:
                files.setdefault(self._path(filename), []).append(line)
            self._written += sum(map(len, files.values())) * 6
            _write(lines=self._node, files=files)

    def _path(self, filename: str) -> str | None:
        """Relative to the copy's root; None for a file elsewhere."""
        try:
            return self._paths[filename]
        except KeyError:
            inside = filename.startswith(_root + os.sep)
            path = filename[len(_root) + 1 :].replace(os.sep, "/") if inside else None
            self._paths[filename] = path
            return path

    def _on_start(self, code: Any, offset: int) -> Any:
        if self._path(code.co_filename) is not None:
            self._monitoring.set_local_events(self._tool, code, self._monitoring.events.LINE)
        return self._monitoring.DISABLE

    def _on_line(self, code: Any, line: int) -> Any:
        self._seen.add((code.co_filename, line))
        return self._monitoring.DISABLE

    def _trace(self, frame: Any, event: str, arg: Any) -> Callable[..., Any] | None:
        filename = frame.f_code.co_filename
        if self._path(filename) is None:
            return None
        if event == "line":
            self._seen.add((filename, frame.f_lineno))
        return self._trace


_spectrum = _Spectrum() if _spec["spectrum"] else None


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: Any, nextitem: Any) -> Iterator[None]:
    if _spectrum is None:
        yield
        return
    _spectrum.start(item.nodeid)
    try:
        yield
    finally:
        _spectrum.stop()
