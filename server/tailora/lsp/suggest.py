"""From a cursor to a suggestion: snapshot, cache, debounce, context, engine, stop rules, post-processing.

Shared by the features that offer suggestions; knows nothing of their items. The first whole line is answered as soon
as it is there; the rest goes on in the background and into the cache, and so does what would follow the suggestion
(``completion.ahead``). Invariants: a snapshot is taken before the first await and is all that the rest sees; and
``answer`` returns a suggestion or None, never raises, and says in the status why there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from tailora.completion import CacheKey, Snapshot
from tailora.errors import EngineError
from tailora.lsp.flight import Flight
from tailora.lsp.silence import reason_for
from tailora.lsp.status import blocking_reason
from tailora.lsp.stream import Query, Request, Stream
from tailora.lsp.text import path_of
from tailora.lsp.workspace import Place

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["REFRESH", "REPORT", "Request", "Suggestion", "answer", "read_ahead"]

REPORT = "tailora/suggestion"
"""Notification to clients that ask for it: how the answer that follows came about."""
REFRESH = "tailora/refreshSuggestion"
"""Notification to clients that ask for it: more of the suggestion at this place is ready, ask again."""

_NOTHING = "the model has nothing to add here"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text to insert at the cursor of ``snapshot``."""

    text: str
    snapshot: Snapshot
    range: types.Range
    """What is replaced, in the client's units."""
    lead: str
    """What goes before ``text`` into that range: the text of the selected item of the completion menu."""
    place: Place
    adapter: str | None
    """Which made it, as the engine named it."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    text: str | None = None
    reason: str | None = None
    """Why there is no text, for a person."""
    cached: bool = False
    adapter: str | None = None
    stats: dict[str, Any] | None = None


_OPENED_LINES = 48
"""Of an opened document so much is read ahead: about what a prompt holds before its cursor."""


async def read_ahead(ls: TailoraServer, uri: str) -> None:
    """Has the engine read the beginning of a document that was just opened: where the cursor is, nobody says, but a
    short file's prompts all begin like that."""
    document = ls.workspace.opened(uri)
    lines = document.source.count("\n") if document is not None else 0
    query = _look(ls, Request(uri, types.Position(min(_OPENED_LINES, lines), 0)))
    if isinstance(query, str) or not query.options.ahead:
        return
    status = ls.board.engine(query.place.root) or {}
    if status.get("model", {}).get("state") == "ready":
        with contextlib.suppress(EngineError):  # nobody asked yet
            await Stream(ls, query, background=True, read_only=True).run()


async def answer(ls: TailoraServer, request: Request) -> Suggestion | None:
    """A suggestion, or None.

    Exactly one answer for every request is kept here: a request that a newer one overtakes returns None at
    once, one that fails returns None with the reason in the status and the log. Only cancellation by the
    client passes through; pygls answers that as cancelled.
    """
    query: Query | str | None = None
    begun = time.perf_counter()
    try:
        query = _look(ls, request)
        if isinstance(query, str):
            outcome: _Outcome | None = _Outcome(reason=query)
        else:
            outcome = await ls.turns.take(request.uri + request.kind, _suggest(ls, query))
    except EngineError as error:
        outcome = _Outcome(reason=str(error))
    except Exception as error:  # noqa: BLE001 - the protocol boundary: every request gets its answer
        _log.exception("A suggestion failed")
        outcome = _Outcome(reason=f"internal error ({type(error).__name__}); see the log")
    if outcome is None:
        return None
    ls.board.suggestion(shown=outcome.text is not None, reason=outcome.reason)
    if not isinstance(query, Query):
        return None
    _report(ls, query, outcome, begun)
    if outcome.text is None:
        return None
    return Suggestion(outcome.text, query.snapshot, query.range, query.lead, query.place, outcome.adapter)


def _look(ls: TailoraServer, request: Request) -> Query | str:
    """Takes the document as it is now; a text says why nothing is suggested in it."""
    path, document = path_of(request.uri), ls.workspace.opened(request.uri)
    place = ls.folders.place(path)
    options = ls.settings.for_root(place.root).completion
    reason = reason_for(document, request.uri, path, options)
    if document is None or reason is not None:
        return reason or "this document was never opened"
    text, lead = document.source, ""
    start = end = offset = document.offset_at_position(request.position)
    selected = request.selected
    if selected is not None and selected.range.start.line == selected.range.end.line:
        edges = selected.range.start, selected.range.end
        start, end = sorted(document.offset_at_position(edge) for edge in edges)
        lead = selected.text
        text, offset = text[:start] + lead + text[end:], start + len(lead)
    replaced = types.Range(document.client_position_at_offset(start), document.client_position_at_offset(end))
    language = document.language_id or "plaintext"
    snapshot = Snapshot(request.uri, path, language, document.version, text, offset)
    return Query(request, snapshot, replaced, lead, place, options)


async def _suggest(ls: TailoraServer, query: Query) -> _Outcome | None:
    """The outcome; None if the engine had a newer request for the document."""
    key, name = _cache_key(ls, query), query.request.uri + query.request.kind
    flight: Flight | None = None
    if not query.request.manual:
        known = ls.cache.find(key, query.snapshot)
        if known is not None:
            reason = None if known.text else _NOTHING
            return _Outcome(known.text or None, reason, cached=True, adapter=known.made_by)
        flight = ls.flights.find(name, key, query.snapshot)
        if flight is None:
            await asyncio.sleep(query.options.debounce_ms / 1000)
    status = ls.board.engine(query.place.root)
    if status is not None and (reason := blocking_reason(status)):
        return _Outcome(reason=reason)
    whole = query.request.manual or not query.options.ahead
    while True:
        if flight is None:
            ls.later.drop(name)
            flight = ls.flights.start(name, Flight(key, query, Stream(ls, query)))
        try:
            agrees = await flight.wait(query.snapshot, whole=whole)
        except asyncio.CancelledError:
            ls.flights.leave(name, flight)
            raise
        if not agrees:
            flight = None
        elif flight.reading.done():
            return _landed(ls, query, flight, name, status or {})
        elif (early := flight.stream.text()) is not None:
            ls.cache.put(key, flight.query.snapshot, early, flight.stream.adapter)
            if rest := ls.cache.get(key, query.snapshot):
                ls.later.start(name, _finish(ls, flight, early))
                return _Outcome(rest, adapter=flight.stream.adapter, stats=flight.stream.stats)
            whole = True
        else:
            whole = True


def _landed(
    ls: TailoraServer, query: Query, flight: Flight, name: str, status: dict[str, Any]
) -> _Outcome | None:
    """The outcome of a flight that has come to its end."""
    stream, key, begun = flight.stream, flight.key, flight.query.snapshot
    flight.reading.result()
    if stream.ending == "superseded":
        return None
    text = stream.text()
    if stream.ending != "late" and key == _cache_key(ls, query):
        ls.cache.put(key, begun, text or "", stream.adapter)
    if text and begun != query.snapshot:
        text = ls.cache.get(key, query.snapshot)
    if text:
        if query.options.ahead:
            ls.later.start(name, _look_ahead(ls, query, key, text))
        return _Outcome(text, adapter=stream.adapter, stats=stream.stats)
    return _Outcome(reason=_why_nothing(query, stream, status), stats=stream.stats)


def _why_nothing(query: Query, stream: Stream, status: dict[str, Any]) -> str:
    if stream.ending != "late":
        return _NOTHING
    if status.get("model", {}).get("state") in ("loading", "unloaded"):
        return "too slow: the model is still loading"
    return f"too slow: no whole line within {query.options.deadline_ms / 1000:g} s (completion.deadline_ms)"


async def _finish(ls: TailoraServer, flight: Flight, early: str) -> None:
    """Waits for the lines after the first ones, for whoever asks next."""
    query, key, stream = flight.query, flight.key, flight.stream
    await asyncio.wait({flight.reading})
    ended = stream.ending not in (None, "superseded") and key == _cache_key(ls, query)
    text = stream.text() if ended else None
    if not text:
        return
    if not text.startswith(early):
        text = early
    ls.cache.put(key, query.snapshot, text, stream.adapter)
    if text != early:
        ls.notify_of_suggestion(REFRESH, {"uri": query.snapshot.uri, "version": query.snapshot.version})
    await _look_ahead(ls, query, key, text)


async def _look_ahead(ls: TailoraServer, query: Query, key: CacheKey, text: str) -> None:
    """Computes what would be suggested once ``text`` is accepted, and then on the next line."""
    with contextlib.suppress(EngineError):  # nobody asked yet
        after = _after(query, text)
        more = await _compute_ahead(ls, after, key)
        if more == "" and not after.snapshot.suffix.partition("\n")[0].strip():
            await _compute_ahead(ls, _after(after, _next_line(after.snapshot)), key)


async def _compute_ahead(ls: TailoraServer, query: Query, key: CacheKey) -> str | None:
    """The suggestion at that place, empty for none; None if it did not come to an end."""
    if (known := ls.cache.get(key, query.snapshot)) is not None:
        return known
    stream = Stream(ls, query, background=True)
    await stream.run()
    if stream.ending in ("superseded", "late") or key != _cache_key(ls, query):
        return None
    text = stream.text() or ""
    ls.cache.put(key, query.snapshot, text, stream.adapter)
    return text


def _after(query: Query, text: str) -> Query:
    """The query that follows once ``text`` stands at the cursor."""
    snapshot = query.snapshot
    before, after = snapshot.text[: snapshot.offset], snapshot.text[snapshot.offset :]
    moved = replace(snapshot, text=before + text + after, offset=snapshot.offset + len(text))
    return replace(query, snapshot=moved)


def _next_line(snapshot: Snapshot) -> str:
    """The line ending and the indentation that an editor puts there."""
    line = snapshot.text[snapshot.line_start : snapshot.offset]
    indent = re.match(r"[ \t]*", line)
    deeper = snapshot.indent_unit if line.rstrip().endswith((":", "{", "(", "[")) else ""
    return snapshot.newline + (indent[0] if indent else "") + deeper


def _cache_key(ls: TailoraServer, query: Query) -> CacheKey:
    status = ls.board.engine(query.place.root) or {}
    model, project = status.get("model") or {}, status.get("project") or {}
    adapter = None if project.get("disabled") else project.get("serving")
    options = query.options
    settings = (
        options.multiline,
        options.max_lines,
        options.max_tokens,
        options.context_chars,
        options.adapter,
    )
    return CacheKey(str(model.get("name")), adapter, settings)


def _report(ls: TailoraServer, query: Query, outcome: _Outcome, begun: float) -> None:
    ls.notify_of_suggestion(
        REPORT,
        {
            "uri": query.snapshot.uri,
            "version": query.snapshot.version,
            "position": {"line": query.request.position.line, "character": query.request.position.character},
            "cached": outcome.cached,
            "shown": outcome.text is not None,
            "reason": outcome.reason,
            "elapsed_ms": round(1000 * (time.perf_counter() - begun), 1),
            "stats": outcome.stats,
        },
    )
