"""What is drawn lies in the frame, says what it is, and can be read by any viewer."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from tailora.pages.lines import HEIGHT, WIDTH, Point, Series, line_plot
from tailora_adapters.errors import TailoraError

SVG = "{http://www.w3.org/2000/svg}"


def draw(*series: Series, title: str = "Loss", x_label: str = "seconds", y_label: str = "nats") -> ET.Element:
    return ET.fromstring(line_plot(series, title=title, x_label=x_label, y_label=y_label))


def texts(svg: ET.Element) -> list[str]:
    return [str(element.text) for element in svg.iter(f"{SVG}text")]


def places(element: ET.Element) -> list[tuple[float, float]]:
    """All points of a path."""
    return [(float(x), float(y)) for x, y in re.findall(r"([-\d.]+),([-\d.]+)", element.get("d", ""))]


def dots(svg: ET.Element) -> list[tuple[float, float]]:
    return [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in svg.iter(f"{SVG}circle")]


FALLING = Series(
    "held out", tuple(Point(60 * n, 1 / (n + 1), 0.9 / (n + 1), 1.2 / (n + 1)) for n in range(9))
)
LEVEL = Series("generic", tuple(Point(60 * n, 1.05) for n in range(9)))


def test_everything_is_named_and_the_ticks_are_round_numbers() -> None:
    said = texts(draw(FALLING, LEVEL, title="cattrs", x_label="training time, s", y_label="loss"))
    assert {"cattrs", "training time, s", "loss", "held out", "generic"} <= set(said)
    assert [text for text in said if re.fullmatch(r"\d+", text)] == ["0", "100", "200", "300", "400", "500"]
    assert [text for text in said if re.fullmatch(r"0\.\d", text)][:3] == ["0.0", "0.2", "0.4"]


def test_every_point_and_band_lies_in_the_frame_and_better_is_lower() -> None:
    svg = draw(FALLING, LEVEL)
    assert (svg.get("width"), svg.get("height")) == (str(WIDTH), str(HEIGHT))
    every = dots(svg) + [place for path in svg.iter(f"{SVG}path") for place in places(path)]
    assert len(dots(svg)) == 18
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in every)
    falling = dots(svg)[:9]
    assert falling == sorted(falling)
    assert falling[0][1] < falling[-1][1]
    (band,) = [path for path in svg.iter(f"{SVG}path") if path.get("fill-opacity")]
    assert len(places(band)) == 18


def test_names_of_any_kind_are_shown_and_nothing_more() -> None:
    name = 'a<script href="x">&amp;\x00\ud800'
    svg = draw(Series(name, (Point(1, 1),)), title=name)
    assert texts(svg).count('a<script href="x">&amp;\ufffd\ufffd') == 2
    assert {element.tag.removeprefix(SVG) for element in svg.iter()} == {
        "svg", "title", "rect", "text", "path", "g", "circle",
    }  # fmt: skip


def test_a_single_point_shows_with_its_interval_and_no_points_show_nothing() -> None:
    svg = draw(Series("one", (Point(5, 0.5, 0.4, 0.7),)), Series("none", ()))
    ((x, y),) = dots(svg)
    (interval,) = svg.iterfind(f"{SVG}g/{SVG}path")
    (at, low), (same, high) = places(interval)
    assert at == same == x
    assert high < y < low
    assert "none" in texts(svg)
    assert dots(draw()) == dots(draw(Series("none", ()))) == []


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-6, 1234567.0, 1e12])
def test_a_level_line_is_in_the_middle(value: float) -> None:
    svg = draw(Series("level", (Point(0, value), Point(1, value))))
    (first, second) = dots(svg)
    assert first[1] == second[1]
    assert 80 < first[1] < HEIGHT - 80


def test_the_legend_takes_rows_and_the_lines_differ() -> None:
    many = [Series(f"a repository with a long name {n}", (Point(0, n), Point(1, n))) for n in range(9)]
    svg = draw(*many)
    names = [element for element in svg.iter(f"{SVG}text") if "long name" in str(element.text)]
    assert len({element.get("y") for element in names}) > 2
    assert all(float(element.get("x", "")) + 7 * len(str(element.text)) < WIDTH for element in names)
    lines = [path for path in svg.iter(f"{SVG}path") if path.get("stroke-width")]
    assert len({(line.get("stroke"), line.get("stroke-dasharray")) for line in lines}) == 9


def test_the_same_input_gives_the_same_file() -> None:
    one, other = (line_plot([FALLING, LEVEL], title="t", x_label="x", y_label="y") for _ in range(2))
    assert one == other
    assert one.replace("http://www.w3.org/2000/svg", "").count("http") == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["x", "y", "low", "high"])
def test_what_is_no_number_is_refused_by_name(value: float, field: str) -> None:
    point = {"x": 0.0, "y": 0.0, "low": 0.0, "high": 0.0, field: value}
    with pytest.raises(TailoraError, match="held out"):
        draw(Series("held out", (Point(**point),)))
