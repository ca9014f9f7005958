"""Functions as they stand in a file: what a docstring is held against."""

import pytest

from tailora_adapters.corpus.functions import find_functions

PYTHON = '''import os


class Shelf:
    @property
    def size(self) -> int:
        """How many."""
        return 1

    @staticmethod
    def of(first, *rest: str, wide: bool = True, **more):
        def inner():
            return rest

        raise errors.Bad("no")


async def later(a, /, b, *, c=1):
    r"""Ünicode – before."""
    yield a
'''


def test_python() -> None:
    size, of, inner, later = find_functions(PYTHON, "python")
    assert (size.parameters, size.returns, size.gives, size.doc and size.doc.text) == (
        (),
        "int",
        True,
        "How many.",
    )
    assert size.start == PYTHON.index("@property")
    assert [(one.stars, one.name, one.annotation, one.default) for one in of.parameters] == [
        ("", "first", None, None),
        ("*", "rest", "str", None),
        ("", "wide", "bool", "True"),
        ("**", "more", None, None),
    ]
    assert (of.gives, of.raises, of.doc) == (False, ("Bad",), None), (
        "what an inner function returns is its own"
    )
    assert inner.gives
    assert [one.name for one in later.parameters] == ["a", "b", "c"]
    assert later.yields
    assert later.doc is not None
    assert PYTHON[later.doc.start : later.doc.end] == "Ünicode – before."
    assert later.doc.opening == 'r"""'
    assert PYTHON[later.body_start : later.body_end] == "yield a"


@pytest.mark.parametrize("body", ["pass", "...", "raise NotImplementedError('x')", '"""Says it."""'])
def test_a_stub_says_nothing(body: str) -> None:
    (function,) = find_functions(f"def f():\n    {body}\n", "python")
    assert function.stub


def test_typescript() -> None:
    text = (
        "/** Adds. */\nexport function add(a: number, b?: string, ...rest: number[]): number {\n  return a;\n}\n"
        "const twice = (x: number) => x * 2;\nclass A {\n  /**\n   * Doc.\n   */\n  run({ a, b }: Options) {\n"
        "    throw new RangeError();\n  }\n}\n"
    )
    add, twice, run = find_functions(text, "typescript")
    assert [(one.name, one.annotation) for one in add.parameters] == [
        ("a", "number"),
        ("b", "string"),
        ("rest", "number[]"),
    ]
    assert (add.returns, add.doc and add.doc.text) == ("number", " Adds. ")
    assert (twice.name, twice.gives, twice.doc) == ("twice", True, None)
    assert run.parameters[0].name == ""
    assert (run.raises, run.gives, run.doc is not None) == (("RangeError",), False, True)


def test_a_comment_further_up_is_no_documentation() -> None:
    (function,) = find_functions("/** Of the file. */\n\nfunction f() {\n}\n", "javascript")
    assert function.doc is None


def test_other_languages_have_none() -> None:
    assert find_functions("def f\nend\n", "ruby") == []
    assert find_functions("func f() {}\n", "go") == []
