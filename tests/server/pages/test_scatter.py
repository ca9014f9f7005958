"""Points and names lie in the frame, names lie apart, and the same kinds look alike."""

import itertools
import math
import random
import re
import xml.etree.ElementTree as ET

import pytest

from tailora.pages.scatter import HEIGHT, KINDS, WIDTH, Chart, Level, Mark, marker, scatter
from tailora_adapters.errors import TailoraError


def chart(
    *marks: Mark, levels: tuple[Level, ...] = (), front: tuple[int, ...] = (), log: bool = False
) -> ET.Element:
    return scatter(Chart("quality", "a summary", "cost", "quality", marks, levels, front, logarithmic=log))


def boxes(svg: ET.Element) -> list[tuple[float, float, float, float]]:
    """Of the names of points and levels."""
    return [
        (float(text.get("x", "")), float(text.get("y", "")) - 10, 7 * len(str(text.text)), 10)
        for text in svg.iter("text")
        if text.get("class") in ("label", "level-name")
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("spread", [0.02, 0.3, 1.0])
def test_names_of_many_points_lie_apart_and_inside(seed: int, spread: float) -> None:
    dice = random.Random(seed)
    marks = [
        Mark(f"Method no. {n}", n, 1 + dice.random() * spread, dice.random() * spread, 0.0, 1.0)
        for n in range(17)
    ]
    svg = chart(
        *marks, Mark("far", 17, 2.0, 1.0), levels=(Level("Base model", 0.5), Level("Foundation", 0.51))
    )
    found = boxes(svg)
    assert len(found) == 20
    for left, top, wide, high in found:
        assert left >= 0
        assert top >= 0
        assert left + wide <= WIDTH
        assert top + high <= HEIGHT
    for one, other in itertools.combinations(found, 2):
        apart = (
            one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
            or one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1]
        )  # fmt: skip
        assert apart, (one, other)


def test_names_of_levels_of_one_height_lie_apart() -> None:
    names = ("base model, without snippets of other files", "base model", "foundation adapter")
    found = boxes(
        chart(Mark("m", 0, 1.0, 0.6), Mark("n", 1, 2.0, 0.5), levels=tuple(Level(n, 0.5) for n in names))
    )
    for one, other in itertools.combinations(found, 2):
        assert one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0] or abs(one[1] - other[1]) >= 10


def test_a_logarithmic_axis_has_each_decade_at_the_same_distance() -> None:
    svg = chart(*(Mark("m", 0, 10.0**n, 0.5) for n in range(3, 9)), log=True)
    across = [float(circle.get("cx", "")) for circle in svg.iter("circle")]
    steps = [b - a for a, b in itertools.pairwise(across)]
    assert steps == pytest.approx([steps[0]] * 5, abs=0.2)
    with pytest.raises(TailoraError, match="not above 0"):
        chart(Mark("none", 0, 0.0, 0.5), log=True)


def test_what_is_no_number_is_refused() -> None:
    for mark in (Mark("m", 0, math.nan, 0), Mark("m", 0, 0, math.inf), Mark("m", 0, 0, 0, math.nan, 1)):
        with pytest.raises(TailoraError, match="'m'"):
            chart(mark)


def test_a_reader_of_the_screen_is_told() -> None:
    svg = chart(Mark("LoRA", 0, 3, 0.5))
    assert (svg.findtext("title"), svg.findtext("desc"), svg.get("role")) == ("quality", "a summary", "img")
    assert svg.findtext("g/title") == "LoRA: cost 3.0, quality 0.50"


def test_the_front_is_a_line_of_steps() -> None:
    svg = chart(Mark("a", 0, 0, 0), Mark("b", 1, 1, 5), Mark("c", 2, 2, 9), front=(0, 1, 2))
    (line,) = [path for path in svg.iter("path") if path.get("class") == "front"]
    places = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", line.get("d", ""))]
    assert len(places) == 5
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in itertools.pairwise(places))


def test_every_kind_has_a_look_of_its_own() -> None:
    looks = {(one.get("class"), ET.tostring(one[0])) for one in map(marker, range(KINDS))}
    assert len(looks) == KINDS == 42
    neighbours = list(map(marker, range(7)))
    assert len({ET.tostring(one[0]) for one in neighbours}) == 7
