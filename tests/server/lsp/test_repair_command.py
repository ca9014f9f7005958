"""``tailora.repairTest`` over the real protocol: a failing test is run in a copy, and what holds is applied."""

import asyncio

import pytest
from lsprotocol import types
from repair_client import applied, capabilities
from stub_engine import Script

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALLOWED = {
    "completion": {"ahead": False},
    "repair": {"runTests": True, "deadlineMs": 120_000, "candidates": 8},
    "learning": {"trusted": True},
}
CALC = "def times(a, b):\n    return a + b\n\n\ndef plus(a, b):\n    return a + b\n"
TESTS = """\
from calc import plus, times


def test_times():
    assert times(3, 4) == 12


def test_plus():
    assert plus(3, 4) == 7
"""
NODE = "test_calc.py::test_times"


@pytest.fixture
def project(tmp_path):
    """A project whose ``times`` is wrong."""
    (tmp_path / "calc.py").write_text(CALC)
    (tmp_path / "test_calc.py").write_text(TESTS)
    return tmp_path


@pytest.fixture
def model(engine):
    """The stub engine, whose model knows how to multiply."""
    engine.fills = lambda body: "return a * b" if "def plus" not in body["prompt"] else "return a + b"
    return engine


async def _editor(start_editor, project, options=ALLOWED, able=None):
    editor = await start_editor(able or capabilities(), folders=[project], options=options)
    uri = (project / "test_calc.py").as_uri()
    editor.open(uri, TESTS)
    return editor, uri


async def test_the_edit_of_an_open_document(start_editor, project, model):
    editor, uri = await _editor(start_editor, project)
    calc = (project / "calc.py").as_uri()
    editor.open(calc, CALC)
    editor.insert(calc, 0, 0, "\n")  # not saved
    answer = await editor.command("tailora.repairTest", uri, NODE)
    assert answer["message"] == "Fix: “return a * b” · 2 tests pass (calc.py)"
    assert (answer["ok"], answer["path"], answer["tests"]) == (True, "calc.py", [NODE])
    (asked,) = editor.edits
    assert asked.label == "Fix: “return a * b” · 2 tests pass"
    (change,) = asked.edit.document_changes
    assert (change.text_document.uri, change.text_document.version) == (calc, editor.version)
    assert applied(asked.edit, "\n" + CALC) == "\n" + CALC.replace("a + b", "a * b", 1)
    assert (project / "calc.py").read_text() == CALC


async def test_the_edit_of_a_file_that_is_not_open(start_editor, project, model):
    (project / "calc.py").write_bytes(b"\xef\xbb\xbf" + CALC.replace("\n", "\r\n").encode())
    model.fills = lambda body: "c = a * b\n    return c" if "def plus" not in body["prompt"] else "pass"
    editor, uri = await _editor(start_editor, project)
    assert (await editor.command("tailora.repairTest", uri, NODE))["ok"] is True
    (change,) = editor.edits[0].edit.document_changes
    assert (change.text_document.uri, change.text_document.version) == ((project / "calc.py").as_uri(), None)
    expected = CALC.replace("return a + b", "c = a * b\n    return c", 1).replace("\n", "\r\n")
    assert applied(editor.edits[0].edit, CALC.replace("\n", "\r\n")) == expected


async def test_a_file_that_was_changed_on_disk_meanwhile(start_editor, project, model):
    def fill(body):
        (project / "calc.py").write_text(CALC + "# more\n")
        return "return a * b"

    model.fills = fill
    editor, uri = await _editor(start_editor, project)
    answer = await editor.command("tailora.repairTest", uri, NODE)
    assert answer["ok"] is False
    assert answer["message"].endswith("calc.py was changed meanwhile, so the fix was withdrawn")
    assert editor.edits == []


async def test_nothing_that_holds(start_editor, project, model):
    model.fills = lambda body: "return a - b"
    editor, uri = await _editor(start_editor, project)
    answer = await editor.command("tailora.repairTest", uri, NODE)
    assert answer["ok"] is False
    assert "nothing was found that holds (" in answer["message"]
    assert "assert 7 == 12" in answer["message"]
    assert editor.messages[-1] == answer["message"]
    assert editor.edits == []


async def test_a_test_that_passes(start_editor, project, model):
    editor, uri = await _editor(start_editor, project)
    answer = await editor.command("tailora.repairTest", uri, "test_calc.py::test_plus")
    assert answer["ok"] is False
    assert "passes: there is nothing to repair" in answer["message"]
    assert not [asked for asked in model.completions if "logprobs" in asked]


@pytest.mark.parametrize(
    "options,named",
    [
        ({"learning": {"trusted": True}}, "repair.run_tests"),
        ({"repair": {"runTests": True}}, "learning.trusted"),
        ({"repair": {"runTests": True, "enabled": False}, "learning": {"trusted": True}}, "repair.enabled"),
    ],
)
async def test_nothing_runs_unless_it_may(options, named, start_editor, project, model):
    (project / "conftest.py").write_text(f"open({str(project / 'ran')!r}, 'w')\n")
    editor, uri = await _editor(start_editor, project, options)
    answer = await editor.command("tailora.repairTest", uri, NODE)
    assert answer["ok"] is False
    assert named in answer["message"]
    assert not (project / "ran").exists()
    assert not [asked for asked in model.completions if "logprobs" in asked]


@pytest.mark.parametrize(
    "arguments",
    [(), (5, NODE), ("file:///elsewhere/test_a.py", "test_a.py::test_a"), (None, "--version")],
)
async def test_bad_arguments(arguments, start_editor, project, model):
    editor, uri = await _editor(start_editor, project)
    given = [uri if argument is None else argument for argument in arguments]
    answer = await editor.command("tailora.repairTest", *given)
    assert answer["ok"] is False
    assert answer["message"].startswith("tailora.repairTest: ")
    assert not [asked for asked in model.completions if "logprobs" in asked]


async def test_the_cancel_button(start_editor, project, model):
    model.fills = lambda body: Script(["return"], finish=None)
    editor, uri = await _editor(start_editor, project)
    waiting = asyncio.create_task(editor.command("tailora.repairTest", uri, NODE))
    await model.until(lambda: any("middle" not in asked["tailora"] for asked in model.completions))
    ((token, reports),) = editor.client.progress_reports.items()
    assert reports[0].title == "Repairing test_times"
    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    assert await waiting == {"ok": False, "message": "The repair was ended"}
    await editor.until(lambda: isinstance(reports[-1], types.WorkDoneProgressEnd))
    await model.until(lambda: model.closed_early)
    assert editor.messages == []


async def test_an_editor_that_does_not_apply_it(start_editor, project, model):
    editor, uri = await _editor(start_editor, project)
    editor.applies = types.ApplyWorkspaceEditResult(False, failure_reason="read-only")
    answer = await editor.command("tailora.repairTest", uri, NODE)
    assert answer["ok"] is False
    assert answer["message"].endswith("the editor did not apply the edit: read-only")
