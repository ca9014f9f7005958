"""From the runs of both sides to figures: when ours is as good as the plain way, ratios over rounds, curves.

Pure functions; knows nothing of processes or of how figures are shown. Seconds, nats a token, MiB.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tailora.bench.figures import Figures, short
from tailora.bench.training_job import SIDES, Measurement, Trained
from tailora.pages.lines import Point, Series, line_plot

__all__ = ["Round", "first_at", "plot", "summarise_training", "target_of"]

_RATIOS = {
    "time_to_loss_ratio": "time_to_loss_s",
    "time_to_loss_interpolated_ratio": "time_to_loss_interpolated_s",
    "tokens_per_second_ratio": "tokens_per_second",
    "labels_per_second_ratio": "labels_per_second",
    "peak_rss_ratio": "peak_rss_mb",
}
"""Ours over the plain way's."""
_NAMES = {"ours": "Tailora", "plain": "plain"}


@dataclass(frozen=True, slots=True)
class Round:
    """Each side once."""

    order: tuple[str, ...]
    plain: Trained
    ours: Trained


def target_of(plain: Trained) -> Measurement | None:
    """The lowest loss along the plain way's run, where it was first measured; None where training gained nothing."""
    start, *along = plain.measurements
    best = min(
        (one for one in along if math.isfinite(one.loss)),
        key=lambda one: one.loss,
        default=Measurement(0, 0, 0),
    )
    return best if best.step and best.loss < start.loss else None


def first_at(measurements: Sequence[Measurement], loss: float) -> tuple[float, float] | None:
    """When a run was first at or below a loss: as measured, and on a straight line from the measurement before it.

    None where it never was. What is measured before the first step is no result of training.
    """
    for before, one in itertools.pairwise(measurements):
        if one.loss <= loss:
            above = before.loss > loss
            share = (before.loss - loss) / (before.loss - one.loss) if above else 1.0
            return one.seconds, before.seconds + share * (one.seconds - before.seconds)
    return None


def summarise_training(rounds: Sequence[Round]) -> dict[str, Any]:
    """The document's figures: medians over the rounds, the ratios' spread, and each round with its curves.

    A time is null where the loss was not reached; a median takes such a time as larger than any other.
    """
    rows = [_figures(one) for one in rounds]
    ratios = [_ratios(row) for row in rows]
    return {
        **_medians(ratios),
        "spread": {name: _spread([row[name] for row in ratios]) for name in _RATIOS},
        **{side: _medians([row[side] for row in rows]) for side in SIDES},
        "rounds": [
            {
                "order": one.order,
                **_shortened(ratio),
                **{side: {**_shortened(row[side]), "curve": _curve(getattr(one, side))} for side in SIDES},
            }
            for one, row, ratio in zip(rounds, rows, ratios, strict=True)
        ],
    }


def plot(value: dict[str, Any]) -> str:
    """An SVG picture of a document: held-out loss against seconds of training, every round of both sides."""
    several = len(value["rounds"]) > 1
    series = [
        Series(
            f"{_NAMES[side]}, round {number + 1}" if several else _NAMES[side],
            tuple(Point(s, loss) for _, s, loss in row[side]["curve"] if loss is not None),
        )
        for number, row in enumerate(value["rounds"])
        for side in SIDES
    ]
    return line_plot(
        series,
        title=f"{value['data']['examples']} examples of {value['data']['package']}",
        x_label="seconds of training",
        y_label="held-out loss, nats a token",
    )


def _figures(one: Round) -> dict[str, Figures]:
    target = target_of(one.plain)
    reached = first_at(one.ours.measurements, target.loss) if target else None
    return {
        "plain": _of_run(one.plain, (target.seconds, target.seconds) if target else None),
        "ours": _of_run(one.ours, reached),
    }


def _of_run(trained: Trained, reached: tuple[float, float] | None) -> Figures:
    losses = [one.loss for one in trained.measurements]
    return {
        "time_to_loss_s": reached[0] if reached else None,
        "time_to_loss_interpolated_s": reached[1] if reached else None,
        "tokens_per_second": trained.tokens / trained.seconds,
        "labels_per_second": trained.labels / trained.seconds,
        "peak_rss_mb": trained.peak_rss_mb,
        "start_loss": losses[0],
        "lowest_loss": min(filter(math.isfinite, losses[1:]), default=None),
        "final_loss": losses[-1],
        "seconds": trained.seconds,
        "steps": float(trained.steps),
        "tokens": float(trained.tokens),
        "loading_s": trained.loading_s,
    }


def _ratios(row: dict[str, Figures]) -> Figures:
    result: Figures = {}
    for name, key in _RATIOS.items():
        ours, plain = row["ours"][key], row["plain"][key]
        result[name] = ours / plain if ours is not None and plain else None
    return result


def _curve(trained: Trained) -> list[tuple[int, float | None, float | None]]:
    """(step, seconds, loss) of each measurement."""
    return [(one.step, _number(one.seconds), _number(one.loss)) for one in trained.measurements]


def _medians(rows: Sequence[Figures]) -> Figures:
    return {name: _number(median(_or_never(row[name]) for row in rows)) for name in rows[0]}


def _spread(values: Sequence[float | None]) -> list[float | None]:
    """The least and the largest."""
    numbers = [_or_never(value) for value in values]
    return [_number(min(numbers)), _number(max(numbers))]


def _shortened(figures: Figures) -> Figures:
    return {name: _number(_or_never(value)) for name, value in figures.items()}


def _or_never(value: float | None) -> float:
    return math.inf if value is None else value


def _number(value: float) -> float | None:
    """For JSON, which knows neither infinity nor what is no number."""
    return short(value) if math.isfinite(value) else None
