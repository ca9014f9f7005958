"""A ``tailora`` for an editor to start that writes down what the editor and the language server say to each other.

The editor's configuration stays as it ships: the program is found on the PATH. Invariants: bytes pass through
unchanged; and the server's exit code is written down even where the editor kills the program that it started.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from real_model import Home

__all__ = ["Record", "apart", "applied", "install", "load_model", "on_an_engine"]

_SETTINGS = """\
[completion]
deadline_ms = 60000
context_chars = 0
max_tokens = 24
ahead = false

[repair]
deadline_ms = 120000
"""
"""The user's own: no deadline that a busy machine could miss, short prompts and answers."""
_SERVER = ("-W", "error", "-m", "tailora.lsp.server")
_POLL_S = 0.02
_Result = TypeVar("_Result")


class Record:
    """What was said so far."""

    def __init__(self, path: Path, patience_s: float) -> None:
        self._path = path
        self._patience_s = patience_s

    def lines(self) -> list[dict[str, Any]]:
        """``{"at": seconds, "from": "editor" | "server", "message": ...}`` in order, then ``{"exit": code}``."""
        text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def said(self, by: str, method: str) -> list[Any]:
        """The parameters of the requests and notifications ``method`` that ``by`` sent."""
        return [
            line["message"].get("params")
            for line in self.lines()
            if line.get("from") == by and line["message"].get("method") == method
        ]

    def answers(self, method: str) -> list[Any]:
        """The server's results for the editor's requests ``method``, in the order of the answers."""
        asked, results = set(), []
        for line in self.lines():
            message = line.get("message", {})
            if line.get("from") == "editor" and message.get("method") == method:
                asked.add(message["id"])
            elif line.get("from") == "server" and "method" not in message and message.get("id") in asked:
                results.append(message.get("result"))
        return results

    def items(self) -> list[dict[str, Any]]:
        """The completion items that were offered."""
        return [
            item for answer in self.answers("textDocument/completion") if answer for item in answer["items"]
        ]

    def until(self, condition: Callable[[Record], Any], what: str) -> Any:
        """What ``condition`` says as soon as that is true."""
        deadline = time.monotonic() + self._patience_s
        while not (found := condition(self)):
            assert time.monotonic() < deadline, (
                f"{what}: not within {self._patience_s:.0f} s; {self.lines()[-5:]}"
            )
            time.sleep(_POLL_S)
        return found

    def exit_code(self) -> int:
        """How the server ended, once it has."""
        return int(
            self.until(lambda record: [line for line in record.lines() if "exit" in line], "exit")[0]["exit"]
        )


def install(
    folder: Path, home: Home, patience_s: float, server: Sequence[str] = _SERVER
) -> tuple[Record, dict[str, str]]:
    """Puts ``tailora`` into ``folder``; the record of the server that it starts, and an environment that finds it.

    Args:
        home: Whose engine it is to use; its ``config.toml`` gets settings for tests.
        server: Arguments of Python that start the server.
    """
    settings = home.path / "config" / "config.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(_SETTINGS, encoding="utf-8")
    folder.mkdir(parents=True)
    program, record = folder / "tailora", folder / "record.jsonl"
    words = [sys.executable, __file__, str(record), sys.executable, *server]
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\n\nassert sys.argv[1:] == ['lsp']\nwords = {words}\n"
        "os.execv(words[0], words)\n"
    )
    program.chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), home.env.get("PATH", os.defpath)])
    return Record(record, patience_s), {**home.env, "PATH": path}


def on_an_engine(record: Record) -> bool:
    """Whether the server has told that it runs on an engine."""
    told = record.said("server", "tailora/status")
    return any(status["state"] not in ("starting", "error") for status in told)


def apart(awaited: Coroutine[Any, Any, _Result]) -> _Result:
    """Awaits it in a thread of its own: Playwright's event loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, awaited).result()


def load_model(home: Home) -> None:
    """Has the running engine load its model, so that no editor's own patience ends meanwhile."""

    async def load() -> None:
        async with home.client() as client:
            await client.load()
        await home.until(lambda status: status["model"]["state"] == "ready")

    apart(load())


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """``text`` with an answer's edits, all of ASCII lines."""
    lines = text.split("\n")

    def offset(position: dict[str, int]) -> int:
        return sum(len(line) + 1 for line in lines[: position["line"]]) + position["character"]

    for edit in sorted(edits, key=lambda edit: offset(edit["range"]["start"]), reverse=True):
        begin, end = offset(edit["range"]["start"]), offset(edit["range"]["end"])
        text = text[:begin] + edit["newText"] + text[end:]
    return text


class _Tee:
    """Takes one direction's bytes and writes each whole message to the record."""

    def __init__(self, who: str, record: IO[str], lock: threading.Lock) -> None:
        self._who, self._record, self._lock = who, record, lock
        self._pending = b""

    def take(self, data: bytes) -> None:
        self._pending += data
        while True:
            head, separator, rest = self._pending.partition(b"\r\n\r\n")
            if not separator:
                return
            fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n"))
            length = int(fields[b"content-length"])
            if len(rest) < length:
                return
            self.write({"at": time.time(), "from": self._who, "message": json.loads(rest[:length])})
            self._pending = rest[length:]

    def write(self, value: dict[str, Any]) -> None:
        with self._lock:
            self._record.write(json.dumps(value) + "\n")
            self._record.flush()


def _main(record: Path, command: list[str]) -> None:
    if (
        child := os.fork()
    ):  # editors kill what they started; the child outlives that and sees how the server ends
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.setsid()
    lock = threading.Lock()
    with record.open("a", encoding="utf-8") as file:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert server.stdin is not None
        assert server.stdout is not None
        # What goes to the editor is written down first, so that an editor that acts on it finds it in the record.
        inward = threading.Thread(
            target=_pump, args=(0, server.stdin.fileno(), _Tee("editor", file, lock)), daemon=True
        )
        inward.start()
        outward = _Tee("server", file, lock)
        _pump(server.stdout.fileno(), 1, outward)
        code = server.wait()
        outward.write({"exit": code})
    os._exit(code if code >= 0 else 1)


def _pump(source: int, sink: int, tee: _Tee) -> None:
    gone = False
    while data := os.read(source, 65536):
        tee.take(data)
        while data and not gone:
            try:
                data = data[os.write(sink, data) :]
            except OSError:  # the reader has left: read on, so that the writer does not block
                gone = True
    if not gone:
        os.close(sink)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
