"""What is said to be mended is gone, and what is new is named, however lines shift and integrations word it."""

from dataclasses import replace

import pytest

from tailora.repair.checkers import compare
from tailora.repair.problem import Finding


def finding(message: str, line: int, code: str = "F821", source: str = "Ruff", column: int = 0) -> Finding:
    return Finding(source, code, message, line, column, line, column + 1)


UNDEFINED = finding("Undefined name `foo`", 3)


def test_what_only_moved_is_not_new() -> None:
    unused = finding("`os` imported but unused", 0, "F401")
    result = compare([unused, UNDEFINED], [replace(unused, line=7, end_line=7)], [UNDEFINED])
    assert result is not None
    assert result.gone
    assert result.new == ()


def test_what_an_edit_brings_is_named() -> None:
    brought = finding("Undefined name `bar`", 3)
    result = compare([UNDEFINED], [brought], [UNDEFINED])
    assert result is not None
    assert result.gone
    assert result.new == (brought,)


def test_moved_is_not_mended() -> None:
    result = compare([UNDEFINED], [replace(UNDEFINED, line=9, end_line=9)], [UNDEFINED])
    assert result is not None
    assert not result.gone


def test_one_of_two_alike() -> None:
    twice = [UNDEFINED, finding("Undefined name `foo`", 8)]
    mended = compare(twice, twice[1:], twice[:1])
    half = compare(twice, twice[1:], twice)
    assert mended is not None
    assert mended.gone
    assert half is not None
    assert not half.gone


def test_one_more_alike_is_new_where_none_was() -> None:
    more = finding("Undefined name `foo`", 11)
    other = finding("`os` imported but unused", 0, "F401")
    result = compare([other, UNDEFINED], [UNDEFINED, more], [other])
    assert result is not None
    assert result.new == (more,)


def test_lines_named_in_messages_shift_too() -> None:
    old = finding('Name "f" already defined on line 2', 9, "no-redef", "mypy")
    result = compare(
        [UNDEFINED, old], [finding('Name "f" already defined on line 4', 11, "no-redef", "mypy")], [UNDEFINED]
    )
    assert result is not None
    assert result.new == ()


@pytest.mark.parametrize(
    "published,said",
    [
        (finding("Undefined name `foo` (F821)", 3), UNDEFINED),
        (finding("F821 Undefined name `foo`", 3, code=""), UNDEFINED),
        (finding("Undefined name  `foo`", 5), UNDEFINED),
        (finding("SyntaxError: Expected ')'", 3, ""), finding("Expected ')'", 3, "invalid-syntax")),
        (
            finding('error: Name "x" is not defined  [name-defined]', 3, "", "dmypy"),
            finding('Name "x" is not defined', 3, "name-defined", "mypy"),
        ),
        (
            finding('Argument of type "str" is wrong', 3, "reportArgumentType", "Pylance"),
            finding('Argument of type "str" is wrong\n  "str" is no "int"', 3, "reportArgumentType", "basedpyright"),
        ),
        (finding("No name 'foo'.", 3, "2304", "typescript"), finding("No name 'foo'.", 3, "2304", "ts")),
    ],
)  # fmt: skip
def test_an_editor_words_it_otherwise(published: Finding, said: Finding) -> None:
    result = compare([said], [], [published])
    assert result is not None
    assert result.gone


@pytest.mark.parametrize(
    "target",
    [
        finding("Undefined name `bar`", 4),
        finding("Undefined name `foo`", 30),
        finding("Undefined name `foo`", 3, "F822"),
        finding("Undefined name `foo`", 3, source="mypy"),
    ],
)
def test_nothing_is_said_of_what_the_checker_does_not_find(target: Finding) -> None:
    assert compare([UNDEFINED], [], [target]) is None


def test_two_targets_are_two_findings() -> None:
    assert compare([UNDEFINED], [], [UNDEFINED, UNDEFINED]) is None


def test_the_nearest_of_those_alike() -> None:
    first, second = finding("a", 3, column=0), finding("b", 3, column=9)
    result = compare([first, second], [first], [finding("worded otherwise", 3, column=8)])
    assert result is not None
    assert result.gone
