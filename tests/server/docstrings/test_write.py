"""Docstrings from a stub model: shown is only what agrees with the function, in the repository's layout."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tailora.docstrings import Written, find_target, make_docstring, targets
from tailora.infill import Filled, Limits
from tailora_adapters.docstrings.style import Style

AREA = "def area(width, height):\n    if width < 0:\n        raise ValueError\n    return width * height\n"
GOOGLE, NUMPY, SPHINX = Style("google"), Style("numpy"), Style("sphinx", below=True)

LIMITS = Limits(192, 30.0)


class Says:
    """Writes one given text after another, and then nothing."""

    def __init__(self, *texts: str, finished: bool = True) -> None:
        self.texts, self.finished = list(texts), finished
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

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
        self.asked.append((prefix, suffix, {"stop": tuple(stop), "temperature": temperature}))
        return Filled(self.texts.pop(0) if self.texts else "", self.finished)


def make(
    text: str, model: Says, style: Style = GOOGLE, line: int = 0, language: str = "python"
) -> Written | None:
    target = find_target(text, language, line)
    assert target is not None
    return asyncio.run(make_docstring(text, target, style, model, LIMITS))


def test_the_body_is_behind_the_hole() -> None:
    model = Says("The area of a rectangle.")
    made = make(AREA, model)
    assert made is not None
    assert made.text == AREA.replace(":\n    if", ':\n    """The area of a rectangle."""\n    if', 1)
    ((prefix, suffix, how),) = model.asked
    assert prefix == 'def area(width, height):\n    """'
    assert suffix == '"""' + AREA.partition(":")[2].replace(":", ":", 1)
    assert how == {"stop": ('"""',), "temperature": 0.0}


def test_what_does_not_exist_goes_and_what_is_missing_is_described() -> None:
    model = Says(
        "The area.\n\n    Args:\n        width: How wide.\n        depth: How deep.\n\n"
        "    Raises:\n        ValueError: Negative.\n        KeyError: Never.\n    ",
        "How high.\n        more: lines",
    )
    made = make(AREA, model)
    assert made is not None
    assert made.doc == (
        "The area.\n\n    Args:\n        width: How wide.\n        height: How high.\n\n"
        "    Raises:\n        ValueError: Negative.\n    "
    )
    prefix, suffix, _ = model.asked[1]
    assert prefix.endswith("width: How wide.\n        height: ")
    assert suffix.startswith("\n\n    Raises:")


def test_a_result_of_what_returns_nothing_goes_with_its_section() -> None:
    text = "def show(text):\n    print(text)\n"
    made = make(
        text,
        Says("Shows it.\n\n    Args:\n        text: What.\n\n    Returns:\n        str: The text.\n    "),
    )
    assert made is not None
    assert made.doc == "Shows it.\n\n    Args:\n        text: What.\n    "


def test_without_a_description_it_tries_again_and_then_shows_the_summary() -> None:
    bad = "The area of it.\n\n    Args:\n        width: How wide.\n    "
    model = Says(bad, "", bad, "")
    made = make(AREA, model)
    assert made is not None
    assert made.doc == "The area of it."
    assert [how["temperature"] > 0 for _, _, how in model.asked] == [False, False, True, False]


def test_nothing_is_shown_where_nothing_was_written() -> None:
    assert make(AREA, Says("", "")) is None
    assert make(AREA, Says('"""', "x")) is None


@pytest.mark.parametrize(
    "written",
    [
        'Says so """no""" twice.',
        "A path such as C:\\new or \\d+.",
        'It ends with "quotes"',
        "It ends with a backslash \\",
    ],
)
def test_the_string_is_never_ended_early(written: str) -> None:
    made = make(AREA, Says(written, written))
    assert made is not None
    scope: dict[str, Any] = {}
    exec(made.text, scope)
    assert scope["area"](2, 3) == 6
    assert scope["area"].__doc__


def test_an_unfinished_end_is_left_out() -> None:
    made = make(AREA, Says("The area. It is the product of the", finished=False))
    assert made is not None
    assert made.doc == "The area."


def test_long_lines_are_wrapped() -> None:
    made = make(AREA, Says("The area of it.\n\n    " + "word " * 40))
    assert made is not None
    assert max(map(len, made.text.split("\n"))) <= GOOGLE.width


def test_below_the_quotes_where_the_repository_has_it_there() -> None:
    model = Says("The area.\n\n    :param width: How wide.\n    :param height: How high.\n    ")
    made = make(AREA, model, SPHINX)
    assert made is not None
    assert made.doc == ("\n    The area.\n\n    :param width: How wide.\n    :param height: How high.\n    ")
    assert model.asked[0][0].endswith('"""\n    ')


def test_jsdoc() -> None:
    text = "class A {\n  area(width, height) {\n    return width * height;\n  }\n}\n"
    model = Says(
        "\n   * The area.\n   *\n   * @param {number} width - How wide.\n   * @param {number} deep - No.\n   ",
        "How high.",
    )
    made = make(text, model, Style("jsdoc", "/**", below=True), 1, "javascript")
    assert made is not None
    assert made.text.startswith(
        "class A {\n  /**\n   * The area.\n   *\n   * @param {number} width - How wide.\n"
        "   * @param height - How high.\n   */\n  area("
    )


def test_the_authors_words_stay_where_parameters_were_renamed_added_and_removed() -> None:
    doc = (
        "The area; mind the units!\n\n    Parameters\n    ----------\n    w : int\n        How wide it is.\n"
        "    depth : int\n        How deep.\n\n    Returns\n    -------\n    int\n        In square metres.\n    "
    )
    text = AREA.replace(":\n", f':\n    """{doc}"""\n', 1).replace("height)", "height, unit=1)")
    model = Says("The height.", "The unit.")
    target = find_target(text, "python", 3)
    assert target is not None
    assert target.what == "update"
    made = asyncio.run(make_docstring(text, target, NUMPY, model, LIMITS))
    assert made is not None
    assert made.doc == doc.replace("w : int", "width : int").replace("depth : int", "height : int").replace(
        "How deep.\n", "How deep.\n    unit\n        The height.\n"
    )


def test_one_that_fits_is_no_target() -> None:
    text = AREA.replace(":\n", ':\n    """The area of it."""\n', 1)
    assert find_target(text, "python", 0) is None
    assert next(iter(targets(text + "\n\n" + AREA, "python"))).function.line == 7


def test_time_is_limited() -> None:
    class Slow(Says):
        async def fill(self, *given: Any, **more: Any) -> Filled:
            await asyncio.Event().wait()
            raise AssertionError

    target = find_target(AREA, "python", 0)
    assert target is not None
    assert asyncio.run(make_docstring(AREA, target, GOOGLE, Slow(), Limits(192, 0.01))) is None
