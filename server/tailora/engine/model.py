"""The base model as the status shows it: on disk or not, being fetched, loaded or not.

Combines what the fetch says with what the scheduler says; loads nothing itself and knows nothing of projects.
Fetching runs on a thread of its own, so the engine answers meanwhile.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailora.engine.generator import Generator
from tailora.engine.options import EngineOptions
from tailora.engine.scheduler import LoadState, Scheduler
from tailora.engine.wire import BadRequest
from tailora_adapters.errors import ModelMissing, TailoraError

__all__ = ["Fetch", "IsReady", "Model", "default_fetch", "default_is_ready"]

_log = logging.getLogger(__name__)

Fetch = Callable[[str, Callable[[float, str], None]], Path]
"""Brings the named model to this machine, reporting a fraction and a message; raises ``FetchFailed``."""
_FETCH_SHARE = 0.8
"""Of the whole, for the bar; the rest is what the first load would take."""
_CONVERTING = ("converting", "reading", "writing", "measuring", "packing")
"""How messages begin of what comes after the fetch."""
IsReady = Callable[[str], bool]
"""Whether the named model is on this machine."""


def default_fetch(name: str, progress: Callable[[float, str], None]) -> Path:
    """Fetches and converts a model, and does what its first load on this machine would have to do.

    Raises:
        FetchFailed: see ``tailora_adapters.base.fetch.fetch``.
    """
    from tailora_adapters.base.fetch import fetch

    folder = fetch(name, lambda done, text: progress(_FETCH_SHARE * done, text))
    from tailora.engine.torch_generator import prepare

    prepare(name, lambda done, text: progress(_FETCH_SHARE + (1 - _FETCH_SHARE) * done, text))
    return folder


def default_is_ready(name: str) -> bool:
    """``tailora_adapters.base.fetch.is_ready``, imported at the first use."""
    from tailora_adapters.base.fetch import is_ready

    return is_ready(name)


@dataclass(frozen=True, slots=True)
class _Fetching:
    name: str
    fraction: float
    message: str
    converting: bool = False


class Model:
    """The engine's base model. Event loop only."""

    def __init__(
        self,
        options: EngineOptions,
        generator: Generator,
        scheduler: Scheduler,
        on_change: Callable[[], None],
        *,
        fetch: Fetch = default_fetch,
        is_ready: IsReady = default_is_ready,
    ) -> None:
        self.name = options.model
        self._options = options
        self._generator = generator
        self._scheduler = scheduler
        self._on_change = on_change
        self._fetch = fetch
        self._is_ready = is_ready
        self._on_disk: bool | None = None
        self._fetching: _Fetching | None = None
        self._fetch_error: str | None = None

    @property
    def is_missing(self) -> bool:
        """Whether the model was not there when it was last looked for."""
        return self._on_disk is False or self._scheduler.load_state.state == "missing"

    @property
    def is_fetching(self) -> bool:
        """Whether a fetch runs."""
        return self._fetching is not None

    async def look(self) -> None:
        """Finds out whether the model is on this machine."""
        before = self._on_disk
        try:
            self._on_disk = await asyncio.to_thread(self._is_ready, self.name)
        except Exception as error:  # noqa: BLE001 - the status must come up whatever the disk holds
            _log.warning("cannot tell whether %s is on this machine: %s", self.name, error)
        if self._on_disk and self._scheduler.load_state.state == "missing":
            self._scheduler.model_arrived()
        if self._on_disk != before:
            self._on_change()

    def pull(self, name: str | None = None) -> None:
        """Starts to fetch a model (default: the engine's own). Does nothing if that runs already.

        Raises:
            BadRequest: another model is being fetched.
        """
        name = name or self.name
        if self._fetching is not None:
            if self._fetching.name != name:
                raise BadRequest(f"{self._fetching.name} is being fetched; wait for it to finish", 409)
            return
        self._fetching = _Fetching(name, 0.0, f"fetching {name}")
        self._fetch_error = None
        loop = asyncio.get_running_loop()
        # A daemon: an unfinished fetch is resumed later and must not hold up the end of the engine.
        threading.Thread(target=self._run_fetch, args=(loop, name), name="fetch", daemon=True).start()
        self._on_change()

    def _run_fetch(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        def post(callback: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(callback, *arguments)

        try:
            self._fetch(name, lambda fraction, message: post(self._progress, name, fraction, message))
        except Exception as error:  # noqa: BLE001 - a thread's boundary: logged and shown
            if not isinstance(error, TailoraError):
                _log.error("fetching %s failed", name, exc_info=error)
            post(self._fetched, name, str(error) or type(error).__name__)
        else:
            post(self._fetched, name, None)

    def _progress(self, name: str, fraction: float, message: str) -> None:
        # What is fetched is converted afterwards, once; only the message tells when that begins.
        converting = self._fetching is not None and self._fetching.converting
        converting = converting or message.startswith(_CONVERTING)
        self._fetching = _Fetching(name, min(max(fraction, 0.0), 1.0), message, converting)
        self._on_change()

    def _fetched(self, name: str, error: str | None) -> None:
        self._fetching = None
        self._fetch_error = error
        if error is None and name == self.name:
            self._on_disk = True
            self._scheduler.model_arrived()
        self._on_change()

    def refuse_while_fetching(self) -> None:
        """Raises at once what a request would otherwise find out by trying to load.

        Raises:
            ModelMissing: the engine's model is being fetched.
        """
        if self._fetching is not None and self._fetching.name == self.name:
            raise ModelMissing(
                f"{self.name} is being fetched ({self._fetching.fraction:.0%}): suggestions come afterwards"
            )

    def status(self) -> dict[str, Any]:
        """The status's ``model``."""
        state, progress, message = self._state()
        info = self._generator.info()
        return {
            "name": str(info.get("name", self.name)),
            "state": state,
            "progress": progress,
            "message": message or info.get("note"),
            "quantization": info.get("quantization", self._options.quantization),
            "device": info.get("device", self._options.device),
            "fim": info.get("fim") is not False,  # None before the tokenizer was read
        }

    def _state(self) -> tuple[str, float | None, str | None]:
        load: LoadState = self._scheduler.load_state
        if self._fetching is not None:
            state = "converting" if self._fetching.converting else "fetching"
            return state, self._fetching.fraction, self._fetching.message
        if load.state not in ("unloaded", "missing"):
            return load.state, load.progress, load.message
        if self._fetch_error is not None:
            return "failed", None, self._fetch_error
        if load.state == "missing" or self._on_disk is False:
            hint = f"{self.name} is not on this machine; `tailora model pull` fetches it"
            return "missing", None, load.message or hint
        return load.state, load.progress, load.message
