"""What is counted of suggestions: once, whoever types through them, accepts them in parts, or changes his mind."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clients
import pytest
from lsprotocol import types
from stub_engine import Script

from tailora.engine.outcomes import note, parse
from tailora.engine.wire import Fields
from tailora.lsp.edits import Edit
from tailora.lsp.outcomes import Offer, Outcomes
from tailora_adapters.outcomes import VersionOutcomes
from tailora_adapters.store import Store

ROOT = Path("/repository")
TEXT = "def add(a, b):\n    \n"
AT = TEXT.index("\n", 16)


class Clock:
    """Calls what is due when a test says that time has passed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> Any:
        entry = (self.now + seconds, call)
        self.calls.append(entry)
        clock = self

        class Handle:
            def cancel(self) -> None:
                if entry in clock.calls:
                    clock.calls.remove(entry)

        return Handle()

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        for entry in [entry for entry in self.calls if entry[0] <= self.now]:
            self.calls.remove(entry)
            entry[1]()


class Desk:
    """Documents, and the outcomes of suggestions in them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.began = 1000.0
        self.texts = {"a": TEXT}
        self.events: list[dict[str, Any]] = []
        self.outcomes = Outcomes(
            lambda root, event: self.events.append(event),
            self.texts.get,
            self.clock.call_later,
            lambda: self.began + self.clock.now,
        )

    def show(self, text: str, at: int = AT, uri: str = "a", end: int | None = None) -> str | None:
        end = at if end is None else end
        return self.outcomes.shown(
            uri, Offer(root=ROOT, language="python", adapter="4", text=text, origin=at, end=end)
        )

    def edit(self, start: int, inserted: str, removed: int = 0, uri: str = "a") -> None:
        source = self.texts[uri]
        self.texts[uri] = source[:start] + inserted + source[start + removed :]
        self.outcomes.edited(uri, Edit(start, source[start : start + removed], inserted))

    def told(self, event: str) -> list[Any]:
        """What was told of that kind: the figure alone."""
        keys = {"shown": "characters", "accepted": "characters", "kept": "ratio"}
        return [told[keys[event]] for told in self.events if told["event"] == event]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_is_told_of_a_suggestion(desk: Desk) -> None:
    ident = desk.show("total = a\n    return total")
    assert desk.events == [
        {
            "event": "shown",
            "id": ident,
            "at": 1000.0,
            "adapter": "4",
            "language": "python",
            "multiline": True,
            "characters": 26,
        }
    ]


def test_typing_through_is_shown_once_and_not_accepted(desk: Desk) -> None:
    ident = desk.show("return a + b")
    for number, character in enumerate("return"):
        desk.edit(AT + number, character)
        assert desk.show("return a + b"[number + 1 :], AT + number + 1) == ident
    assert desk.told("shown") == [12]
    assert desk.told("accepted") == []
    desk.edit(AT + 6, " a + b")  # now the rest of it is taken
    assert desk.told("accepted") == [6]


def test_more_of_the_same_is_the_same(desk: Desk) -> None:
    ident = desk.show("total = a")
    assert desk.show("total = a\n    return total") == ident
    assert desk.show("total = a") == ident
    assert desk.show("total = b") != ident
    assert desk.show("total = a", AT + 1) != ident
    assert desk.told("shown") == [9, 26, 9, 9]


def test_accepted_word_by_word(desk: Desk) -> None:
    desk.show("return a + b")
    desk.edit(AT, "return")
    desk.show(" a + b", AT + 6)
    desk.edit(AT + 6, " a")
    desk.edit(AT + 8, " + b")
    assert desk.told("shown") == [12]
    assert desk.told("accepted") == [6, 8, 12]


def test_accepted_by_line(desk: Desk) -> None:
    desk.show("total = a\n    return total")
    desk.edit(AT, "total = a")
    assert desk.told("accepted") == [9]


@pytest.mark.parametrize(
    "suggested, inserted",
    [
        ("return a", "r"),
        ("return a", "ret"),  # several keystrokes in one change
        ("return a", "result = 1"),
        ("(a, b)", "("),
        ("() + 1", "()"),  # the editor closes a bracket that was typed
        ("\n    return a", "\n    "),  # the editor indents
    ],
)
def test_typed_and_not_accepted(desk: Desk, suggested: str, inserted: str) -> None:
    desk.show(suggested)
    desk.edit(AT, inserted)
    assert desk.told("accepted") == []


@pytest.mark.parametrize("command_first", [False, True])
def test_the_command_and_the_edit_count_once(desk: Desk, command_first: bool) -> None:
    ident = desk.show("return a + b")
    assert ident is not None
    if command_first:
        desk.outcomes.accepted(ident)
    desk.edit(AT, "return a + b")
    if not command_first:
        desk.outcomes.accepted(ident)
    assert desk.told("accepted") == [12]
    desk.clock.pass_by(200)
    assert desk.told("kept") == [1.0, 1.0]


def test_the_command_after_an_edit_that_was_not_recognised(desk: Desk) -> None:
    ident = desk.show(")")
    assert ident is not None
    desk.edit(AT, ")")
    assert desk.told("accepted") == []
    desk.outcomes.accepted(ident)
    desk.outcomes.accepted(ident)
    desk.outcomes.accepted("unknown")
    assert desk.told("accepted") == [1]
    desk.clock.pass_by(30)
    assert desk.told("kept") == [1.0]


def test_the_command_after_a_part(desk: Desk) -> None:
    ident = desk.show("return a + b")
    assert ident is not None
    desk.edit(AT, "return")
    desk.outcomes.accepted(ident)
    assert desk.told("accepted") == [6, 12]


def test_a_menu_item_that_replaces_the_word(desk: Desk) -> None:
    desk.texts["a"] = "os.pa\n"
    desk.show("path.join(a)", 3, end=5)
    desk.edit(3, "path.join(a)", removed=2)
    assert desk.told("shown") == desk.told("accepted") == [10]


def test_a_whole_document_that_holds_the_suggestion(desk: Desk) -> None:
    desk.show("return a + b")
    source = desk.texts["a"]
    new = source[:AT] + "return a + b" + source[AT:]
    desk.texts["a"] = new
    desk.outcomes.edited("a", Edit(0, source, new))
    assert desk.told("accepted") == [12]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_editors_line_endings_hold(desk: Desk, ending: str) -> None:
    desk.texts["a"] = TEXT.replace("\n", "\r\n")
    desk.show("total = a\r\n    return total", AT + 1)
    desk.edit(AT + 1, f"total = a{ending}    return total")
    assert desk.told("accepted") == [25 + len(ending)]
    desk.clock.pass_by(30)
    assert desk.told("kept") == [1.0]


def test_edits_elsewhere_move_the_place(desk: Desk) -> None:
    ident = desk.show("return a + b")
    desk.edit(0, "import os\n")
    desk.edit(len(desk.texts["a"]), "# end\n")
    assert desk.show("return a + b", AT + 10) == ident
    desk.edit(AT + 10, "return a + b")
    assert desk.told("accepted") == [12]
    desk.edit(0, "", removed=10)
    desk.edit(AT + 12, "  # sum")
    desk.clock.pass_by(30)
    assert desk.told("kept") == [1.0]
    desk.edit(AT + 9, "-", removed=1)
    desk.clock.pass_by(150)
    assert desk.told("kept") == [1.0, pytest.approx(11 / 12, abs=1e-4)]
    assert desk.clock.calls == []


def test_undo_right_after_accepting(desk: Desk) -> None:
    ident = desk.show("return a + b")
    desk.edit(AT, "return a + b")
    desk.edit(AT, "", removed=12)
    desk.clock.pass_by(30)
    assert desk.told("kept") == [0.0]
    assert desk.show("return a + b") == ident  # the same suggestion comes up again
    desk.edit(AT, "return a + b")
    assert desk.told("shown") == desk.told("accepted") == [12]
    desk.clock.pass_by(180)
    assert desk.told("kept") == [0.0, 1.0, 1.0]


def test_the_time_runs_from_the_last_part(desk: Desk) -> None:
    desk.show("return a + b")
    desk.edit(AT, "return")
    desk.clock.pass_by(29)
    desk.edit(AT + 6, " a + b")
    desk.clock.pass_by(29)
    assert desk.told("kept") == []
    desk.edit(AT, "", removed=6)
    desk.clock.pass_by(1)
    assert desk.told("kept") == [0.5]


def test_closing_measures_what_was_due_later(desk: Desk) -> None:
    desk.show("return a + b")
    desk.edit(AT, "return a + b")
    desk.clock.pass_by(31)
    desk.edit(AT, "", removed=12)
    desk.outcomes.closing("a")
    desk.texts.pop("a")
    assert [(told["after_s"], told["ratio"]) for told in desk.events if told["event"] == "kept"] == [
        (30, 1.0),
        (180, 0.0),
    ]
    assert desk.clock.calls == []
    assert desk.show("return a + b") is None


def test_documents_do_not_mix(desk: Desk) -> None:
    desk.texts["b"] = TEXT
    first, second = desk.show("return a + b"), desk.show("return a + b", uri="b")
    assert first != second
    desk.edit(AT, "return a + b", uri="b")
    assert [told["id"] for told in desk.events if told["event"] == "accepted"] == [second]
    desk.outcomes.close()
    assert {told["id"] for told in desk.events if told["event"] == "kept"} == {second}


def test_old_suggestions_are_forgotten(desk: Desk) -> None:
    first = desk.show("one two")
    desk.edit(AT, "one two")
    for number in range(20):
        desk.show(f"three {number}", AT + 7)
    desk.clock.pass_by(30)
    assert [told["id"] for told in desk.events if told["event"] == "kept"] == [first]
    desk.clock.pass_by(150)
    desk.show("last", AT + 7)
    assert len(desk.outcomes._offers["a"]) == 8


def test_no_text_of_a_document_is_stored(desk: Desk, store_home: Path, tmp_path: Path) -> None:
    desk.began = time.time()  # or it would be too old to keep
    desk.texts["a"] = "plugh = 1\n"
    desk.show("xyzzy = plugh", 0)
    desk.edit(0, "xyzzy = plugh")
    desk.outcomes.closing("a")
    body = json.loads(json.dumps({"root": str(tmp_path), "events": desk.events}))
    store = Store().project(tmp_path)
    note(store, "m", parse(Fields(body)).events)
    assert store.outcomes.summary()["4"] == VersionOutcomes(1, 1, 1.0, 1.0, 1, 1)
    files = [path for path in store_home.rglob("*") if path.is_file()]
    assert store.outcomes.path in files
    for path in files:
        assert b"xyzzy" not in path.read_bytes()
        assert b"plugh" not in path.read_bytes()


def told_to(engine: Any, kind: str) -> list[dict[str, Any]]:
    """The events of that kind that an engine was sent."""
    return [event for body in engine.called("outcomes") for event in body["events"] if event["event"] == kind]


@pytest.mark.asyncio(loop_scope="session")
async def test_an_editor_accepts(editor, engine, repository, uri):
    engine.script = Script(["return a", " + b\n"], adapter="7")
    editor.open(uri, TEXT)
    item = await editor.ask(uri, 1, 4)
    assert item.command.command == "tailora.accepted"
    assert (await editor.ask(uri, 1, 4)).command == item.command  # from memory
    editor.insert(uri, 1, 4, "return a + b")
    await editor.command(item.command.command, *item.command.arguments)
    editor.close(uri)
    await engine.until(lambda: told_to(engine, "kept"))
    (shown,), (accepted,) = told_to(engine, "shown"), told_to(engine, "accepted")
    assert {body["root"] for body in engine.called("outcomes")} == {str(repository.resolve())}
    assert (shown["adapter"], shown["characters"], shown["multiline"]) == ("7", 12, False)
    assert accepted == {"event": "accepted", "id": shown["id"], "characters": 12}
    assert [event["ratio"] for event in told_to(engine, "kept")] == [1.0, 1.0]


@pytest.mark.asyncio(loop_scope="session")
async def test_what_waits_is_sent_at_the_end(start_editor, engine, uri):
    engine.script = Script(["return a + b\n"], adapter="foundation")
    editor = await start_editor()
    editor.open(uri, TEXT)
    await editor.ask(uri, 1, 4)
    editor.insert(uri, 1, 4, "return a")  # a part, by an editor that tells no more
    await editor.stop()
    assert [event["adapter"] for event in told_to(engine, "shown")] == ["foundation"]
    assert [event["characters"] for event in told_to(engine, "accepted")] == [8]
    assert len(told_to(engine, "kept")) == 2


@pytest.mark.asyncio(loop_scope="session")
async def test_the_popup_is_counted_too(start_editor, engine, uri):
    engine.script = Script(["turn a + b\n"], adapter="7")
    editor = await start_editor(clients.plain(), options={"completion": {"popup": True, "ahead": False}})
    editor.open(uri, "def add(a, b):\n    re\n")
    found = await editor.client.text_document_completion_async(
        types.CompletionParams(types.TextDocumentIdentifier(uri), types.Position(1, 6))
    )
    (item,) = found.items
    change = types.TextDocumentContentChangePartial(item.text_edit.range, item.text_edit.new_text)
    identifier = types.VersionedTextDocumentIdentifier(2, uri)
    editor.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
    await editor.command(item.command.command, *item.command.arguments)
    editor.close(uri)
    await engine.until(lambda: told_to(engine, "kept"))
    assert [event["characters"] for event in told_to(engine, "shown")] == [10]
    assert [event["characters"] for event in told_to(engine, "accepted")] == [10]


@pytest.mark.asyncio(loop_scope="session")
async def test_nothing_is_counted_where_the_settings_say_so(start_editor, engine, uri):
    engine.script = Script(["return a + b\n"], adapter="7")
    editor = await start_editor(options={"outcomes": {"enabled": False}})
    editor.open(uri, TEXT)
    item = await editor.ask(uri, 1, 4)
    assert item.command is None
    assert engine.completions[0]["tailora"]["stats"] is False
    editor.insert(uri, 1, 4, "return a + b")
    await editor.stop()
    assert engine.called("outcomes") == []


@pytest.mark.asyncio(loop_scope="session")
async def test_an_engine_that_cannot_store_disturbs_nothing(editor, engine, uri):
    engine.script = Script(["return a + b\n"], adapter="7")
    engine.refusal = (500, "internal", "the disk is full")
    before = list(editor.messages)
    editor.open(uri, TEXT)
    assert await editor.ask(uri, 1, 4) is not None
    other = uri.replace(".py", "_other.py")
    editor.open(other, TEXT)
    editor.close(other)
    await engine.until(lambda: engine.called("outcomes"))
    assert (await editor.ask(uri, 1, 4)).insert_text == "return a + b"
    assert editor.messages == before


@pytest.mark.asyncio(loop_scope="session")
async def test_a_rollback_by_itself_is_said(editor, engine):
    engine.change(project={"serving": "3", "withdrawn": "version 4 was rolled back by itself: why"})
    await editor.until(lambda: "Tailora: version 4 was rolled back by itself: why" in editor.messages)
    before = len(editor.messages)
    engine.change(project={"serving": "3", "message": "nothing new"})
    await editor.status(lambda told: told.project.message == "nothing new")
    assert len(editor.messages) == before
