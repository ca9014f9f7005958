"""Where "Repair with Tailora" stands, and where it must not."""

import pytest
from lsprotocol import types
from repair_client import capabilities

pytestmark = pytest.mark.asyncio(loop_scope="session")

TESTS = """\
import pytest


def test_one():
    assert 1


async def test_two(): ...


class TestThings:
    @pytest.mark.skip
    def test_three(self): ...

    class TestInner:
        def test_four(self): ...

    def helper(self): ...


class Things:
    def test_five(self): ...


def helper():
    def test_six(): ...
"""
ALLOWED = {"completion": {"ahead": False}, "repair": {"runTests": True}, "learning": {"trusted": True}}


async def lenses(editor, uri):
    params = types.CodeLensParams(types.TextDocumentIdentifier(uri))
    return await editor.client.text_document_code_lens_async(params)


async def test_one_on_each_test(start_editor, tmp_path):
    editor = await start_editor(capabilities(), folders=[tmp_path], options=ALLOWED)
    assert editor.result.capabilities.code_lens_provider is not None
    (tmp_path / "tests").mkdir()
    uri = (tmp_path / "tests" / "test_it.py").as_uri()
    editor.open(uri, TESTS)
    found = await lenses(editor, uri)
    assert [lens.command.arguments for lens in found] == [
        (uri, f"tests/test_it.py::{name}")
        for name in (
            "test_one",
            "test_two",
            "TestThings::test_three",
            "TestThings::TestInner::test_four",
        )
    ]
    assert {(lens.command.title, lens.command.command) for lens in found} == {
        ("Repair with Tailora", "tailora.repairTest")
    }
    marked = [TESTS.split("\n")[it.range.start.line][: it.range.end.character].strip() for it in found]
    assert marked == ["def test_one", "async def test_two", "def test_three", "def test_four"]


async def test_a_text_that_does_not_parse(start_editor, tmp_path):
    editor = await start_editor(capabilities(), folders=[tmp_path], options=ALLOWED)
    uri = (tmp_path / "test_it.py").as_uri()
    editor.open(uri, "def test_one(:\n")
    assert await lenses(editor, uri) is None
    editor.open(nothing := (tmp_path / "test_nul.py").as_uri(), "\0")
    assert await lenses(editor, nothing) is None


async def test_files_that_are_no_tests(start_editor, tmp_path):
    editor = await start_editor(capabilities(), folders=[tmp_path / "inside"], options=ALLOWED)
    for name in ("inside/it.py", "inside/conftest.py", "inside/test_it.txt", "outside/test_it.py"):
        uri = (tmp_path / name).as_uri()
        editor.open(uri, TESTS)
        assert list(await lenses(editor, uri)) == []
    assert list(await lenses(editor, (tmp_path / "inside" / "test_unopened.py").as_uri())) == []


@pytest.mark.parametrize(
    "options",
    [
        {"repair": {"runTests": True}},
        {"learning": {"trusted": True}},
        {**ALLOWED, "repair": {"runTests": True, "enabled": False}},
    ],
)
async def test_only_where_tests_may_run(options, start_editor, tmp_path):
    editor = await start_editor(capabilities(), folders=[tmp_path], options=options)
    uri = (tmp_path / "test_it.py").as_uri()
    editor.open(uri, TESTS)
    assert list(await lenses(editor, uri)) == []


async def test_trust_brings_them(start_editor, tmp_path):
    able = capabilities()
    able.workspace.code_lens = types.CodeLensWorkspaceClientCapabilities(refresh_support=True)
    editor = await start_editor(able, folders=[tmp_path], options={"repair": {"runTests": True}})
    uri = (tmp_path / "test_it.py").as_uri()
    editor.open(uri, TESTS)
    assert list(await lenses(editor, uri)) == []
    before = editor.lens_refreshes
    await editor.command("tailora.trustWorkspace")
    await editor.until(lambda: editor.lens_refreshes > before)
    assert len(await lenses(editor, uri)) == 4


async def test_a_repository_cannot_turn_its_tests_on(start_editor, tmp_path):
    (tmp_path / "tailora.toml").write_text("[repair]\nrun_tests = true\n")
    editor = await start_editor(capabilities(), folders=[tmp_path], options={"learning": {"trusted": True}})
    uri = (tmp_path / "test_it.py").as_uri()
    editor.open(uri, TESTS)
    assert list(await lenses(editor, uri)) == []
