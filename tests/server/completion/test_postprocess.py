"""What is shown of what a model wrote."""

import random

import pytest

from tailora.completion import Snapshot, clean

CASES = [
    # language, document with the cursor, raw text, what is shown
    ("python", "foo(¦)\n", "bar)", "bar"),
    ("python", "foo(¦)\n", "bar", "bar"),
    ("python", "foo(¦)\n", "g(1)", "g(1)"),
    ("python", "foo(¦)\n", "g(1))", "g(1)"),
    ("python", "foo(¦)\n", "bar))", "bar"),
    ("python", "foo(¦)\n", '")"', '")"'),
    ("python", "foo(¦)\n", '"a")', '"a"'),
    ("python", "foo(¦\n", "bar)", "bar)"),
    ("python", "foo(¦\n", "bar", "bar"),
    ("python", "x = [¦]\n", "1, 2]", "1, 2"),
    ("python", "x = [¦]\n", "a[0]", "a[0]"),
    ("python", "x = [1, ¦, 3]\n", "2,", "2"),
    ("python", "x = {'a': [¦]}\n", "1]}", "1"),
    ("python", "def f(¦):\n", "self, x):", "self, x"),
    ("python", "def f(¦):\n", "self) -> int", "self"),
    ("python", 'print("¦")\n', 'hello")', "hello"),
    ("python", 'print("¦")\n', 'hello", "you', 'hello", "you'),
    ("python", 'x = "¦world"\n', 'hello "', "hello "),
    ("python", "foo(bar(\n    a, ¦)\n", "b)", "b)"),
    ("python", "foo(bar(\n    a, ¦)\n)\n", "b)", "b"),
    ("python", "total = ¦b + c\n", "a + b + c", "a + "),
    ("python", "total = ¦o + 1\n", "foo", "foo"),
    ("python", "x = ¦b\n", "not ", "not "),
    ("python", "x = a¦\n", " + b   \n\n", " + b"),
    ("python", "x = 1\n¦\ny = 2\n", "a = 1\ny = 2\n", "a = 1"),
    ("python", "x = 1\n¦\n\n\ny = 2\nz = 3\n", "a = 1\n\ny = 2\nz = 3", "a = 1"),
    ("python", "def f():\n    if x:\n        ¦\n    return 1\n", "return 1", "return 1"),
    ("python", "    ¦\n", "    foo()", "foo()"),
    ("python", "if x:\n    ¦\n", "    foo()\n    bar()", "foo()\n    bar()"),
    ("python", "if x:\n  ¦\n", "  foo()", "foo()"),
    ("python", "if x:\n¦\n", "    foo()", "    foo()"),
    ("python", "if x:  # why\n¦\n", "    foo()", "    foo()"),
    ("python", "class A:\n    def f(self):\n    ¦\n", "    return 1", "    return 1"),
    ("python", "x = 1\n¦\n", " y = 2", "y = 2"),
    ("python", "def f(\n        a,\n        b):\n¦\n", "    return a", "    return a"),
    ("c", "int f()\n{\n    if (a)\n\tb();\n    ¦\n}\n", "if (b)\n\tc();", "if (b)\n\tc();"),
    ("typescript", "const a = `${b ? `c` : ''}`;\nf(¦);\n", "a);", "a"),
    ("javascript", "const a = /[`'\"(]/;\nf(¦);\n", "a);", "a"),
    (
        "python",
        "def f():\n\tif x:\n\t\t¦\n",
        "a = 1\n        b = 2\n    return a",
        "a = 1\n\t\tb = 2\n\treturn a",
    ),
    (
        "python",
        "def f():\n    if x:\n        ¦\n",
        "a = 1\n\t\tb = 2\n\treturn a",
        "a = 1\n        b = 2\n    return a",
    ),
    (
        "python",
        "if x:\n  y = 1\n¦\n",
        "if y:\n    z = 1\n    if z:\n        w = 1",
        "if y:\n  z = 1\n  if z:\n    w = 1",
    ),
    (
        "python",
        "x = 1\n\tif y:\n\t\tz\n¦\n",
        'a = """\n    kept as it is\n"""',
        'a = """\n    kept as it is\n"""',
    ),
    ("python", "bar()\n¦foo()\n", "baz()\nfoo()", "baz()\n"),
    ("typescript", "f(¦);\n", "a, b);", "a, b"),
    ("typescript", "f(¦)\n", "a);", "a"),
    ("typescript", "f(¦)\n", "a).then((b) => g(b)", "a).then((b) => g(b)"),
    ("typescript", "f(() => {¦});\n", "\n  g();\n});", "\n  g();\n"),
    ("typescript", "function f() {\n  ¦\n}\n", "return 1;\n}", "return 1;"),
    ("typescript", "function f() {\n  if (a) {¦\n}\n", "\n    b();\n  }\n}", "\n    b();\n  }"),
    ("typescript", "const s = `${¦}`;\n", "a}`;", "a"),
    ("go", "func f() {\n\tfor i := 0; ¦; i++ {\n\t}\n}\n", "i < n;", "i < n"),
    ("go", "func f() {\n\tif err != nil {\n\t\t¦\n\t}\n}\n", "return err\n    }\n", "return err"),
    ("rust", "fn f<'a>(x: &'a str¦) {}\n", ", y: &'a str)", ", y: &'a str"),
    ("rust", "    let c = f(¦);\n", "')');", "')'"),
    ("c", 'printf("%d\\n"¦);\n', ", a[0]);", ", a[0]"),
    ("shellscript", 'echo "$(¦)"\n', 'date)"', "date"),
    ("shellscript", "case $x in\n  ¦\nesac\n", "a) echo a ;;\nesac", "a) echo a ;;"),
    ("python", "x = '😀¦'\n", "😀'", "😀"),
    ("python", "x = ¦\n", "1<|endoftext|>\nfoo", "1"),
    ("python", "x = ¦\n", "1<|fim_mid", "1"),
    ("python", "¦", "x = 1\n", "x = 1"),
]

DROPPED = [
    ("python", "x = ¦\n", ""),
    ("python", "x = ¦\n", " \n\t\n"),
    ("python", "x = ¦\n", "<|fim_suffix|>foo"),
    ("python", "x = ¦\n", "a\x00b"),
    ("python", "x = ¦\n", "a\x1b[0m"),
    ("python", "x = ¦\n", "'\u202eabc'"),
    ("python", "x = ¦\n", "\ud800"),
    ("python", "foo(¦)\n", ")"),
    ("python", "foo(¦, b)\n", ", b)"),
    ("python", "¦\ny = 2\nz = 3\n", "y = 2\nz = 3"),
    ("python", "    ¦\n\n    y = 2\n", "y = 2"),
    ("python", "    y = 2\n    ¦\n", "y = 2"),
    ("python", "import os\nimport ¦\n", "os"),
    ("python", "x = 1\n¦foo()\n", "bar()"),
    ("typescript", "function f() {\n  g();\n  ¦\n}\n", "}"),
]


@pytest.mark.parametrize("language, marked, raw, shown", CASES)
def test_shows(at, language, marked, raw, shown):
    assert clean(raw, at(marked, language)) == shown


@pytest.mark.parametrize("language, marked, raw", DROPPED)
def test_shows_nothing(at, language, marked, raw):
    assert clean(raw, at(marked, language)) is None


@pytest.mark.parametrize("language, marked, raw, shown", CASES)
def test_line_endings_of_the_file(at, language, marked, raw, shown):
    snapshot = at(marked.replace("\n", "\r\n"), language)
    if "\n" in marked:
        shown = shown.replace("\n", "\r\n")
    assert clean(raw, snapshot) == clean(raw.replace("\n", "\r\n"), snapshot) == shown


def test_mixed_line_endings_follow_the_majority(at):
    assert clean("a\nb", at("x\r\ny\r\nz\n¦", "plaintext")) == "a\r\nb"
    assert clean("a\r\nb", at("x\r\ny\nz\n¦", "plaintext")) == "a\nb"


def test_in_a_file_of_mixed_indentation_the_cursors_line_decides(at):
    marked = "if a:\n    b\nif c:\n    d\nif e:\n\t¦\n"
    assert clean("if f:\n\t\tg", at(marked)) == "if f:\n\t\tg"
    assert clean("if f:\n        g", at(marked)) == "if f:\n\t\tg"


def test_only_a_text_that_was_cut_off_loses_half_a_repeated_line(at):
    snapshot = at("¦\nreturn x\n")
    assert clean("x = 1\nretur", snapshot) == "x = 1\nretur"
    assert clean("x = 1\nretur", snapshot, kept_stop_reason="deadline") == "x = 1"


def test_a_very_long_text_is_cut_at_a_line(at):
    shown = clean("".join(f"x{i} = {i}\n" for i in range(5000)), at("¦", "plaintext"))
    assert shown is not None
    assert len(shown) <= 4096
    assert shown.split("\n")[-1].count("=") == 1
    assert clean("x" * 10_000, at("¦")) is None


PIECES = [
    "foo", "bar(", ")", "]", "}", "{", "[", "(", '"', "'", "`", '"""', "\n", "\n\n", "\r\n", "    ", "  ",
    "\t", " ", ":", ",", ";", "x = 1", "return x", "😀", "\\", "#", "//", "/*", "*/", "<|", "fim", "|>",
    "<|fim_middle|>", "[SUFFIX]", "<", "if x:", "if (x) {", "else", "'a", 'r#"', "$(", "${", "\u2028", "end",
    "y = 2", "\r", "▁",
]  # fmt: skip


def random_text(generator: random.Random, most: int) -> str:
    return "".join(generator.choice(PIECES) for _ in range(generator.randrange(most)))


@pytest.mark.parametrize("seed", range(40))
def test_cleaning_twice_changes_nothing(seed):
    generator = random.Random(seed)
    languages = ["python", "typescript", "go", "rust", "c", "shellscript", "plaintext", "haskell"]
    shown = 0
    for _ in range(60):
        before, after = random_text(generator, 12), random_text(generator, 8)
        snapshot = Snapshot("file:///f", None, generator.choice(languages), 1, before + after, len(before))
        raw = random_text(generator, 12) + generator.choice(["", after, after[:5], before[-6:]])
        once = clean(raw, snapshot)
        if once is None:
            continue
        shown += 1
        assert clean(once, snapshot) == once, (snapshot, raw)
        assert once.strip()
        assert "<|fim_middle|>" not in once
    assert shown > 5


@pytest.mark.parametrize("filler", ["x", "(", "'", "\\", " ", "a\n"])
def test_work_is_bounded_in_a_file_of_50_mb(at, filler):
    half = filler * (25_000_000 // len(filler))
    clean("a + b\nc\n", at(f"{half}¦{half}", "typescript"))


@pytest.mark.parametrize(
    "raw", ["(" * 4000, ")" * 4000, "'" * 4000, "    x\n" * 600, "\\" * 4000, "\t" * 3000 + "x"]
)
def test_hostile_texts_end(at, raw):
    for marked in (
        "f(¦)\n",
        "¦" + ")" * 4000,
        "    ¦\n",
        "(" * 4000 + "¦",
        "(" * 4000 + "¦)",
        "'¦" + "'" * 3000,
    ):
        clean(raw, at(marked))
