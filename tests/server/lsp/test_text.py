"""Positions and edits of documents."""

import pytest
from lsprotocol import types
from pygls.workspace import PositionCodec

from tailora.lsp import text
from tailora.lsp.text import Document, offset_of_units, units

LINE = "aé😀ש\u2028z"


@pytest.mark.parametrize("encoding, width", [("utf-8", 13), ("utf-16", 7), ("utf-32", 6)])
def test_units_and_back(encoding, width):
    assert units(LINE, encoding) == width
    for count in range(len(LINE) + 1):
        assert offset_of_units(LINE, units(LINE[:count], encoding), encoding) == count
    assert offset_of_units(LINE, 999, encoding) == len(LINE)
    assert offset_of_units(LINE, -1, encoding) == 0


def test_inside_a_character_means_before_it():
    assert offset_of_units("😀x", 1, "utf-16") == 0
    assert [offset_of_units("😀x", count, "utf-8") for count in range(6)] == [0, 0, 0, 0, 1, 2]
    lone = "\ud83dx"  # half of a pair, as JSON may carry
    assert [offset_of_units(lone, count, "utf-16") for count in range(3)] == [0, 1, 2]


def _document(source, encoding="utf-16"):
    return Document("file:///a", source, 1, "python", PositionCodec(encoding))


def _edit(document, start, end, new):
    span = types.Range(types.Position(*start), types.Position(*end))
    document.apply_change(types.TextDocumentContentChangePartial(span, new))
    return document.source


def test_positions_stay_inside_the_text():
    document = _document("ab\r\nc\rd\n")
    assert document.lines == ("ab\r\n", "c\r", "d\n", "")
    places = (0, 9), (1, 9), (2, 9), (3, 0), (9, 9)
    offsets = [document.offset_at_position(types.Position(*place)) for place in places]
    assert offsets == [2, 5, 7, 8, 8]
    for offset in (0, 2, 4, 5, 6, 7, 8):
        assert document.offset_at_position(document.client_position_at_offset(offset)) == offset
    assert _document("").offset_at_position(types.Position(0, 5)) == 0
    assert _document("").client_position_at_offset(0) == types.Position(0, 0)


def test_edits():
    document = _document("a😀b\nc\n")
    assert _edit(document, (0, 3), (1, 1), "x\ny") == "a😀x\ny\n"
    assert _edit(document, (9, 0), (9, 0), "end") == "a😀x\ny\nend"
    assert _edit(document, (0, 99), (1, 0), "") == "a😀xy\nend"
    assert _edit(document, (1, 3), (1, 0), "!") == "a😀xy\n!"  # ends swapped
    document.apply_change(types.TextDocumentContentChangeWholeDocument("new"))
    assert document.source == "new"


def test_a_document_that_is_too_long_is_known_but_not_kept(monkeypatch):
    monkeypatch.setattr(text, "LARGEST_KEPT", 10)
    document = _document("x" * 11)
    assert (document.oversize, document.source) == (11, "")
    assert _edit(document, (0, 0), (0, 5), "y") == ""
    document.apply_change(types.TextDocumentContentChangeWholeDocument("small"))
    assert (document.oversize, document.source) == (0, "small")
    assert _edit(document, (0, 5), (0, 5), " again") == ""
    assert document.oversize == 11
