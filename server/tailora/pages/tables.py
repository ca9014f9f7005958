"""Tables that a reader sorts by a click or a key, and that print as they are.

Knows nothing of what is in them. Without the page's script they are plain tables. Invariant: what is sorted is a cell's
value, never its text; cells without a value stay last.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from tailora.pages.markup import Content, element

__all__ = ["Cell", "Column", "plain_table", "sortable_table"]


_PAGE = 14
"""Rows from which on a table may be parted between two sheets of paper."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, a word on its unit below it, and whether it holds numbers."""

    name: str
    note: str = ""
    number: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, a smaller line below it, and what it is sorted by (None: last)."""

    content: Content
    value: float | str | None = None
    note: str = ""
    span: int = 1
    kind: str = ""


def sortable_table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, summary: Content = None
) -> ET.Element:
    """A table, in a frame that scrolls where it is wider than the screen. The first column names the rows."""
    heads = [
        element(
            "th",
            element(
                "button", column.name, element("span", class_="arrow", aria_hidden="true"), type="button"
            ),
            element("small", column.note) if column.note else None,
            scope="col",
            aria_sort="none",
            class_="number" if column.number else None,
        )
        for column in columns
    ]
    return _framed(caption, columns, heads, rows, summary, "sortable")


def plain_table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, summary: Content = None
) -> ET.Element:
    """The same, in an order that means something."""
    heads = [
        element(
            "th",
            column.name,
            element("small", column.note) if column.note else None,
            scope="col",
            class_="number" if column.number else None,
        )
        for column in columns
    ]
    return _framed(caption, columns, heads, rows, summary, None)


def _framed(
    caption: str,
    columns: Sequence[Column],
    heads: Sequence[ET.Element],
    rows: Sequence[Sequence[Cell]],
    summary: Content,
    kind: str | None,
) -> ET.Element:
    head = element("thead", element("tr", heads))
    body = element("tbody", [_row(columns, row) for row in rows])
    title = element("caption", element("strong", caption), element("span", summary) if summary else None)
    table = element("table", title, head, body, class_=kind)
    long = " long" if len(rows) > _PAGE else ""
    return element("div", table, class_=f"table{long}", role="region", aria_label=caption, tabindex=0)


def _row(columns: Sequence[Column], cells: Sequence[Cell]) -> ET.Element:
    made = element("tr")
    for number, cell in enumerate(cells):
        first = number == 0
        kinds = ["number" if columns[number].number and cell.span == 1 else "", cell.kind]
        made.append(
            element(
                "th" if first else "td",
                cell.content,
                element("small", cell.note) if cell.note else None,
                scope="row" if first else None,
                class_=" ".join(filter(None, kinds)) or None,
                colspan=cell.span if cell.span > 1 else None,
                data_value=_sorted_by(cell.value),
            )
        )
    return made


def _sorted_by(value: float | str | None) -> str | None:
    return value if value is None or isinstance(value, str) else repr(float(value))
