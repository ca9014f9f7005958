"""Whole functions from a stub model: where they go, where they end, and that the file parses with them."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tailora.generation import Written, find_place, write_function
from tailora.infill import Filled, Limits


class Says:
    """Writes a text, token by token, until the caller has enough."""

    def __init__(self, text: str, finished: bool = False) -> None:
        self.text, self.finished, self.written = text, finished, ""
        self.hole = ("", "")

    async def fill(
        self,
        prefix: str,
        suffix: str,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        ended: Callable[[str], bool] = lambda _text: False,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Filled:
        self.hole = prefix, suffix
        for char in self.text:
            self.written += char
            if ended(self.written):
                return Filled(self.written, True)
        return Filled(self.written, self.finished)


def write(text: str, model: Says, line: int, language: str = "python") -> Written | None:
    place = find_place(text, language, line)
    assert place is not None
    return asyncio.run(write_function(text, place, language, model, Limits(256, 30.0)))


DOCUMENTED = (
    'class A:\n    def add(self, a, b):\n        """Adds the two."""\n\n\ndef other():\n    return 1\n'
)


def test_a_body_behind_its_docstring() -> None:
    model = Says("c = a + b\n        return c\n\n    def more(self):\n        pass\n")
    made = write(DOCUMENTED, model, 1)
    assert made is not None
    assert made.text == DOCUMENTED.replace('two."""\n', 'two."""\n        c = a + b\n        return c\n')
    assert model.hole[0].endswith('two."""\n        ')
    assert "more" not in made.text
    assert len(model.written) < len(model.text), "nothing is generated once the function has ended"


@pytest.mark.parametrize("stub", ["pass", "...", "raise NotImplementedError"])
def test_a_stub_is_replaced(stub: str) -> None:
    text = f'def add(a, b):\n    """Adds the two."""\n    {stub}\n\n\nx = 1\n'
    made = write(text, Says("return a + b\n\n\ny = 2"), 2)
    assert made is not None
    assert made.text == text.replace(stub, "return a + b")


def test_behind_a_signature_alone() -> None:
    made = write("def add(a, b):\n    \n", Says("return a + b", finished=True), 1)
    assert made is not None
    assert made.text == "def add(a, b):\n    return a + b\n"


def test_a_function_from_a_comment_alone() -> None:
    text = "import os\n\n# adds the two numbers up\n\n\nx = 1\n"
    made = write(text, Says("def add(\n    a, b\n):\n    return a + b\n\n\nadd(1, 2)\n"), 2)
    assert made is not None
    assert made.text == text.replace("up\n", "up\ndef add(\n    a, b\n):\n    return a + b\n")


@pytest.mark.parametrize(
    "text", ["# short\n\n", "x = 1\n", "# adds the two numbers\nx = 1\n", "def f():\n    return 1\n"]
)
def test_no_place(text: str) -> None:
    assert find_place(text, "python", 0) is None


def test_javascript() -> None:
    text = "/** Adds the two numbers. */\nfunction add(a, b) {\n}\n"
    made = write(text, Says("if (a) {\n    return '}' + b;\n  }\n  return a;\n}\nadd();"), 1, "javascript")
    assert made is not None
    assert made.text.endswith("{\n    if (a) {\n    return '}' + b;\n  }\n  return a;\n}\n")


def test_what_does_not_parse_or_did_not_end_is_not_shown() -> None:
    assert write(DOCUMENTED, Says("return (a +\n\n\ndef x(): pass"), 1) is None
    assert write(DOCUMENTED, Says("c = a + b\n        d = c +"), 1) is None, "cut off by the limit of tokens"
    assert write(DOCUMENTED, Says("pass", finished=True), 1) is None
    assert write(DOCUMENTED, Says("", finished=True), 1) is None
