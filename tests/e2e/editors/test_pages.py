"""A page in a real browser: its tables sort by keys and clicks, it fits a phone, and nothing is asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from places import CHROMIUM, missing
from playwright.sync_api import Page, expect

from tailora.pages.markup import element
from tailora.pages.scatter import Chart, Level, Mark, scatter
from tailora.pages.shell import figure, page
from tailora.pages.tables import Cell, Column, sortable_table

pytestmark = pytest.mark.editors
ROWS = (("beta", 20.0), ("alpha", 3.0), ("gamma", None), ("delta", 100.0))


@pytest.fixture
def shown(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """A page with a table and a chart, on a phone; fails at its end where the page had an error or asked for more."""
    missing("A report's page", CHROMIUM)
    browser = request.getfixturevalue("browser")
    columns = [Column("name", number=False), *(Column(f"a rather long name {n}") for n in range(6))]
    rows = [[Cell(name, name), *([Cell(str(size), size)] * 6)] for name, size in ROWS]
    marks = tuple(Mark(f"Method {n}", n, 10.0**n, n / 10, n / 10, n / 9) for n in range(6))
    levels = (Level("Base", 0.2),)
    chart = Chart("quality", "of six", "cost", "quality", marks, levels, (0, 5), logarithmic=True)
    parts = (sortable_table("Sizes", columns, rows), figure(scatter(chart), "All"))
    file = tmp_path / "page.html"
    file.write_text(page("Sizes", element("h1", "Sizes"), *parts), encoding="utf-8")
    view = browser.new_page(viewport={"width": 360, "height": 700})
    wrong: list[str] = []
    view.on("console", lambda message: wrong.append(message.text))
    view.on("pageerror", lambda error: wrong.append(str(error)))
    view.on("request", lambda asked: wrong.append(asked.url) if asked.url != file.as_uri() else None)
    view.goto(file.as_uri())
    yield view
    view.close()
    assert wrong == []


def names(view: Page) -> list[str]:
    return view.locator("tbody th").all_inner_texts()


def test_a_table_sorts_by_numbers_and_what_has_none_stays_last(shown: Page) -> None:
    head = shown.get_by_role("columnheader", name="a rather long name 0")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(shown) == ["alpha", "beta", "delta", "gamma"]
    shown.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(shown) == ["delta", "beta", "alpha", "gamma"]
    first = shown.get_by_role("columnheader", name="name", exact=True)
    first.get_by_role("button").press("Space")
    expect(first).to_have_attribute("aria-sort", "ascending")
    expect(head).to_have_attribute("aria-sort", "none")
    assert names(shown) == ["alpha", "beta", "delta", "gamma"]


def test_the_page_is_no_wider_than_a_phone(shown: Page) -> None:
    assert shown.evaluate("document.documentElement.scrollWidth") == 360
    table = shown.locator(".table")
    assert table.evaluate("one => one.scrollWidth > one.clientWidth")
    table.evaluate("one => { one.scrollLeft = 200; }")
    assert shown.locator("tbody th").first.evaluate("one => one.getBoundingClientRect().left") < 30


def test_no_two_names_in_a_chart_overlap(shown: Page) -> None:
    boxes = shown.locator("svg.chart .label, svg.chart .level-name").evaluate_all(
        "all => all.map(one => { const box = one.getBBox(); return [box.x, box.y, box.width, box.height]; })"
    )
    assert len(boxes) == 7
    for number, (x, y, wide, high) in enumerate(boxes):
        assert 0 <= x <= 460 - wide
        for left, top, across, down in boxes[:number]:
            assert x + wide <= left or left + across <= x or y + high - 3 <= top or top + down - 3 <= y
