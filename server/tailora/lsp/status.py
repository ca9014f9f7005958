"""What goes on, for a person: the ``tailora/status`` notification and progress of long work.

Collects what the engine tells and why a suggestion was shown or not; knows nothing of how either comes
about. Invariants: at any time the client has been told the state as it is, never twice in a row the same; and
a progress that was begun is ended.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["STATUS_METHOD", "StatusBoard", "blocking_reason", "describe"]

STATUS_METHOD = "tailora/status"
_log = logging.getLogger(__name__)

EngineStatus = dict[str, Any]


class StatusBoard:
    """The newest of everything, and what the client was told last."""

    def __init__(self, server: TailoraServer) -> None:
        self._server = server
        self._problem: str | None = None
        self._statuses: dict[Path | None, EngineStatus] = {}
        self._newest: EngineStatus | None = None
        self._suggestion: dict[str, Any] = {"shown": False, "reason": None}
        self._told: dict[str, Any] | None = None
        self._named: set[str] = set()
        self._bars: dict[str, _Bar] = {}

    def engine(self, root: Path | None) -> EngineStatus | None:
        """The newest engine status with ``root``'s project; None while the engine is not known to answer."""
        return self._statuses.get(root) or self._newest

    def update(self, root: Path | None, status: EngineStatus) -> None:
        """An engine status arrived."""
        self._problem = None
        self._show_withdrawal(self._statuses.get(root), status)
        self._statuses[root] = self._newest = status
        self._show_problems(status)
        self._show_progress(root, status)
        self.publish()

    def engine_lost(self, problem: str | None) -> None:
        """The engine does not answer: ``problem`` says why, None while it is being started."""
        self._problem = problem
        self._statuses.clear()
        self._newest = None
        self._end_progress("")
        self.publish()

    def forget(self, root: Path | None) -> None:
        """The folder was closed."""
        self._statuses.pop(root, None)
        self._end_progress(f"training {root}")
        self.publish()

    def suggestion(self, *, shown: bool, reason: str | None) -> None:
        """The outcome of the newest request."""
        self._suggestion = {"shown": shown, "reason": reason}
        self.publish()

    def current(self) -> dict[str, Any]:
        """The parameters of ``tailora/status``.

        ``state``: ``starting``, ``error``, ``off``, ``model_missing``, ``fetching``, ``loading``,
        ``training``, ``paused`` or ``ready``. ``message``: the same for a person. ``model`` and ``project``
        are those of the engine status, or None; ``engine`` is its ``pid`` and ``version``.
        ``suggestion``: ``shown``, and else the ``reason`` why not,
        about the newest request that was not overtaken.
        """
        root = self._server.active_root
        status = self.engine(root)
        options = self._server.settings.for_root(root)
        state, message = describe(status, self._problem, completing=options.completion.enabled)
        return {
            "state": state,
            "message": message,
            "engine": _identity(status) if status else None,
            "model": status.get("model") if status else None,
            "project": status.get("project") if status else None,
            "suggestion": self._suggestion,
        }

    def publish(self) -> None:
        """Tells the client, if there is something new."""
        current = self.current()
        if current != self._told and self._server.client_listens:
            self._told = current
            self._server.protocol.notify(STATUS_METHOD, current)

    def _show_problems(self, status: EngineStatus) -> None:
        """Names the engine's bad settings, each once."""
        problems = [str(problem) for problem in _part(status, "engine").get("problems") or ()]
        if fresh := [problem for problem in problems if problem not in self._named]:
            self._named.update(fresh)
            message = "Tailora engine settings: " + "; ".join(fresh)
            params = types.ShowMessageParams(type=types.MessageType.Warning, message=message)
            self._server.window_show_message(params)

    def _show_withdrawal(self, before: EngineStatus | None, status: EngineStatus) -> None:
        """Says that an adapter was rolled back by itself, when it happens."""
        reason = _part(status, "project").get("withdrawn")
        if before is not None and reason and reason != _part(before, "project").get("withdrawn"):
            params = types.ShowMessageParams(type=types.MessageType.Info, message=f"Tailora: {reason}")
            self._server.window_show_message(params)

    def _show_progress(self, root: Path | None, status: EngineStatus) -> None:
        model = _part(status, "model")
        self._set_progress(
            "model",
            "Tailora: base model",
            model if model.get("state") in ("fetching", "converting") else None,
        )
        project = _part(status, "project")
        busy = project if project.get("state") in ("training", "gating") else None
        self._set_progress(f"training {root}", "Tailora: learning this repository", busy)

    def _set_progress(self, key: str, title: str, busy: dict[str, Any] | None) -> None:
        bar = self._bars.get(key)
        if busy is None:
            self._end_progress(key)
            return
        if bar is None:
            window = self._server.client_capabilities.window
            if window is None or not window.work_done_progress:
                return
            bar = self._bars[key] = _Bar(self._server, title)
        fraction = busy.get("progress")
        percentage = round(100 * fraction) if isinstance(fraction, int | float) else None
        bar.show(_Step(str(busy.get("message") or busy.get("state")), percentage))

    def _end_progress(self, key: str) -> None:
        for name in [name for name in self._bars if name == key or not key]:
            self._bars.pop(name).show(None)


def describe(status: EngineStatus | None, problem: str | None, *, completing: bool) -> tuple[str, str]:
    """The state and a text for a person."""
    if problem is not None:
        return "error", f"No engine: {problem}"
    if status is None:
        return "starting", "Starting the engine"
    model, project = _part(status, "model"), _part(status, "project")
    if not completing:
        return "off", "Suggestions are turned off (completion.enabled)"
    blocking = blocking_reason(status)
    if blocking:
        return {"missing": "model_missing", "failed": "error"}.get(model["state"], "fetching"), blocking
    name = model.get("name")
    if model.get("state") == "loading":
        return "loading", f"Loading {name}"
    learned = str(project.get("message") or "")
    if project.get("state") in ("training", "gating"):
        return "training", learned or "Learning this repository"
    if project.get("state") == "paused":
        return "paused", learned or "Learning is paused"
    return "ready", f"{name}: {learned}" if learned else f"Ready: {name}"


def blocking_reason(status: EngineStatus) -> str | None:
    """Why the model cannot answer just now; None if it can, or will as soon as it is loaded."""
    model = _part(status, "model")
    name, said = model.get("name"), model.get("message")
    if model.get("state") == "missing":
        return f"The model {name} is not on this machine; to get it: tailora model pull"
    if model.get("state") in ("fetching", "converting"):
        fraction = model.get("progress")
        done = f" ({round(100 * fraction)} %)" if isinstance(fraction, int | float) else ""
        return f"{said or f'Getting the model {name}'}{done}"
    if model.get("state") == "failed":
        return f"The model {name} cannot be loaded: {said or 'see the log'}"
    return None


def _identity(status: EngineStatus) -> dict[str, Any]:
    """Only what stays, so that nobody is told of every second that it runs."""
    engine = _part(status, "engine")
    return {key: engine.get(key) for key in ("pid", "version")}


def _part(status: EngineStatus, key: str) -> dict[str, Any]:
    part = status.get(key)
    return part if isinstance(part, dict) else {}


@dataclass(frozen=True, slots=True)
class _Step:
    message: str
    percentage: int | None


class _Bar:
    """One work-done progress: created, begun, reported and ended in this order, at the client's pace."""

    def __init__(self, server: TailoraServer, title: str) -> None:
        self._server = server
        self._title = title
        self._steps = asyncio.Queue[_Step | None]()
        self._last: _Step | None = None
        server.spawn(self._run(), f"progress {title}")

    def show(self, step: _Step | None) -> None:
        """The next step; None ends it."""
        if step is None or step != self._last:
            self._last = step
            self._steps.put_nowait(step)

    async def _run(self) -> None:
        progress, token = self._server.work_done_progress, str(uuid.uuid4())
        try:
            await progress.create_async(token)
        except JsonRpcException as error:
            _log.info("The client shows no progress: %s", error)
            return
        step = await self._steps.get()
        text, done = (step.message, step.percentage) if step else (None, None)
        begin = types.WorkDoneProgressBegin(
            title=self._title, cancellable=False, message=text, percentage=done
        )
        progress.begin(token, begin)
        while step is not None:
            step = await self._steps.get()
            if step is not None:
                report = types.WorkDoneProgressReport(message=step.message, percentage=step.percentage)
                progress.report(token, report)
        progress.end(token, types.WorkDoneProgressEnd())
