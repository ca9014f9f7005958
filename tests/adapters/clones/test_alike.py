"""Which functions are clones of which type, and what is not taken for one."""

import pytest

from tailora_adapters.clones.alike import alike, counts, kind_of
from tailora_adapters.clones.functions import functions_of

SOURCE = '''
def largest(entries, limit):
    """The largest ones."""
    found = []
    for entry in entries:
        if entry.size > limit and not entry.hidden:
            found.append((entry.name, entry.size))
        elif entry.size == limit:
            found.append((entry.name, 0))
    found.sort(key=lambda one: one[1])
    return found[:limit]
'''


def _compared(left: str, right: str, language: str = "python") -> tuple[int, float]:
    (first, *_), (second, *_) = functions_of(left, language), functions_of(right, language)
    similarity = alike(first.body, second.body)
    assert similarity == alike(second.body, first.body)
    return kind_of(first.body, second.body, first.header == second.header, similarity), similarity


def test_layout_comments_documentation_and_the_functions_name_make_type_1() -> None:
    other = SOURCE.replace("largest", "biggest").replace('"""The largest ones."""', '"""Others."""')
    other = other.replace("    found = []", "    found = []  # none yet\n\n").replace(
        "(entries, ", "(\n  entries,  # all\n  "
    )
    assert _compared(SOURCE, other) == (1, 1.0)


def test_the_indentation_between_the_parts_of_a_text_is_layout() -> None:
    left = 'def f(x):\n    check(x)\n    raise ValueError("one"\n        "two", x)\n'
    assert _compared(left, left.replace("        ", "    ")) == (1, 1.0)


def test_names_and_literals_make_type_2() -> None:
    other = (
        SOURCE.replace("entries", "things")
        .replace("found", "kept")
        .replace(".size", ".weight")
        .replace("0", "7")
    )
    assert _compared(SOURCE, other) == (2, 1.0)


def test_another_statement_makes_type_3() -> None:
    kind, similarity = _compared(SOURCE, SOURCE.replace("    return", "    check(found)\n    return"))
    assert kind == 3
    assert 0.9 < similarity < 1


def test_a_name_that_stands_for_several_others_is_no_renaming() -> None:
    """One function compares the sizes of two, the other one of them with itself."""
    left = "def f(a, b):\n    x = a.size + b.size\n    y = a.size - b.size\n    return x, y, a, b\n"
    right = left.replace("b.size", "a.size").replace("a, b\n", "a, a\n")
    kind, similarity = _compared(left, right)
    assert kind == 3
    assert similarity < 1


def test_blocks_count_where_only_indentation_tells() -> None:
    inside = SOURCE.replace("    found.sort", "        found.sort")
    assert _compared(SOURCE, inside)[0] == 3


@pytest.mark.parametrize(
    "language, left, right",
    [
        ("javascript", "function f(a) { return a.map(x => x + 1); }", "const g = (b) => { return b.map(y => y + 2); }"),
        ("typescript", "class A { f(a: number) { return a + 1; } }", "function g(a: string) { return a + 2; }"),
        ("go", "package p\nfunc f(x int) int { y := x + 1; return y }",
               "package p\nfunc (t *T) G(a int) int { b := a + 2; return b }"),
        ("rust", "fn f(x: i32) -> i32 { let y = x + 1; y }", "impl T { fn g(a: i32) -> i32 { let b = a + 2; b } }"),
        ("java", "class A { int f(int x) { return x + 1; } }", "class B { int g(int y) { return y + 2; } }"),
        ("c", "int f(int x) { return x + 1; }", "int *g(int y) { return y + 2; }"),
        ("cpp", "int f(int x) { return x + 1; }", "int A::g(int y) { return y + 2; }"),
        ("shellscript", "f() { local a=1; echo $a 'x'; }", "g() { local b=2; echo $b 'y'; }"),
    ],
)  # fmt: skip
def test_every_language_with_a_grammar_is_told_by_its_syntax(language: str, left: str, right: str) -> None:
    assert functions_of(left, language)[0].name == "f"
    assert _compared(left, right, language) == (2, 1.0)


def test_a_function_is_found_where_its_name_stands() -> None:
    text = "class Ä:\n    def größe(self):\n        return self.x\n"
    (function,) = functions_of(text, "python")
    assert (function.name, function.line, function.column, function.end_column) == ("größe", 1, 8, 13)
    assert (function.first, function.last) == (1, 2)


def test_small_functions_and_rows_of_assignments_do_not_count() -> None:
    (large,) = [one for one in functions_of(SOURCE, "python") if one.name == "largest"]
    assert counts(large)
    (small,) = functions_of("def f(self):\n    return self.x\n", "python")
    assert not counts(small)
    rows = "".join(f"        self.a{n} = a{n}\n" for n in range(30))
    (boilerplate,) = functions_of(f"class A:\n    def __init__(self):\n{rows}", "python")
    assert not counts(boilerplate)
    (overload,) = functions_of(
        "def f(" + ", ".join(f"a{n}: int = {n}" for n in range(30)) + "): ...", "python"
    )
    assert not counts(overload)


@pytest.mark.parametrize(
    "text", ["", "def", "def f(:\n  )(", "\x00", "def f():\n    '''x'''\n", "class A:\n  def f"]
)
def test_no_text_raises(text: str) -> None:
    functions_of(text, "python")
    functions_of(text, "javascript")
    assert functions_of(text, "kotlin") == []
