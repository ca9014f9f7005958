"""Suggestions under way, one for each document: whoever types what is being written waits on, and loses nothing.

A keystroke cancels the request before it, but its stream goes on for a moment. If the next request is about the same
place and what was typed since agrees with what was written so far, it takes the stream over; else the stream is ended.
Knows nothing of caches or of what is shown.
"""

from __future__ import annotations

import asyncio

from tailora.completion import CacheKey, Snapshot
from tailora.lsp.stream import Query, Stream

__all__ = ["Flight", "Flights"]

_GRACE_S = 0.15
"""Editors send the next request within some 40 ms of the cancelled one."""


class Flight:
    """A stream and what it was started for."""

    def __init__(self, key: CacheKey, query: Query, stream: Stream) -> None:
        self.key = key
        self.query = query
        self.stream = stream
        self.reading = asyncio.ensure_future(stream.run())
        # Whoever waits may be gone by the time it fails.
        self.reading.add_done_callback(lambda task: task.cancelled() or task.exception())

    def typed(self, snapshot: Snapshot) -> str | None:
        """What was typed since it was started, line endings LF; None if anything else was changed."""
        begun = self.query.snapshot
        text, offset = snapshot.text, snapshot.offset
        if snapshot.uri != begun.uri or offset < begun.offset:
            return None
        if (
            len(text) - offset != len(begun.text) - begun.offset
            or text[offset:] != begun.text[begun.offset :]
        ):
            return None
        if text[: begun.offset] != begun.text[: begun.offset]:
            return None
        return text[begun.offset : offset].replace("\r\n", "\n")

    def agrees(self, snapshot: Snapshot) -> bool:
        """Whether ``snapshot`` is where it was started, and what was typed since may still be what it writes."""
        typed, written = self.typed(snapshot), self.stream.rule.text
        if typed is None:
            return False
        if len(typed) < len(written):
            return written.startswith(typed)
        return typed.startswith(written) and not self.reading.done()

    async def wait(self, snapshot: Snapshot, *, whole: bool) -> bool:
        """Returns once a whole line is there behind what was typed, or all of it (``whole``); false as soon as it does
        not agree with ``snapshot``."""
        while not self.reading.done():
            if not self.agrees(snapshot):
                return False
            if not whole and self._line_behind(self.typed(snapshot) or ""):
                return True
            news = asyncio.ensure_future(self.stream.news.wait())
            try:
                await asyncio.wait({self.reading, news}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
            self.stream.news.clear()
        return self.typed(snapshot) == "" or self.agrees(snapshot)

    def _line_behind(self, typed: str) -> bool:
        return bool(self.stream.lines[len(typed) :].strip())


class Flights:
    """The newest flight of each document."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._endings: dict[str, asyncio.TimerHandle] = {}

    def find(self, name: str, key: CacheKey, snapshot: Snapshot) -> Flight | None:
        """The flight that a request may take over."""
        flight = self._flights.get(name)
        if flight is None or flight.key != key or flight.reading.done() or not flight.agrees(snapshot):
            return None
        self._keep(name)
        return flight

    def start(self, name: str, flight: Flight) -> Flight:
        """Makes ``flight`` the document's, and ends the one before."""
        self.drop(name)
        self._flights[name] = flight
        return flight

    def leave(self, name: str, flight: Flight) -> None:
        """Nobody waits for it at present: it ends unless someone takes it over within a moment."""
        if self._flights.get(name) is flight:
            self._keep(name)
            loop = asyncio.get_running_loop()
            self._endings[name] = loop.call_later(_GRACE_S, self.drop, name)

    def drop(self, name: str) -> None:
        """Ends the document's flight, if there is one."""
        self._keep(name)
        if (flight := self._flights.pop(name, None)) is not None:
            flight.reading.cancel()

    def _keep(self, name: str) -> None:
        if (ending := self._endings.pop(name, None)) is not None:
            ending.cancel()
