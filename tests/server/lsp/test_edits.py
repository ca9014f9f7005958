"""Stretches of a text are followed through edits before, after, inside and across them."""

import pytest

from tailora.lsp.edits import Edit, Stretch, common_length, share_left

SOURCE = "before ACCEPTED after"
STRETCH = Stretch("ACCEPTED", 7, 15)


def applied(source: str, edit: Edit) -> str:
    assert source[edit.start : edit.end] == edit.removed
    return source[: edit.start] + edit.inserted + source[edit.end :]


def after(old: str, new: str, source: str = SOURCE) -> Edit:
    """The edit that replaces the first ``old``."""
    return Edit(source.index(old), old, new)


@pytest.mark.parametrize(
    "edit, left, share",
    [
        (Edit(0, "", "much "), "ACCEPTED", 1.0),
        (Edit(7, "", "x"), "ACCEPTED", 1.0),
        (Edit(15, "", "x"), "ACCEPTED", 1.0),
        (after("before ", ""), "ACCEPTED", 1.0),
        (after(" after", ""), "ACCEPTED", 1.0),
        (after("ACCEPTED", ""), "", 0.0),
        (after("CCEP", "b c"), "Ab cTED", 0.0),
        (after("re AC", ""), "CEPTED", 0.0),
        (after("TED af", ""), "ACCEP", 0.0),
        (after("before ACCEPTED after", "a\n\nACCEPTED\nb"), "ACCEPTED", 1.0),
        (after("before ACCEPTED after", ""), "", 0.0),
    ],
)
def test_a_stretch_is_followed(edit: Edit, left: str, share: float) -> None:
    moved, source = STRETCH.moved(edit), applied(SOURCE, edit)
    assert source[moved.start : moved.end] == left
    assert moved.share(source) == share


def test_undo_and_redo() -> None:
    undone = STRETCH.moved(after("ACCEPTED", ""))
    assert undone.moved(Edit(0, "", "ab")).moved(Edit(9, "", "ACCEPTED")) == Stretch("ACCEPTED", 9, 17)


def test_a_whole_document_is_trimmed_to_what_differs() -> None:
    new = SOURCE.replace("after", "later")
    assert Edit(0, SOURCE, new).trimmed() == Edit(16, "af", "la")
    assert Edit(0, SOURCE, SOURCE).trimmed() == Edit(len(SOURCE), "", "")
    assert Edit(4, "aa", "aaa").trimmed() == Edit(6, "", "a")


@pytest.mark.parametrize(
    "one, other, length", [("", "a", 0), ("abc", "abd", 2), ("ab", "abc", 2), ("x", "y", 0)]
)
def test_common_length(one: str, other: str, length: int) -> None:
    assert common_length(one, other) == length


def test_share_left() -> None:
    assert share_left("return a + b", "return a + b") == 1.0
    assert share_left("return a + b", "return a - b") == pytest.approx(11 / 12)
    assert share_left("return a + b", "") == 0.0
    assert share_left("total", "totals") == 0.0  # another name
