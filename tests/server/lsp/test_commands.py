"""Every command of workspace/executeCommand."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    "command, route",
    [
        ("trainNow", "train"),
        ("pauseLearning", "pause"),
        ("resumeLearning", "resume"),
        ("rollBack", "rollback"),
        ("disable", "disable"),
        ("enable", "enable"),
    ],
)
async def test_commands_about_the_project(command, route, editor, engine, repository):
    answer = await editor.command(f"tailora.{command}")
    assert answer["ok"] is True
    assert answer["message"].endswith(": nothing learned yet")
    assert engine.called(route) == [{"root": str(repository)}]
    await editor.command(f"tailora.{command}", repository.as_uri())
    assert len(engine.called(route)) == 2


async def test_what_the_engine_refuses_is_shown(editor, engine):
    engine.refusal = (409, "version_unknown", "there is no version before v0001")
    answer = await editor.command("tailora.rollBack")
    assert answer["ok"] is False
    assert answer["message"] == "tailora.rollBack: there is no version before v0001"
    assert editor.messages[-1] == answer["message"]


async def test_bad_arguments(editor, tmp_path):
    elsewhere = (tmp_path / "elsewhere").as_uri()
    answer = await editor.command("tailora.trainNow", elsewhere)
    assert answer["message"] == f"tailora.trainNow: {elsewhere} is no folder of this workspace"
    answer = await editor.command("tailora.trainNow", {"uri": 5})
    assert answer["message"] == "tailora.trainNow: the argument is the URI of a folder"


async def test_model_engine_and_status(editor, engine):
    assert (await editor.command("tailora.pullModel"))["ok"] is True
    assert len(engine.called("pull")) == 1
    assert (await editor.command("tailora.restartEngine"))["ok"] is True
    assert len(engine.called("shutdown")) == 1
    await editor.status(lambda told: told.state == "ready")
    status = await editor.command("tailora.status")
    assert (status["ok"], status["state"], status["model"]["name"]) == (True, "ready", "stub-model")


async def test_trust_is_given_by_command(start_editor, engine, tmp_path):
    editor = await start_editor(folders=[tmp_path])
    await editor.status(lambda told: told.project)
    assert engine.opened[str(tmp_path)]["trusted"] is False
    answer = await editor.command("tailora.trustWorkspace")
    assert answer["ok"] is True
    await editor.status(lambda told: told.project.trusted)
    assert engine.opened[str(tmp_path)]["trusted"] is True
