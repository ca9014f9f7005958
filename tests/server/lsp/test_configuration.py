"""Settings over the protocol: at the start, at runtime, from the repository, and bad ones."""

import pytest
from lsprotocol import types

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_changes_at_runtime(editor, engine, uri):
    editor.open(uri, "x = ")
    editor.configure({"tailora": {"completion": {"enabled": False}}})
    assert (await editor.status(lambda told: told.state == "off")).message.startswith(
        "Suggestions are turned off"
    )
    assert await editor.ask(uri, 0, 4, manual=True) is None
    await editor.reason("completion.enabled")
    editor.configure({"tailora": {"completion": {"enabled": True, "maxTokens": 7}}})
    await editor.status(lambda told: told.state == "ready")
    assert await editor.ask(uri, 0, 4, manual=True) is not None
    assert engine.completions[-1]["max_tokens"] == 7


async def test_a_client_that_only_says_that_something_changed_is_asked(editor, engine, uri):
    editor.open(uri, "x = ")
    editor.client.set_configuration({"completion": {"max_tokens": 9}}, section="tailora")
    editor.configure(None)
    await editor.ask(uri, 0, 4, manual=True)
    # The pull takes one round trip; the next request is after it.
    await editor.command("tailora.status")
    await editor.ask(uri, 0, 4, manual=True)
    editor.client.set_configuration({}, section="tailora")
    assert engine.completions[-1]["max_tokens"] == 9


async def test_bad_settings_are_named_and_the_server_goes_on(start_editor, engine, uri):
    editor = await start_editor(options={"completion": {"debounceMs": "abc", "nonsense": 1}, "model": 5})
    (message,) = await editor.until(lambda: editor.messages)
    assert 'completion.debounce_ms: "abc" is not a whole number from 0 to 5000; using 15' in message
    assert "completion.nonsense: unknown; ignored" in message
    assert "model: 5 is not a table of settings; ignored" in message
    editor.open(uri, "x = ")
    assert await editor.ask(uri, 0, 4) is not None
    # Said once, not at every change; a new problem is said, and one that came back.
    for settings in ({"learning": {"enabled": False}}, [1], {}, [1]):
        editor.configure({"tailora": settings})
    await editor.until(lambda: len(editor.messages) == 3)
    said = "Tailora settings: settings: [1] is not a table of settings; ignored"
    assert editor.messages[1:] == [said, said]


async def test_the_repositorys_file(start_editor, engine, tmp_path):
    (tmp_path / "tailora.toml").write_text(
        '[completion]\nlanguages_off = ["sql"]\n[learning]\ntrusted = true\n'
    )
    editor = await start_editor(folders=[tmp_path], options={"learning": {"trusted": False}})
    await editor.until(lambda: editor.messages)
    assert "learning.trusted: not taken from a repository" in editor.messages[0]
    assert engine.opened[str(tmp_path)]["trusted"] is False
    uri = (tmp_path / "a.sql").as_uri()
    editor.open(uri, "select ", "sql")
    assert await editor.ask(uri, 0, 7) is None
    await editor.reason("turned off for sql")
    settings = tmp_path / "tailora.toml"
    settings.write_text("[learning]\nenabled = false\n")
    saved = types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(settings.as_uri()))
    editor.client.text_document_did_save(saved)
    assert await editor.ask(uri, 0, 7) is not None
    await editor.status(lambda told: told.project.learning is False)
    assert engine.opened[str(tmp_path)]["learning"] is False


async def test_the_engine_is_told_the_method(start_editor, engine, tmp_path):
    settings = tmp_path / "tailora.toml"
    settings.write_text('[learning]\nmethod = "prefix"\n[learning.methods.prefix]\ntokens = 5\n')
    editor = await start_editor(
        folders=[tmp_path],
        options={"learning": {"methods": {"prefix": {"start": "random"}, "lora": {"rank": 4}}}},
    )
    await editor.status(lambda told: told.project is not None)
    parameters = {"tokens": 5, "start": "random"}
    assert engine.opened[str(tmp_path)]["method"] == {"name": "prefix", "parameters": parameters}
    settings.write_text("[learning]\nenabled = false\n[learning.methods.lora]\nrank = 4096\n")
    saved = types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(settings.as_uri()))
    editor.client.text_document_did_save(saved)
    await editor.until(lambda: engine.opened[str(tmp_path)]["learning"] is False)
    assert engine.opened[str(tmp_path)]["method"] == {"name": "lora", "parameters": {"rank": 4}}
    await editor.until(lambda: editor.messages)
    assert "learning.methods.lora.rank: 4096 in tailora.toml is not a whole number" in editor.messages[-1]


async def test_vscode_is_asked_to_tell_of_changes(editor):
    await editor.until(lambda: editor.registrations)
    assert editor.registrations[0].method == types.WORKSPACE_DID_CHANGE_CONFIGURATION
