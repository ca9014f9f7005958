"""Messages over standard input and output: framing, the reading thread, stdout kept for the protocol alone.

Knows nothing of what is in a message. Invariants: whatever bytes come in, the next well-formed message is
found again; and nothing but the protocol reaches the client, whoever prints.
"""

import asyncio
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Protocol

__all__ = ["FrameReader", "Receiver", "StdoutWriter", "claim_stdout", "read_messages"]

_log = logging.getLogger(__name__)

_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,12})", re.IGNORECASE)
_LARGEST_HEADER = 64 * 1024
_LARGEST_BODY = 512 * 1024 * 1024
_CHUNK = 1 << 20


class FrameReader:
    """Splits a byte stream into message bodies. Junk between messages is skipped, and logged."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._length: int | None = None

    def feed(self, data: bytes) -> None:
        """Adds bytes that arrived."""
        self._buffer += data

    def push_back(self, data: bytes) -> None:
        """Puts bytes back that turned out not to belong to the body before."""
        self._buffer[:0] = data

    def bodies(self) -> Iterator[bytes]:
        """The bodies that are complete by now."""
        while True:
            if self._length is None and not self._read_header():
                return
            assert self._length is not None
            if len(self._buffer) < self._length:
                return
            body, self._length = bytes(self._buffer[: self._length]), None
            del self._buffer[: len(body)]
            yield body

    def _read_header(self) -> bool:
        """Consumes headers until one has a usable length; false if there is none yet."""
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _LARGEST_HEADER:
                    self._skip(len(self._buffer) - _LARGEST_HEADER // 2, "no message header")
                return False
            match = None
            # The last one: what is before it is the rest of a message whose length was given too short.
            for match in _LENGTH.finditer(self._buffer, 0, end):  # noqa: B007
                pass
            if match is None:
                self._skip(end + 4, "no Content-Length in a message header")
                continue
            length = int(match[1])
            if length > _LARGEST_BODY:
                self._skip(end + 4, f"Content-Length of {length} bytes is too large")
                continue
            start = match.start()
            if start and not bytes(self._buffer[:start]).lower().startswith(b"content-"):
                _log.warning("Skipped %d bytes that are no message", start)
            del self._buffer[: end + 4]
            self._length = length
            return True

    def _skip(self, count: int, why: str) -> None:
        _log.warning("Skipped %d bytes: %s", count, why)
        del self._buffer[:count]


class Receiver(Protocol):
    """Takes messages."""

    @property
    def exited(self) -> bool:
        """Whether the client said ``exit``."""

    def receive(self, body: bytes, *, retry: bool = False) -> bool:
        """Handles one body; false if it is no JSON. With ``retry`` nothing is answered in that case."""


async def read_messages(fd: int, receiver: Receiver) -> None:
    """Hands every message on ``fd`` to ``receiver`` until ``exit`` or the end of the input."""
    loop, chunks = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def pump() -> None:
        # A thread of its own: it never waits for a pool that something else has filled. os.read instead of
        # sys.stdin.buffer: a thread that blocks in the latter holds a lock that Python's exit waits for.
        data = b"-"
        while data:
            try:
                data = os.read(fd, _CHUNK)
            except OSError:
                data = b""
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, data)
            except RuntimeError:
                return  # the loop is closed: the server ended

    threading.Thread(target=pump, name="stdin", daemon=True).start()
    frames = FrameReader()
    while data := await chunks.get():
        frames.feed(data)
        for body in frames.bodies():
            _deliver(body, frames, receiver)
            if receiver.exited:
                return
            # Every message gets its turn: handlers start in the order of the messages, each on the state that
            # the messages before it left behind.
            await asyncio.sleep(0)


def _deliver(body: bytes, frames: FrameReader, receiver: Receiver) -> None:
    """One body. If it is no JSON but holds the header of another message, its length was given too long."""
    if receiver.receive(body, retry=True):
        return
    match = _LENGTH.search(body)
    if match is not None:
        frames.push_back(body[match.start() :])
        body = body[: match.start()]
    receiver.receive(body)


class StdoutWriter:
    """Writes to a file descriptor. A client that is gone is not an error: ``closed`` says so from then on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.closed = False

    def write(self, data: bytes) -> None:
        """Writes all of ``data``."""
        view = memoryview(data)
        while view and not self.closed:
            try:
                view = view[os.write(self._fd, view) :]
            except OSError as error:
                _log.warning("The client is gone: %s", error)
                self.closed = True

    def close(self) -> None:
        """Writes nothing from now on."""
        self.closed = True


def claim_stdout() -> StdoutWriter:
    """Takes standard output for the protocol; whatever else prints there goes to standard error."""
    sys.stdout.flush()
    writer = StdoutWriter(os.dup(1))
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return writer
