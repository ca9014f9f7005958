from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tailora.bench import raw
from tailora.bench.places import Document


class FakeEngine:
    """Answers every completion with the same figures and keeps the bodies."""

    def __init__(self, finish_reason: str = "stop", **figures: Any) -> None:
        self.finish_reason = finish_reason
        self.figures = figures
        self.bodies: list[dict[str, Any]] = []

    async def complete(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        self.bodies.append(body)
        yield {"choices": [{"text": "x"}]}
        yield {"choices": [{"text": "", "finish_reason": self.finish_reason}], "tailora": self.figures}


def peer(requests: list[httpx2.Request]) -> httpx2.AsyncClient:
    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        timings = {"prompt_n": 100, "prompt_ms": 1000.0, "predicted_n": 11, "predicted_ms": 500.0}
        return httpx2.Response(200, json={"content": "x", "timings": timings})

    return httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://peer")


FIGURES = {
    "prompt_tokens": 700,
    "cached_tokens": 0,
    "prefill_ms": 2000.0,
    "completion_tokens": 30,
    "decode_ms": 600.0,
}


async def test_rates_are_tokens_over_time_of_both_sides(document: Document) -> None:
    engine = FakeEngine(**FIGURES)
    requests: list[httpx2.Request] = []
    async with peer(requests) as http:
        ours, theirs = await raw.measure(engine, http, [document], seed=1, repeats=2, passages=(2, 3))  # type: ignore[arg-type]
    assert ours.figures == {"prefill": 350, "decode": 50, "decode_speculative": 50}
    assert theirs is not None
    assert theirs.figures == {"prefill": 100, "decode": 20, "decode_speculative": 20}
    assert list(theirs.spread["prefill"]) == [100, 100]
    assert len(requests) == 1 + 2 * (2 + 3)


async def test_nothing_that_was_asked_before_helps(document: Document) -> None:
    engine = FakeEngine(**FIGURES)
    ours, theirs = await raw.measure(engine, None, [document], seed=1, repeats=1, passages=(1, 2))  # type: ignore[arg-type]
    assert theirs is None
    assert ours.figures["decode"] == 50
    own = [body["tailora"] for body in engine.bodies]
    assert all(extra["reuse"] is False for extra in own)
    assert len({extra["document"] for extra in own}) == len(own)
    assert [extra["speculation"] for extra in own[1:]] == [False, False, False, True, True]
    assert [body["max_tokens"] for body in engine.bodies[1:]] == [1, 64, 64, 64, 64]


async def test_reused_tokens_count_for_no_speed(document: Document) -> None:
    engine = FakeEngine(**FIGURES | {"cached_tokens": 600})
    ours, _ = await raw.measure(engine, None, [document], seed=1, repeats=1, passages=(1, 1))  # type: ignore[arg-type]
    assert ours.figures["prefill"] == pytest.approx(50)


@pytest.mark.parametrize("finish_reason, rate", [("stop", 50), ("length", 29 / 0.6)])
async def test_only_tokens_that_took_time_to_write_count(
    document: Document, finish_reason: str, rate: float
) -> None:
    engine = FakeEngine(finish_reason, **FIGURES)
    ours, _ = await raw.measure(engine, None, [document], seed=1, repeats=1, passages=(1, 1))  # type: ignore[arg-type]
    assert ours.figures["decode"] == pytest.approx(rate)


def test_passages_are_fixed_and_come_from_the_file(document: Document) -> None:
    first = raw.prefill_passages([document], 3, 4)
    assert first == raw.prefill_passages([document], 3, 4)
    assert first != raw.prefill_passages([document], 4, 4)
    for passage in [*first, *raw.decode_passages([document], 3, 4)]:
        assert passage.prefix in document.text
        assert passage.suffix in document.text
        assert passage.prefix.endswith("\n")
    for passage in raw.decode_passages([document], 3, 4):
        missing = document.text.split(passage.prefix)[1].split(passage.suffix)[0]
        assert missing.count("\n") == 5
