"""What a diagnostic says suggests the line that was meant: another name, a missing word, arguments in another order."""

from pathlib import PurePath

import pytest

from tailora.repair.problem import Finding, Problem, Span
from tailora.repair.suggestions import suggested

TEXT = """\
class Box:
    def area(self, height):
        width = self.width
        if heigt > 0:
            return widht * self.hieght
        return scale

    def other(self):
        return self.scale + self.height + self.height
"""


def ask(line: int, column: int, message: str, text: str = TEXT, language: str = "python") -> list[str]:
    finding = Finding("x", "", message, line, column, line, column + 1)
    found = suggested(Problem(PurePath("a"), text, language, (finding,)))
    assert all(span == Span(line, line + 1) for span, _ in found)
    return [lines[0].strip() for _, lines in found]


@pytest.mark.parametrize(
    "line,column,message,expected",
    [
        (3, 11, "Undefined name `heigt`", "if height > 0:"),
        (4, 19, "Undefined name `widht`", "return width * self.hieght"),
        (4, 32, 'Cannot access attribute "hieght" for class "Box*"', "return widht * self.height"),
        (5, 15, '"scale" is not defined', "return self.scale"),
        (3, 0, "Undefined name `heigt`", "if height > 0:"),
    ],
)
def test_the_likeliest_comes_first(line: int, column: int, message: str, expected: str) -> None:
    assert ask(line, column, message)[0] == expected


def test_other_languages() -> None:
    text = "class A {\n  f(): number {\n    return total;\n  }\n  g() { return this.total; }\n}\n"
    assert ask(2, 11, "Cannot find name 'total'.", text, "typescript")[0] == "return this.total;"


@pytest.mark.parametrize(
    "line,column,message",
    [
        (3, 11, "Line too long"),
        (99, 0, "Undefined name `heigt`"),
        (-1, 0, "Undefined name `heigt`"),
        (0, 0, "Undefined name `zzzzzz`"),
        (6, 0, "Undefined name `heigt`"),
    ],
)
def test_nothing_to_say(line: int, column: int, message: str) -> None:
    assert ask(line, column, message) == []


def test_only_that_name_is_changed() -> None:
    text = "sizes = 1\nsize = 2\nprint(siz, x.siz, siz_of)\n"
    assert ask(2, 6, "Undefined name `siz`", text)[0] == "print(size, x.siz, siz_of)"


@pytest.mark.parametrize(
    "text,line,message,expected",
    [
        (
            "def f(a):\n    a + 1\n",
            1,
            "Found useless expression. Either assign it or remove it.",
            "return a + 1",
        ),
        (
            "async def f(a):\n    g(a)\n",
            1,
            "Result of async function call is not used; use coroutine",
            "await g(a)",
        ),
        (
            "x = isinstance(str, value)\n",
            0,
            "Argument of type ... cannot be assigned",
            "x = isinstance(value, str)",
        ),
        ("x = f(\n    1,\n    b)\n", 0, "No overloads match the provided arguments", "b,"),
    ],
)
def test_words_and_arguments(text: str, line: int, message: str, expected: str) -> None:
    found = suggested(Problem(PurePath("a"), text, "python", (Finding("x", "", message, line, 0, line, 1),)))
    assert expected in {line.strip() for _, lines in found for line in lines}


def test_a_call_far_away_is_left_alone() -> None:
    text = "x = f(a, b)\n" + "y = 1\n" * 20
    finding = Finding("x", "", "Argument of type ...", 15, 0, 15, 1)
    assert suggested(Problem(PurePath("a"), text, "python", (finding,))) == []
