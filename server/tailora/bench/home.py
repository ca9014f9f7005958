"""A home of its own for a benchmark: the user's engine, adapters and settings are left alone; the models are shared.

Knows nothing of what is measured. Invariant: what was started in it has ended when it is left, also by a kill.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tailora.engine import endpoint
from tailora.engine.client import EngineClient
from tailora.environment import environment
from tailora_adapters import paths
from tailora_adapters.base import fetch
from tailora_adapters.errors import TailoraError

__all__ = ["bench_home", "end_engine", "require_model"]

_IDLE_EXIT_S = 600
_END_TIMEOUT_S = 30.0


def require_model(name: str) -> None:
    """Makes sure that nothing has to be fetched while a benchmark runs.

    Raises:
        TailoraError: the model is not on this machine.
    """
    if not fetch.is_ready(name):
        raise TailoraError(f"{name} is not on this machine: run `tailora model pull {name}`")


@contextlib.contextmanager
def bench_home(model: str) -> Iterator[Path]:
    """A temporary folder; within it this process and its children see a ``TAILORA_HOME`` of their own."""
    with tempfile.TemporaryDirectory(prefix="tailora-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        variables = {
            "TAILORA_MODELS": str(paths.models_dir()),
            "TAILORA_HOME": str(folder / "home"),
            "TAILORA_ENGINE_MODEL": model,
            "TAILORA_ENGINE_IDLE_EXIT_S": str(_IDLE_EXIT_S),
        }
        # A session of its own: an interrupt from the terminal is for us, and it cleans up after us.
        guard = subprocess.Popen(
            [sys.executable, "-P", "-m", "tailora.bench.guard", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with environment(variables):
                yield folder
        finally:
            guard.communicate()


async def end_engine() -> None:
    """Ends this home's engine if one runs, and waits until its process is gone and its memory free."""
    found = endpoint.read()
    process: psutil.Process | None = None
    if found is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(found.pid)
    client = EngineClient(autostart=False)
    try:
        await client.shutdown()
    finally:
        await client.aclose()
    if process is not None:
        with contextlib.suppress(psutil.Error):
            await asyncio.to_thread(process.wait, _END_TIMEOUT_S)
