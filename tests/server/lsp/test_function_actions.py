"""Docstrings and whole functions over the real protocol: offered in their place, computed when chosen."""

import pytest
from lsprotocol import types
from repair_client import applied, choose, diagnostic, menu, resolve
from stub_engine import Script

pytestmark = pytest.mark.asyncio(loop_scope="session")

AREA = "def area(width, height):\n    return width * height\n"
STALE = AREA.replace(
    ":\n", ':\n    """The area.\n\n    :param w: How wide.\n    :param height: How high.\n    """\n', 1
)
EMPTY = 'def area(width, height):\n    """The area of it."""\n'


def at(line: int, character: int = 0) -> types.Range:
    place = types.Position(line, character)
    return types.Range(place, place)


async def test_a_docstring_is_written_when_it_is_chosen(editor, engine, uri):
    engine.fills = lambda body: "The area of a rectangle."
    editor.open(uri, AREA)
    (action,) = await menu(editor, uri, at=at(1, 4))
    assert action.title == "Tailora: write a docstring"
    assert action.kind == "refactor.rewrite.tailora.docstring"
    assert action.edit is None
    assert engine.completions == []
    done = await resolve(editor, action)
    assert applied(done.edit, AREA) == AREA.replace(":\n", ':\n    """The area of a rectangle."""\n', 1)
    (asked,) = engine.completions
    assert asked["tailora"]["adapter"] == "docstring"
    assert asked["tailora"]["suffix_tokens"] > 96
    assert asked["suffix"].startswith('"""\n    return width')


async def test_one_that_no_longer_fits_is_updated(editor, engine, uri):
    editor.open(uri, STALE)
    (action,) = await menu(editor, uri, at=at(0))
    assert action.title == "Tailora: update the docstring"
    done = await resolve(editor, action)
    assert applied(done.edit, STALE) == STALE.replace("param w:", "param width:")
    assert engine.completions == [], "a renamed parameter needs no model"


async def test_nothing_is_offered_where_all_is_well(editor, engine, uri):
    editor.open(uri, EMPTY.replace("it.", "it") + "    return width * height\n\n\nx = 1\n")
    assert await menu(editor, uri, at=at(0)) == []
    assert await menu(editor, uri, at=at(5)) == []


async def test_what_contradicts_the_signature_is_not_shown(editor, engine, uri):
    engine.fills = lambda body: ""
    editor.open(uri, AREA)
    (action,) = await menu(editor, uri, at=at(0))
    done = await resolve(editor, action)
    assert done.edit is None
    said = "Tailora: no docstring came that agrees with the signature"
    await editor.until(lambda: said in editor.messages)


async def test_a_function_is_written_from_its_docstring(editor, engine, uri):
    engine.fills = lambda body: Script(["return width * height\n", "\n\nprint"], finish="length")
    editor.open(uri, EMPTY)
    (action,) = await menu(editor, uri, at=at(1, 8))
    assert action.title == "Tailora: write this function from its docstring"
    done = await resolve(editor, action)
    assert applied(done.edit, EMPTY).rstrip() == EMPTY + "    return width * height"
    assert engine.completions[-1]["tailora"]["adapter"] == "generation"


async def test_they_stand_beside_quick_fixes_and_can_be_asked_for_alone(editor, engine, uri):
    editor.open(uri, AREA)
    found = diagnostic(AREA, "width * height")
    both = await menu(editor, uri, found, at=at(1, 4))
    assert [str(action.kind) for action in both][-1] == "refactor.rewrite.tailora.docstring"
    assert len(both) == 2
    (only,) = await menu(editor, uri, found, at=at(1, 4), only=["refactor.rewrite"])
    assert only.title == "Tailora: write a docstring"
    assert await menu(editor, uri, at=at(1, 4), only=["source"]) == []


async def test_they_can_be_turned_off(editor, engine, uri):
    editor.configure({"tailora": {"docstring": {"enabled": False}, "generation": {"enabled": False}}})
    editor.open(uri, AREA + "\n\n" + EMPTY)
    assert await menu(editor, uri, at=at(0)) == []
    assert await menu(editor, uri, at=at(4)) == []


async def test_closing_the_document_ends_it(editor, engine, uri):
    engine.fills = lambda body: Script(["The area"], hold=True)
    editor.open(uri, AREA)
    waiting = choose(editor, (await menu(editor, uri, at=at(0)))[0])
    await engine.until(lambda: engine.completions)
    editor.close(uri)
    assert (await waiting).edit is None
    await engine.until(lambda: engine.closed_early)


class TestWholeFunctionAsSuggestion:
    async def test_by_command_behind_a_docstring(self, editor, engine, uri):
        engine.fills = lambda body: Script(
            ["area = width * height\n    return", " area\n\n\n", "x"], finish="length"
        )
        text = EMPTY + "    \n\n\nx = 1\n"
        editor.open(uri, text)
        item = await editor.ask(uri, 2, 4, manual=True)
        assert item.insert_text == "area = width * height\n    return area"
        assert item.range == at(2, 4)
        (asked,) = engine.completions
        assert asked["max_tokens"] == 256
        assert asked["tailora"]["adapter"] == "generation"

    async def test_at_the_end_of_the_docstrings_line(self, editor, engine, uri):
        engine.fills = lambda body: "return 1"
        editor.open(uri, EMPTY)
        item = await editor.ask(uri, 1, len(EMPTY.split("\n")[1]), manual=True)
        assert item.insert_text == "\n    return 1"

    async def test_not_while_typing(self, editor, engine, uri):
        engine.script = Script(["return 1\n"])
        editor.open(uri, EMPTY + "    ")
        await editor.ask(uri, 2, 4)
        assert [asked["tailora"]["adapter"] for asked in engine.completions] == ["serving"]

    async def test_where_none_comes_an_ordinary_suggestion_does(self, editor, engine, uri):
        engine.fills = lambda body: "return (1"
        engine.script = Script(["return 1\n"])
        editor.open(uri, EMPTY + "    ")
        item = await editor.ask(uri, 2, 4, manual=True)
        assert item.insert_text == "return 1"
        assert [asked["tailora"]["adapter"] for asked in engine.completions] == ["generation", "serving"]
