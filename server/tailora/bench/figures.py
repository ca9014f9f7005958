"""From moments to figures, and from two sides' figures to ratios.

Pure functions; knows nothing of clients or of how figures are shown. Times in milliseconds, lengths in
characters, shares from 0 to 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tailora.bench.player import Moment

__all__ = ["Figures", "percentile", "ratios", "rounded", "short", "spread", "summarise"]

Figures = dict[str, float | None]


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that ``share`` of all values do not exceed, interpolated linearly; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def summarise(moments: Sequence[Moment]) -> Figures:
    """All figures of a played trace. Moments with nothing left to suggest count in none of them.

    ``p50``, ``p95``: latency over all moments (see ``player``).
    ``answered_p50``, ``answered_p95``: time to the suggestion, over the moments that had one before the next.
    ``shown``: share of those.
    ``agreed_length``: mean over all moments of the characters that agree with the real text, 0 where nothing was
    shown; ``agreed_length_shown``: over the shown ones.
    ``exact_line``: share of all moments whose first suggested line is the real one.
    ``cached``: share of the shown ones that came without the model.
    ``unanswered``: share whose latency is only a lower bound.
    ``first_token``: median time of the model's first token, over the moments that asked it.
    ``reused``: share of all prompt tokens that were not read anew.
    ``accepts``, ``accepted``: how often a suggestion was accepted, and the mean length of what was.
    """
    counted = [moment for moment in moments if moment.left]
    shown = [moment for moment in counted if moment.shown]
    times = [moment.shown_ms for moment in shown if moment.shown_ms is not None]
    asked = [moment.figures for moment in counted if moment.figures]
    latencies = [moment.latency_ms for moment in counted]
    agreed = [moment.agreed for moment in shown]
    accepted = [moment.accepted for moment in moments if moment.accepted]
    return {
        "p50": percentile(latencies, 0.5),
        "p95": percentile(latencies, 0.95),
        "shown": _share(len(shown), len(counted)),
        "agreed_length": _share(sum(agreed), len(counted)),
        "answered_p50": percentile(times, 0.5),
        "answered_p95": percentile(times, 0.95),
        "agreed_length_shown": _share(sum(agreed), len(shown)),
        "exact_line": _share(sum(moment.exact_line for moment in shown), len(counted)),
        "cached": _share(sum(moment.cached for moment in shown), len(shown)),
        "unanswered": _share(sum(moment.unanswered for moment in counted), len(counted)),
        "first_token": percentile(
            [float(row["first_token_ms"]) for row in asked if row.get("first_token_ms")], 0.5
        ),
        "reused": _share(_sum(asked, "cached_tokens"), _sum(asked, "prompt_tokens")),
        "accepts": float(len(accepted)),
        "accepted": _share(sum(accepted), len(accepted)),
        "moments": float(len(counted)),
    }


def _sum(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    return float(sum(row.get(key) or 0 for row in rows))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def ratios(ours: Figures, peer: Figures) -> Figures:
    """``ours`` over ``peer``, for every figure that both have; None where the peer's is zero."""
    result: Figures = {}
    for key, value in ours.items():
        other = peer.get(key)
        if value is not None and other is not None:
            result[key] = value / other if other else None
    return result


def spread(rounds: Sequence[Figures]) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each figure over all rounds."""
    result = {}
    for key in dict.fromkeys(key for row in rounds for key in row):
        values = [value for row in rounds if (value := row.get(key)) is not None]
        if values:
            result[key] = (min(values), max(values))
    return result


def rounded(figures: Figures) -> Figures:
    """All of them to four digits."""
    return {key: None if value is None else short(value) for key, value in figures.items()}


def short(value: float) -> float:
    """To four digits."""
    return float(f"{value:.4g}")
