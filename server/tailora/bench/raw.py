"""Prefill and decode speed on fixed prompts, without an editor: tokens over time, as each side reports them.

Prompts are cut from real files. Both sides get the same text, nothing is reused between requests, and they take turns.
Compared are tokens a second, not seconds, as each side puts a prompt together in its own way. Knows nothing of what
runs the engine or the server.
"""

import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import httpx2

from tailora.bench.figures import Figures, spread
from tailora.bench.peer import figures_of
from tailora.bench.places import Document
from tailora.engine.client import EngineClient
from tailora_adapters.errors import TailoraError

__all__ = ["Passage", "Rates", "ask_engine", "decode_passages", "measure", "prefill_passages"]

DECODE_TOKENS = 64
_PREFILL_PREFIX, _PREFILL_SUFFIX = 2_000, 420
"""Characters: about 700 tokens in all."""
_DECODE_PREFIX, _DECODE_SUFFIX = 1_400, 350
_HOLE_LINES = 5
_INDENTED = (" ", "\t")


@dataclass(frozen=True, slots=True)
class Passage:
    """A prompt: what stands before and behind a hole."""

    prefix: str
    suffix: str
    language: str
    path: str


@dataclass(frozen=True, slots=True)
class Rates:
    """Tokens a second by figure, and their range over the repeats."""

    figures: Figures
    rounds: tuple[Figures, ...]

    @property
    def spread(self) -> dict[str, tuple[float, float]]:
        """Least and largest value of each figure."""
        return spread(self.rounds)


def prefill_passages(documents: Sequence[Document], seed: int, count: int = 3) -> list[Passage]:
    """Prompts of about 700 tokens."""
    return _passages(documents, random.Random(f"prefill {seed}"), count, _PREFILL_PREFIX, _PREFILL_SUFFIX, 0)


def decode_passages(documents: Sequence[Document], seed: int, count: int = 12) -> list[Passage]:
    """Prompts with several lines missing inside a block."""
    return _passages(
        documents, random.Random(f"decode {seed}"), count, _DECODE_PREFIX, _DECODE_SUFFIX, _HOLE_LINES
    )


def _passages(
    documents: Sequence[Document], rng: random.Random, count: int, prefix: int, suffix: int, hole: int
) -> list[Passage]:
    long = [document for document in documents if len(document.text) > prefix + 3 * suffix] or list(documents)
    passages: list[Passage] = []
    for document in (long * (count // max(1, len(long)) + 1))[:count]:
        lines = document.text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        rows = [
            row
            for row in range(1, len(lines) - hole)
            if starts[row] >= prefix
            and len(document.text) - starts[row + hole] >= suffix
            and (not hole or (lines[row].startswith(_INDENTED) and lines[row].strip()))
        ]
        row = rng.choice(rows or list(range(1, max(2, len(lines) - hole))))
        before, behind = document.text[: starts[row]], document.text[starts[row + hole] :]
        passages.append(
            Passage(
                _whole_lines(before[-prefix:]),
                behind[:suffix].rpartition("\n")[0] + "\n",
                document.language,
                document.path.name,
            )
        )
    if not passages:
        raise TailoraError("no files were found to make prompts of")
    return passages


def _whole_lines(text: str) -> str:
    return text.partition("\n")[2] or text


async def ask_engine(
    client: EngineClient, passage: Passage, *, max_tokens: int, **extra: Any
) -> dict[str, Any]:
    """One completion, for which nothing is reused unless ``extra`` says so.

    Returns the ``tailora`` of its last chunk and ``decode_tokens``, see ``_rate``.
    """
    body = {
        "model": "default",
        "prompt": passage.prefix,
        "suffix": passage.suffix,
        "max_tokens": max_tokens,
        "temperature": 0,
        "tailora": {
            # A document of its own each time: what was suggested there before must not help.
            "document": f"bench:{uuid.uuid4()}",
            "language": passage.language,
            "path": passage.path,
            "reuse": False,
            **extra,
        },
    }
    last: dict[str, Any] = {}
    async for chunk in client.complete(body):
        last = chunk
    if "tailora" not in last:
        raise TailoraError("the engine's answer has no figures")
    ended = last["choices"][0]["finish_reason"] == "stop"
    figures: dict[str, Any] = last["tailora"]
    return {**figures, "decode_tokens": max(0, figures["completion_tokens"] - (not ended))}


async def _ask_peer(http: httpx2.AsyncClient, passage: Passage, *, n_predict: int) -> dict[str, Any]:
    body = {
        "input_prefix": passage.prefix,
        "input_suffix": passage.suffix,
        "prompt": "",
        "n_predict": n_predict,
        "samplers": ["top_k"],
        "top_k": 1,
        "cache_prompt": False,
        "stream": False,
    }
    answer = await http.post("/infill", json=body)
    answer.raise_for_status()
    figures = figures_of(answer.json())
    return {**figures, "decode_tokens": max(0, figures["completion_tokens"] - 1)}


Ask = Callable[[Passage], Awaitable[dict[str, Any]]]


async def _rate(ask: Ask, passages: Sequence[Passage], tokens: str, milliseconds: str) -> float | None:
    """Tokens a second over all passages. Tokens that were reused do not count.

    ``decode_tokens`` are those that took time to write: not the first, whose logits come from the prompt, but the one
    that ends the text. llama.cpp's own ``predicted_n`` counts both, ``completion_tokens`` of our engine only the first.
    """
    read = spent = 0.0
    for passage in passages:
        figures = await ask(passage)
        read += figures[tokens] - (figures.get("cached_tokens", 0) if tokens == "prompt_tokens" else 0)
        spent += figures[milliseconds]
    return 1000 * read / spent if spent else None


async def measure(
    client: EngineClient,
    http: httpx2.AsyncClient | None,
    documents: Sequence[Document],
    *,
    seed: int,
    repeats: int = 3,
    adapter: str = "serving",
    passages: tuple[int, int] = (3, 12),
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Rates, Rates | None]:
    """Our rates and the peer's: medians over ``repeats`` alternating runs, after one that does not count.

    Args:
        http: The peer's server, or None to measure ours alone.
        passages: Number of prompts for prefill and for decode.
    """
    long = prefill_passages(documents, seed, passages[0])
    holes = decode_passages(documents, seed, passages[1])

    await ask_engine(client, long[0], max_tokens=8, adapter=adapter)
    if http is not None:
        await _ask_peer(http, long[0], n_predict=8)
    mine: list[Figures] = []
    theirs: list[Figures] = []
    for number in range(repeats):
        if http is not None and number % 2:
            theirs.append(await _peer_round(http, long, holes))
        mine.append(await _our_round(client, long, holes, adapter))
        if http is not None and not number % 2:
            theirs.append(await _peer_round(http, long, holes))
        progress((number + 1) / repeats)
    return _rates(mine), _rates(theirs) if theirs else None


async def _our_round(
    client: EngineClient, long: Sequence[Passage], holes: Sequence[Passage], adapter: str
) -> Figures:
    def asks(max_tokens: int, *, speculation: bool) -> Ask:
        return lambda passage: ask_engine(
            client, passage, max_tokens=max_tokens, adapter=adapter, speculation=speculation
        )

    plain, drafting = asks(DECODE_TOKENS, speculation=False), asks(DECODE_TOKENS, speculation=True)
    return {
        "prefill": await _rate(asks(1, speculation=False), long, "prompt_tokens", "prefill_ms"),
        "decode": await _rate(plain, holes, "decode_tokens", "decode_ms"),
        "decode_speculative": await _rate(drafting, holes, "decode_tokens", "decode_ms"),
    }


async def _peer_round(http: httpx2.AsyncClient, long: Sequence[Passage], holes: Sequence[Passage]) -> Figures:
    def asks(n_predict: int) -> Ask:
        return lambda passage: _ask_peer(http, passage, n_predict=n_predict)

    decode = await _rate(asks(DECODE_TOKENS), holes, "decode_tokens", "decode_ms")
    return {
        "prefill": await _rate(asks(1), long, "prompt_tokens", "prefill_ms"),
        "decode": decode,
        "decode_speculative": decode,  # as llama.vim's servers are started, nothing is drafted
    }


def _rates(rounds: Sequence[Figures]) -> Rates:
    figures: Figures = {}
    for key in rounds[0]:
        values = [value for row in rounds if (value := row[key]) is not None]
        figures[key] = median(values) if values else None
    return Rates(figures, tuple(rounds))
