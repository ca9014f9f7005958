"""A checker as a process: its environment, one question by standard input, and its end."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tailora.errors import CheckerFailed

__all__ = ["Answer", "end", "environment", "frame", "inside", "run", "start"]

_MOST_OUTPUT = 32 << 20
"""Bytes."""
_MOST_COMPLAINT = 64 << 10
_TAKES_CODE = ("PYTHONPATH", "PYTHONHOME", "NODE_PATH", "NODE_OPTIONS")
"""Variables by which a relative path could have code of the working directory executed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process left."""

    code: int
    output: str
    complaint: str
    """The last line that it wrote to standard error."""


def inside(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder, as it is written or where its links lead."""
    for start in (path.absolute(), path.resolve()):
        for place in (start, *start.parents):
            with contextlib.suppress(OSError):
                if place.samefile(folder):
                    return True
    return False


def environment(root: Path, *, trusted: bool) -> dict[str, str]:
    """Ours; without what could lead to code inside ``root`` where that is not trusted (``#!/usr/bin/env python``)."""
    env = dict(os.environ)
    if trusted:
        return env
    for name in _TAKES_CODE:
        env.pop(name, None)
    folders = (Path(folder) for folder in env.get("PATH", "").split(os.pathsep) if folder)
    env["PATH"] = os.pathsep.join(str(it) for it in folders if it.is_absolute() and not inside(it, root))
    return env


async def start(
    command: Sequence[str | Path],
    *,
    name: str,
    cwd: Path,
    env: dict[str, str],
    stdin: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.DEVNULL,
) -> asyncio.subprocess.Process:
    """Starts a command in a session of its own.

    Raises:
        CheckerFailed: it cannot be started.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *map(str, command),
            cwd=cwd,
            env=env,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise CheckerFailed(f"{name} cannot be started: {error.strerror or error}") from error


async def run(
    command: Sequence[str | Path],
    text: str | None,
    *,
    name: str,
    cwd: Path,
    env: dict[str, str],
    seconds: float,
) -> Answer:
    """Runs a command to its end with ``text`` on standard input, or nothing there.

    Raises:
        CheckerFailed: it cannot be started, takes longer than ``seconds``, or writes without end.
    """
    stdin = asyncio.subprocess.DEVNULL if text is None else asyncio.subprocess.PIPE
    process = await start(command, name=name, cwd=cwd, env=env, stdin=stdin, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            output = group.create_task(_read(process, process.stdout, _MOST_OUTPUT))
            complaint = group.create_task(_read(process, process.stderr, _MOST_COMPLAINT, keep_on=True))
            group.create_task(_write(process.stdin, text or ""))
            code = await process.wait()
    except TimeoutError:
        await end(process)
        raise CheckerFailed(f"{name} took longer than {seconds:g} s and was stopped") from None
    except BaseException:
        await end(process)
        raise
    if len(output.result()) > _MOST_OUTPUT:
        await end(process)
        raise CheckerFailed(f"{name} wrote more than {_MOST_OUTPUT >> 20} MB and was stopped")
    said = complaint.result().decode(errors="replace").split("\n")
    said = [line.strip() for line in said if line.strip()]
    return Answer(code, output.result().decode(errors="replace"), " ".join(said[:3])[:500])


async def frame(stream: asyncio.StreamReader) -> Any:
    """The next message of a server: JSON behind a ``Content-Length`` header.

    Raises:
        EOFError: there is none more.
        ValueError: something else comes, or too much.
    """
    length = None
    while (line := await stream.readline()) != b"\r\n":
        if not line:
            raise EOFError
        name, colon, value = line.partition(b":")
        if not colon or not line.endswith(b"\r\n"):
            raise ValueError(f"{line[:80]!r} is no header")
        if name.lower() == b"content-length":
            length = int(value)
    if length is None or not 0 <= length <= _MOST_OUTPUT:
        raise ValueError(f"A message of {length} bytes")
    return json.loads(await stream.readexactly(length))


async def _read(
    process: asyncio.subprocess.Process,
    stream: asyncio.StreamReader | None,
    most: int,
    *,
    keep_on: bool = False,
) -> bytes:
    """What a stream holds, to just over ``most``; then its process is killed, or the rest passed over."""
    assert stream is not None
    data = bytearray()
    while part := await stream.read(65536):
        if len(data) <= most:
            data += part
        elif not keep_on:
            _kill(process)
    return bytes(data)


async def _write(stream: asyncio.StreamWriter | None, text: str) -> None:
    if stream is None:
        return
    with contextlib.suppress(OSError):  # one that complains at once reads nothing
        stream.write(text.encode("utf-8", "replace"))
        await stream.drain()
    with contextlib.suppress(OSError):
        stream.close()
        await stream.wait_closed()


async def end(process: asyncio.subprocess.Process) -> None:
    """Ends a process and its descendants at once."""
    _kill(process)
    if process.stdin is not None:
        process.stdin.close()
    # What is left in its pipes keeps asyncio from closing them.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2.0):
            for stream in (process.stdout, process.stderr):
                while stream is not None and stream.exception() is None and await stream.read(65536):
                    pass
            await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    descendants: list[psutil.Process] = []
    if process.returncode is None:
        with contextlib.suppress(psutil.Error):
            descendants = psutil.Process(process.pid).children(recursive=True)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    for descendant in descendants:
        with contextlib.suppress(psutil.Error):
            descendant.kill()
