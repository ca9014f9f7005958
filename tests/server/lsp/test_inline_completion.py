"""Ghost text over the real protocol: ranges, encodings, caching, who wins, deadlines, reasons for silence."""

import asyncio
import time

import clients
import pytest
from lsprotocol import types
from stub_engine import Script

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXT = "def add(a, b):\n    \n"


def _empty(line, character):
    return types.Range(types.Position(line, character), types.Position(line, character))


async def test_capabilities_are_advertised(editor):
    result = editor.result
    assert result.server_info.name == "tailora"
    capabilities = result.capabilities
    assert capabilities.inline_completion_provider == types.InlineCompletionOptions()
    assert capabilities.text_document_sync.change == types.TextDocumentSyncKind.Incremental
    assert capabilities.workspace.workspace_folders.change_notifications is True
    assert "tailora.trainNow" in capabilities.execute_command_provider.commands
    assert capabilities.completion_provider is None
    assert capabilities.position_encoding == types.PositionEncodingKind.Utf16


async def test_a_suggestion_and_what_the_engine_was_asked(editor, engine, repository, uri):
    engine.script = Script(["return a", " + b\n", "\n"])
    editor.open(uri, TEXT)
    item = await editor.ask(uri, 1, 4)
    assert item.insert_text == "return a + b"
    assert item.range == _empty(1, 4)
    (request,) = engine.completions
    assert request["prompt"] == "def add(a, b):\n    "
    assert request["suffix"] == "\n"
    assert request["stream"] is True
    asked = request["tailora"]
    assert asked["project"] == str(repository.resolve())
    assert asked["path"] == uri.rpartition("/")[2]
    assert asked["language"] == "python"
    assert asked["document"].endswith(f":{uri}")
    assert (await editor.status(lambda told: told.suggestion.shown)).suggestion.reason is None


async def test_typing_what_was_suggested_asks_no_engine(editor, engine, repository, uri):
    engine.script = Script(["return a + b\n"])
    editor.open(uri, TEXT)
    assert (await editor.ask(uri, 1, 4)).insert_text == "return a + b"
    editor.insert(uri, 1, 4, "return")
    item = await editor.ask(uri, 1, 10)
    assert item.insert_text == " a + b"
    assert item.range == _empty(1, 10)
    assert len(engine.completions) == 1
    # Another adapter answers by itself: what the one before suggested is not shown.
    engine.change(project={"serving": "v0001"})
    await editor.status(lambda told: told.project.serving == "v0001")
    engine.script = Script([" sum\n"])
    assert (await editor.ask(uri, 1, 10)).insert_text == " sum"


@pytest.mark.parametrize("width", [2, 4], ids=["vscode-utf16", "neovim-utf8"])
async def test_wide_and_right_to_left_characters(width, editor, start_editor, engine, uri):
    if width == 4:
        editor = await start_editor(clients.neovim())
    hebrew = "שלום"
    line = f'x = "😀{hebrew}" + '
    editor.open(uri, line + "\n")
    hebrew_width = len(hebrew) * (2 if width == 4 else 1)
    column = len('x = "') + width + hebrew_width + len('" + ')
    engine.script = Script(["y\n"])
    item = await editor.ask(uri, 0, column)
    assert engine.completions[-1]["prompt"] == line
    assert item.range == _empty(0, column)
    # Edits land in the right place too.
    editor.insert(uri, 0, len('x = "') + width, "!")
    await editor.ask(uri, 0, column + 1, manual=True)
    assert engine.completions[-1]["prompt"] == f'x = "😀!{hebrew}" + '


async def test_line_endings_and_tabs(editor, engine, repository, uri):
    go = (repository / "tabs.go").as_uri()
    editor.open(go, "func f() {\r\n\tx := 1\r\n\t\r\n}\r\n", "go")
    engine.script = Script(["y := 2\n", "\treturn y\n", "}\n"])
    item = await editor.ask(go, 2, 1, manual=True)
    assert item.insert_text == "y := 2\r\n\treturn y"
    assert item.range == _empty(2, 1)
    # A form feed or a Unicode separator is no line end, or every edit below would be off by a line.
    odd = (repository / "odd.py").as_uri()
    editor.open(odd, "a = 1\x0c\u2028\nb = 2\n")
    editor.insert(odd, 1, 5, "2")
    await editor.ask(odd, 1, 6, manual=True)
    assert engine.completions[-1]["prompt"] == "a = 1\x0c\u2028\nb = 22"


async def test_the_selected_menu_item_begins_the_suggestion(editor, engine, repository, uri):
    editor.open(uri, "import os\nos.pa\n")
    engine.script = Script([".join(a, b)\n"])
    replaced = types.Range(types.Position(1, 3), types.Position(1, 5))
    item = await editor.ask(uri, 1, 5, selected=types.SelectedCompletionInfo(replaced, "path"))
    assert engine.completions[-1]["prompt"] == "import os\nos.path"
    assert item.insert_text == "path.join(a, b)"
    assert item.range == replaced


async def test_a_cursor_past_the_end_is_brought_back(editor, engine, repository, uri):
    editor.open(uri, "x = 1\ny = ")
    item = await editor.ask(uri, 1, 400)
    assert item.range == _empty(1, 4)
    item = await editor.ask(uri, 900, 3)
    assert item.range == _empty(1, 4)
    assert engine.completions[-1]["prompt"] == "x = 1\ny = "


async def test_newest_wins(editor, engine, repository, uri):
    editor.configure({"tailora": {"completion": {"debounceMs": 0}}})
    editor.open(uri, TEXT)
    engine.script = Script(["ret"], finish=None)
    older = asyncio.create_task(editor.ask(uri, 1, 4))
    await engine.until(lambda: engine.completions)
    engine.script = Script(["return a + b\n"])
    assert (await editor.ask(uri, 1, 3)).insert_text == "return a + b"
    assert await older is None
    await engine.until(lambda: engine.closed_early)  # the older stream was closed, which frees the model


async def test_nothing_in_time(editor, engine, repository, uri):
    editor.configure({"tailora": {"completion": {"deadlineMs": 150, "debounceMs": 0}}})
    editor.open(uri, TEXT)
    engine.script = Script(["return a"], finish=None)
    assert await editor.ask(uri, 1, 4) is None
    await editor.reason("too slow")
    # Whole lines that are there by then are shown.
    engine.script = Script(["total = a + b\n", "    retu"], finish=None)
    item = await editor.ask(uri, 1, 4, manual=True)
    assert item.insert_text == "total = a + b"


async def test_manual_asks_anew_and_for_more_than_a_line(editor, engine, repository, uri):
    editor.configure({"tailora": {"completion": {"debounceMs": 5000}}})
    editor.open(uri, "x = 1\n\n")
    engine.script = Script(["y = 2\n", "z = 3\n", "\n"])
    before = time.monotonic()
    item = await editor.ask(uri, 1, 0, manual=True)
    assert time.monotonic() - before < 4  # no debounce
    assert item.insert_text == "y = 2\nz = 3"


async def test_what_was_edited_elsewhere_is_context(editor, engine, repository, uri):
    elsewhere = (repository / "elsewhere.py").as_uri()
    editor.open(elsewhere, "def helper(number):\n    \n")
    editor.insert(elsewhere, 1, 4, "return number * 2")
    editor.open(uri, "x = ")
    await editor.ask(uri, 0, 4)
    context = {item["path"]: item["text"] for item in engine.completions[-1]["tailora"]["context"]}
    assert "return number * 2" in context["elsewhere.py"]


async def test_what_the_engine_drops_for_a_newer_request_is_no_reason(editor, engine, uri):
    editor.open(uri, "x = ")
    await editor.ask(uri, 0, 4)
    engine.script = Script([], finish="superseded")
    assert await editor.ask(uri, 0, 4, manual=True) is None
    assert (await editor.command("tailora.status"))["suggestion"] == {"shown": True, "reason": None}


async def test_half_a_surrogate_pair(editor, engine, uri):
    editor.open(uri, 'x = "\ud83d" + ')
    assert (await editor.ask(uri, 0, 11)).insert_text == "return 1"
    assert engine.completions[-1]["prompt"] == 'x = "?" + '


async def test_silence_has_a_reason_and_sends_nothing(editor, engine, repository):
    editor.configure({"tailora": {"completion": {"languagesOff": ["markdown"], "maxFileKb": 4}}})
    never_opened = repository / "never_opened.py"
    never_opened.write_text("secret = 1\n")
    for name, text, language, reason in (
        (".env", "KEY=", "dotenv", "secrets"),
        ("server.pem", "-----", "plaintext", "secrets"),
        ("a.md", "# a", "markdown", "turned off for markdown"),
        ("a.bin", "\0\1", "plaintext", "binary"),
        ("big.py", "x = 1\n" * 1000, "python", "too large: 5 KiB"),
        ("never_opened.py", None, "", "never opened"),
    ):
        uri = (repository / name).as_uri()
        if text is not None:
            editor.open(uri, text, language)
        assert await editor.ask(uri, 0, 0, manual=True) is None
        await editor.reason(reason)
    git = "git:/a.py?ref=HEAD"
    editor.open(git, "x = ")
    assert await editor.ask(git, 0, 4) is None
    await editor.reason("no suggestions in “git” documents")
    assert engine.completions == []
    untitled = "untitled:Untitled-1"
    editor.open(untitled, "x = ")
    assert (await editor.ask(untitled, 0, 4)).insert_text == "return 1"


async def test_a_huge_document_stalls_nothing(editor, engine, repository, uri):
    huge, small = ((repository / name).as_uri() for name in ("huge.py", "small.py"))
    editor.open(huge, "x = 1\n" * 3_500_000)  # 20 MB
    editor.open(small, TEXT)
    for column in range(200):  # each would cost a tenth of a second if the text were kept
        editor.insert(huge, 3, column, "y")
    assert await editor.ask(huge, 3, 0) is None
    await editor.reason("too large: 20507 KiB")
    assert await editor.ask(small, 1, 4) is not None


async def test_a_document_that_is_closed_gets_no_suggestion(editor, engine, repository, uri):
    editor.configure({"tailora": {"completion": {"debounceMs": 0}}})
    editor.open(uri, TEXT)
    engine.script = Script(["ret"], finish=None)
    waiting = asyncio.create_task(editor.ask(uri, 1, 4))
    await engine.until(lambda: engine.completions)
    editor.close(uri)
    assert await waiting is None
    assert await editor.ask(uri, 1, 4) is None
    await editor.reason("never opened")
