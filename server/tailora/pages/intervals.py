"""Named values with their intervals along one axis, as an SVG element of a page (a forest plot).

Knows nothing of what is drawn. Names stand above their bars, so that the chart is as readable on a phone. Invariant: no
bar leaves the frame, and zero is always in it.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tailora.pages.markup import element
from tailora.pages.svg import labels_of, linear_axis, path, text
from tailora_adapters.errors import TailoraError

__all__ = ["WIDTH", "Bar", "interval_chart"]

WIDTH = 380
"""Units of the drawing; its height follows from the number of bars."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 18, 22, 8, 46
_ROW = 46
_RADIUS = 5.0
_LINES = (19.0, 41.0)
"""Of a row, where the lines of the grid begin and end."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value and its interval; ``told`` is how they are written. ``kind`` is a number of its colour."""

    name: str
    value: float
    low: float
    high: float
    told: str
    kind: int = 0


def interval_chart(
    title: str,
    summary: str,
    bars: Sequence[Bar],
    axis_label: str,
    tick_text: Callable[[float], str] | None = None,
) -> ET.Element:
    """An ``svg`` element for a page.

    Raises:
        TailoraError: A number is NaN or infinite.
    """
    for bar in bars:
        if not all(map(math.isfinite, (bar.value, bar.low, bar.high))):
            raise TailoraError(f"{bar.name!r} cannot be drawn: it has a value that is no number: {bar}")
    height = _TOP + _ROW * len(bars) + _BOTTOM
    svg = element("svg", viewBox=f"0 0 {WIDTH} {height}", role="img", class_="chart")
    svg.append(element("title", title))
    svg.append(element("desc", summary))
    ends = [value for bar in bars for value in (bar.low, bar.value, bar.high)]
    x = linear_axis([*ends, 0.0], _LEFT, WIDTH - _RIGHT)
    bottom = _TOP + _ROW * len(bars)
    for tick in x.ticks:
        place = x.place(tick)
        # Beside the bars only, so that no line runs through what is written above them.
        line = "".join(
            path([(place, top + _LINES[0]), (place, top + _LINES[1])])
            for top in (_TOP + _ROW * number for number in range(len(bars)))
        )
        svg.append(element("path", class_="grid" if abs(tick) > 1e-12 else "axis", d=line))
        text(svg, (tick_text or labels_of(x))(tick), place, bottom + 16)
    text(svg, axis_label, WIDTH / 2, bottom + 36).set("class", "name")
    for number, bar in enumerate(bars):
        svg.append(_row(bar, _TOP + _ROW * number, x.place))
    return svg


def _row(bar: Bar, top: float, place: Callable[[float], float]) -> ET.Element:
    group = element("g", element("title", f"{bar.name}: {bar.told}"))
    text(group, bar.name, _LEFT, top + 14, anchor="start").set("class", "label strong")
    text(group, bar.told, WIDTH - _RIGHT, top + 14, anchor="end").set("class", "label")
    middle = top + 30
    low, high = place(bar.low), place(bar.high)
    caps = "".join(path([(end, middle - 5), (end, middle + 5)]) for end in (low, high))
    colour = f"c{bar.kind}"
    group.append(element("path", class_=f"bar {colour}", d=path([(low, middle), (high, middle)]) + caps))
    dot = element("circle", class_="mark", cx=f"{place(bar.value):.1f}", cy=f"{middle:.1f}", r=_RADIUS)
    group.append(element("g", dot, class_=colour))
    return group
