"""The engine as a process: takes the lock, puts the parts together, serves until it is told to end or is
idle.

Everything that another process or the system can do to it ends in one of three ways: it goes on, it ends
cleanly, or (killed) the next engine cleans up what it left.
"""

import asyncio
import contextlib
import logging
import logging.handlers
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import uvicorn

from tailora.engine import endpoint, worker
from tailora.engine.app import Services, make_app
from tailora.engine.endpoint import Endpoint
from tailora.engine.generator import Generator
from tailora.engine.idle import IdleWatch
from tailora.engine.lazy import LazyGenerator
from tailora.engine.model import Fetch, IsReady, Model, default_fetch, default_is_ready
from tailora.engine.options import EngineOptions, read_options, rules_of
from tailora.engine.projects import Projects
from tailora.engine.scheduler import Scheduler
from tailora.engine.serving import Serving
from tailora.engine.status import StatusHub
from tailora_adapters import threads
from tailora_adapters.paths import log_file
from tailora_adapters.store import Store

__all__ = ["Parts", "run"]

_log = logging.getLogger(__name__)

_GRACE_S = 3
"""For responses on their way at the end; all jobs have ended by then."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What can be replaced: by tests, and by other generators."""

    make_generator: Callable[[EngineOptions], Generator] | None = None
    """Called on the generation thread at the first load. None: the torch generator."""
    fetch: Fetch = default_fetch
    is_ready: IsReady = default_is_ready
    worker_command: Sequence[str] = worker.COMMAND


def run(options: EngineOptions | None = None, parts: Parts | None = None) -> bool:
    """Runs the engine until it ends; returns false at once where one runs already.

    Args:
        options: Default: the user's settings.
        parts: Default: the real ones.

    Raises:
        EngineError, OSError: it cannot listen; says why.
    """
    threads.settle()  # the worker inherits it
    problems: list[str] = []
    if options is None:
        options, problems = read_options()
    with endpoint.acquire_lock() as mine:
        if not mine:
            return False
        _set_up_logging()
        for problem in problems:
            _log.warning("%s", problem)
        listener, address = endpoint.listen(tcp=options.tcp)
        try:
            clean = _main(options, parts or Parts(), problems, listener, address)
        finally:
            endpoint.withdraw(address)
            listener.close()
        _log.info("the engine ended")
    if not clean:
        # The generation thread is deep in a load or a long step, which cannot be interrupted.
        logging.shutdown()
        os._exit(0)
    return True


def _main(
    options: EngineOptions, parts: Parts, problems: list[str], listener: socket.socket, address: Endpoint
) -> bool:
    # uvicorn handles these signals, and raises them again when it is done: then they have nothing left to do.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: None)
    return asyncio.run(_serve(options, parts, problems, listener, address))


async def _serve(
    options: EngineOptions, parts: Parts, problems: list[str], listener: socket.socket, address: Endpoint
) -> bool:
    hub = StatusHub(problems)
    generator = LazyGenerator(options, parts.make_generator, parts.is_ready)
    store = Store()
    scheduler = Scheduler(
        generator,
        Serving(options.model, store),
        hub.changed,
        on_busy=lambda busy: projects.set_busy(busy),
        linger_s=options.train_resume_s,
        idle_unload_s=options.idle_unload_s,
    )
    projects = Projects(
        options.model,
        store,
        rules_of(options),
        hub.changed,
        broken=lambda: scheduler.broken,
        worker_command=parts.worker_command,
        poll_s=options.poll_s,
    )
    model = Model(options, generator, scheduler, hub.changed, fetch=parts.fetch, is_ready=parts.is_ready)
    hub.model, hub.project = model.status, projects.status
    hub.requests = lambda: {
        "active": scheduler.active,
        "served": scheduler.served,
        "cancelled": scheduler.cancelled,
    }
    ended_in_time = True

    async def close() -> None:
        nonlocal ended_in_time
        # First of all, so that clients which come now start the next engine instead of waiting for this one.
        endpoint.withdraw(address)
        hub.close()
        await projects.close_all()
        ended_in_time = await scheduler.close()

    server = _Server(close)
    services = Services(scheduler, model, projects, hub, server.stop, address.token)
    server.config.app = make_app(services)
    idle = IdleWatch(
        lambda: bool(scheduler.active or projects.open_count or hub.listeners or model.is_fetching),
        options.idle_exit_s,
    )
    scheduler.start()
    projects.start()
    endpoint.publish(address)
    _log.info("engine %d listens on %s", os.getpid(), address.socket or f"{address.host}:{address.port}")
    house_keeping = asyncio.create_task(_keep_house(scheduler, model, idle, options, server.stop))
    look = asyncio.create_task(model.look())
    await server.serve(sockets=[listener])
    for task in (house_keeping, look):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return ended_in_time


async def _keep_house(
    scheduler: Scheduler, model: Model, idle: IdleWatch, options: EngineOptions, stop: Callable[[], None]
) -> None:
    interval = min(10.0, options.idle_unload_s / 4, options.idle_exit_s / 4)
    while True:
        await asyncio.sleep(interval)
        scheduler.check_idle()
        if model.is_missing:
            await model.look()  # another process may have fetched it
        if idle.expired(time.monotonic()):
            _log.info("idle for %.0f s: ending", options.idle_exit_s)
            stop()
            return


class _Server(uvicorn.Server):
    """uvicorn, with our own house put in order before it waits for its connections."""

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        async def not_yet(*_: object) -> None:
            raise AssertionError("the app is set before serving")

        super().__init__(
            uvicorn.Config(
                not_yet,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._close = close

    def stop(self) -> None:
        """Ends serving soon. Event loop only."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends jobs, streams, watchers and training, then the connections."""
        await self._close()
        await super().shutdown(sockets)


def _set_up_logging() -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    try:
        path = log_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers = [logging.handlers.RotatingFileHandler(path, maxBytes=1_000_000, backupCount=2)]
    except OSError as error:
        print(f"no log file: {error}", file=sys.stderr)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=handlers
    )
    for noisy in ("watchdog", "httpx2", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
