"""The style of a repository is the one that most of its docstrings have."""

from tailora_adapters.corpus.functions import find_functions
from tailora_adapters.docstrings.style import style_of_functions


def functions(*docs: str, quotes: str = '"""') -> list[object]:
    text = "".join(
        f"def f{number}(a):\n    {quotes}{doc}{quotes}\n    return a\n\n\n" for number, doc in enumerate(docs)
    )
    return list(find_functions(text, "python"))


GOOGLE = "It.\n\n    Args:\n        a: One.\n    "
SPHINX = "\n    It is.\n\n    :param a: One.\n    "


def test_the_majority() -> None:
    assert style_of_functions(functions(GOOGLE, GOOGLE, SPHINX, "It is.")).name == "google"  # type: ignore[arg-type]
    assert style_of_functions(functions(GOOGLE, "It is.", "It was.")).name == "plain"  # type: ignore[arg-type]


def test_its_layout() -> None:
    style = style_of_functions(functions(SPHINX, SPHINX, quotes="'''"))  # type: ignore[arg-type]
    assert (style.name, style.opening, style.closing, style.below) == ("sphinx", "'''", "'''", True)


def test_where_there_are_none() -> None:
    assert style_of_functions([]).name == "google"
    assert style_of_functions([], "typescript").opening == "/**"
