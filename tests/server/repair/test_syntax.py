"""Statements, functions and errors are found in every language that has a grammar, and broken files are survived."""

import pytest

from tailora.repair.problem import Span
from tailora.repair.syntax import Syntax

PYTHON = '''\
import os

@cache
async def f(a,
            b):
    """Doc."""
    if a and (
        b):
        return foo(1,
                   2)
    else:
        x = 3

    return x
'''


@pytest.mark.parametrize(
    "line,first,end",
    [(0, 0, 1), (2, 2, 5), (4, 2, 5), (6, 6, 8), (7, 6, 8), (8, 8, 10), (9, 8, 10), (10, 10, 11)],
)
def test_statement(line: int, first: int, end: int) -> None:
    assert Syntax(PYTHON, "python").statement(line) == Span(first, end)


def test_function_and_its_body() -> None:
    syntax = Syntax(PYTHON, "python")
    function = syntax.function(8)
    assert function == Span(3, 14)
    assert function is not None
    assert syntax.body(function) == Span(6, 14)
    assert syntax.function(0) is None
    assert syntax.functions() == [Span(3, 14)]


@pytest.mark.parametrize(
    "language,text,line,function",
    [
        ("javascript", "function f(a) {\n  const b = a;\n  return b;\n}\n", 2, Span(0, 4)),
        ("typescript", "class A {\n  m(a: number): number {\n    return a;\n  }\n}\n", 2, Span(1, 4)),
        ("go", "package p\n\nfunc F(a int) int {\n\treturn a\n}\n", 3, Span(2, 5)),
        ("rust", "fn f(a: i32) -> i32 {\n    a + 1\n}\n", 1, Span(0, 3)),
        ("java", "class A {\n  int f(int a) {\n    return a;\n  }\n}\n", 2, Span(1, 4)),
        ("c", "int f(int a)\n{\n  return a;\n}\n", 2, Span(0, 4)),
    ],
)
def test_other_languages(language: str, text: str, line: int, function: Span) -> None:
    syntax = Syntax(text, language)
    assert syntax.function(line) == function
    assert syntax.statement(line) == Span(line, line + 1)
    assert syntax.errors() == 0


def test_errors_are_counted() -> None:
    assert Syntax("x = 1\n", "python").errors() == 0
    assert Syntax("def f(:\n    return\n", "python").errors() >= 1
    broken = "}} ) def ((\n" * 300
    assert Syntax(broken, "python").errors() > 10
    assert Syntax(broken, "python").statement(200) == Span(200, 201) or Syntax(broken, "python").statement(
        200
    )


def test_without_a_grammar() -> None:
    syntax = Syntax("a\nb\n", "haskell")
    assert not syntax.known
    assert syntax.errors() == 0
    assert syntax.statement(1) == Span(1, 2)
    assert syntax.function(1) is None


def test_a_line_that_is_not_there() -> None:
    assert Syntax("a = 1\n", "python").statement(99) == Span(99, 100)
    assert Syntax("", "python").function(0) is None
