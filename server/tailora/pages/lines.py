"""Lines over two axes as an SVG file: self-contained, the same for the same input, readable on light and dark pages.

Knows nothing of what is drawn. Of our own, because no light library draws bands: pygal has error bars, is made for
the browser (its files fetch a script) and draws a new identifier each time; leather has no intervals at all; matplotlib
would bring nine packages for one figure. Invariant: no point lies outside the frame, and all text is escaped.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tailora.pages.markup import clean
from tailora.pages.svg import COLOURS, Axis, labels_of, linear_axis, path, text
from tailora_adapters.errors import TailoraError

__all__ = ["HEIGHT", "WIDTH", "Point", "Series", "line_plot"]

WIDTH, HEIGHT = 720, 420
"""Pixels."""
_LEFT, _RIGHT, _BOTTOM = 76, 34, 56
_TITLE_Y, _LEGEND_Y, _LEGEND_ROW = 26, 50, 20
_KEY, _GAP = 26, 22
"""Width of a line in the legend, and what lies between two entries."""
_CHARACTER = 7.0
"""Width of a character of 12 px, rather too much: no font is at hand to measure by."""
_INK, _GRID = "#333333", "#dddddd"
_DASHES = ("", "7 4", "2 3")
"""For more lines than colours."""
_MARKED = 60
"""With more points than that a line has no dots."""


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement, perhaps with its interval."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A line: points in the order in which they are joined. A band lies around those with an interval."""

    name: str
    points: tuple[Point, ...]


def line_plot(series: Sequence[Series], *, title: str, x_label: str, y_label: str) -> str:
    """The text of an SVG file of ``WIDTH`` x ``HEIGHT`` pixels.

    Raises:
        TailoraError: a number is infinite or none.
    """
    for one in series:
        _check(one)
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "width": str(WIDTH),
            "height": str(HEIGHT),
            "role": "img",
            "font-family": "sans-serif",
            "font-size": "12",
            "fill": _INK,
        },
    )
    ET.SubElement(svg, "title").text = clean(title)
    ET.SubElement(svg, "rect", width=str(WIDTH), height=str(HEIGHT), fill="#ffffff")
    text(svg, title, WIDTH / 2, _TITLE_Y, size="16")
    top = _legend(svg, series)
    points = [point for one in series for point in one.points]
    x = linear_axis([point.x for point in points], _LEFT, WIDTH - _RIGHT)
    y = linear_axis([value for point in points for value in _values(point)], HEIGHT - _BOTTOM, top)
    _frame(svg, x, y, x_label, y_label)
    for number, one in enumerate(series):
        _line(svg, one, x, y, _colour(number), _dash(number))
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _check(series: Series) -> None:
    for point in series.points:
        if not all(math.isfinite(value) for value in (point.x, *_values(point))):
            raise TailoraError(
                f"{series.name!r} cannot be drawn, as it has a point that is no number: {point}"
            )


def _values(point: Point) -> Iterator[float]:
    yield from (value for value in (point.y, point.low, point.high) if value is not None)


def _legend(svg: ET.Element, series: Sequence[Series]) -> float:
    """Draws the names below the title, in rows; returns where the frame begins."""
    rows: list[list[tuple[int, float]]] = [[]]
    x = float(_LEFT)
    for number, one in enumerate(series):
        width = _KEY + _CHARACTER * len(one.name) + _GAP
        if rows[-1] and x + width > WIDTH - _RIGHT:
            rows.append([])
            x = float(_LEFT)
        rows[-1].append((number, x))
        x += width
    for row, entries in enumerate(rows):
        y = _LEGEND_Y + row * _LEGEND_ROW
        for number, x in entries:
            key = _stroke(_colour(number), _dash(number))
            ET.SubElement(svg, "path", {"d": path([(x, y), (x + _KEY - 6, y)]), **key})
            text(svg, series[number].name, x + _KEY, y + 4, anchor="start")
    return _LEGEND_Y + len(rows) * _LEGEND_ROW - 4.0


def _frame(svg: ET.Element, x: Axis, y: Axis, x_label: str, y_label: str) -> None:
    """Grid, ticks and labels."""
    for value in y.ticks:
        place = y.place(value)
        grid = {"d": path([(x.first_px, place), (x.last_px, place)]), "stroke": _GRID}
        ET.SubElement(svg, "path", grid)
        text(svg, labels_of(y)(value), x.first_px - 8, place + 4, anchor="end")
    for value in x.ticks:
        place = x.place(value)
        mark = {"d": path([(place, y.first_px), (place, y.first_px + 5)]), "stroke": _INK}
        ET.SubElement(svg, "path", mark)
        text(svg, labels_of(x)(value), place, y.first_px + 20)
    axes = [(x.first_px, y.last_px), (x.first_px, y.first_px), (x.last_px, y.first_px)]
    ET.SubElement(svg, "path", {"d": path(axes), "fill": "none", "stroke": _INK})
    text(svg, x_label, (x.first_px + x.last_px) / 2, HEIGHT - 14)
    middle = (y.first_px + y.last_px) / 2
    text(svg, y_label, 18, middle).set("transform", f"rotate(-90 18 {middle:.1f})")


def _line(svg: ET.Element, series: Series, x: Axis, y: Axis, colour: str, dash: str) -> None:
    """The band, above it the line, above that the dots."""
    group = ET.SubElement(svg, "g")
    ET.SubElement(group, "title").text = clean(series.name)
    bounds = [
        (x.place(point.x), y.place(point.low), y.place(point.high))
        for point in series.points
        if point.low is not None and point.high is not None
    ]
    if len(bounds) == 1:
        at, low, high = bounds[0]
        ET.SubElement(group, "path", {"d": path([(at, low), (at, high)]), "stroke": colour})
    elif bounds:
        edge = [(at, high) for at, _, high in bounds] + [(at, low) for at, low, _ in reversed(bounds)]
        ET.SubElement(group, "path", {"d": path(edge) + " Z", "fill": colour, "fill-opacity": "0.15"})
    places = [(x.place(point.x), y.place(point.y)) for point in series.points]
    if len(places) > 1:
        ET.SubElement(group, "path", {"d": path(places), **_stroke(colour, dash)})
    if len(places) <= _MARKED:
        for across, down in places:
            ET.SubElement(group, "circle", cx=f"{across:.1f}", cy=f"{down:.1f}", r="3", fill=colour)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _dash(number: int) -> str:
    return _DASHES[number // len(COLOURS) % len(_DASHES)]


def _stroke(colour: str, dash: str) -> dict[str, str]:
    plain = {"fill": "none", "stroke": colour, "stroke-width": "2", "stroke-linejoin": "round"}
    return plain | ({"stroke-dasharray": dash} if dash else {})
