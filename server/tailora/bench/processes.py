"""Start times, memory, adapter swap and cancellation of our own processes.

Everything runs in a benchmark's home (see ``home``). Knows nothing of traces or of the peer.
"""

import asyncio
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from tailora.bench.home import end_engine
from tailora.bench.ours import LanguageServer
from tailora.bench.places import Document, find_holes
from tailora.bench.player import Screen
from tailora.bench.raw import Passage, ask_engine, prefill_passages
from tailora.engine.client import EngineClient
from tailora.engine.endpoint import read as read_endpoint
from tailora_adapters import foundation
from tailora_adapters.errors import TailoraError
from tailora_adapters.store import ProjectStore, Store

__all__ = ["cancel_ms", "measure", "memory", "swap_ms"]

_ANSWER_TIMEOUT_S = 60.0
_IN_PREFILL_S = 0.1
"""After which a long prompt is still being read."""
_TINY = Passage("def area(width, height):\n    return ", "\n", "python", "area.py")


async def measure(
    documents: Sequence[Document],
    *,
    model: str,
    seed: int,
    folder: Path,
    adapter: str = "serving",
    quick: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """All figures; times in milliseconds, memory in MB. None where something cannot be measured with this model.

    Args:
        folder: Of the benchmark; the repository for the adapter swap is made in it.
    """
    engine_start = await _engine_start(1 if quick else 3)
    progress(0.3)
    lsp_start = [await _lsp_start(documents) for _ in range(2 if quick else 5)]
    progress(0.5)
    held = await memory(documents[:8], seed=seed, adapter=adapter)
    progress(0.7)
    client = EngineClient(autostart=True)
    try:
        swap = await swap_ms(client, model, folder, versions=2 if quick else 4)
        cancels = await cancel_ms(client, prefill_passages(documents, seed, 1)[0], repeats=2 if quick else 5)
    finally:
        await client.aclose()
    progress(1.0)
    return {
        "lsp_initialized_ms": _median(lsp_start),
        "engine_first_completion_ms": _median(engine_start),
        **held,
        "adapter_swap_ms": _median(swap),
        "adapter_swap_ms_max": _largest(swap),
        **{f"{name}_ms": _median(values) for name, values in cancels.items()},
        **{f"{name}_ms_max": _largest(values) for name, values in cancels.items()},
    }


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 1) if values else None


def _largest(values: Sequence[float]) -> float | None:
    return round(max(values), 1) if values else None


async def _engine_start(times: int) -> list[float]:
    """From no engine to the first word of a completion."""
    loop = asyncio.get_running_loop()
    result = []
    for _ in range(times):
        await end_engine()
        client = EngineClient(autostart=True)
        began = loop.time()
        try:
            await ask_engine(client, _TINY, max_tokens=1)
            result.append((loop.time() - began) * 1000)
        finally:
            await client.aclose()
    return result


async def _lsp_start(documents: Sequence[Document]) -> float:
    """From the start of the process to the answer to ``initialize``; an engine runs already."""
    server = LanguageServer()
    try:
        return await server.start([documents[0].root]) * 1000
    finally:
        await server.stop()


async def memory(documents: Sequence[Document], *, seed: int, adapter: str) -> dict[str, float]:
    """Memory of the engine and the language server when each document was asked in, in MB.

    ``uss`` is what only this process holds, ``rss`` includes what is shared and mapped from files.
    """
    rng = random.Random(f"memory {seed}")
    server = LanguageServer(adapter)
    try:
        await server.start(list(dict.fromkeys(document.root for document in documents)))
        for number, document in enumerate(documents):
            hole = find_holes(document, rng, count=1)[0]
            text = document.text[: hole.start] + document.text[hole.end :]
            server.open(document, text)
            if number == 0:
                await server.ready()
            screen = Screen(asyncio.get_running_loop().time)
            server.ask(document, text, hole.start, screen)
            await answer_on(screen)
        endpoint = read_endpoint()
        if endpoint is None:
            raise TailoraError("the engine has ended")
        return {
            "documents": len(documents),
            **_memory("engine", psutil.Process(endpoint.pid)),
            **_memory("lsp", psutil.Process(server.pid)),
        }
    finally:
        await server.stop()


async def answer_on(screen: Screen) -> None:
    """Waits until something was said on a screen.

    Raises:
        TailoraError: it takes too long.
    """
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            while screen.answered_s is None:  # noqa: ASYNC110 - a screen is no event: the player has no use for one
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TailoraError(f"no answer within {_ANSWER_TIMEOUT_S:.0f} s") from None


def _memory(name: str, process: psutil.Process) -> dict[str, float]:
    info = process.memory_full_info()
    return {f"{name}_rss_mb": round(info.rss / 2**20, 1), f"{name}_uss_mb": round(info.uss / 2**20, 1)}


async def swap_ms(client: EngineClient, model: str, folder: Path, versions: int = 4) -> list[float]:
    """What the first request with a newly promoted version takes more than the next one, for each version.

    The versions are copies of the foundation adapter with one bit changed. The prompt is short and read anew each
    time, so that what differs is finding, reading and preparing the adapter. Empty where no foundation adapter ships.
    """
    found = foundation.find(model)
    if found is None:
        return []
    root = folder / "swap"
    root.mkdir(exist_ok=True)
    store = Store().project(root)
    loop = asyncio.get_running_loop()
    result = []
    for number in range(versions):
        version = _changed_copy(store, found, number)
        store.promote(version)
        seconds = []
        for _ in range(2):
            began = loop.time()
            used = await ask_engine(client, _TINY, max_tokens=1, project=str(root), adapter="serving")
            seconds.append(loop.time() - began)
            if used["adapter"] != version:
                raise TailoraError(f"version {version} was promoted, but {used['adapter']} answered")
        result.append(max(0.0, seconds[0] - seconds[1]) * 1000)
    return result


def _changed_copy(store: ProjectStore, found: foundation.FoundationAdapter, number: int) -> str:
    """A version with the weights of ``found`` but for one bit; returns its number."""
    with store.candidate() as candidate:
        shutil.copyfile(found.path / "adapter_config.json", candidate.path / "adapter_config.json")
        weights = bytearray((found.path / "adapter_model.safetensors").read_bytes())
        weights[-2 - 4 * number] ^= 1  # the least bit of a weight near the end
        (candidate.path / "adapter_model.safetensors").write_bytes(weights)
        manifest = replace(found.manifest, version="", weights_sha256="", parent="foundation")
        return candidate.commit(manifest).version


async def cancel_ms(client: EngineClient, passage: Passage, repeats: int = 5) -> dict[str, list[float]]:
    """How long a request waits for the generation thread when the one before it was cancelled at that moment.

    ``cancel_prefill``: while a prompt of about 700 tokens was being read; ``cancel_decode``: while it was writing.
    """
    result: dict[str, list[float]] = {"cancel_prefill": [], "cancel_decode": []}
    for _ in range(repeats):
        for name, waits in result.items():
            await _cancelled(client, passage, decoding=name == "cancel_decode")
            waits.append(float((await ask_engine(client, _TINY, max_tokens=1))["queue_ms"]))
    return result


async def _cancelled(client: EngineClient, passage: Passage, *, decoding: bool) -> None:
    """A request that is given up: at its first words, or while its prompt is read."""
    body = {
        "model": "default",
        "prompt": passage.prefix,
        "suffix": passage.suffix,
        "max_tokens": 256,
        "temperature": 0,
        "tailora": {"reuse": False, "language": passage.language},
    }
    chunks = client.complete(body)
    try:
        async with asyncio.timeout(None if decoding else _IN_PREFILL_S):
            await anext(chunks)
    except (TimeoutError, StopAsyncIteration):
        pass
    finally:
        await chunks.aclose()
