"""A comparison's charts: the main metric against what it costs. Knows nothing of the rest of the page."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tailora.evaluation.methods import wording
from tailora.evaluation.methods.aggregate import Group, front_of
from tailora.pages.markup import element
from tailora.pages.scatter import Chart, Level, Mark, scatter
from tailora.pages.shell import figure

__all__ = ["charts"]


@dataclass(frozen=True, slots=True)
class _Axis:
    cost: str
    title: str
    label: str
    text: Callable[[float], str]
    scale: float = 1.0
    logarithmic: bool = False
    """Always; other axes are where all is above 0 and spans more than a decade."""
    difference: bool = False
    """Never logarithmic, as it may be below 0."""


_AXES = (
    _Axis("parameters", "trainable parameters", "trainable parameters", wording.compact, logarithmic=True),
    _Axis("train_time", "training time", "training, s", wording.compact),
    _Axis("memory", "peak memory", "peak memory, GB", lambda value: f"{value:g}", 1e-9),
    _Axis(
        "overhead", "latency", "time for a token over the base's, %", wording.signed, 100.0, difference=True
    ),
)


def charts(group: Group, kinds: Mapping[str, int]) -> ET.Element | None:
    """The charts of a group; None where no method has a figure."""
    made = [found for axis in _AXES if (found := _chart(group, kinds, axis)) is not None]
    return element("div", made, class_="charts") if made else None


def _chart(group: Group, kinds: Mapping[str, int], axis: _Axis) -> ET.Element | None:
    in_percent = wording.is_share(group, group.main)
    scale = 100.0 if in_percent else 1.0
    rows = [row for row in group.rows if row.trained and group.main in row.metrics]
    known = [row for row in rows if axis.cost in row.costs]
    found = [row.costs[axis.cost].value for row in known]
    decade = not axis.difference and min(found, default=0.0) > 0 and max(found) > 10 * min(found)
    logarithmic = axis.logarithmic or decade
    drawn = [row for row in known if row.costs[axis.cost].value > 0 or not logarithmic]
    if not drawn:
        return None
    marks = []
    for row in drawn:
        mean = row.metrics[group.main]
        low, high = (None if end is None else scale * end for end in (mean.low, mean.high))
        if in_percent and low is not None and high is not None:
            low, high = max(low, 0.0), min(high, 100.0)
        cost = axis.scale * row.costs[axis.cost].value
        marks.append(Mark(row.title, kinds[row.key], cost, scale * mean.value, low, high))
    untrained = [row for row in group.rows if not row.trained and group.main in row.metrics]
    levels = tuple(Level(row.title, scale * row.metrics[group.main].value) for row in untrained)
    front = [row for row in front_of(group, axis.cost) if row in drawn]
    metric = wording.metric_name(group.main)
    names = ", ".join(row.title for row in front) or "none"
    chart = Chart(
        title=f"{metric} against {axis.title}",
        summary=f"{len(marks)} methods. On the Pareto front, cheapest first: {names}.",
        x_label=axis.label + (" (logarithmic)" if logarithmic else ""),
        y_label=f"{metric}{', %' if in_percent else ''}",
        marks=tuple(marks),
        levels=levels,
        front=tuple(drawn.index(row) for row in front),
        logarithmic=logarithmic,
        x_text=lambda value: axis.text(float(f"{value:.4g}")),
    )
    left_out = [row.title for row in group.rows if row.trained and row not in drawn]
    missing = f"Not drawn, without a figure: {', '.join(left_out)}." if left_out else ""
    title = f"{metric[0].upper()}{metric[1:]} against {axis.title}"
    return figure(scatter(chart), title, f"On the Pareto front: {names}.", missing)
