"""One suggestion on its way from the engine: what is asked, and what has come so far.

Knows the engine's API and the stop rules, nothing of caches, turns or what is shown. Invariant: a stream ends exactly
once, with ``ending`` set, or raises.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types

from tailora.completion import Snapshot, StopRule, clean, gather
from tailora.completion.stop import Multiline
from tailora.lsp.workspace import Place
from tailora.options import CompletionOptions

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["Query", "Request", "Stream", "last_part"]

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
class Query:
    """A request together with what it is about, as it was when the request came."""

    request: Request
    snapshot: Snapshot
    range: types.Range
    lead: str
    place: Place
    options: CompletionOptions


class Stream:
    """Follows the engine's answer to one query."""

    def __init__(
        self, ls: TailoraServer, query: Query, *, background: bool = False, read_only: bool = False
    ) -> None:
        """``background``: nobody waits for it yet; ``read_only``: the prompt is read, and nothing written."""
        options, manual = query.options, query.request.manual
        # A command asks for more than one line where the settings leave it open. They are checked to be valid.
        multiline = "always" if manual and options.multiline == "auto" else options.multiline
        self.rule = StopRule(
            query.snapshot, multiline=cast(Multiline, multiline), max_lines=options.max_lines
        )
        self.ending: str | None = None
        """How it ended: the engine's ``finish_reason``, ``late`` at the deadline, ``enough`` by the stop rules."""
        self.stats: dict[str, Any] | None = None
        """The engine's figures, as far as they are known."""
        self.news = asyncio.Event()
        """Set whenever text came."""
        self._ls = ls
        self._query = query
        self._background = background
        self._read_only = read_only

    async def run(self) -> None:
        """Reads until the suggestion is complete.

        Raises:
            EngineError: no engine, or it refused.
        """
        try:
            async with asyncio.timeout(self._query.options.deadline_ms / 1000):
                self.ending = await self._read()
        except TimeoutError:
            self.ending = "late"

    async def _read(self) -> str:
        link = self._ls.link
        await link.ensure()
        async with contextlib.aclosing(link.client.complete(self._body())) as chunks:
            async for chunk in chunks:
                choice = chunk["choices"][0]
                self.stats = chunk.get("tailora") or self.stats
                if self.rule.feed(choice["text"]):
                    return "enough"
                self.news.set()
                if choice.get("finish_reason"):
                    return str(choice["finish_reason"])
        return "stop"

    @property
    def adapter(self) -> str | None:
        """The adapter that writes it, as far as it is known."""
        adapter = (self.stats or {}).get("adapter")
        return adapter if isinstance(adapter, str) else None

    @property
    def lines(self) -> str:
        """The whole lines so far."""
        return self.rule.text.rpartition("\n")[0]

    def text(self) -> str | None:
        """What can be shown: the suggestion once it has ended, else its whole lines; None if nothing is left."""
        raw = self.rule.text
        if self.ending is None:
            return clean(self.lines, self._query.snapshot, kept_stop_reason="deadline")
        if self.ending in ("late", "length"):
            # The last line is not finished: whole lines are worth showing, half a line after a wait is not.
            raw = self.lines if "\n" in raw or self.ending == "late" else raw
        cut_off = {"late": "deadline", "length": "length"}.get(self.ending)
        return clean(raw, self._query.snapshot, kept_stop_reason=cut_off or self.rule.reason)

    def _body(self) -> dict[str, Any]:
        ls, snapshot, place = self._ls, self._query.snapshot, self._query.place
        options, kind = self._query.options, self._query.request.kind
        context = gather(
            snapshot,
            root=place.root,
            recent=ls.recent,
            read=ls.read_for_context,
            budget_chars=options.context_chars,
        )
        status = ls.board.engine(place.root) or {}
        ahead = ":ahead" if self._background else ""
        return {
            "model": (status.get("model") or {}).get("name") or "default",
            "prompt": _encodable(last_part(snapshot.text[: snapshot.offset])),
            "suffix": "" if self._read_only else _encodable(_first_part(snapshot.text[snapshot.offset :])),
            "max_tokens": 0 if self._read_only else options.max_tokens,
            "temperature": 0,
            "stream": True,
            "tailora": {
                "project": str(place.root) if place.root else None,
                # Two windows may have the same file open: neither is to end the other's requests.
                "document": f"{ls.link.client.client_id}:{snapshot.uri}{kind}{ahead}",
                "path": place.relative,
                "language": snapshot.language,
                "context": [{"path": item.path, "text": _encodable(item.text)} for item in context],
                "adapter": options.adapter,
                "background": self._background,
                "stats": ls.wants_suggestion_reports or ls.settings.for_root(place.root).outcomes.enabled,
            },
        }


def last_part(prefix: str) -> str:
    """The end of ``prefix`` with LF line endings, whole lines from a line that is a multiple of the step."""
    if len(prefix) > _PREFIX_CHARS:
        before = prefix.count("\n", 0, len(prefix) - _PREFIX_CHARS)
        start = (before // _PREFIX_STEP + 1) * _PREFIX_STEP
        lines = prefix.split("\n", start)
        # A text with few or endless lines is cut where it has to be.
        prefix = lines[-1] if len(lines) > start else prefix[-_PREFIX_CHARS:]
    return prefix.replace("\r\n", "\n")


def _first_part(suffix: str) -> str:
    return suffix[:_SUFFIX_CHARS].replace("\r\n", "\n")


def _encodable(text: str) -> str:
    """Without the halves of surrogate pairs that JSON may carry and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
