"""Where a suggestion ends while it streams."""

import pytest

from tailora.completion import StopRule


def kept(at, stream, marked, language, text, **settings):
    """The same result however the stream is cut."""
    results = {stream(StopRule(at(marked, language), **settings), text, size) for size in (1, 2, 5, 10_000)}
    assert len(results) == 1, results
    return results.pop()


CASES = [
    # language, document with the cursor, what the model would write, what is kept, why
    ("python", "def f(¦a):\n    pass\n", "b, c\nd = 1\n", "b, c", "line"),
    ("python", "total = ¦\n", "a + b\nprint(total)\n", "a + b", "statement"),
    ("python", "total = f(¦)\n", "a,\n    b\n)\nx = 1\n", "a,\n    b\n)", "statement"),
    (
        "python",
        "x = 1\n¦\n",
        "values = [\n    1,\n    2,\n]\nprint(values)\n",
        "values = [\n    1,\n    2,\n]",
        "statement",
    ),
    (
        "python",
        "x = 1\n¦",
        'text = """\nsome prose\n"""\ny = 2\n',
        'text = """\nsome prose\n"""',
        "statement",
    ),
    ("python", "x = 1\n¦", "y = x + \\\n    1\nz = 3\n", "y = x + \\\n    1", "statement"),
    ("python", "¦", "# a comment\nx = 1\ny = 2\n", "# a comment\nx = 1", "statement"),
    (
        "python",
        "class A:\n    def f(self):\n        ¦\n\n    def g(self):\n        pass\n",
        "if self.x:\n            return 1\n        return 2\n\n    def h(self):\n        pass\n",
        "if self.x:\n            return 1\n        return 2\n\n",
        "block",
    ),
    (
        "python",
        "def f(x):¦\n",
        "\n    y = x\n    return y\n\n\ndef g():\n",
        "\n    y = x\n    return y\n\n\n",
        "block",
    ),
    (
        "python",
        "def f(x):\n    a = 1\n    ¦\n",
        "if x:\n        a = 2\n    else:\n        a = 3\n    return a\n",
        "if x:\n        a = 2\n    else:\n        a = 3\n",
        "block",
    ),
    (
        "python",
        "¦\n",
        "@cache\ndef f(\n    x,\n):\n    return x\n\nf(1)\n",
        "@cache\ndef f(\n    x,\n):\n    return x\n\n",
        "block",
    ),
    (
        "python",
        "def f(\n        a,\n        b):\n    ¦\n",
        "return a + b\n\n\nf(1)\n",
        "return a + b\n\n\n",
        "block",
    ),
    ("python", "x = 1\n¦\ny = 2\nz = 3\n", "w = (\n    1)\ny = 2\nz = 3\n", "w = (\n    1)", "statement"),
    ("python", "def f():\n    ¦\n    return 1\n", "x = 1\n    return 1\n", "x = 1\n", "suffix"),
    ("python", "¦\ny = 2\n", "y = 2\nz = 3\n", "", "suffix"),
    (
        "python",
        "¦\ntry:\n    a()\n",
        "try:\n    b()\nexcept E:\n    pass\n\ntry:\n    a()\n",
        "try:\n    b()\nexcept E:\n    pass\n\n",
        "block",
    ),
    ("python", "¦\ntry:\n    a()\n", "try:\n    a()\nb()\n", "", "suffix"),
    (
        "go",
        "func f() {\n\tx := 1\n\t¦\n\tgo func() {\n\t\ta()\n\t}()\n}\n",
        "go func() {\n\t\tb()\n\t}()\n",
        "go func() {\n\t\tb()\n\t}()",
        "statement",
    ),
    (
        "c",
        "int f(int a) {\n\tint b;\n\t¦\n\tb = 1;\n}\n",
        "if (a)\n\t\ta();\n\tb = 1;\n",
        "if (a)\n\t\ta();",
        "statement",
    ),
    (
        "typescript",
        "function f(a: number) {\n  ¦\n}\n",
        "if (a) {\n    g();\n  }\n  return a;\n}\n\nf(1);\n",
        "if (a) {\n    g();\n  }\n  return a;\n",
        "suffix",
    ),
    ("typescript", "function f() {¦}\n", "\n  return 1;\n}\nf();\n", "\n  return 1;\n", "block"),
    ("typescript", "function f() {¦", "\n  return 1;\n}\nf();\n", "\n  return 1;\n}", "block"),
    ("typescript", "const o = {¦};\n", " a: 1 };\nconst p = 2;\n", " a: 1 ", "block"),
    (
        "typescript",
        "const a = 1\n¦\n",
        "const b = a +\n  1\nconst c = 2\n",
        "const b = a +\n  1",
        "statement",
    ),
    (
        "typescript",
        "class A {\n  ¦\n}\n",
        "get(): number {\n    return 1;\n  }\n}\n",
        "get(): number {\n    return 1;\n  }\n",
        "suffix",
    ),
    ("typescript", "const s = `\n¦", "${a}\nb`\nc\n", "${a}", "line"),
    (
        "go",
        "func f() {\n\tx := 1\n\t¦\n}\n",
        "if x > 0 {\n\t\tg(x)\n\t}\n\treturn\n}\n",
        "if x > 0 {\n\t\tg(x)\n\t}",
        "statement",
    ),
    (
        "go",
        "package a\n\n¦",
        "type T struct {\n\tA int\n}\n\nfunc f() {}\n",
        "type T struct {\n\tA int\n}",
        "statement",
    ),
    (
        "go",
        "func f() {\n\t¦\n}\n",
        "x := g(\n\t\t1,\n\t)\n\treturn x\n}\n",
        "x := g(\n\t\t1,\n\t)\n\treturn x\n",
        "suffix",
    ),
    (
        "rust",
        "fn f<'a>(x: &'a str) -> &'a str {\n    let y = 1;\n    ¦\n}\n",
        "let z = x\n        .trim();\n    z\n}\n",
        "let z = x\n        .trim();",
        "statement",
    ),
    ("rust", "fn f() -> char {\n    let c = ¦\n}\n", "'{';\n    c\n}\n", "'{';", "statement"),
    (
        "c",
        "int f(int a)\n{\n\tint b = 1;\n\t¦\n}\n",
        "int c =\n\t\ta + b;\n\treturn c;\n}\n",
        "int c =\n\t\ta + b;",
        "statement",
    ),
    (
        "c",
        "int f(int a)\n{\n\tint b = 1;\n\t¦\n}\n",
        "if (a)\n\t\treturn b;\n\treturn 0;\n",
        "if (a)\n\t\treturn b;",
        "statement",
    ),
    (
        "shellscript",
        "set -e\n¦\n",
        'for f in *; do\n  echo "$f"\ndone\necho end\n',
        'for f in *; do\n  echo "$f"\ndone',
        "statement",
    ),
    (
        "shellscript",
        "main() {\n  local x=1\n  ¦\n}\n",
        "case $x in\n    a) echo a ;;\n    *) echo b ;;\n  esac\n  echo c\n",
        "case $x in\n    a) echo a ;;\n    *) echo b ;;\n  esac",
        "statement",
    ),
    (
        "shellscript",
        "if true; then\n  x=1\n  ¦\nfi\n",
        "if a; then\n    b\n  fi\n  c\n",
        "if a; then\n    b\n  fi",
        "statement",
    ),
    ("ruby", "x = 1\n¦\n", "def f(a)\n  a + 1\nend\n\nf(1)\n", "def f(a)\n  a + 1\nend", "statement"),
    ("plaintext", "Dear\n¦", "all,\nbest\n", "all,", "statement"),
]


@pytest.mark.parametrize("language, marked, text, expected, reason", CASES)
def test_stops_where_the_code_does(at, stream, language, marked, text, expected, reason):
    assert kept(at, stream, marked, language, text) == (expected, reason)


@pytest.mark.parametrize("language, marked, text, expected, reason", CASES)
def test_what_is_kept_is_a_beginning_and_stays(at, stream, language, marked, text, expected, reason):
    rule = StopRule(at(marked, language))
    stream(rule, text, 1)
    assert text.startswith(rule.text)
    assert rule.feed("more\n<|endoftext|>") is True
    assert rule.text == expected


def test_never_stops_at_the_first_line_ending(at, stream):
    assert kept(at, stream, "x = ¦\n", "python", "[\n    1,\n]\n", multiline="never") == ("[", "line")


def test_always_goes_on_though_code_follows_on_the_line(at, stream):
    text = "b,\n      c,\n      "
    assert kept(at, stream, "  f(¦a)\n", "typescript", text, multiline="always") == (text, None)


def test_unfinished_text_is_kept_as_it_is(at, stream):
    assert kept(at, stream, "x = ¦\n", "python", "f(1") == ("f(1", None)


def test_a_word_that_may_still_leave_the_statement_is_held_back(at):
    rule = StopRule(at("a = 1\n¦\n"))
    assert not rule.feed("if a:\n    b = 1\nel")
    assert rule.text == "if a:\n    b = 1\n"
    assert not rule.feed("se:\n    b = 2")
    assert rule.text == "if a:\n    b = 1\nelse:\n    b = 2"
    assert rule.feed("\nelephant = 3")
    assert rule.text == "if a:\n    b = 1\nelse:\n    b = 2\n"


def test_repetition_keeps_one(at, stream):
    text = "def f():\n" + "    x += 1\n" * 5
    assert kept(at, stream, "¦", "python", text) == ("def f():\n    x += 1", "repetition")
    text = "def f():\n" + "    x += 1\n    y += 1\n" * 5
    assert kept(at, stream, "¦", "python", text) == ("def f():\n    x += 1\n    y += 1", "repetition")


def test_max_lines(at, stream):
    text = "def f():\n" + "".join(f"    x{i} = {i}\n" for i in range(40))
    result, reason = kept(at, stream, "¦", "python", text, max_lines=5)
    assert (result.count("\n"), reason) == (4, "max_lines")


def test_a_line_without_end_is_bounded(at):
    rule = StopRule(at("x = ¦"))
    while not rule.feed("a + "):
        pass
    assert rule.reason == "max_chars"
    assert len(rule.text) <= 4096


@pytest.mark.parametrize(
    "token",
    [
        "<|endoftext|>",
        "<|fim_middle|>",
        "<|fim▁hole|>",
        "<|im_end|>",
        "<|file_sep|>",
        "<fim_prefix>",
        "<fim-suffix>",
        "<file_sep>",
        "<PRE>",
        "▁<EOT>",
        " <MID>",
        "[SUFFIX]",
        "[MIDDLE]",
        "<｜fim▁begin｜>",
        "<｜end▁of▁sentence｜>",
    ],
)
def test_control_tokens_are_cut(at, stream, token):
    result, reason = kept(at, stream, "x = ¦\n", "python", f"a + b{token}rest\nmore")
    assert (result.rstrip(), reason) == ("a + b", "special_token")


def test_half_a_control_token_is_not_shown(at):
    rule = StopRule(at("x = ¦\n"))
    assert not rule.feed("a<|fim_mid")
    assert rule.text == "a"
    assert rule.feed("dle|>")
    assert rule.text == "a"


@pytest.mark.parametrize(
    "language, marked, text",
    [
        ("python", "PREFIX = 'a'\nx = os.environ¦\n", "[PREFIX]"),
        ("haskell", "p = ¦\n", "a <|> b"),
        ("shellscript", "cat ¦\n", "<<EOT>out"),
        ("typescript", "type PRE = string;\nconst x: ¦\n", "Array<PRE> | null"),
        ("python", "x = a ¦", "< b"),
    ],
)
def test_code_that_looks_like_a_control_token_stays(at, stream, language, marked, text):
    assert kept(at, stream, marked, language, text)[0] == text


def test_crlf_from_the_model_and_in_the_file(at, stream):
    marked = "def f():\r\n    ¦\r\n    return 1\r\n"
    assert kept(at, stream, marked, "python", "x = 1\r\n    return 1\r\n") == ("x = 1\n", "suffix")


@pytest.mark.parametrize(
    "marked", ["¦", "¦x = 1\n", "x = 1\n¦", "😀 = '¦'\n", "\t \t¦\n", "\x00¦\x00", "\r\n¦\r\n", "((((¦"]
)
@pytest.mark.parametrize("language", ["python", "typescript", "go", "rust", "c", "shellscript", "made-up"])
def test_odd_documents_do_not_raise(at, stream, marked, language):
    for text in ("", "\n\n\n", "a\n", ")))\n}\n", '"""\n\'\n`\n', "😀\n\t\u2028\n", "\\", "\\\n"):
        stream(StopRule(at(marked, language)), text, 1)


@pytest.mark.parametrize("filler", ["x", "(", "'", "\\", " ", "😀", "a\n"])
def test_work_is_bounded_in_a_file_of_50_mb(at, stream, filler):
    half = filler * (25_000_000 // len(filler))
    snapshot = at(f"{half}¦{half}", "typescript")
    stream(StopRule(snapshot), "a + b\nc\n", 1)
