"""The open projects: watches them, decides when one is trained, and keeps the one training worker in check.

A project is watched and learned only while every client that has it open trusts it and wants it learned. At
most one worker runs, it is stopped while completions run, and whatever happens to it costs a candidate at
most. Adapters are read and changed through the store alone. Knows nothing of HTTP or of models.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailora.engine import worker as worker_module
from tailora.engine.journal import Rules
from tailora.engine.project import OpenBy, Project, closed_status
from tailora.engine.watcher import Watcher
from tailora.engine.wire import BadRequest
from tailora.engine.worker import Worker
from tailora_adapters.base.cache import base_info
from tailora_adapters.store import ProjectStore, Store

__all__ = ["Projects"]

_log = logging.getLogger(__name__)

_CHECK_S = 30.0
"""How often open projects are looked at for being gone without a notification."""


class Projects:
    """All open projects. Event loop only.

    Args:
        model: Name of the base model, for the worker.
        store: Where adapters are.
        rules: When training starts.
        on_change: Called when something changed that a status shows.
        broken: Adapters that could not be read: why, by key.
        worker_command: Program and first arguments of a worker.
        poll_s: See ``Watcher``.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        model: str,
        store: Store,
        rules: Rules,
        on_change: Callable[[], None],
        *,
        broken: Callable[[], Mapping[str, str]] = dict,
        worker_command: Sequence[str] = worker_module.COMMAND,
        poll_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._store = store
        self._rules = rules
        self._on_change = on_change
        self._broken = broken
        self._worker_command = tuple(worker_command)
        self._poll_s = poll_s
        self._clock = clock
        self._projects: dict[Path, Project] = {}
        self._streams: Counter[tuple[str, str]] = Counter()
        self._busy = False
        self._training: Project | None = None
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False

    def start(self) -> None:
        """Starts the schedule on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._spawn(self._schedule(), "schedule")

    @property
    def open_count(self) -> int:
        """How many projects are open or in training."""
        return len(self._projects)

    # What clients ask for

    async def open(self, root: str, client: str, *, trusted: bool, learning: bool) -> None:
        """Opens a project for a client, or changes how that has it open. A bad root shows in the status."""
        path = await asyncio.to_thread(_real, root)
        project = self._projects.get(path)
        if project is None:
            project = self._projects[path] = self._make(path)
        before = project.trusted, project.learning
        project.problem = _problem(path)
        project.clients[client] = OpenBy(trusted, learning)
        if before[0] and not project.trusted:
            self._end_training(project, "the workspace is no longer trusted")
        elif before[1] and not project.learning:
            self._end_training(project, "learning was turned off")
        self._apply(project)

    def _make(self, path: Path) -> Project:
        return Project(path, lambda: self._store.project(path), None, lambda: base_info(self._model))

    def close(self, root: str, client: str) -> None:
        """The client leaves. Idempotent."""
        project = self._projects.get(_real(root))
        if project is not None and project.clients.pop(client, None) is not None:
            self._apply(project)

    def stream_opened(self, root: str, client: str) -> None:
        """A client listens to a project."""
        self._streams[root, client] += 1

    def stream_closed(self, root: str, client: str) -> None:
        """It no longer does; the end of its last stream closes the project for it."""
        self._streams[root, client] -= 1
        if self._streams[root, client] <= 0:
            del self._streams[root, client]
            self.close(root, client)

    async def train(self, root: str) -> None:
        """Trains as soon as no other project does.

        Raises:
            BadRequest: the project is not open, not trusted, or cannot be learned.
        """
        project = self._projects.get(_real(root))
        if project is None or not project.clients:
            raise BadRequest(f"{root} is not open in any editor; `tailora train` trains it without one", 409)
        if project.problem is not None:
            raise BadRequest(project.problem, 409)
        if not project.trusted:
            raise BadRequest("nothing is learned from a workspace that is not trusted", 409)
        project.train_now = project.worker is None
        self._changed()

    async def pause(self, root: str) -> None:
        """Stops learning until ``resume``; a running training ends.

        Raises:
            StoreUnwritable: nothing was changed.
        """
        await self._act(root, lambda store: store.set_paused(True))
        project = self._projects.get(_real(root))
        if project is not None:
            project.train_now = False
            self._end_training(project, "paused")

    async def resume(self, root: str) -> None:
        """Ends a pause; what changed meanwhile is learned.

        Raises:
            StoreUnwritable: nothing was changed.
        """
        await self._act(root, lambda store: store.set_paused(False))
        project = self._projects.get(_real(root))
        if project is not None:
            project.journal.retry()
            self._changed()

    async def rollback(self, root: str) -> None:
        """Serves what served before. Raises ``StoreError``: nothing was changed."""
        await self._act(root, lambda store: store.rollback(base_info(self._model)))

    async def disable(self, root: str) -> None:
        """Serves the foundation adapter instead. Raises ``StoreError``: nothing was changed."""
        await self._act(root, lambda store: store.disable())

    async def enable(self, root: str) -> None:
        """Ends ``disable``. Raises ``StoreError``: nothing was changed."""
        await self._act(root, lambda store: store.enable())

    async def _act(self, root: str, action: Callable[[ProjectStore], object]) -> None:
        store = self._store.project(_real(root))
        await asyncio.to_thread(action, store)
        self._changed()

    def status(self, root: str) -> dict[str, Any]:
        """The status's ``project``."""
        path = _real(root)
        project = self._projects.get(path)
        if project is None:
            return closed_status(self._make(path), root)
        other = self._training is not None and self._training is not project
        return project.status(root, self._clock(), self._rules, dict(self._broken()), other_trains=other)

    # Watching

    def _apply(self, project: Project) -> None:
        """Makes watcher and training follow what the clients allow. A run may outlive its editor."""
        if project.problem is not None:
            self._end_training(project, project.problem)
        if project.problem is not None or not project.trusted:
            project.train_now = False
        self._forget_if_unused(project)
        self._spawn(self._sync_watcher(project), "watch")
        self._changed()

    def _forget_if_unused(self, project: Project) -> None:
        if not project.clients and project.worker is None:
            self._projects.pop(project.path, None)

    async def _sync_watcher(self, project: Project) -> None:
        async with project.watch_lock:
            watcher = project.watcher
            if project.watchable and watcher is None and not self._closing:
                project.watcher = watcher = self._make_watcher(project)
                project.watch_note = await asyncio.to_thread(watcher.start)
            elif watcher is not None and (self._closing or not project.watchable):
                project.watcher = project.watch_note = None
                await asyncio.to_thread(watcher.stop)
        self._changed()

    def _make_watcher(self, project: Project) -> Watcher:
        def post(callback: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                assert self._loop is not None
                self._loop.call_soon_threadsafe(callback)

        def on_files(paths: set[str]) -> None:
            project.journal.note(paths, self._clock())
            # A checkout brings thousands of events: the loop is woken once for all that it has not seen.
            if not project.has_news:
                project.has_news = True
                post(lambda: self._news(project))

        return Watcher(
            project.path,
            on_files,
            lambda: project.journal.disturb(self._clock()),
            lambda: post(self._wake.set),  # the schedule looks whether the folder is gone
            poll_s=self._poll_s,
        )

    def _news(self, project: Project) -> None:
        project.has_news = False
        self._changed()

    # Training

    def set_busy(self, busy: bool) -> None:
        """Completions run, so the worker has to wait; or no longer."""
        self._busy = busy
        worker = self._training.worker if self._training is not None else None
        if worker is not None:
            worker.suspend() if busy else worker.resume()

    async def _schedule(self) -> None:
        while not self._closing:
            self._wake.clear()
            pause = self._start_what_is_due()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    def _start_what_is_due(self) -> float:
        """Starts a run if one may start; returns the seconds after which to look again."""
        now, pause = self._clock(), _CHECK_S
        for project in list(self._projects.values()):
            problem = _problem(project.path)
            if problem != project.problem:
                project.problem = problem
                self._apply(project)
            due = project.due_in(now, self._rules)
            if due is None or self._training is not None:
                continue
            if due > 0:
                pause = min(pause, due)
                continue
            self._begin(project)
        return pause

    def _begin(self, project: Project) -> None:
        files = project.journal.changed()
        project.journal.began(self._clock())
        project.train_now = False
        project.progress = {}
        self._training = project
        command = [*self._worker_command, "--root", str(project.path), "--model", self._model]
        project.worker = Worker(command, lambda event: self._progress(project, event))
        if self._busy:
            project.worker.suspend()
        self._spawn(self._train(project, project.worker, files), "train")
        self._on_change()

    async def _train(self, project: Project, worker: Worker, files: tuple[str, ...]) -> None:
        done = worker_module.failed("an internal error; the engine's log says more")
        try:
            done = await worker.run(files)
        except Exception:  # noqa: BLE001 - a task's boundary: a fault must not end the schedule
            _log.exception("training %s failed", project.path)
        finally:
            project.worker = self._training = None
            project.journal.ended(self._clock(), learned=done["decision"] != "failed")
            project.finished(done, ended_because=worker.ended_because)
            _log.info("%s: %s", project.path, project.message)
            self._forget_if_unused(project)
            self._changed()

    def _progress(self, project: Project, event: dict[str, Any]) -> None:
        project.progress = event
        self._on_change()

    def _end_training(self, project: Project, reason: str) -> None:
        if project.worker is not None:
            project.worker.kill(reason)

    # House-keeping

    def _changed(self) -> None:
        self._wake.set()
        self._on_change()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task failed", exc_info=error)

    async def close_all(self) -> None:
        """Ends the training and all watchers. Nothing is lost but the candidate in training."""
        self._closing = True
        if self._training is not None:
            self._end_training(self._training, "the engine is ending")
        for project in list(self._projects.values()):
            self._spawn(self._sync_watcher(project), "watch")
        self._wake.set()
        while self._tasks:
            await asyncio.wait(set(self._tasks))


def _real(root: str) -> Path:
    """The root without symbolic links.

    Raises:
        BadRequest: its links lead in a circle.
    """
    path = Path(os.path.realpath(root))
    if path.is_symlink():
        raise BadRequest(f"{root} is a loop of symbolic links")
    return path


def _problem(path: Path) -> str | None:
    """Why a folder is not learned, or None."""
    try:
        if not path.is_dir():
            return f"{path} is not a folder" if path.exists() else f"the folder {path} does not exist"
        if path == Path(path.anchor) or path == Path.home().resolve():
            return f"{path} as a whole is not learned; open a project inside it"
    except OSError as error:
        return f"the folder {path} cannot be read: {error.strerror}"
    if not os.access(path, os.R_OK | os.X_OK):
        return f"the folder {path} cannot be read"
    return None
