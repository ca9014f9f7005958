"""What charts share: axes with round ticks, paths, text. Invariant: an axis holds all values that it was made for."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tailora.pages.markup import clean

__all__ = ["COLOURS", "Axis", "labels_of", "linear_axis", "log_axis", "path", "text"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which the colour-blind tell apart."""
_TICKS = 6


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to pixels; begins and ends at a round number."""

    low: float
    high: float
    ticks: tuple[float, ...]
    first_px: float
    last_px: float
    decimals: int = 0
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, in pixels. On a logarithmic axis it must be above 0."""
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.first_px + (self.last_px - self.first_px) * (value - low) / (high - low)


def linear_axis(values: Sequence[float], first_px: float, last_px: float) -> Axis:
    """At most six steps of 1, 2 or 5 times a power of ten, and room around a single value."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        room = abs(low) / 10 or 0.5
        low, high = low - room, high + room
    exponent = math.floor(math.log10((high - low) / _TICKS))
    steps = [factor * 10.0**exponent for factor in (1, 2, 5, 10)]
    step = next(step for step in steps if (high - low) / step <= _TICKS)
    numbers = range(math.floor(low / step), math.ceil(high / step) + 1)
    ticks = tuple(number * step for number in numbers)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return Axis(ticks[0], ticks[-1], ticks, first_px, last_px, decimals)


def log_axis(values: Sequence[float], first_px: float, last_px: float) -> Axis:
    """From 1, 2 or 5 times a power of ten to another; ticks at these, over more than two decades at powers of ten."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    numbers = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
    begin = max(number for number in numbers if number <= low * (1 + 1e-9))
    end = min(number for number in numbers if number >= high * (1 - 1e-9) and number > begin)
    inside = [number for number in numbers if begin <= number <= end]
    powers = [number for number in inside if math.isclose(10 ** round(math.log10(number)), number)]
    ticks = tuple(powers if math.log10(end / begin) > 2 else inside)
    return Axis(begin, end, ticks, first_px, last_px, max(0, -math.floor(math.log10(begin))), True)


def labels_of(axis: Axis) -> Callable[[float], str]:
    """Labels of an axis as numbers with its decimals."""
    return lambda value: f"{value:,.{axis.decimals}f}" if abs(axis.high) < 1e7 else f"{value:g}"


def path(places: Sequence[tuple[float, float]]) -> str:
    """The ``d`` of a path."""
    return "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in places)


def text(
    parent: ET.Element, said: str, x: float, y: float, *, anchor: str = "middle", size: str | None = None
) -> ET.Element:
    """A text element in ``parent``."""
    attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    element = ET.SubElement(parent, "text", attributes | ({"font-size": size} if size else {}))
    element.text = clean(said)
    return element
