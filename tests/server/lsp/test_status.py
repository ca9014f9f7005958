"""The status always says what goes on; long work shows as progress; a missing model is asked about once."""

import asyncio

import clients
import pytest
from lsprotocol import types

from tailora.lsp.status import describe

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_model_and_training(editor, engine):
    engine.change(model={"state": "fetching", "progress": 0.5, "message": "Fetching part 3 of 6"})
    status = await editor.status(lambda told: told.state == "fetching")
    assert status.message == "Fetching part 3 of 6 (50 %)"
    engine.change(model={"state": "loading", "progress": None, "message": None})
    assert (await editor.status(lambda told: told.state == "loading")).message == "Loading stub-model"
    engine.change(
        model={"state": "ready"}, project={"state": "training", "message": "Step 3", "progress": 0.25}
    )
    assert (await editor.status(lambda told: told.state == "training")).message == "Step 3"
    engine.change(project={"state": "gating", "message": "Comparing", "progress": 0.9})
    await editor.status(lambda told: told.message == "Comparing")
    engine.change(project={"state": "idle", "message": "serving v0001", "serving": "v0001"})
    status = await editor.status(lambda told: told.state == "ready")
    assert status.message == "stub-model: serving v0001"
    assert status.project.serving == "v0001"

    def ended():
        reports = editor.client.progress_reports.values()
        return len(reports) == 2 and all(
            isinstance(each[-1], types.WorkDoneProgressEnd) for each in reports if each
        )

    await editor.until(ended)
    fetch, training = editor.client.progress_reports.values()
    assert (fetch[0].title, fetch[0].percentage) == ("Tailora: base model", 50)
    assert [step.message for step in training[:-1]] == ["Step 3", "Comparing"]


async def test_bad_settings_of_the_engine_are_named_once(editor, engine):
    before = len(editor.messages)
    engine.problems = ["engine.threads: 'x' is not a whole number; using 0"]
    for progress in (0.1, 0.2):
        engine.change(model={"state": "fetching", "progress": progress})
        await editor.status(lambda told: told.model.progress == progress)  # noqa: B023
    assert editor.messages[before:] == [f"Tailora engine settings: {engine.problems[0]}"]


async def test_nothing_is_said_twice(editor, engine, uri):
    editor.open(uri, "x = ")
    await editor.ask(uri, 0, 4, manual=True)
    await editor.ask(uri, 0, 4, manual=True)
    engine.change()
    await editor.command("tailora.status")
    pairs = zip(editor.statuses, editor.statuses[1:], strict=False)
    assert all(one != other for one, other in pairs)


async def test_why_nothing_was_suggested(editor, engine, uri):
    editor.open(uri, "x = ")
    engine.script.chunks = []
    assert await editor.ask(uri, 0, 4) is None
    await editor.reason("nothing to add")
    engine.script.error = (503, "model_loading_failed", "not enough memory for the model")
    assert await editor.ask(uri, 0, 3) is None
    await editor.reason("not enough memory for the model")
    engine.change(model={"state": "failed", "message": "weights are corrupt"})
    await editor.status(lambda told: told.state == "error")
    before = len(engine.completions)
    assert await editor.ask(uri, 0, 2) is None
    await editor.reason("cannot be loaded: weights are corrupt")
    assert len(engine.completions) == before


async def test_the_engine_goes_and_comes_back(start_editor, engine, uri, repository):
    editor = await start_editor()
    editor.open(uri, "x = ")
    engine.script.finish = None
    engine.script.chunks = []
    waiting = asyncio.create_task(editor.ask(uri, 0, 4))
    await engine.until(lambda: engine.completions)
    engine.stop()
    assert await waiting is None
    status = await editor.status(lambda told: told.state == "error")
    assert status.message == "No engine: no engine is running; start one with `tailora engine`"
    assert await editor.ask(uri, 0, 4) is None
    await editor.reason("no engine is running")
    for command in ("tailora.trainNow", "tailora.pullModel", "tailora.restartEngine"):
        answer = await editor.command(command)
        assert (answer["ok"], answer["message"]) == (False, editor.messages[-1])
        assert "no engine is running" in answer["message"]
    engine.reset()
    engine.opened.clear()
    engine.start()
    await editor.command("tailora.restartEngine")  # so that the test need not wait for the next try
    await editor.status(lambda told: told.state == "ready")
    await engine.until(lambda: str(repository) in engine.opened)
    assert (await editor.ask(uri, 0, 4)).insert_text == "return 1"


async def test_a_missing_model_is_asked_about_once(start_editor, engine, uri):
    engine.change(model={"state": "missing"})
    editor = await start_editor(ready=False)
    editor.answer_title = "Download"
    status = await editor.status(lambda told: told.state == "model_missing")
    assert "tailora model pull" in status.message
    await editor.until(lambda: editor.questions)
    editor.open(uri, "x = ")
    assert await editor.ask(uri, 0, 4) is None
    await editor.reason("tailora model pull")
    engine.change(model={"message": "still missing"})
    await editor.status(lambda told: told.model.message == "still missing")
    assert len(editor.questions) == 1
    await engine.until(lambda: len(engine.called("pull")) == 1)


async def test_a_missing_model_by_setting(start_editor, engine):
    engine.change(model={"state": "missing"})
    editor = await start_editor(clients.plain(), options={"model": {"download": "never"}})
    await editor.command("tailora.status")
    assert (editor.questions, engine.called("pull")) == ([], [])
    editor = await start_editor(clients.plain(), options={"model": {"download": "auto"}})
    await editor.command("tailora.status")
    await engine.until(lambda: len(engine.called("pull")) == 1)
    assert editor.questions == []


async def test_states_without_an_engine():
    assert describe(None, None, completing=True) == ("starting", "Starting the engine")
    assert describe(None, "it is broken", completing=True) == ("error", "No engine: it is broken")
