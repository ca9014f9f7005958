"""Folders: opened on the engine at the start and when they are added, closed when they are removed."""

import clients
import pytest
from lsprotocol import types

from tailora.lsp.workspace import Folders, Place

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_folders_come_and_go(start_editor, engine, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    editor = await start_editor(folders=[first], options={"learning": {"trusted": True}})
    await editor.status(lambda told: told.project is not None)
    opened = engine.called("open")[-1]
    assert (opened["root"], opened["trusted"], opened["learning"]) == (str(first), True, True)

    def change(added=(), removed=()):
        folders = [[types.WorkspaceFolder(f.as_uri(), f.name) for f in part] for part in (added, removed)]
        event = types.WorkspaceFoldersChangeEvent(*folders)
        editor.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))

    change(added=[second])
    uri = (second / "sub" / "b.py").as_uri()
    editor.open(uri, "x = ")
    await editor.status(lambda told: told.project and told.project.root == str(second))
    await editor.ask(uri, 0, 4, manual=True)
    assert engine.completions[-1]["tailora"]["project"] == str(second)
    assert engine.completions[-1]["tailora"]["path"] == "sub/b.py"

    change(removed=[first])
    await editor.command("tailora.status")
    await editor.ask(uri, 0, 4, manual=True)
    outside = (first / "a.py").as_uri()
    editor.open(outside, "x = ")
    await editor.ask(outside, 0, 4, manual=True)
    assert engine.completions[-1]["tailora"]["project"] is None
    await engine.until(lambda: [body["root"] for body in engine.called("close")] == [str(first)])


async def test_no_folder_at_all(start_editor, engine, tmp_path):
    editor = await start_editor(clients.neovim(), folders=[])
    uri = (tmp_path / "a.py").as_uri()
    editor.open(uri, "x = ")
    assert (await editor.ask(uri, 0, 4)).insert_text == "return 1"
    assert engine.completions[-1]["tailora"]["project"] is None
    assert editor.statuses[-1].project is None
    answer = await editor.command("tailora.trainNow")
    assert answer["message"] == "tailora.trainNow: no folder is open"


async def test_a_file_belongs_to_the_innermost_folder(tmp_path):
    inner = tmp_path / "a" / "inner"
    inner.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(inner)
    folders = Folders()
    folders.set([(tmp_path / "a").as_uri(), inner.as_uri(), "git:/elsewhere"])
    assert folders.place(inner / "x.py") == Place(inner, "x.py")
    assert folders.place(tmp_path / "a" / "innermost.py") == Place(tmp_path / "a", "innermost.py")
    assert folders.place(tmp_path / "b.py") == Place()
    assert folders.place(None) == Place()
    folders.set([link.as_uri()])
    assert folders.roots == (inner,)
    assert folders.place(link / "x.py") == Place(inner, "x.py")
    assert folders.place(None) == Place(inner)
