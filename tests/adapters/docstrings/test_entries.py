"""Every style is told from the others, and read entry by entry."""

import pytest

from tailora_adapters.docstrings.entries import Parsed, parse, style_of

GOOGLE = """Opens it.

    Args:
        path: Where it lies,
            on disk.
        mode (str): How, as `open` has it: read.
        *rest: More.

    Returns:
        dict: What it holds.

    Raises:
        OSError: It cannot be read.

    Note:
        Nothing else.
    """
NUMPY = """Opens it.

    Parameters
    ----------
    path, other : str
        Where it lies.
    mode
        How.

    Returns
    -------
    dict
        What it holds.

    Notes
    -----
    Nothing : else
    """
SPHINX = """Opens it.

    :param path: Where it lies,
        on disk.
    :param str mode: How.
    :type path: Path
    :returns: What it holds.
    :rtype: dict
    :raises OSError: It cannot be read.
    """
JSDOC = """
 * Opens it.
 *
 * @param {string} path - Where it lies,
 *   on disk.
 * @param {Object} [options={}] How.
 * @param {string} options.mode The mode.
 * @returns {Map} What it holds.
 * @throws {RangeError} Never.
 """


@pytest.mark.parametrize(
    "text, language, style",
    [
        (GOOGLE, "python", "google"),
        (NUMPY, "python", "numpy"),
        (SPHINX, "python", "sphinx"),
        ("Opens it. Args: none.", "python", "plain"),
        (JSDOC, "typescript", "jsdoc"),
        (" Opens it. ", "javascript", "plain"),
    ],
)
def test_styles(text: str, language: str, style: str) -> None:
    assert style_of(text, language) == style


def kinds(parsed: Parsed) -> list[tuple[str, tuple[str, ...], str | None]]:
    return [(entry.kind, entry.names, entry.type) for entry in parsed.entries]


def test_google() -> None:
    parsed = parse(GOOGLE)
    assert kinds(parsed) == [
        ("parameter", ("path",), None),
        ("parameter", ("mode",), "str"),
        ("parameter", ("rest",), None),
        ("returns", (), "dict"),
        ("raises", ("OSError",), None),
    ]
    assert parsed.entries[0].text == "Where it lies, on disk."
    assert (parsed.entries[0].first, parsed.entries[0].end) == (3, 5)


def test_numpy() -> None:
    assert kinds(parse(NUMPY)) == [
        ("parameter", ("path", "other"), "str"),
        ("parameter", ("mode",), None),
        ("returns", (), "dict"),
    ]


def test_sphinx() -> None:
    assert kinds(parse(SPHINX)) == [
        ("parameter", ("path",), "Path"),
        ("parameter", ("mode",), "str"),
        ("returns", (), "dict"),
        ("raises", ("OSError",), None),
    ]


def test_jsdoc() -> None:
    assert kinds(parse(JSDOC, "javascript")) == [
        ("parameter", ("path",), "string"),
        ("parameter", ("options",), "Object"),
        ("parameter", ("options",), "string"),
        ("returns", (), "Map"),
        ("raises", ("RangeError",), "RangeError"),
    ]


def test_numpy_without_a_space_before_the_type() -> None:
    parsed = parse(
        "It.\n\n    Parameters\n    ----------\n    path: str\n        Where.\n    mode : {'r', 'w'}\n    "
    )
    assert kinds(parsed) == [("parameter", ("path",), "str"), ("parameter", ("mode",), "{'r', 'w'}")]


@pytest.mark.parametrize(
    "section", ["Parameters\n    ----------\n", "Parameters\n    ----------\n\n    Returns\n    -------"]
)
def test_sections_without_entries(section: str) -> None:
    assert parse(f"It.\n\n    {section}\n    ").entries == ()
