"""Decides which request the one generation thread works on, and keeps the model loaded while it is needed.

Requests come from the event loop as ``Job`` objects, the generator is touched by the generation thread only.
The newest request of a document replaces its older ones, the newest waiting request runs first, work ahead of need
makes way for any request, and a fault in the generator costs one request. Knows nothing of HTTP; adapters come from
a function that it is given.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tailora.engine.generator import AdapterRef, GenerationRequest, GenerationStep, Generator
from tailora.engine.jobs import Job
from tailora.errors import EngineRefused
from tailora_adapters.errors import AdapterCorrupt, ModelError, ModelMissing, TailoraError

__all__ = ["LoadState", "OutOfMemory", "ResolveAdapter", "Scheduler"]

_log = logging.getLogger(__name__)

_RELOAD_PAUSE_S = 30.0
"""After a failed load, requests fail with the same message for this long instead of trying again."""
_ADAPTER_TRIES = 4


class ResolveAdapter(Protocol):
    """Which adapter a request gets. Called on the generation thread."""

    def __call__(self, project: str | None, wanted: str, *, broken: frozenset[str]) -> AdapterRef | None:
        """The adapter for ``wanted`` (``serving``, ``repair``, ``foundation``, ``none`` or a version), None for none.

        ``broken`` holds the keys of adapters that could not be read.

        Raises:
            VersionUnknown: there is no such version.
            AdapterCorrupt: exactly this version was asked for, and it is broken.
        """


class OutOfMemory(TailoraError):
    """Generation or the load ran out of memory; the model was unloaded."""


@dataclass(frozen=True, slots=True)
class LoadState:
    """Where the model is. Replaced as a whole, so any thread may read it."""

    state: str = "unloaded"
    """``unloaded``, ``loading``, ``ready``, ``missing`` or ``failed``."""
    progress: float | None = None
    message: str | None = None


class Scheduler:
    """One generation thread and its queue.

    All public methods belong to the event loop on which ``start`` was called.

    Args:
        generator: Used by the generation thread only, but for ``info``.
        resolve_adapter: See ``ResolveAdapter``.
        on_change: Called on the event loop when something changed that a status shows.
        on_busy: Called with True when the first request comes, with False after ``linger_s`` without any.
        gather_s: Text is handed on at once at the end of a line, else at most this often: every delivery takes the
            interpreter away from the generation thread for a moment.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        generator: Generator,
        resolve_adapter: ResolveAdapter,
        on_change: Callable[[], None],
        *,
        on_busy: Callable[[bool], None] | None = None,
        linger_s: float = 2.0,
        idle_unload_s: float = 600.0,
        gather_s: float = 0.08,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generator = generator
        self._resolve = resolve_adapter
        self._on_change = on_change
        self._on_busy = on_busy
        self._linger_s = linger_s
        self._idle_unload_s = idle_unload_s
        self._gather_s = gather_s
        self._clock = clock

        self.load_state = LoadState()
        self.broken: dict[str, str] = {}
        """Adapters that could not be read since the model was loaded: why, by key."""
        self.served = 0
        self.cancelled = 0
        self.last_request = clock()

        self._alive: set[Job] = set()
        self._busy = False
        self._linger: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

        # Guards what follows; the generation thread waits on it.
        self._wake = threading.Condition()
        self._waiting: list[Job] = []
        self._wants_load = False
        self._wants_unload = False
        self._forget_failure = False
        self._closing = False

        # The generation thread's own.
        self._load_error: Exception | None = None
        self._load_failed_at = float("-inf")

    # The event loop's side

    def start(self) -> None:
        """Starts the generation thread. Call it on the running event loop."""
        self._loop = asyncio.get_running_loop()
        # A daemon: a load that takes long must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
        self._thread.start()

    @property
    def active(self) -> int:
        """How many requests wait or run."""
        return len(self._alive)

    def submit(
        self,
        request: GenerationRequest,
        *,
        project: str | None = None,
        wanted: str = "serving",
        background: bool = False,
    ) -> Job:
        """Takes a request; the answer comes by iterating over the job.

        Older jobs of the same project and document end with ``superseded`` before this returns, and so do all
        ``background`` ones unless this is one too.
        """
        self.last_request = self._clock()
        job = Job(request, project, wanted, self.last_request, self._ended, background=background)
        for older in list(self._alive):
            same = older.project == project and older.request.document == request.document is not None
            if same or (older.background and not background):
                older.supersede()
        self._alive.add(job)
        self._set_busy(True)
        with self._wake:
            closing = self._closing
            if not closing:
                self._waiting.append(job)
                self._wake.notify()
        if closing:
            job.fail(EngineRefused("the engine is shutting down", "shutting_down"))
        self._on_change()
        return job

    def load(self) -> None:
        """Loads the model now, even if the last load failed a moment ago."""
        self.last_request = self._clock()
        with self._wake:
            self._wants_load = self._forget_failure = True
            self._wake.notify()

    def model_arrived(self) -> None:
        """The model was fetched: what earlier loads found no longer holds."""
        if self.load_state.state in ("missing", "failed"):
            self._set_load_state(LoadState())
        with self._wake:
            self._forget_failure = True

    def check_idle(self) -> None:
        """Unloads the model if there was no request for ``idle_unload_s``. Call it now and then."""
        if not self._alive and self._clock() - self.last_request >= self._idle_unload_s:
            self.unload()

    def unload(self) -> None:
        """Gives the model's memory back once no request waits; the next one loads it again."""
        with self._wake:
            self._wants_unload = True
            self._wake.notify()

    async def close(self, timeout_s: float = 5.0) -> bool:
        """Ends all jobs and the generation thread. Returns whether the thread ended in time."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        for job in list(self._alive):
            job.fail(EngineRefused("the engine is shutting down", "shutting_down"))
        if self._linger is not None:
            self._linger.cancel()
        if self._thread is None:
            return True
        await asyncio.to_thread(self._thread.join, timeout_s)
        return not self._thread.is_alive()

    def _ended(self, job: Job) -> None:
        self._alive.discard(job)
        with self._wake, contextlib.suppress(ValueError):
            self._waiting.remove(job)
        self.last_request = self._clock()
        if job.outcome in ("stop", "length"):
            self.served += 1
        elif job.outcome in ("cancelled", "superseded"):
            self.cancelled += 1
        if not self._alive:
            self._set_busy(False)
        self._on_change()

    def _set_busy(self, busy: bool) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if not busy and self._loop is not None and self._busy:
            # The next keystroke's request is likely to come at once: no flapping in between.
            self._linger = self._loop.call_later(self._linger_s, self._announce_busy, False)
        elif busy:
            self._announce_busy(True)

    def _announce_busy(self, busy: bool) -> None:
        if busy != self._busy:
            self._busy = busy
            if self._on_busy is not None:
                self._on_busy(busy)

    def _set_load_state(self, state: LoadState) -> None:
        self.load_state = state
        self._on_change()

    # The generation thread's side

    def _post(self, callback: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(
                    lambda: self._closing or self._waiting or self._wants_load or self._wants_unload
                )
                if self._closing:
                    break
                # The newest first, and what nobody waits for last.
                job = max(reversed(self._waiting), key=lambda job: not job.background, default=None)
                if job is not None:
                    self._waiting.remove(job)
                load, self._wants_load = self._wants_load, False
                unload, self._wants_unload = self._wants_unload and job is None and not load, False
                forget, self._forget_failure = self._forget_failure, False
            if forget:
                self._load_error = None
            if unload:
                self._unload()
            if load:
                with contextlib.suppress(Exception):  # logged, and shown in the status
                    self._load()
            if job is not None and not job.cancelled():
                self._run_job(job)
        self._unload()

    def _run_job(self, job: Job) -> None:
        try:
            self._load()
            job.queue_ms = (self._clock() - job.submitted) * 1000
            if not job.cancelled():
                self._generate(job)
        except Exception as error:  # noqa: BLE001 - one request's fault must not end the thread
            self._post(job.fail, self._explain(error))

    def _generate(self, job: Job) -> None:
        """Runs the generator, with the next adapter in line if one cannot be read.

        Raises:
            Exception: whatever the generator raised.
        """
        for last in (*[False] * (_ADAPTER_TRIES - 1), True):
            adapter = self._resolve(job.project, job.wanted, broken=frozenset(self.broken))
            job.adapter = adapter.label if adapter else "none"
            said_something = False
            held, posted = "", float("-inf")
            try:
                for step in self._generator.generate(replace(job.request, adapter=adapter), job.cancelled):
                    if job.cancelled():
                        return
                    said_something = said_something or bool(step.text)
                    held += step.text
                    urgent = step.finish_reason is not None or "\n" in step.text
                    if not urgent and self._clock() - posted < self._gather_s:
                        continue
                    self._post(job.deliver, replace(step, text=held))
                    held, posted = "", self._clock()
                    if step.finish_reason is not None:
                        return
            except AdapterCorrupt as error:
                if adapter is None or last or said_something:
                    raise
                _log.warning("adapter %s cannot be read: %s", adapter.label, error)
                self.broken = {**self.broken, adapter.key: str(error)}
                self._post(self._on_change)
                continue
            break
        if not job.cancelled():
            # Without a reason and not asked to stop: the sequence is over all the same, and must end once.
            self._post(job.deliver, GenerationStep("", "stop", job.stats))

    def _load(self) -> None:
        """Loads the model if it is not loaded.

        Raises:
            ModelError, OutOfMemory: it cannot be.
        """
        if self._generator.loaded:
            return
        if self._load_error is not None and self._clock() - self._load_failed_at < _RELOAD_PAUSE_S:
            raise self._load_error
        self._post(self._set_load_state, LoadState("loading", 0.0, "loading the model"))
        try:
            self._generator.load(self._progress)
        except ModelMissing as error:
            # Not remembered: the model may arrive any moment, and finding out costs nothing.
            self._post(self._set_load_state, LoadState("missing", None, str(error)))
            raise
        except Exception as error:
            _log.exception("the model cannot be loaded")
            explained = self._explain(error)
            if not isinstance(explained, ModelError | OutOfMemory):
                explained = ModelError(f"the model cannot be loaded: {explained}")
            self._load_error, self._load_failed_at = explained, self._clock()
            self._post(self._set_load_state, LoadState("failed", None, str(explained)))
            raise explained from error
        self._load_error = None
        self.broken = {}
        self._post(self._set_load_state, LoadState("ready"))

    def _progress(self, fraction: float, message: str) -> None:
        self._post(self._set_load_state, LoadState("loading", min(max(fraction, 0.0), 1.0), message))

    def _unload(self, *, even_if_half_loaded: bool = False) -> None:
        if not self._generator.loaded and not even_if_half_loaded:
            return
        try:
            self._generator.unload()
        except Exception:  # noqa: BLE001 - the generation thread goes on whatever the generator does
            _log.exception("the model could not be unloaded cleanly")
        self.broken = {}
        self._post(self._set_load_state, LoadState("unloaded"))

    def _explain(self, error: Exception) -> Exception:
        """The error to tell the client. Out of memory also unloads the model."""
        if isinstance(error, TailoraError):
            return error
        _log.error("generation failed", exc_info=error)
        if not _is_out_of_memory(error):
            return error
        # The traceback's frames hold the tensors that filled the memory.
        error.__traceback__ = None
        self._unload(even_if_half_loaded=True)
        return OutOfMemory("not enough memory for the model: close other programs or choose a smaller model")


def _is_out_of_memory(error: Exception) -> bool:
    # By name and text, because importing torch here would delay the engine's start by seconds.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
