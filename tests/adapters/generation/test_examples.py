"""What is learned of whole functions: bodies that follow from words."""

from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.generation.examples import generation_examples

TEXT = '''def add(a, b):
    """Adds the two numbers up."""
    total = a + b
    return total


# takes the second one away from the first
def sub(a, b):
    return (a - b)


def bare(a, b):
    return a * b * 2 * 3


def stub(a, b):
    """Will add the two numbers up."""
    raise NotImplementedError
'''


def test_bodies_behind_docstrings_and_comments() -> None:
    found = generation_examples([SourceFile("a.py", "python", TEXT, "", 0.0)], 9, seed=1)
    told = {example.kind: example for example in found}
    assert set(told) == {"generation docstring"} or set(told) == {
        "generation docstring",
        "generation comment",
    }
    example = told["generation docstring"]
    assert example.prefix.endswith('up."""\n    ')
    assert example.middle == "total = a + b\n    return total"
    assert example.prefix + example.middle + example.suffix == TEXT


def test_a_leading_comment_is_enough() -> None:
    text = TEXT.replace("return (a - b)", "result = a - b\n    return result")
    found = generation_examples([SourceFile("a.py", "python", text, "", 0.0)], 9, seed=1)
    (example,) = [one for one in found if one.kind == "generation comment"]
    assert example.middle == "result = a - b\n    return result"


def test_nothing_like_what_is_held_out() -> None:
    file = SourceFile("a.py", "python", TEXT, "", 0.0)
    assert generation_examples([file], 9, seed=1, without=[file]) == []
