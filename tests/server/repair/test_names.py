"""Unknown names are taken for those that stand in the file under nearly that name, or on the object."""

from pathlib import PurePath

import pytest

from tailora.repair.names import respelled
from tailora.repair.problem import Finding, Problem, Span

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
    found = respelled(Problem(PurePath("a"), text, language, (finding,)))
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
