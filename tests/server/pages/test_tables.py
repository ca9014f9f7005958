"""Tables are sorted by values, and a page takes no text for markup."""

from tailora.pages.markup import element, html
from tailora.pages.shell import page
from tailora.pages.tables import Cell, Column, plain_table, sortable_table

COLUMNS = (Column("name", number=False), Column("size", "MB"))
ROWS = ([Cell("a", "a"), Cell("1,000", 1000)], [Cell("b", "b"), Cell("\u2013")], [Cell("c"), Cell("no")])


def test_a_column_is_sorted_by_a_button_and_says_so() -> None:
    table = sortable_table("Sizes", COLUMNS, ROWS)
    heads = list(table.iter("th"))[:2]
    assert [head.get("aria-sort") for head in heads] == ["none", "none"]
    assert [button.text for button in table.iter("button")] == ["name", "size"]
    assert [head.get("scope") for head in heads] == ["col", "col"]
    assert [cell.get("data-value") for cell in table.iter("td")] == ["1000.0", None, None]
    assert not list(plain_table("Sizes", COLUMNS, ROWS).iter("button"))


def test_a_table_scrolls_by_keys_and_only_long_ones_are_parted_on_paper() -> None:
    short = sortable_table("Sizes", COLUMNS, ROWS)
    assert (short.get("class"), short.get("tabindex"), short.get("aria-label")) == ("table", "0", "Sizes")
    assert sortable_table("Sizes", COLUMNS, ROWS * 10).get("class") == "table long"


def test_a_page_escapes_all_but_its_own_style_and_script() -> None:
    text = page("<b>", element("p", "a < b & c", element("br"), "</script>", title='"<'))
    assert "<title>&lt;b&gt;</title>" in text
    assert "a &lt; b &amp; c<br>&lt;/script&gt;" in text
    assert 'title="&quot;<"' in text
    assert text.count("</script>") == 1
    assert "=>" in text
    assert html(element("p", None, ["a", ["b"]], hidden=True, class_=None)) == '<p hidden="">ab</p>'
