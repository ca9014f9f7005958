"""Quick fixes over the real protocol: nothing before it is chosen, nothing untried, nothing stale."""

import asyncio

import clients
import pytest
from lsprotocol import types
from repair_client import FIXED, TEXT, applied, capabilities, choose, diagnostic, menu, resolve
from stub_engine import Script

pytestmark = pytest.mark.asyncio(loop_scope="session")

KINDS = types.CodeActionKind


@pytest.fixture
def model(engine):
    """The stub engine, whose model mends ``TEXT``."""
    engine.fills = lambda body: "return width * height"
    return engine


async def test_the_menu_computes_nothing(editor, model, uri):
    editor.open(uri, TEXT)
    found = diagnostic()
    (action,) = await menu(editor, uri, found)
    assert action.title == "Tailora: find a fix that holds for “Undefined name `breadth`”"
    assert (action.kind, action.diagnostics) == (KINDS.QuickFix, (found,))
    assert action.data
    assert action.edit is None
    assert not action.is_preferred
    assert model.completions == []


async def test_what_is_chosen_comes_with_a_verified_edit(editor, model, uri):
    editor.open(uri, TEXT)
    editor.insert(uri, 2, 0, "# more\n")
    (action,) = await menu(editor, uri, diagnostic())
    done = await resolve(editor, action)
    assert done.title.startswith("Fix: “return width * height” · diagnostic cleared")
    assert done.is_preferred is True
    (change,) = done.edit.document_changes
    assert (change.text_document.uri, change.text_document.version) == (uri, editor.version)
    assert applied(done.edit, TEXT) == FIXED
    asked = model.completions[-1]
    assert asked["tailora"]["path"] == uri.rpartition("/")[2]
    assert asked["tailora"]["language"] == "python"


async def test_the_next_menu_has_the_edits_at_once(editor, engine, uri):
    lines = iter(["return width * height", "return height * width", "return width", "return height"])
    engine.fills = lambda body: next(lines, "return 1")
    editor.open(uri, TEXT)
    await resolve(editor, (await menu(editor, uri, diagnostic()))[0])
    before = len(engine.completions)
    actions = await menu(editor, uri, diagnostic())
    assert 2 <= len(actions) <= 3
    assert all(action.title.startswith("Fix: “return ") for action in actions)
    assert all(" · diagnostic cleared" in action.title for action in actions)
    assert all(action.edit is not None for action in actions)
    assert [action.is_preferred for action in actions] == [True, *[None] * (len(actions) - 1)]
    assert len(engine.completions) == before


async def test_nothing_that_holds_is_said(editor, engine, uri):
    engine.fills = lambda body: "return wdth * height"
    editor.open(uri, TEXT)
    (action,) = await menu(editor, uri, diagnostic())
    done = await resolve(editor, action)
    assert done.edit is None
    await editor.until(lambda: editor.messages)
    assert editor.messages[-1].startswith("Tailora: nothing was found that holds (")
    assert (await menu(editor, uri, diagnostic())) == [action]


async def test_without_its_checker_nothing_is_called_cleared(editor, model, uri):
    editor.open(uri, TEXT)
    (action,) = await menu(editor, uri, diagnostic(source="someone", code=7))
    done = await resolve(editor, action)
    assert applied(done.edit, TEXT) == FIXED
    assert "parses" in done.title
    assert "cleared" not in done.title
    assert not done.is_preferred
    said = "Tailora: this fix is not verified: no installed checker answers for “someone”"
    await editor.until(lambda: said in editor.messages)


async def test_without_any_checker_it_only_parses(start_editor, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    editor = await start_editor(capabilities())
    engine.fills = lambda body: "return width"
    uri, text = (tmp_path / "a.js").as_uri(), "function f(width) {\n    return breadth;\n}\n"
    editor.open(uri, text, "javascript")
    (action,) = await menu(editor, uri, diagnostic(text, source="eslint", code="no-undef"))
    engine.fills = lambda body: "return width;"
    done = await resolve(editor, action)
    assert done.title == "Fix: “return width;” · parses"
    assert not done.is_preferred


async def test_an_edit_follows_what_was_typed_elsewhere(editor, engine, uri):
    text = TEXT + "\n\nx = 1\n"
    engine.fills = lambda body: Script(["return width * height"], hold=True, judged="x")
    editor.open(uri, text)
    waiting = choose(editor, (await menu(editor, uri, diagnostic(text)))[0])
    await engine.until(lambda: any("middle" not in asked["tailora"] for asked in engine.completions))
    editor.insert(uri, 0, 0, '"""Areas."""\n')
    await menu(editor, uri)  # by its answer the edit is known
    engine.release()
    done = await waiting
    (change,) = done.edit.document_changes
    assert change.text_document.version == editor.version
    assert applied(done.edit, '"""Areas."""\n' + text) == '"""Areas."""\n' + text.replace("breadth", "width")


async def test_an_edit_of_a_line_that_was_changed_is_withdrawn(editor, engine, uri):
    engine.fills = lambda body: Script(["return width * height"], hold=True, judged="x")
    editor.open(uri, TEXT)
    waiting = choose(editor, (await menu(editor, uri, diagnostic()))[0])
    await engine.until(lambda: any("middle" not in asked["tailora"] for asked in engine.completions))
    editor.insert(uri, 1, 11, "2 * ")
    await menu(editor, uri)
    engine.release()
    assert (await waiting).edit is None
    await editor.until(lambda: editor.messages)
    assert "changed" in editor.messages[-1]


async def test_closing_the_document_ends_its_repair(editor, engine, uri):
    engine.fills = lambda body: Script(["return"], finish=None)
    editor.open(uri, TEXT)
    waiting = choose(editor, (await menu(editor, uri, diagnostic()))[0])
    await engine.until(lambda: any("middle" not in asked["tailora"] for asked in engine.completions))
    editor.close(uri)
    assert (await waiting).edit is None
    await engine.until(lambda: engine.closed_early)
    editor.open(uri, TEXT)
    engine.fills = lambda body: "return width * height"
    assert (await resolve(editor, (await menu(editor, uri, diagnostic()))[0])).is_preferred


async def test_an_action_of_a_closed_document(editor, model, uri):
    editor.open(uri, TEXT)
    (action,) = await menu(editor, uri, diagnostic())
    editor.close(uri)
    assert (await resolve(editor, action)).edit is None
    assert editor.messages[-1] == "Tailora: the file has changed since; ask again"
    assert model.completions == []


async def test_windows_line_ends_stay(editor, engine, uri):
    engine.fills = lambda body: "wide = width\n    return wide * height"
    editor.open(uri, TEXT.replace("\n", "\r\n"))
    done = await resolve(editor, (await menu(editor, uri, diagnostic()))[0])
    after = applied(done.edit, TEXT.replace("\n", "\r\n"))
    assert after == TEXT.replace("return breadth", "wide = width\n    return wide").replace("\n", "\r\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_positions_behind_other_characters(encoding, start_editor, model, uri):
    able = capabilities()
    able.general.position_encodings = [types.PositionEncodingKind(encoding)]
    editor = await start_editor(able)
    text = 'def area(width, height):\n    return "ä😀", breadth * height\n'
    model.fills = lambda body: 'return "ä😀", width * height'
    codec = encoding if encoding == "utf-8" else f"{encoding}-le"
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    editor.open(uri, text)
    found = diagnostic(text, units=lambda part: len(part.encode(codec)) // width)
    done = await resolve(editor, (await menu(editor, uri, found))[0])
    assert done.is_preferred
    assert applied(done.edit, text, encoding) == text.replace("breadth", "width")


async def test_absurd_ranges(editor, model, uri):
    editor.open(uri, TEXT)
    far = types.Range(types.Position(1, 900), types.Position(2**31 - 1, 2**31 - 1))
    back = types.Range(types.Position(900, 5), types.Position(0, 0))
    for there in (far, back):
        found = diagnostic()
        found.range = there
        done = await resolve(editor, (await menu(editor, uri, found))[0])
        assert done.title


async def test_a_negative_line_is_refused_and_the_server_goes_on(raw):
    await raw.initialize()
    nowhere = {"line": -1, "character": 0}
    found = {"range": {"start": nowhere, "end": nowhere}, "message": "m"}
    params = {
        "textDocument": {"uri": "file:///a.py"},
        "range": found["range"],
        "context": {"diagnostics": [found]},
    }
    assert (await raw.request(1, "textDocument/codeAction", params))["error"]["code"] == -32602
    assert "result" in await raw.request(2, "shutdown")


async def test_a_file_that_was_never_opened(editor, engine, uri):
    assert await menu(editor, uri, diagnostic()) == []
    assert await menu(editor, "untitled:Untitled-1", diagnostic()) == []
    assert engine.completions == []


async def test_numbers_as_codes_and_markdown_as_messages(raw, home, repository, model):
    params = {"processId": None, "rootUri": None, "capabilities": RAW}
    await raw.request(0, "initialize", params)
    raw.notify("initialized", {})
    uri = (repository / "markdown.py").as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": TEXT}
    raw.notify("textDocument/didOpen", {"textDocument": document})
    there = {"start": {"line": 1, "character": 11}, "end": {"line": 1, "character": 16}}
    message = {"kind": "markdown", "value": "Undefined name `breadth`"}
    found = {"range": there, "message": message, "code": 821, "severity": 1}
    context = {"diagnostics": [found], "triggerKind": 1}
    params = {"textDocument": {"uri": uri}, "range": there, "context": context}
    (action,) = (await raw.request(1, "textDocument/codeAction", params))["result"]
    assert action["title"].endswith("“Undefined name `breadth`”")
    action["diagnostics"] = [found]
    done = (await raw.request(2, "codeAction/resolve", action))["result"]
    assert done["edit"]["changes"][uri][0]["newText"]


async def test_five_hundred_diagnostics(editor, model, uri):
    editor.open(uri, TEXT)
    many = [diagnostic(message=f"number {number}") for number in range(500)]
    actions = await menu(editor, uri, *many)
    assert len(actions) == 8
    (fix_all,) = await menu(editor, uri, *many, only=["source.fixAll"])
    assert len(fix_all.data["all"]) == 20
    assert model.completions == []


async def test_the_same_diagnostic_twice_and_hints(editor, model, uri):
    editor.open(uri, TEXT)
    hint = diagnostic(message="unused")
    hint.severity = types.DiagnosticSeverity.Hint
    assert len(await menu(editor, uri, diagnostic(), diagnostic(), hint)) == 1


async def test_only_what_is_asked_for(editor, model, uri):
    editor.open(uri, TEXT)
    found = diagnostic()
    assert await menu(editor, uri, found, only=["refactor"]) == []
    assert [action.kind for action in await menu(editor, uri, found, only=["quickfix"])] == ["quickfix"]
    for only in (["source.fixAll"], ["source.fixAll.tailora"]):
        (action,) = await menu(editor, uri, found, only=only)
        assert (action.kind, action.title) == ("source.fixAll.tailora", "Tailora: apply all verified fixes")
    assert await menu(editor, uri, found, only=["source.organizeImports"]) == []
    assert await menu(editor, uri, only=["source.fixAll"]) == []


async def test_saving_waits_for_no_model_unless_it_was_asked_to(editor, model, uri):
    editor.open(uri, TEXT)
    saving = types.CodeActionTriggerKind.Automatic
    assert await menu(editor, uri, diagnostic(), only=["source.fixAll"], trigger=saving) == []
    assert len(await menu(editor, uri, diagnostic(), only=["source.fixAll.tailora"], trigger=saving)) == 1


async def test_all_that_is_verified(editor, engine, uri):
    text = "def f(a):\n    x = aa\n    return x\n\n\ndef g(b):\n    return bb\n\n\ndef h(c):\n    return cc\n"

    def fill(body):
        if "def g" in body["prompt"] and "def h" not in body["prompt"]:
            return "d = b\n    return d"  # one line more
        return "return ccc" if "def h" in body["prompt"] else "x = a"

    engine.fills = fill
    editor.open(uri, text)
    found = [diagnostic(text, word) for word in ("aa", "bb", "cc")]
    (action,) = await menu(editor, uri, *found, only=["source.fixAll"])
    done = await resolve(editor, action)
    assert done.title == "Tailora: 2 of 3 fixed, verified"
    expected = text.replace("= aa", "= a").replace("return bb", "d = b\n    return d")
    assert applied(done.edit, text) == expected


async def test_one_import_for_several_diagnostics(editor, engine, repository, uri):
    text = "def f(a):\n    return json.dumps(a)\n\n\ndef g(b):\n    return json.loads(b)\n"
    engine.fills = lambda body: "pass"
    editor.open(uri, text)
    one = diagnostic(text, "json")
    other = diagnostic(text, "json.loads", message="Undefined name `json`")
    other.range.end.character -= len(".loads")
    (action,) = await menu(editor, uri, one, other, only=["source.fixAll"])
    done = await resolve(editor, action)
    assert done.title == "Tailora: 2 of 2 fixed, verified"
    assert applied(done.edit, text) == "import json\n\n\n" + text


async def test_imports_that_the_project_knows(start_editor, engine, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "prices.py").write_text("def net(gross):\n    return gross / 1.19\n")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "net.py").write_text("from nowhere import net\n" * 9)
    (tmp_path / ".gitignore").write_text("hidden\n")
    (tmp_path / ".git").mkdir()
    editor = await start_editor(capabilities(), folders=[tmp_path])
    engine.fills = lambda body: "pass"
    text = "def total(prices):\n    return sum(net(price) for price in prices)\n"
    uri = (tmp_path / "till.py").as_uri()
    editor.open(uri, text)
    done = await resolve(editor, (await menu(editor, uri, diagnostic(text, "net")))[0])
    assert done.title.startswith("Fix: “from shop.prices import net” · diagnostic cleared")
    assert applied(done.edit, text) == "from shop.prices import net\n\n\n" + text


@pytest.mark.parametrize("known", [True, False])
async def test_that_a_model_wrote_it_is_told_to_those_who_know_the_tag(known, start_editor, model, uri):
    able = capabilities()
    llm = types.CodeActionTagOptions([types.CodeActionTag.LlmGenerated])
    able.text_document.code_action.tag_support = llm if known else None
    editor = await start_editor(able)
    editor.open(uri, TEXT)
    (action,) = await menu(editor, uri, diagnostic())
    assert action.tags == ((types.CodeActionTag.LlmGenerated,) if known else None)


async def test_turned_off(editor, model, uri):
    editor.configure({"tailora": {"repair": {"enabled": False}}})
    editor.open(uri, TEXT)
    assert await menu(editor, uri, diagnostic()) == []


async def test_clients_that_cannot_resolve_get_no_action_that_does_nothing(start_editor, model, uri):
    editor = await start_editor(clients.plain())
    editor.open(uri, TEXT)
    assert await menu(editor, uri, diagnostic()) == []


async def test_clients_without_versioned_edits(start_editor, model, uri):
    able = capabilities()
    able.workspace.workspace_edit.document_changes = None
    editor = await start_editor(able)
    editor.open(uri, TEXT)
    done = await resolve(editor, (await menu(editor, uri, diagnostic()))[0])
    assert done.edit.document_changes is None
    assert applied(done.edit, TEXT) == FIXED


async def test_secret_files(editor, model, repository):
    uri = (repository / ".env").as_uri()
    editor.open(uri, TEXT)
    assert await menu(editor, uri, diagnostic()) == []


async def test_a_cancelled_repair(raw, engine, repository):
    engine.fills = lambda body: Script(["return"], finish=None)
    await raw.request(0, "initialize", {"processId": None, "rootUri": None, "capabilities": RAW})
    raw.notify("initialized", {})
    uri = (repository / "cancelled.py").as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": TEXT}
    raw.notify("textDocument/didOpen", {"textDocument": document})
    params = raw_menu(uri)
    (action,) = (await raw.request(1, "textDocument/codeAction", params))["result"]
    raw.send({"jsonrpc": "2.0", "id": 2, "method": "codeAction/resolve", "params": action})
    await engine.until(lambda: any("middle" not in asked["tailora"] for asked in engine.completions))
    raw.notify("$/cancelRequest", {"id": 2})
    assert (await raw.answer(2))["error"]["code"] == -32800
    await engine.until(lambda: engine.closed_early)
    engine.fills = lambda body: "return width * height"
    assert (await raw.request(3, "textDocument/codeAction", params))["result"] == [action]
    assert (await raw.request(4, "codeAction/resolve", action))["result"]["isPreferred"] is True
    assert not [note for note in raw.notifications if note["method"] == "window/showMessage"]
    assert set(raw.counts().values()) == {1}


async def test_shutdown_during_a_repair(raw, engine, repository):
    engine.fills = lambda body: Script(["return"], finish=None)
    await raw.request(0, "initialize", {"processId": None, "rootUri": None, "capabilities": RAW})
    raw.notify("initialized", {})
    uri = (repository / "shutdown.py").as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": TEXT}
    raw.notify("textDocument/didOpen", {"textDocument": document})
    (action,) = (await raw.request(1, "textDocument/codeAction", raw_menu(uri)))["result"]
    raw.send({"jsonrpc": "2.0", "id": 2, "method": "codeAction/resolve", "params": action})
    await engine.until(lambda: any("middle" not in asked["tailora"] for asked in engine.completions))
    assert (await raw.request(3, "shutdown"))["result"] is None
    await raw.answer(2)
    await engine.until(lambda: engine.closed_early)
    raw.notify("exit", None)
    assert await asyncio.wait_for(raw.process.wait(), clients.PATIENCE_S) == 0
    assert set(raw.counts().values()) == {1}


async def test_progress_and_its_cancel_button(start_editor, engine, uri):
    engine.fills = lambda body: Script(["return"], finish=None)
    editor = await start_editor(capabilities())
    editor.open(uri, TEXT)
    (action,) = await menu(editor, uri, diagnostic())
    waiting = choose(editor, action)
    await engine.until(lambda: any("middle" not in asked["tailora"] for asked in engine.completions))
    ((token, reports),) = (await editor.until(lambda: dict(editor.client.progress_reports))).items()
    assert isinstance(reports[0], types.WorkDoneProgressBegin)
    assert reports[0].title.startswith("Repairing ")
    assert reports[0].cancellable is True
    assert any(isinstance(report, types.WorkDoneProgressReport) for report in reports)
    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    assert (await waiting).edit is None
    await editor.until(lambda: isinstance(reports[-1], types.WorkDoneProgressEnd))
    await engine.until(lambda: engine.closed_early)
    assert editor.messages == []
    engine.fills = lambda body: "return width * height"
    assert (await resolve(editor, action)).is_preferred is True


async def test_an_editor_that_never_answers_about_progress_gets_its_repair(raw, model, repository):
    able = {**RAW, "window": {"workDoneProgress": True}}
    await raw.request(0, "initialize", {"processId": None, "rootUri": None, "capabilities": able})
    raw.notify("initialized", {})
    uri = (repository / "silent.py").as_uri()
    document = {"uri": uri, "languageId": "python", "version": 1, "text": TEXT}
    raw.notify("textDocument/didOpen", {"textDocument": document})
    (action,) = (await raw.request(1, "textDocument/codeAction", raw_menu(uri)))["result"]
    assert (await raw.request(2, "codeAction/resolve", action))["result"]["isPreferred"] is True
    methods = [note["method"] for note in raw.notifications]
    assert "window/workDoneProgress/create" in methods
    assert "$/progress" not in methods


async def test_one_repair_at_a_time_in_a_document(editor, engine, uri):
    engine.fills = lambda body: Script(["return width * height"], hold=True, judged="x")
    editor.open(uri, TEXT)
    (action,) = await menu(editor, uri, diagnostic())
    both = [choose(editor, action), choose(editor, action)]
    await engine.until(lambda: any("middle" not in asked["tailora"] for asked in engine.completions))
    assert len([asked for asked in engine.completions if "middle" not in asked["tailora"]]) == 1
    engine.release()
    first, second = await asyncio.gather(*both)
    assert first.edit == second.edit
    assert first.is_preferred is second.is_preferred is True


async def test_an_engine_that_refuses(editor, engine, uri):
    refusal = Script(error=(409, "model_missing", "the model is not on this machine"))
    engine.fills = lambda body: refusal
    editor.open(uri, TEXT)
    (action,) = await menu(editor, uri, diagnostic())
    assert (await resolve(editor, action)).edit is None
    assert editor.messages[-1] == "Tailora: the model is not on this machine"
    engine.fills = lambda body: "return width * height"
    assert (await resolve(editor, action)).is_preferred is True


async def test_no_engine(tmp_path):
    editor = clients.Editor(tmp_path / "home")
    await editor.start(capabilities(), [tmp_path])
    try:
        uri = (tmp_path / "a.py").as_uri()
        editor.open(uri, TEXT)
        (action,) = await menu(editor, uri, diagnostic())
        assert (await resolve(editor, action)).edit is None
        assert editor.messages[-1].startswith("Tailora: ")
    finally:
        await editor.stop()


def _lines(first, last):
    return types.Range(types.Position(first, 0), types.Position(last, 4))


async def test_another_version_of_selected_lines(editor, engine, uri):
    text = FIXED + "\n\ndef other():\n    return 0\n"
    engine.fills = lambda body: "return height * width"
    editor.open(uri, text)
    (action,) = await menu(editor, uri, at=_lines(1, 1))
    assert action.title == "Tailora: find another version of these lines that holds"
    assert engine.completions == []
    done = await resolve(editor, action)
    assert applied(done.edit, text) == text.replace("width * height", "height * width")
    assert done.title == "Fix: “return height * width” · parses, no new diagnostics"
    assert not done.is_preferred
    for asked in engine.completions:
        if "middle" not in asked["tailora"] and asked["max_tokens"]:
            assert asked["suffix"].endswith("def other():\n    return 0\n")


async def test_when_a_selection_is_offered_another_version(editor, engine, uri):
    editor.open(uri, FIXED)
    automatic = types.CodeActionTriggerKind.Automatic
    assert await menu(editor, uri, at=_lines(1, 1), trigger=automatic) == []
    assert await menu(editor, uri, at=_lines(1, 1), trigger=None) == []
    caret = types.Range(types.Position(1, 4), types.Position(1, 4))
    assert "refactor.rewrite.tailora" not in [action.kind for action in await menu(editor, uri, at=caret)]
    assert await menu(editor, uri, at=_lines(1, 1), only=["quickfix"]) == []
    assert len(await menu(editor, uri, at=_lines(1, 1), only=["refactor"])) == 1
    blank = (uri.removesuffix(".py")) + "_blank.py"
    editor.open(blank, "x = 1\n\n\n")
    assert await menu(editor, blank, at=types.Range(types.Position(1, 0), types.Position(2, 0))) == []
    prose = uri.removesuffix(".py") + ".txt"
    editor.open(prose, FIXED, "plaintext")
    assert await menu(editor, prose, at=_lines(1, 1)) == []


RAW = {
    "textDocument": {
        "codeAction": {
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix"]}},
        }
    }
}


def raw_menu(uri):
    """Parameters of a request for the diagnostic in ``TEXT``."""
    there = {"start": {"line": 1, "character": 11}, "end": {"line": 1, "character": 16}}
    found = {"range": there, "message": "Undefined name `breadth`", "code": "F821", "source": "Ruff"}
    context = {"diagnostics": [found], "triggerKind": 1}
    return {"textDocument": {"uri": uri}, "range": there, "context": context}
