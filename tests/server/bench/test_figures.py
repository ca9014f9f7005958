from dataclasses import replace
from typing import Any

import pytest

from tailora.bench.figures import Figures, percentile, ratios, spread, summarise
from tailora.bench.player import Moment

PLAIN = Moment(0, "a.py", 1, "python", "key", 0.0, left=10, right=True)


def shown(latency_ms: float, agreed: int = 0, **changes: Any) -> Moment:
    figures = {"first_token_ms": 50.0, "prompt_tokens": 100, "cached_tokens": 90}
    return replace(
        PLAIN,
        shown=True,
        shown_ms=latency_ms,
        latency_ms=latency_ms,
        agreed=agreed,
        figures=figures,
        **changes,
    )


def silent(latency_ms: float) -> Moment:
    return replace(PLAIN, latency_ms=latency_ms, unanswered=True)


def test_percentiles_are_interpolated() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0], 0.95) == 3
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert percentile(list(map(float, range(101))), 0.95) == 95


def test_silence_lengthens_the_latency_and_shortens_the_agreed_length() -> None:
    row = summarise([shown(100, 12, exact_line=True), shown(200, 4, cached=True), silent(3000), silent(4000)])
    assert row["p50"] == pytest.approx((200 + 3000) / 2)
    assert row["answered_p50"] == 150
    assert row["shown"] == 0.5
    assert row["agreed_length"] == 4
    assert row["agreed_length_shown"] == 8
    assert row["exact_line"] == 0.25
    assert row["cached"] == 0.5
    assert row["unanswered"] == 0.5
    assert row["first_token"] == 50
    assert row["reused"] == 0.9


def test_moments_with_nothing_left_to_suggest_count_nowhere() -> None:
    done = replace(PLAIN, kind="accept", left=0, accepted=7, latency_ms=9000, unanswered=True)
    row = summarise([shown(100, 3), done])
    assert row["p95"] == 100
    assert row["unanswered"] == 0
    assert row["moments"] == 1
    assert (row["accepts"], row["accepted"]) == (1, 7)


def test_without_moments_there_are_no_figures_but_counts() -> None:
    assert {key for key, value in summarise([]).items() if value is not None} == {"accepts", "moments"}


def test_ratios_are_ours_over_the_peers() -> None:
    ours: Figures = {"p50": 50.0, "shown": 0.9, "cached": None, "reused": 1.0}
    peer: Figures = {"p50": 200.0, "shown": 0.6, "cached": 0.5, "reused": 0.0}
    assert ratios(ours, peer) == {"p50": 0.25, "shown": pytest.approx(1.5), "reused": None}


def test_the_spread_is_the_range_over_the_rounds() -> None:
    assert spread([{"p50": 3.0, "p95": None}, {"p50": 1.0, "p95": 7.0}]) == {"p50": (1, 3), "p95": (7, 7)}
