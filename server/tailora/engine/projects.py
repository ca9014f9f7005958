"""The open projects: watches them, decides when one is trained, and keeps the one training worker in check.

A project is watched and learned only while every client that has it open trusts it and wants it learned. At
most one worker runs, it is stopped while completions run, and whatever happens to it costs a candidate at
most. Adapters are read and changed through the store alone. Knows nothing of HTTP or of models.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from tailora.engine import outcomes
from tailora.engine import worker as worker_module
from tailora.engine.agenda import Agenda
from tailora.engine.project import OpenBy, Project, agenda_of, closed_status
from tailora.engine.roots import problem_of, real_root
from tailora.engine.schedule import Decision, Rules
from tailora.engine.surroundings import Moment, Surroundings
from tailora.engine.watcher import Watcher
from tailora.engine.wire import BadRequest
from tailora.engine.worker import Worker
from tailora.method_options import How, how_by_files
from tailora.options import kept_out
from tailora_adapters.base.cache import base_info
from tailora_adapters.outcomes import Event
from tailora_adapters.store import ProjectStore, Store

__all__ = ["Projects"]

_log = logging.getLogger(__name__)

_CHECK_S = 30.0
"""How often open projects are looked at for being gone or replaced without a notification."""
_CHECK_TRAINING_S = 10.0
"""How often a run is taken off the day's budget: what a kill of the engine forgets of it at most."""


def _place(project: Project) -> tuple[bool, bool]:
    """Whose turn it is among the projects that are due: what a user waits for comes first, repair last."""
    return not project.train_now, project.decision.purpose == "repair"


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
        surroundings: The time, and what else goes on in the machine.
        save_every_s: See ``Agenda``: what changed is written to disk at most this often, and at the end.
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
        surroundings: Surroundings | None = None,
        save_every_s: float = 3.0,
    ) -> None:
        self._model = model
        self._store = store
        self._rules = rules
        self._on_change = on_change
        self._broken = broken
        self._worker_command = tuple(worker_command)
        self._poll_s = poll_s
        self._around = surroundings or Surroundings()
        self._save_every_s = save_every_s
        self._projects: dict[Path, Project] = {}
        self._streams: Counter[tuple[str, str]] = Counter()
        self._busy = False
        self._training: Project | None = None
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = asyncio.Event()

    def start(self) -> None:
        """Starts the schedule on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._spawn(self._schedule(), "schedule")

    @property
    def open_count(self) -> int:
        """How many projects are open or in training."""
        return len(self._projects)

    # What clients ask for

    async def open(
        self, root: str, client: str, *, trusted: bool, learning: bool, how: How | None = None
    ) -> None:
        """Opens a project for a client, or changes how that has it open. A bad root shows in the status.

        ``how`` it is trained from now on; None: as the user's and the repository's files say.
        """
        path = await asyncio.to_thread(real_root, root)
        if how is None:
            how = await asyncio.to_thread(how_by_files, path)
        if path not in self._projects:
            agenda = await asyncio.to_thread(self._agenda, path)
            self._projects.setdefault(path, self._make(path, agenda))
        project = self._projects[path]
        before = project.trusted, project.learning
        project.problem = problem_of(path)
        project.clients[client] = OpenBy(trusted, learning)
        project.how = how
        if before[0] and not project.trusted:
            self._end_training(project, "the workspace is no longer trusted")
        elif before[1] and not project.learning:
            self._end_training(project, "learning was turned off")
        self._apply(project)

    def _make(self, path: Path, agenda: Agenda) -> Project:
        return Project(path, lambda: self._store.project(path), agenda, lambda: base_info(self._model))

    def _agenda(self, path: Path) -> Agenda:
        return agenda_of(self._store.project(path), self._around.moment())

    async def _begin_anew(self, project: Project) -> None:
        """Leaves the books of the repository that was at a project's path for those of the one that is there now."""
        self._end_training(project, "another repository is there by now")
        agenda = await asyncio.to_thread(self._agenda, project.path)
        async with project.watch_lock:
            if self._projects.get(project.path) is not project:
                return
            new = self._projects[project.path] = self._make(project.path, agenda)
            new.clients, new.problem, project.clients = project.clients, project.problem, {}
            new.how = project.how
            watcher, project.watcher = project.watcher, None
        if watcher is not None:
            await asyncio.to_thread(watcher.stop)
        self._apply(new)

    def close(self, root: str, client: str) -> None:
        """The client leaves. Idempotent."""
        project = self._projects.get(real_root(root))
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
        """Trains as soon as no other project does; a run that waits for power goes on.

        Raises:
            BadRequest: the project is not open, not trusted, kept out by its own file, or cannot be learned, or not by
                its method.
        """
        project = self._projects.get(real_root(root))
        if project is None or not project.clients:
            raise BadRequest(f"{root} is not open in any editor; `tailora train` trains it without one", 409)
        if project.problem is not None:
            raise BadRequest(project.problem, 409)
        if not project.trusted:
            raise BadRequest("nothing is learned from a workspace that is not trusted", 409)
        if why := kept_out(project.path):
            raise BadRequest(why, 409)
        project.ask_run()
        self._changed()

    def note_repair(self, root: str) -> None:
        """Somebody has code of a project repaired: if that is learned, so is repairing it. Cheap enough for every
        request; any root is fine."""
        with contextlib.suppress(BadRequest):
            project = self._projects.get(real_root(root))
            if project is not None and project.ask_repair(self._around.clock()):
                self._changed()

    async def pause(self, root: str) -> None:
        """Stops learning until ``resume``; a running training ends.

        Raises:
            StoreUnwritable: nothing was changed.
        """
        await self._act(root, lambda store: store.set_paused(True))
        project = self._projects.get(real_root(root))
        if project is not None:
            project.train_now = False
            self._end_training(project, "paused")

    async def resume(self, root: str) -> None:
        """Ends a pause; what changed meanwhile is learned.

        Raises:
            StoreUnwritable: nothing was changed.
        """
        await self._act(root, lambda store: store.set_paused(False))
        project = self._projects.get(real_root(root))
        if project is not None:
            project.agenda.retry()
            self._changed()

    async def rollback(self, root: str) -> None:
        """Serves what served before. Raises ``StoreError``: nothing was changed."""
        await self._act(root, lambda store: store.rollback(base_info(self._model)))
        self._end_rolled_back(real_root(root))

    async def disable(self, root: str) -> None:
        """Serves the foundation adapter instead. Raises ``StoreError``: nothing was changed."""
        await self._act(root, lambda store: store.disable())

    async def enable(self, root: str) -> None:
        """Ends ``disable``. Raises ``StoreError``: nothing was changed."""
        await self._act(root, lambda store: store.enable())

    async def note_outcomes(self, root: str, events: Sequence[Event]) -> None:
        """Stores what became of suggestions; a version that users accept or keep less of is rolled back.

        Raises:
            StoreUnwritable: nothing was stored.
        """
        path = real_root(root)
        reason = await asyncio.to_thread(outcomes.note, self._store.project(path), self._model, events)
        if reason is not None:
            self._end_rolled_back(path)
            self._changed()

    def _end_rolled_back(self, path: Path) -> None:
        project = self._projects.get(path)
        if project is not None and project.purpose == "completion":
            self._end_training(project, "the adapter was rolled back")  # which it may have started from

    async def _act(self, root: str, action: Callable[[ProjectStore], object]) -> None:
        store = self._store.project(real_root(root))
        await asyncio.to_thread(action, store)
        self._changed()

    def status(self, root: str) -> dict[str, Any]:
        """The status's ``project``."""
        path = real_root(root)
        project = self._projects.get(path)
        if project is None:
            return closed_status(self._make(path, Agenda(self._store.project(path).directory)), root)
        other = self._training is not None and self._training is not project
        return project.status(
            root, self._around.moment(), self._rules, dict(self._broken()), other_trains=other
        )

    # Watching

    def _apply(self, project: Project) -> None:
        """Makes watcher and training follow what the clients allow. A run may outlive its editor."""
        if project.problem is not None:
            self._end_training(project, project.problem)
        if project.problem is not None or not project.trusted:
            project.train_now = False
        self._spawn(self._sync_watcher(project), "watch")
        self._changed()

    async def _sync_watcher(self, project: Project) -> None:
        async with project.watch_lock:
            wanted = project.watchable and not self._closing.is_set()
            watcher = project.watcher
            if watcher is not None and (watcher.is_deaf or not wanted):
                await asyncio.to_thread(self._save_now, project, at_end=True)
                project.watcher = project.watch_note = None
                await asyncio.to_thread(watcher.stop)
            if wanted and project.watcher is None:
                watcher = self._make_watcher(project)
                moment = self._around.moment()
                project.watch_note = await asyncio.to_thread(watcher.start)
                await asyncio.to_thread(project.catch_up, moment)
                project.watcher = watcher
            if not project.clients and project.worker is None:
                await asyncio.to_thread(self._save_now, project)
                if not project.clients and self._projects.get(project.path) is project:
                    self._projects.pop(project.path, None)
        self._changed()

    def _make_watcher(self, project: Project) -> Watcher:
        def post(callback: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                assert self._loop is not None
                self._loop.call_soon_threadsafe(callback)

        def news() -> None:
            # A checkout brings thousands of events: the loop is woken once for all that it has not seen.
            if not project.has_news:
                project.has_news = True
                post(lambda: self._news(project))

        def on_files(sizes: Mapping[str, int]) -> None:
            project.agenda.journal.note(sizes, self._around.clock())
            news()

        def on_head() -> None:
            project.agenda.journal.disturb(self._around.clock())
            news()

        return Watcher(
            project.path,
            on_files,
            on_head,
            lambda: post(self._wake.set),  # the schedule looks whether the folder is gone
            poll_s=self._poll_s,
        )

    def _news(self, project: Project) -> None:
        project.has_news = False
        self._changed()

    # Keeping

    def _save_soon(self, project: Project) -> None:
        if project.agenda.is_dirty and not project.is_saving:
            project.is_saving = True
            self._spawn(self._save(project), "save")

    async def _save(self, project: Project) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), self._save_every_s)
        project.is_saving = False
        problem = project.agenda.problem
        if self._projects.get(project.path) is project:
            await asyncio.to_thread(self._save_now, project)
        if project.agenda.problem != problem:
            self._on_change()

    def _save_now(self, project: Project, *, at_end: bool = False) -> None:
        """Writes what must not be lost; ``at_end``: and until when it was watched. Blocks."""
        if project.agenda.is_dirty or (at_end and project.store.directory.exists()):
            # Where the project is only looked through now and then, what changed since is not noted yet.
            slack_s = 2 * self._poll_s if project.watch_note is not None else 0.0
            watcher = project.watcher
            watched = watcher is not None and not watcher.is_deaf
            project.agenda.save(self._around.moment(), watched=watched, slack_s=slack_s)

    # Training

    def set_busy(self, busy: bool) -> None:
        """Completions run, so the worker has to wait; or no longer."""
        self._busy = busy
        self._halt_or_go_on()

    def _halt_or_go_on(self) -> None:
        training = self._training
        if training is not None and training.worker is not None:
            worker = training.worker
            worker.suspend() if self._busy or training.held else worker.resume()

    async def _schedule(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            pause = self._start_what_is_due()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)

    def _start_what_is_due(self) -> float:
        """Starts a run if one may start; returns the seconds after which to look again."""
        moment, pause = self._around.look(), _CHECK_S
        if self._training is not None:
            self._training.charge(moment)
            if self._training.hold(moment, self._rules):
                self._halt_or_go_on()
                self._on_change()
            in_the_way = any(project.train_now for project in self._projects.values())
            if self._training.held_too_long(moment) or (self._training.held and in_the_way):
                self._end_training(self._training, "on battery; it goes on when back on mains")
            elif self._training.purpose == "repair" and in_the_way:
                self._end_training(self._training, "a run that was asked for goes first")
            pause = _CHECK_TRAINING_S
        due: list[Project] = []
        for project in list(self._projects.values()):
            decision = self._decide(project, moment)
            if decision is not None and decision.start:
                due.append(project)
            elif decision is not None and decision.in_s is not None and self._training is None:
                pause = min(pause, decision.in_s)
        if due and self._training is None:
            self._begin(min(due, key=_place))
        return pause

    def _decide(self, project: Project, moment: Moment) -> Decision | None:
        """Looks at a project; None where another repository is in its place."""
        problem = problem_of(project.path)
        if problem != project.problem:
            project.problem = problem
            self._apply(project)
        if project.store.directory != project.agenda.directory:
            self._spawn(self._begin_anew(project), "watch")
            return None
        if project.watcher is not None and project.watcher.is_deaf:
            self._spawn(self._sync_watcher(project), "watch")
        if project.watchable:
            project.look_at_git()
        before = project.decision
        decision = project.decide(moment, self._rules)
        self._save_soon(project)
        if decision.why != before.why:
            self._on_change()
        return decision

    def _begin(self, project: Project) -> None:
        files, seconds = project.begin(self._around.moment(), self._rules)
        self._training = project
        self._around.forget_load()
        command = [*self._worker_command, "--root", str(project.path), "--model", self._model]
        command += ["--seconds", f"{seconds:.0f}", *project.how.arguments]
        if project.purpose == "repair":
            command += ["--for", "repair"]
        project.worker = Worker(command, lambda event: self._progress(project, event), self._around.clock)
        if self._busy:
            project.worker.suspend()
        self._spawn(self._train(project, project.worker, files), "train")
        self._save_soon(project)
        self._on_change()

    async def _train(self, project: Project, worker: Worker, files: tuple[str, ...]) -> None:
        done = worker_module.failed("an internal error; the engine's log says more")
        try:
            done = await worker.run(files)
        except Exception:  # noqa: BLE001 - a task's boundary: a fault must not end the schedule
            _log.exception("training %s failed", project.path)
        finally:
            self._training = None
            self._around.forget_load()
            project.ended(done, self._around.moment(), ended_because=worker.ended_because)
            _log.info("%s: %s", project.path, project.message)
            self._save_soon(project)
            self._spawn(self._sync_watcher(project), "watch")
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
        self._closing.set()
        if self._training is not None:
            self._end_training(self._training, "the engine is ending")
        for project in list(self._projects.values()):
            self._spawn(self._sync_watcher(project), "watch")
        self._wake.set()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
