"""A docstring that contradicts its function is told from one that does not."""

import pytest

from tailora_adapters.corpus.functions import find_functions
from tailora_adapters.docstrings.check import problems


def told(signature: str, doc: str, body: str = "return 1") -> list[str]:
    (function,) = find_functions(f"def f({signature}:\n    {body}\n", "python")
    return problems(function, doc)


ARGS = "It.\n\n    Args:\n        a: One.\n        b: Two.\n    "


@pytest.mark.parametrize(
    "signature, doc, body, found",
    [
        ("a, b)", ARGS, "return 1", []),
        ("a, b)", "It.", "return 1", []),
        ("a)", ARGS, "return 1", ["`b` is described and is no parameter of f"]),
        ("a, b, c)", ARGS, "return 1", ["the parameter `c` is not described"]),
        ("a, b, *more, _own=1)", ARGS, "return 1", []),
        ("a, **more)", ARGS, "return 1", []),
        ("a, b)", ARGS + "\n    Returns:\n        One.\n    ", "pass; a()", ["f returns nothing"]),
        ("a, b) -> int", ARGS + "\n    Returns:\n        One.\n    ", "...", []),
        ("a, b)", ARGS + "\n    Returns:\n        None\n    ", "a()", []),
        ("a, b)", ARGS + "\n    Raises:\n        OSError: No.\n    ", "raise os.OSError(1)", []),
        (
            "a, b)",
            ARGS + "\n    Raises:\n        OSError: No.\n    ",
            "a()",
            ["f cannot be seen to raise OSError"],
        ),
        (
            "a: int)",
            "It.\n\n    :param str a: One.",
            "return 1",
            ["`a` is described as str and annotated as int"],
        ),
        ("a: float)", "It.\n\n    :param int a: One.", "return 1", []),
        ("a: Shelf | None)", "It.\n\n    :param str a: One.", "return 1", []),
        ("a)", "It.\n\n    :param a: One.\n    :param a: Two.", "return 1", ["`a` is described twice"]),
    ],
)
def test_what_is_found(signature: str, doc: str, body: str, found: list[str]) -> None:
    said = told(signature, doc, body)
    assert len(said) == len(found)
    assert all(one.startswith(start) for one, start in zip(said, found, strict=True))


def test_exceptions_may_come_from_what_is_called() -> None:
    (function,) = find_functions("def f():\n    g()\n", "python")
    assert problems(function, "It.\n\n    Raises:\n        OSError: No.\n    ", raises=False) == []


def test_patterns_of_javascript_have_no_name_to_check() -> None:
    (function,) = find_functions("function f({ a }, b) {\n  return a;\n}\n", "javascript")
    assert problems(function, "\n * @param options - All.\n * @param b - More.\n ") == []
    assert problems(function, "\n * @param options - All.\n ") == ["the parameter `b` is not described"]
