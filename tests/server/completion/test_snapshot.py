"""What a snapshot says about the place of its cursor."""

import pytest

from tailora.completion import Snapshot


@pytest.mark.parametrize(
    "marked, line_prefix, line_suffix",
    [
        ("¦", "", ""),
        ("¦a\nb", "", "a"),
        ("a\nb¦", "b", ""),
        ("a\n b¦c\nd", " b", "c"),
        ("a\r\n b¦c\r\nd", " b", "c"),
        ("a¦\r\nb", "a", ""),
        ("a\r¦\nb", "a", ""),
        ("a\r\n¦\r\nb", "", ""),
        ("😀😀¦😀\n", "😀😀", "😀"),
    ],
)
def test_the_cursors_line(at, marked, line_prefix, line_suffix):
    snapshot = at(marked)
    assert (snapshot.line_prefix, snapshot.line_suffix) == (line_prefix, line_suffix)
    assert snapshot.prefix + "¦" + snapshot.suffix == marked


@pytest.mark.parametrize(
    "text, newline",
    [
        ("", "\n"),
        ("a\nb\n", "\n"),
        ("a\r\nb\r\n", "\r\n"),
        ("a\r\nb\r\nc\n", "\r\n"),
        ("a\r\nb\nc\n", "\n"),
        ("a\r\nb\n", "\n"),
    ],
)
def test_newline(at, text, newline):
    assert at(text + "¦").newline == newline


@pytest.mark.parametrize(
    "language, marked, unit",
    [
        ("python", "¦", "    "),
        ("go", "¦", "\t"),
        ("typescript", "¦", "  "),
        ("made-up", "¦", "    "),
        ("python", "if a:\n  b\n  if c:\n    d\n¦", "  "),
        ("typescript", "f() {\n    g();\n}\n¦", "    "),
        ("c", "int f()\n{\n\tg();\n\tif (a)\n\t\th();\n}\n¦", "\t"),
        ("c", "/*\n * one\n * two\n */\n\nint f()\n{\n        g();\n}\n¦", "        "),
        ("python", "def f(a,\n      b):\n    if a:\n        b\n    else:\n        c\n¦", "    "),
        ("python", "if a:\n\tb\nif c:\n    d\nif e:\n    ¦", "    "),
        ("python", "if a:\n    b\nif c:\n    d\nif e:\n\t¦", "\t"),
        ("python", "if a:\r\n   b\r\n¦", "   "),
    ],
)
def test_indent_unit(at, language, marked, unit):
    assert at(marked, language).indent_unit == unit


def test_of_a_very_long_line_only_a_part_counts():
    text = "x" * 50_000_000
    snapshot = Snapshot("file:///f", None, "python", None, text, 25_000_000)
    assert len(snapshot.line_prefix) == len(snapshot.line_suffix) == 65_536
    assert (snapshot.newline, snapshot.indent_unit) == ("\n", "    ")
