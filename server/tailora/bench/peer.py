"""The peer as a ``Client``: an editor with llama.vim on llama.cpp's server.

One request at a time, never cancelled; a key that comes while one is on its way tries again 100 ms later; a result is
looked for in the cache at every move of the cursor, and a shown one is followed by a speculative request for the text
as if it had been accepted. As in the plugin, a job counts as running until its result was handled. In the peer's
favour, connections are kept open, where the plugin starts a ``curl`` for each request. Knows nothing of how the server
runs.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import httpx2

from tailora.bench.llama_vim import (
    DEBOUNCE_MS,
    MAX_LINE_SUFFIX,
    Context,
    Rendered,
    ResultCache,
    local_context,
    render,
    request_body,
)
from tailora.bench.places import Document
from tailora.bench.player import Edit, Screen

__all__ = ["LlamaVim", "figures_of"]

_log = logging.getLogger(__name__)


class LlamaVim:
    """One editor window. Belongs to one event loop.

    Args:
        http: A client whose base URL is the server's.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._loop = asyncio.get_running_loop()
        self._cache = ResultCache()
        self._lines: list[str] = []
        self._x = self._y = 0
        self._insert_mode = False
        self._screen: Screen | None = None
        self._hint: Rendered | None = None
        self._indent_last = -1
        self._job: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.requests = 0
        """Sent to the server so far."""

    # What the player tells

    def open(self, document: Document, text: str) -> None:
        """Nothing is asked before the cursor moves in insert mode."""

    def edit(self, document: Document, edit: Edit) -> None:
        """The text is read when it is needed."""

    def ask(self, document: Document, text: str, cursor: int, screen: Screen) -> None:
        """``CursorMovedI``: first what the cache has, then a request."""
        self._lines = text.removesuffix("\n").split("\n")
        self._y = text.count("\n", 0, cursor)
        self._x = cursor - (text.rfind("\n", 0, cursor) + 1)
        self._insert_mode, self._screen, self._hint = True, screen, None
        self._try_hint(cached=True, figures=None)
        self._fim(self._x, self._y, (), here=True)

    def leave(self) -> None:
        """``InsertLeave``."""
        self._insert_mode, self._hint, self._screen = False, None, None

    async def aclose(self) -> None:
        """Ends what is on its way."""
        if self._timer is not None:
            self._timer.cancel()
        if self._job is not None:
            self._job.cancel()
            await asyncio.wait([self._job])

    # What the plugin does

    def _fim(self, x: int, y: int, previous: Sequence[str], *, here: bool) -> None:
        """A request for a place (``here``: wherever the cursor is by then), or another try in a moment."""
        if self._job is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(DEBOUNCE_MS / 1000, self._again, x, y, previous, here)
            return
        if y >= len(self._lines):
            return  # the place of another document
        context = local_context(self._lines, x, y, previous, self._indent_last)
        if len(context.line_suffix) > MAX_LINE_SUFFIX or self._cache.has(context):
            return
        self._indent_last = context.indent
        self.requests += 1
        self._job = self._loop.create_task(
            self._request(context, request_body(context, speculative=bool(previous)))
        )

    def _again(self, x: int, y: int, previous: Sequence[str], here: bool) -> None:
        self._timer = None
        self._fim(*((self._x, self._y) if here else (x, y)), previous, here=here)

    async def _request(self, context: Context, body: dict[str, Any]) -> None:
        try:
            answer = await self._http.post("/infill", json=body)
            answer.raise_for_status()
            self._on_response(context, answer.json())
        except (httpx2.HTTPError, ValueError) as error:
            _log.error("llama.cpp's server: %s", error)
        finally:
            self._job = None

    def _on_response(self, context: Context, response: dict[str, Any]) -> None:
        self._cache.put(context.keys, str(response.get("content", "")))
        if self._hint is None or not self._hint.can_accept:
            self._try_hint(cached=False, figures=figures_of(response))

    def _try_hint(self, *, cached: bool, figures: dict[str, Any] | None) -> None:
        if not self._insert_mode or self._screen is None:
            return
        content = self._cache.find(local_context(self._lines, self._x, self._y))
        if content is None:
            return
        self._hint = render(content, self._lines, self._x, self._y)
        if self._hint.can_accept:
            self._screen.show(self._hint.text, cached=cached, figures=figures)
        else:
            self._screen.nothing("the result adds nothing", figures)
        self._fim(self._x, self._y, self._hint.lines, here=False)


def figures_of(response: dict[str, Any]) -> dict[str, Any]:
    """What a response of ``/infill`` says about its cost, in our terms. Nothing is streamed, so the first token's time
    is that of the prompt and of an average token."""
    values = {**response, **response.get("timings", {})}

    def number(name: str) -> float:
        return float(values.get(f"timings/{name}", values.get(name)) or 0)

    prompt, cached, predicted = number("prompt_n"), number("cache_n"), number("predicted_n")
    each = number("predicted_ms") / predicted if predicted else 0.0
    return {
        "prompt_tokens": int(prompt + cached),
        "cached_tokens": int(cached),
        "completion_tokens": int(predicted),
        "prefill_ms": number("prompt_ms"),
        "decode_ms": number("predicted_ms"),
        "first_token_ms": number("prompt_ms") + each,
    }
