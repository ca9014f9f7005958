"""Named points over two axes, as an SVG element of a page: error bars, levels, a front, labels that do not overlap.

Knows nothing of what is drawn. Colours are classes of the page's style, so that the dark has its own; each kind of
point has a shape as well. Invariant: every mark lies in the frame, and a label overlaps another only where no place is
left in the whole frame.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tailora.pages.markup import element
from tailora.pages.svg import COLOURS, Axis, labels_of, linear_axis, log_axis, path, text
from tailora_adapters.errors import TailoraError

__all__ = ["HEIGHT", "KINDS", "WIDTH", "Chart", "Level", "Mark", "marker", "scatter"]

WIDTH, HEIGHT = 460, 390
"""Units of the drawing; a page shows it as wide as there is room, a phone at 0.7 of that."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 14, 54
_RADIUS = 5.5
_CHARACTER, _LINE = 7.5, 14.0
"""Size of a character of 12 units, rather too much: no font is at hand to measure by."""
_LEVEL_LINES = 6
"""So many lines a level's name may lie from it, where others have the same height."""
_REACH = 200
"""How far a label may lie from its point."""
_SHAPES = ("circle", "square", "up", "diamond", "down", "cross", "star")
KINDS = len(COLOURS) * len(_SHAPES)
"""Different marks there are: the numbers of colours and of shapes have no divisor in common."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A named point, perhaps with the interval of its height. ``kind`` is a number of its look."""

    name: str
    kind: int
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A height without a place on the horizontal axis: a dashed line through the frame."""

    name: str
    y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn.

    ``front`` are places of ``marks``, joined in this order by steps. ``x_text`` and ``y_text`` write a tick; without
    them it is a number.
    """

    title: str
    summary: str
    x_label: str
    y_label: str
    marks: tuple[Mark, ...]
    levels: tuple[Level, ...] = ()
    front: tuple[int, ...] = ()
    logarithmic: bool = False
    x_text: Callable[[float], str] | None = None
    y_text: Callable[[float], str] | None = None


_Place = tuple[float, float]
_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "_Box") -> float:
        """Area in common."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)


def scatter(chart: Chart) -> ET.Element:
    """An ``svg`` element for a page.

    Raises:
        TailoraError: A number is NaN or infinite, or not above 0 on a logarithmic axis.
    """
    for mark in chart.marks:
        if not all(math.isfinite(value) for value in _heights(mark)) or not math.isfinite(mark.x):
            raise TailoraError(f"{mark.name!r} cannot be drawn: it has a value that is no number: {mark}")
        if chart.logarithmic and mark.x <= 0:
            raise TailoraError(
                f"{mark.name!r} cannot be drawn on a logarithmic axis: {mark.x:g} is not above 0"
            )
    svg = element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart")
    svg.append(element("title", chart.title))
    svg.append(element("desc", chart.summary))
    make_x = log_axis if chart.logarithmic else linear_axis
    x = make_x([mark.x for mark in chart.marks], _LEFT, WIDTH - _RIGHT)
    heights = [value for mark in chart.marks for value in _heights(mark)] + [one.y for one in chart.levels]
    y = linear_axis(heights, HEIGHT - _BOTTOM, _TOP)
    _frame(svg, chart, x, y)
    places = [(x.place(mark.x), y.place(mark.y)) for mark in chart.marks]
    names = list(_levels(svg, chart, places, y))
    front = _steps(chart, x, y)
    if len(front) > 1:
        svg.append(element("path", class_="front", d=path(front)))
    for mark, (across, _) in zip(chart.marks, places, strict=True):
        if mark.low is not None and mark.high is not None:
            svg.append(_error_bar(mark, across, y))
    for mark, (across, down) in zip(chart.marks, places, strict=True):
        group = element(
            "g", element("title", f"{mark.name}: {_told(chart, mark, x, y)}"), class_=_colour(mark.kind)
        )
        group.append(_shape(mark.kind, across, down, _RADIUS))
        svg.append(group)
    lines: list[tuple[_Place, _Place]] = [
        ((_LEFT, y.place(one.y)), (WIDTH - _RIGHT, y.place(one.y))) for one in chart.levels
    ]
    lines += [
        ((across, y.place(mark.low)), (across, y.place(mark.high)))
        for mark, (across, _) in zip(chart.marks, places, strict=True)
        if mark.low is not None and mark.high is not None
    ]
    _labels(svg, chart.marks, places, names, [_along(*ends) for ends in (*lines, *pairwise(front))])
    return svg


def marker(kind: int) -> ET.Element:
    """The mark of a kind, by itself, to stand beside its name in a text."""
    svg = element("svg", viewBox="0 0 14 14", class_=f"marker {_colour(kind)}", aria_hidden="true")
    svg.append(_shape(kind, 7, 7, _RADIUS))
    return svg


def _heights(mark: Mark) -> Iterator[float]:
    yield from (value for value in (mark.y, mark.low, mark.high) if value is not None)


def _told(chart: Chart, mark: Mark, x: Axis, y: Axis) -> str:
    across, down = (chart.x_text or labels_of(x))(mark.x), (chart.y_text or labels_of(y))(mark.y)
    return f"{chart.x_label} {across}, {chart.y_label} {down}"


def _frame(svg: ET.Element, chart: Chart, x: Axis, y: Axis) -> None:
    """Grid, ticks and labels."""
    across, down = chart.x_text or labels_of(x), chart.y_text or labels_of(y)
    for value in y.ticks:
        place = y.place(value)
        svg.append(element("path", class_="grid", d=path([(_LEFT, place), (WIDTH - _RIGHT, place)])))
        text(svg, down(value), _LEFT - 7, place + 4, anchor="end")
    last = -math.inf
    for value in x.ticks:
        place, said = x.place(value), across(value)
        svg.append(element("path", class_="axis", d=path([(place, y.first_px), (place, y.first_px + 4)])))
        half = len(said) * _CHARACTER / 2
        if place - half > last:  # numbers on a logarithmic axis may lie close together
            middle = min(place, WIDTH - half)
            text(svg, said, middle, y.first_px + 18)
            last = middle + half + 4
    corner = [(_LEFT, _TOP), (_LEFT, y.first_px), (WIDTH - _RIGHT, y.first_px)]
    svg.append(element("path", class_="axis", d=path(corner)))
    text(svg, chart.x_label, (_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 14).set("class", "name")
    middle = (y.first_px + y.last_px) / 2
    label = text(svg, chart.y_label, 15, middle)
    label.set("class", "name")
    label.set("transform", f"rotate(-90 15 {middle:.1f})")


def _levels(svg: ET.Element, chart: Chart, places: Sequence[_Place], y: Axis) -> Iterator[_Box]:
    """Draws the levels; yields where their names stand: near, at an end, off points and one another."""
    used = [_around_point(place) for place in places]
    for level in sorted(chart.levels, key=lambda one: -one.y):
        place = y.place(level.y)
        svg.append(element("path", class_="level", d=path([(_LEFT, place), (WIDTH - _RIGHT, place)])))
        wide = _CHARACTER * len(level.name)
        tries = [
            _Box(left, top, left + wide, top + _LINE)
            for left in (WIDTH - _RIGHT - wide - 2, _LEFT + 4)
            for away in range(_LEVEL_LINES)
            for top in (place - 1 - (away + 1) * _LINE, place + 1 + away * _LINE)
            if top >= 0 and top + _LINE <= y.first_px
        ]
        box = min(tries, key=lambda one: (sum(one.overlap(other) for other in used), abs(one.top - place)))
        used.append(box)
        label = text(svg, level.name, box.left, box.bottom - 3, anchor="start")
        label.set("class", "level-name")
        yield box


def _around_point(place: _Place) -> _Box:
    size = _RADIUS + 1
    return _Box(place[0] - size, place[1] - size, place[0] + size, place[1] + size)


def _along(one: _Place, other: _Place) -> _Box:
    """Around a line along one of the axes."""
    (left, right), (top, bottom) = (sorted(ends) for ends in zip(one, other, strict=True))
    return _Box(left - 2, top - 2, right + 2, bottom + 2)


def _steps(chart: Chart, x: Axis, y: Axis) -> list[_Place]:
    """The front as steps: what a point costs, it also costs to be no better than it."""
    places = [(x.place(chart.marks[one].x), y.place(chart.marks[one].y)) for one in chart.front]
    corners = places[:1]
    for across, down in places[1:]:
        corners += [(across, corners[-1][1]), (across, down)]
    return corners


def _error_bar(mark: Mark, across: float, y: Axis) -> ET.Element:
    assert mark.low is not None
    assert mark.high is not None
    low, high = y.place(mark.low), y.place(mark.high)
    ends = "".join(path([(across - 3, end), (across + 3, end)]) for end in (low, high))
    return element("path", class_=f"bar {_colour(mark.kind)}", d=path([(across, low), (across, high)]) + ends)


def _colour(kind: int) -> str:
    return f"c{kind % len(COLOURS)}"


def _shape(kind: int, x: float, y: float, size: float) -> ET.Element:
    """A filled shape around a point."""
    name = _SHAPES[kind % len(_SHAPES)]
    if name == "circle":
        return element("circle", class_="mark", cx=f"{x:.1f}", cy=f"{y:.1f}", r=size)
    outlines = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "up": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
        "down": [(0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
        "diamond": [(0, -1.25), (1.1, 0), (0, 1.25), (-1.1, 0)],
        "cross": _turned(((-0.35, -1.15), (0.35, -1.15), (0.35, -0.35)), 4),
        "star": _turned(((0, -1.3), (0.34, -0.45)), 5),
    }
    corners = [(x + size * right, y + size * down) for right, down in outlines[name]]
    return element("path", class_="mark", d=path(corners) + " Z")


def _turned(points: Sequence[tuple[float, float]], times: int) -> list[tuple[float, float]]:
    """The points, turned around the middle so often that they come back."""
    result = []
    for turn in range(times):
        cos, sin = math.cos(2 * math.pi * turn / times), math.sin(2 * math.pi * turn / times)
        result += [(cos * a - sin * b, sin * a + cos * b) for a, b in points]
    return result


def _labels(
    svg: ET.Element,
    marks: Sequence[Mark],
    places: Sequence[_Place],
    taken: list[_Box],
    lines: Sequence[_Box],
) -> None:
    """Names beside their points: each takes the nearest free place, those in the thick of it first. A place is worse
    for lying on a line, and for being as near to another point as to its own."""
    points = [_around_point(place) for place in places]

    def alone(one: int) -> float:
        return sorted(math.dist(places[one], other) for other in places)[min(2, len(places) - 1)]

    for one in sorted(range(len(marks)), key=alone):
        wide = _CHARACTER * len(marks[one].name)
        others = [other for other in places if other != places[one]]
        candidates = np.concatenate([_around(places[one], wide), _anywhere(places[one], wide)])  # (places, 5)
        boxes, distance = candidates[:, :4], candidates[:, 4]
        own = _distances(boxes, [places[one]])
        mistaken = (_distances(boxes, others) < own + 5).sum(axis=1)
        dear = 1000 * _overlaps(boxes, taken) + 100 * _overlaps(boxes, points) + _overlaps(boxes, lines)
        box = _Box(*map(float, boxes[np.argmin(dear + 60 * mistaken + 4 * distance)]))
        taken.append(box)
        near = (
            min(max(places[one][0], box.left), box.right),
            min(max(places[one][1], box.top + 3), box.bottom - 3),
        )
        if math.dist(near, places[one]) > 2.5 * _RADIUS:
            svg.append(element("path", class_="leader", d=path([places[one], near])))
        text(svg, marks[one].name, box.left, box.bottom - 3.5, anchor="start").set("class", "label")


def _around(place: _Place, wide: float) -> _Numbers:
    """(places, 5): boxes for a label around a point, and their distance; right of it first, others a little later."""
    across, down = place
    found = []
    for distance in range(0, _REACH, 4):
        reach = _RADIUS + 3 + distance
        for turn, dear in ((0, 0), (180, 1), (270, 2), (90, 2), (315, 3), (45, 3), (225, 3), (135, 3)):
            right, below = round(math.cos(math.radians(turn)), 6), round(math.sin(math.radians(turn)), 6)
            left = across + reach * right + wide * ((right > 0) - 1 if right else -0.5)
            top = down + reach * below - _LINE / 2 + below * _LINE / 2
            found.append((left, top, left + wide, top + _LINE, distance + dear))
    boxes = np.array(found, dtype=np.float64)
    inside = (boxes[:, 0] >= _LEFT) & (boxes[:, 2] <= WIDTH) & (boxes[:, 1] >= 0)
    return boxes[inside & (boxes[:, 3] <= HEIGHT - _BOTTOM)]


def _anywhere(place: _Place, wide: float) -> _Numbers:
    """(places, 5): boxes for a label all over the frame, and their distance."""
    left, top = np.meshgrid(
        np.arange(_LEFT, max(WIDTH - wide, _LEFT + 1), 12.0),
        np.arange(_TOP, HEIGHT - _BOTTOM - _LINE, _LINE / 2),
    )
    boxes = np.stack([left, top, left + wide, top + _LINE], axis=-1).reshape(-1, 4)
    return np.concatenate([boxes, _distances(boxes, [place])], axis=1)


def _overlaps(boxes: _Numbers, others: Sequence[_Box]) -> _Numbers:
    """(boxes,): area that each has in common with others."""
    sides = np.array([(one.left, one.top, one.right, one.bottom) for one in others]).reshape(-1, 4)
    wide = np.minimum(boxes[:, None, 2], sides[:, 2]) - np.maximum(boxes[:, None, 0], sides[:, 0])
    high = np.minimum(boxes[:, None, 3], sides[:, 3]) - np.maximum(boxes[:, None, 1], sides[:, 1])
    areas: _Numbers = (np.maximum(wide, 0) * np.maximum(high, 0)).sum(axis=1)
    return areas


def _distances(boxes: _Numbers, places: Sequence[_Place]) -> _Numbers:
    """(boxes, places): from each box to each point; 0 inside."""
    ends = np.array(places, dtype=np.float64).reshape(-1, 2)
    across = np.maximum(boxes[:, None, 0] - ends[:, 0], ends[:, 0] - boxes[:, None, 2])
    down = np.maximum(boxes[:, None, 1] - ends[:, 1], ends[:, 1] - boxes[:, None, 3])
    result: _Numbers = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    return result
