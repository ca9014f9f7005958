"""What is learned of docstrings: those that agree with their functions, and never one like a held-out one."""

from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.docstrings.examples import docstring_examples, documented


def source(path: str, text: str, language: str = "python") -> SourceFile:
    return SourceFile(path, language, text, "", 0.0)


def function(name: str, doc: str, body: str = "return first + second") -> str:
    return f'def {name}(first, second):\n    """{doc}"""\n    {body}\n\n\n'


GOOD = "Adds the two numbers.\n\n    Args:\n        first: One.\n        second: Another.\n    "


def test_an_example_is_the_file_without_the_text() -> None:
    text = "import os\n\n\n" + function("add", GOOD)
    (example,) = docstring_examples([source("a.py", text)], 5, seed=1)
    assert example.prefix + example.middle + example.suffix == text
    assert example.prefix.endswith('"""')
    assert example.suffix.startswith('"""\n    return')
    assert example.middle == GOOD
    assert example.kind == "docstring google"


def test_what_is_not_worth_learning() -> None:
    bad = [
        GOOD.replace("second", "third"),
        "Adds.",
        "Adds the two numbers. TODO: more of it.",
        "Adds the two numbers. " * 60,
    ]
    text = "".join(function(f"f{number}", doc) for number, doc in enumerate(bad))
    assert documented(source("a.py", text)) == []


def test_nothing_like_what_is_held_out() -> None:
    held = source("held.py", function("add", GOOD))
    same = source("same.py", "import os\n\n\n" + function("add", GOOD))
    other = source(
        "other.py",
        function("scale", "Multiplies the first by the second, twice.", "return first * second ** 2"),
    )
    found = docstring_examples([same, other], 5, seed=1, without=[held])
    assert [example.path for example in found] == ["other.py"]


def test_a_style_alone_and_the_same_each_time() -> None:
    files = [
        source(
            f"{number}.py", function("add", GOOD) + function("sub", f"Takes away number {number} of them.")
        )
        for number in range(4)
    ]
    found = docstring_examples(files, 6, seed=3)
    assert found == docstring_examples(files, 6, seed=3)
    assert len({example.path for example in found}) == 4, "the files take turns"
    plain = docstring_examples(files, 10, seed=3, style="plain")
    assert {example.kind for example in plain} == {"docstring plain"}


def test_jsdoc() -> None:
    text = "/**\n * Adds the two numbers.\n * @param a - One.\n */\nfunction add(a) {\n  return a;\n}\n"
    (example,) = docstring_examples([source("a.js", text, "javascript")], 5, seed=1)
    assert example.prefix == "/**"
    assert example.suffix.startswith("*/\nfunction")
