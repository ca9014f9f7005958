"""From a cursor to a suggestion: snapshot, cache, debounce, context, engine, stop rules, post-processing.

Shared by the features that offer suggestions; knows nothing of their items. Invariants: a snapshot is taken
before the first await and is all that the rest sees; and ``answer`` returns a suggestion or None, never
raises, and says in the status why there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types

from tailora.completion import CacheKey, Snapshot, StopRule, clean, gather
from tailora.completion.stop import Multiline
from tailora.errors import EngineError
from tailora.lsp.silence import reason_for
from tailora.lsp.status import blocking_reason
from tailora.lsp.text import path_of
from tailora.lsp.workspace import Place
from tailora.options import CompletionOptions

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["Request", "Suggestion", "answer"]

_log = logging.getLogger(__name__)

_PREFIX_CHARS, _SUFFIX_CHARS = 24_000, 8_000
_PREFIX_STEP = 64
"""Lines; a multiple of ``base.prompt.ANCHOR_LINES``, so that a long file's prompt begins where it began before."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for."""

    uri: str
    position: types.Position
    manual: bool = False
    """Whether the user asked by a command, and not by typing."""
    selected: types.SelectedCompletionInfo | None = None
    """The selected item of the completion menu, if that is open."""
    kind: str = ""
    """Tells features apart that ask for the same document: the newest request of each wins."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Text to insert at the cursor of ``snapshot``."""

    text: str
    snapshot: Snapshot
    range: types.Range
    """What is replaced, in the client's units."""
    lead: str
    """What goes before ``text`` into that range: the text of the selected item of the completion menu."""


@dataclass(frozen=True, slots=True)
class _Query:
    """A request together with what it is about, as it was when the request came."""

    request: Request
    snapshot: Snapshot
    range: types.Range
    lead: str
    place: Place
    options: CompletionOptions


@dataclass(frozen=True, slots=True)
class _Outcome:
    text: str | None = None
    reason: str | None = None
    """Why there is no text, for a person."""


async def answer(ls: TailoraServer, request: Request) -> Suggestion | None:
    """A suggestion, or None.

    Exactly one answer for every request is kept here: a request that a newer one overtakes returns None at
    once, one that fails returns None with the reason in the status and the log. Only cancellation by the
    client passes through; pygls answers that as cancelled.
    """
    query: _Query | str | None = None
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
    if outcome.text is None or not isinstance(query, _Query):
        return None
    return Suggestion(outcome.text, query.snapshot, query.range, query.lead)


def _look(ls: TailoraServer, request: Request) -> _Query | str:
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
    return _Query(request, snapshot, replaced, lead, place, options)


async def _suggest(ls: TailoraServer, query: _Query) -> _Outcome | None:
    """The outcome; None if the engine had a newer request for the document."""
    key = _cache_key(ls, query)
    if not query.request.manual:
        if known := ls.cache.get(key, query.snapshot):
            return _Outcome(known)
        await asyncio.sleep(query.options.debounce_ms / 1000)
    status = ls.board.engine(query.place.root)
    if status is not None and (reason := blocking_reason(status)):
        return _Outcome(reason=reason)
    rule, ending = await _generate(ls, query)
    if ending == "superseded":
        return None
    raw = rule.text
    if ending in ("late", "length"):
        # The last line is not finished: whole lines are worth showing, half a line after a wait is not.
        whole, newline, _ = raw.rpartition("\n")
        raw = whole if newline or ending == "late" else raw
    cut_off = {"late": "deadline", "length": "length"}.get(ending or "")
    text = clean(raw, query.snapshot, kept_stop_reason=cut_off or rule.reason)
    if text:
        if ending != "late" and key == _cache_key(ls, query):
            ls.cache.put(key, query.snapshot, text)
        return _Outcome(text)
    if ending == "late":
        if (status or {}).get("model", {}).get("state") in ("loading", "unloaded"):
            return _Outcome(reason="too slow: the model is still loading")
        seconds = query.options.deadline_ms / 1000
        return _Outcome(reason=f"too slow: no whole line within {seconds:g} s (completion.deadline_ms)")
    return _Outcome(reason="the model has nothing to add here")


async def _generate(ls: TailoraServer, query: _Query) -> tuple[StopRule, str | None]:
    """Streams from the engine until the suggestion is complete; how the stream ended: the engine's
    ``finish_reason``, ``late`` at the deadline, None when there was enough.

    Raises:
        EngineError: no engine, or it refused.
    """
    options = query.options
    # A command asks for more than one line where the settings leave it open. They are checked to be valid.
    multiline = "always" if query.request.manual and options.multiline == "auto" else options.multiline
    rule = StopRule(query.snapshot, multiline=cast(Multiline, multiline), max_lines=options.max_lines)
    try:
        async with asyncio.timeout(options.deadline_ms / 1000):
            await ls.link.ensure()
            body = _body(ls, query)
            async with contextlib.aclosing(ls.link.client.complete(body)) as chunks:
                async for chunk in chunks:
                    choice = chunk["choices"][0]
                    if rule.feed(choice["text"]):
                        return rule, None
                    if choice.get("finish_reason"):
                        return rule, str(choice["finish_reason"])
    except TimeoutError:
        return rule, "late"
    return rule, "stop"


def _body(ls: TailoraServer, query: _Query) -> dict[str, Any]:
    snapshot, place = query.snapshot, query.place
    context = gather(
        snapshot,
        root=place.root,
        recent=ls.recent,
        read=ls.read_for_context,
        budget_chars=query.options.context_chars,
    )
    status = ls.board.engine(place.root) or {}
    return {
        "model": (status.get("model") or {}).get("name") or "default",
        "prompt": _encodable(_last_part(snapshot.text[: snapshot.offset])),
        "suffix": _encodable(snapshot.text[snapshot.offset :][:_SUFFIX_CHARS].replace("\r\n", "\n")),
        "max_tokens": query.options.max_tokens,
        "temperature": 0,
        "stream": True,
        "tailora": {
            "project": str(place.root) if place.root else None,
            # Two windows may have the same file open: neither is to end the other's requests.
            "document": f"{ls.link.client.client_id}:{query.request.uri}{query.request.kind}",
            "path": place.relative,
            "language": snapshot.language,
            "context": [{"path": item.path, "text": _encodable(item.text)} for item in context],
            "adapter": "serving",
        },
    }


def _last_part(prefix: str) -> str:
    """The end of ``prefix`` with LF line endings, whole lines from a line that is a multiple of the step."""
    if len(prefix) > _PREFIX_CHARS:
        before = prefix.count("\n", 0, len(prefix) - _PREFIX_CHARS)
        start = (before // _PREFIX_STEP + 1) * _PREFIX_STEP
        lines = prefix.split("\n", start)
        # A text with few or endless lines is cut where it has to be.
        prefix = lines[-1] if len(lines) > start else prefix[-_PREFIX_CHARS:]
    return prefix.replace("\r\n", "\n")


def _encodable(text: str) -> str:
    """Without the halves of surrogate pairs that JSON may carry and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _cache_key(ls: TailoraServer, query: _Query) -> CacheKey:
    status = ls.board.engine(query.place.root) or {}
    model, project = status.get("model") or {}, status.get("project") or {}
    adapter = None if project.get("disabled") else project.get("serving")
    options = query.options
    settings = (options.multiline, options.max_lines, options.max_tokens, options.context_chars)
    return CacheKey(str(model.get("name")), adapter, settings)
