"""The first line comes at once, the rest and what would follow it are there before anyone asks."""

import asyncio

import clients
import pytest
import pytest_asyncio
from stub_engine import Script

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXT = "def add(a, b):\n    \n"
AHEAD = {"completion": {"debounceMs": 0}}


def reporting():
    capabilities = clients.vscode()
    capabilities.experimental = {"tailora": {"suggestions": True}}
    return capabilities


@pytest_asyncio.fixture(loop_scope="session")
async def eager(start_editor):
    return await start_editor(reporting(), options=AHEAD)


async def opened(editor, engine, uri, text=TEXT):
    """Opens a document, whose reading is over before anything is asked."""
    script, engine.script, scripts, engine.scripts = engine.script, Script([]), engine.scripts, []
    editor.open(uri, text)
    await engine.until(lambda: engine.completions)
    await editor.command("tailora.pauseLearning")
    engine.completions.clear()
    engine.script, engine.scripts = script, scripts


async def test_whole_lines_are_shown_while_the_rest_comes(eager, engine, uri):
    engine.scripts = [Script(["total = a", " + b\n    ret"], finish=None)]
    await opened(eager, engine, uri)
    assert (await eager.ask(uri, 1, 4)).insert_text == "total = a + b"


async def test_the_rest_is_there_for_whoever_asks_next(eager, engine, uri):
    engine.scripts = [Script(["total = a + b\n", "    return total\n"])]
    engine.script = Script([])
    await opened(eager, engine, uri)
    first = await eager.ask(uri, 1, 4)
    assert first.insert_text.startswith("total = a + b")
    await engine.until(lambda: len(engine.completions) >= 2)  # it was read to its end: work ahead has begun
    assert (await eager.ask(uri, 1, 4)).insert_text == "total = a + b\n    return total"
    eager.insert(uri, 1, 4, "total = a + b")
    assert (await eager.ask(uri, 1, 17)).insert_text == "\n    return total"
    assert not [request for request in engine.completions[1:] if not request["tailora"]["background"]]
    if first.insert_text == "total = a + b":  # else it came in one piece
        (told,) = await eager.until(lambda: eager.refreshes)
        assert told.uri == uri


async def test_who_types_what_is_being_written_waits_on(eager, engine, uri):
    engine.scripts = [Script(["return a", " + b\n"], hold=True)]
    await opened(eager, engine, uri)
    first = asyncio.create_task(eager.ask(uri, 1, 4))
    await engine.until(lambda: engine.completions)
    for number, letter in enumerate("ret"):
        eager.insert(uri, 1, 4 + number, letter)
        asking = asyncio.create_task(eager.ask(uri, 1, 5 + number))
        await eager.command("tailora.pauseLearning")  # the server has seen all that was sent before
        assert await first is None
        first = asking
    engine.release()
    assert (await first).insert_text == "urn a + b"
    assert len([request for request in engine.completions if not request["tailora"]["background"]]) == 1


async def test_who_types_something_else_is_asked_for_anew(eager, engine, uri):
    engine.scripts = [Script(["return a", " + b\n"], hold=True), Script([" = 1\n"])]
    await opened(eager, engine, uri)
    first = asyncio.create_task(eager.ask(uri, 1, 4))
    await engine.until(lambda: engine.completions)
    eager.insert(uri, 1, 4, "x")
    assert (await eager.ask(uri, 1, 5)).insert_text == " = 1"
    assert await first is None
    engine.release()
    await engine.until(lambda: engine.closed_early == 1)


async def test_nobody_waits_so_it_ends(eager, engine, uri):
    engine.scripts = [Script(["return a"], finish=None)]
    await opened(eager, engine, uri)
    waiting = asyncio.create_task(eager.ask(uri, 1, 4))
    await engine.until(lambda: engine.completions)
    eager.close(uri)
    assert await waiting is None
    await engine.until(lambda: engine.closed_early == 1)


async def test_what_follows_an_accepted_suggestion_is_there(eager, engine, uri):
    engine.scripts = [Script(["total = a + b\n"]), Script([]), Script(["return total\n"])]
    await opened(eager, engine, uri)
    assert (await eager.ask(uri, 1, 4)).insert_text == "total = a + b"
    await engine.until(lambda: len(engine.completions) == 3)
    one, two, three = engine.completions
    assert [request["tailora"]["background"] for request in engine.completions] == [False, True, True]
    assert two["prompt"] == one["prompt"] + "total = a + b"
    assert three["prompt"] == two["prompt"] + "\n    "
    assert two["tailora"]["document"] != one["tailora"]["document"]
    await eager.until(lambda: eager.reports)
    eager.insert(uri, 1, 4, "total = a + b")
    assert await eager.ask(uri, 1, 17) is None
    eager.insert(uri, 1, 17, "\n    ")
    assert (await eager.ask(uri, 2, 4)).insert_text == "return total"
    assert len(engine.completions) == 3 or engine.completions[3]["tailora"]["background"]


async def test_typing_something_else_ends_the_work_ahead(eager, engine, uri):
    engine.scripts = [Script(["total = a + b\n"]), Script([], finish=None)]
    await opened(eager, engine, uri)
    await eager.ask(uri, 1, 4)
    await engine.until(lambda: len(engine.completions) == 2)
    eager.insert(uri, 1, 4, "x")
    engine.scripts = [Script([" = 1\n"], finish=None)]
    assert (await eager.ask(uri, 1, 5)).insert_text == " = 1"
    await engine.until(lambda: engine.closed_early >= 1)


async def test_an_opened_document_is_read(eager, engine, uri):
    lines = "".join(f"x{number} = 1\n" for number in range(90))
    eager.open(uri, lines)
    await engine.until(lambda: engine.completions)
    (request,) = engine.completions
    assert request["prompt"] == "".join(lines.splitlines(keepends=True)[:48])
    assert (request["max_tokens"], request["suffix"]) == (0, "")
    assert request["tailora"]["background"] is True


async def test_nothing_is_done_ahead_where_it_is_off(start_editor, engine, uri):
    editor = await start_editor(options={"completion": {"ahead": False}})
    engine.script = Script(["total = a + b\n", "    return total\n"])
    editor.open(uri, TEXT)
    assert (await editor.ask(uri, 1, 4)).insert_text == "total = a + b\n    return total"
    assert await editor.ask(uri, 0, 0)  # another answer: whatever was begun after the first is known by now
    assert not [request for request in engine.completions if request["tailora"]["background"]]


async def test_reports_say_how_an_answer_came_about(eager, engine, uri):
    engine.scripts = [Script(["return a\n"])]
    engine.script = Script([])
    await opened(eager, engine, uri)
    await eager.ask(uri, 1, 4)
    await eager.ask(uri, 1, 4)
    fresh, cached = await eager.until(lambda: len(eager.reports) == 2 and eager.reports)
    assert (fresh.cached, fresh.shown, fresh.uri) == (False, True, uri)
    assert (cached.cached, cached.shown) == (True, True)
    assert engine.completions[0]["tailora"]["stats"] is True


async def test_clients_that_did_not_ask_get_no_reports(start_editor, engine, uri):
    editor = await start_editor(options=AHEAD)
    engine.script = Script(["return a\n"])
    editor.open(uri, TEXT)
    await editor.ask(uri, 1, 4)
    await editor.ask(uri, 1, 4)
    await asyncio.sleep(0)
    assert editor.reports == []


async def test_the_adapter_is_a_setting(start_editor, engine, uri):
    editor = await start_editor(options={"completion": {"adapter": "none"}})
    editor.open(uri, TEXT)
    await editor.ask(uri, 1, 4)
    assert engine.completions[0]["tailora"]["adapter"] == "none"
