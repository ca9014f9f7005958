"""``POST /v1/completions``: OpenAI's request with Tailora's fields beside it, and the answer, streamed or
whole.

Knows the wire format and the job's handle, nothing of how a job is run. Whatever happens, a request gets one
answer; a client that goes away cancels its job at once.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from tailora.engine.generator import GenerationRequest, GenerationStep, Snippet, TokenScore
from tailora.engine.jobs import Job
from tailora.engine.wire import BadRequest, Fields, describe, error_response, well_formed
from tailora_adapters.errors import TailoraError
from tailora_adapters.purposes import PARTS

__all__ = ["CompletionRequest", "CompletionResponse", "parse"]

_log = logging.getLogger(__name__)

_MAX_TOKENS = 4096
_MAX_SUFFIX_TOKENS = 1024
_DEFAULT_TOKENS = 16
"""OpenAI's."""
_MAX_STOPS = 16


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A parsed request body."""

    generation: GenerationRequest
    project: str | None
    adapter: str
    stream: bool
    background: bool
    stats: bool
    """Whether every chunk, and not only the last one, says what it cost."""


def parse(body: Fields) -> CompletionRequest:
    """Reads a request body. Any ``model`` is accepted, as the engine holds one; unknown fields are ignored.

    Raises:
        BadRequest: names the field.
    """
    for key, only in (("n", 1), ("best_of", 1), ("echo", False)):
        if body.raw(key) not in (None, only):
            raise body.wrong(key, f"{json.dumps(only)}, as nothing else is supported")
    extra = body.object("tailora")
    generation = GenerationRequest(
        prefix=_prompt(body),
        suffix=body.text("suffix", ""),
        context=tuple(Snippet(item.text("path"), item.text("text")) for item in extra.objects("context")),
        path=extra.text("path", None),
        language=extra.text("language", None),
        document=extra.text("document", None),
        max_tokens=body.integer("max_tokens", _DEFAULT_TOKENS, 0, _MAX_TOKENS),
        stop=_stops(body),
        temperature=body.number("temperature", 0.0, 0.0, 2.0),
        top_p=body.number("top_p", 1.0, 0.0, 1.0),
        seed=body.integer("seed", None, -(2**63), 2**63 - 1),
        speculation=extra.flag("speculation", True),
        reuse=extra.flag("reuse", True),
        scores=body.integer("logprobs", None, 0, 5),
        suffix_tokens=extra.integer("suffix_tokens", None, 0, _MAX_SUFFIX_TOKENS),
        middle=extra.text("middle", None),
    )
    adapter = extra.text("adapter", "serving")
    project = extra.text("project", None)
    if adapter not in ("serving", *PARTS, "foundation", "none") and project is None:
        raise BadRequest("tailora.adapter names a version, so tailora.project must say of which project")
    return CompletionRequest(
        generation,
        project,
        adapter,
        body.flag("stream", False),
        extra.flag("background", False),
        extra.flag("stats", False),
    )


def _prompt(body: Fields) -> str:
    prompt = body.raw("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise body.wrong("prompt", "a string, or a list with one string")
    return well_formed(prompt)


def _stops(body: Fields) -> tuple[str, ...]:
    stop = body.raw("stop")
    if stop is None:
        return ()
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > _MAX_STOPS or not all(isinstance(s, str) for s in stops):
        raise body.wrong("stop", f"a string or a list of up to {_MAX_STOPS} strings")
    return tuple(well_formed(text) for text in stops if text)


class CompletionResponse:
    """The ASGI response for a job.

    An error before the first token has an HTTP status of its own, a later one comes in the stream.
    """

    def __init__(self, job: Job, *, stream: bool, model: str, stats: bool = False) -> None:
        self._job = job
        self._stream = stream
        self._stats = stats
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watcher = asyncio.create_task(self._cancel_on_disconnect(receive))
        try:
            if self._stream:
                await self._send_stream(scope, receive, send)
            else:
                await self._send_whole(scope, receive, send)
        finally:
            self._job.cancel()
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    async def _cancel_on_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._job.cancel()

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send) -> None:
        text: list[str] = []
        try:
            async for step in self._job:
                text.append(step.text)
                if step.finish_reason is not None:
                    body = json.dumps(self._last_chunk("".join(text), step), ensure_ascii=False).encode()
                    await _start(send, "application/json", len(body))
                    await send({"type": "http.response.body", "body": body})
        except Exception as error:  # noqa: BLE001 - the protocol's boundary: logged and answered
            await error_response(error)(scope, receive, send)

    async def _send_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False
        try:
            async for step in self._job:
                if not started:
                    await _start(send, "text/event-stream")
                    started = True
                if step.finish_reason is not None:
                    await self._send_event(send, self._last_chunk(step.text, step))
                elif step.text:
                    chunk = self._chunk(step.text, None)
                    await self._send_event(
                        send, {**chunk, "tailora": self._own(step)} if self._stats else chunk
                    )
        except Exception as error:  # noqa: BLE001 - the protocol's boundary: logged and answered
            if not started:
                await error_response(error)(scope, receive, send)
                return
            if not isinstance(error, TailoraError):
                _log.error("a completion failed", exc_info=error)
            await self._send_event(send, describe(error)[1])
        if started:
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    async def _send_event(self, send: Send, value: dict[str, Any]) -> None:
        data = f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
        await send({"type": "http.response.body", "body": data, "more_body": True})

    def _chunk(
        self, text: str, finish_reason: str | None, scores: Sequence[TokenScore] = ()
    ) -> dict[str, Any]:
        logprobs = None
        if scores:
            logprobs = {
                "tokens": [score.text for score in scores],
                "token_logprobs": [round(score.logprob, 5) for score in scores],
                "top_logprobs": [[[text, round(value, 5)] for text, value in score.top] for score in scores],
            }
        choice = {"text": text, "index": 0, "logprobs": logprobs, "finish_reason": finish_reason}
        return {**self._head, "choices": [choice]}

    def _last_chunk(self, text: str, step: GenerationStep) -> dict[str, Any]:
        stats = step.stats
        usage = {
            "prompt_tokens": stats.prompt_tokens,
            "completion_tokens": stats.completion_tokens,
            "total_tokens": stats.prompt_tokens + stats.completion_tokens,
        }
        return {
            **self._chunk(text, step.finish_reason, stats.scores),
            "usage": usage,
            "tailora": self._own(step),
        }

    def _own(self, step: GenerationStep) -> dict[str, Any]:
        stats = step.stats
        return {
            "adapter": self._job.adapter,
            "prompt_tokens": stats.prompt_tokens,
            "cached_tokens": stats.cached_tokens,
            "completion_tokens": stats.completion_tokens,
            "queue_ms": round(self._job.queue_ms, 1),
            "prefill_ms": round(stats.prefill_ms, 1),
            "first_token_ms": round(stats.first_token_ms, 1),
            "decode_ms": round(stats.decode_ms, 1),
            "drafted_tokens": stats.drafted_tokens,
            "accepted_tokens": stats.accepted_tokens,
        }


async def _start(send: Send, media_type: str, length: int | None = None) -> None:
    headers = [(b"content-type", media_type.encode()), (b"cache-control", b"no-store")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
