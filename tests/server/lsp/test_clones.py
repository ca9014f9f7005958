"""Hints at functions that repeat others: where they stand, what they name, and that they go."""

from pathlib import Path

import pytest
from lsprotocol import types

BODY = """
    found = []
    for entry in entries:
        if entry.size > limit and not entry.hidden:
            found.append((entry.name, entry.size))
        elif entry.size == limit:
            found.append((entry.name, 0))
    found.sort(key=lambda one: one[1])
    return found[:limit]
"""
FIRST = f"def largest(entries, limit):{BODY}"
SECOND = f"# ünï\ndef biggest(things, limit):{BODY}".replace("entries", "things").replace("found", "kept")
TRUSTED = {"completion": {"ahead": False}, "learning": {"trusted": True}}
pytestmark = pytest.mark.asyncio(loop_scope="session")


def _write(root: Path, name: str, text: str) -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def _save(editor, uri: str) -> None:
    identifier = types.TextDocumentIdentifier(uri)
    editor.client.text_document_did_save(types.DidSaveTextDocumentParams(identifier))


async def _hints(editor, uri: str, condition):
    """The document's diagnostics as soon as they fulfil ``condition``."""
    diagnostics = editor.client.diagnostics
    return await editor.until(lambda: condition(found := diagnostics.get(uri, ())) and (list(found) or True))


def _indexes(home: Path) -> list[Path]:
    return list(home.rglob("clones.sqlite"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "clones"
    folder.mkdir()
    _write(folder, "src/first.py", FIRST)
    return folder


async def test_a_repeated_function_is_marked_until_it_is_another_one(start_editor, root) -> None:
    uri = _write(root, "src/second.py", SECOND)
    editor = await start_editor(folders=[root], options=TRUSTED)
    editor.open(uri, SECOND)
    (hint,) = await _hints(editor, uri, lambda found: found)
    assert hint.range == types.Range(types.Position(1, 4), types.Position(1, 11))
    assert (hint.severity, hint.source, hint.code) == (
        types.DiagnosticSeverity.Hint,
        "tailora",
        "clone-type-2",
    )
    assert hint.message == "repeats `largest` in src/first.py:1, the same but for names and literals"
    (related,) = hint.related_information
    assert related.location.uri == (root / "src" / "first.py").as_uri()
    assert related.location.range == types.Range(types.Position(0, 4), types.Position(0, 11))
    changed = "def biggest(things, limit):\n    return sorted(things)[:limit]\n"
    _write(root, "src/second.py", changed)
    whole = types.TextDocumentContentChangeWholeDocument(changed)
    identifier = types.VersionedTextDocumentIdentifier(2, uri)
    editor.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [whole]))
    _save(editor, uri)
    await _hints(editor, uri, lambda found: not found)


async def test_closing_withdraws(start_editor, root) -> None:
    uri = _write(root, "src/second.py", SECOND)
    editor = await start_editor(folders=[root], options=TRUSTED)
    editor.open(uri, SECOND)
    await _hints(editor, uri, lambda found: found)
    editor.close(uri)
    await _hints(editor, uri, lambda found: not found)


async def test_an_open_document_learns_of_a_copy_that_is_saved(start_editor, root) -> None:
    first = (root / "src" / "first.py").as_uri()
    editor = await start_editor(folders=[root], options=TRUSTED)
    editor.open(first, FIRST)
    uri = _write(root, "src/second.py", FIRST)
    editor.open(uri, FIRST)
    for one in (first, uri):
        (hint,) = await _hints(editor, one, lambda found: found)
        assert hint.code == "clone-type-1"


async def test_what_a_repository_turns_off_or_hides_is_not_marked(start_editor, root) -> None:
    _write(root, ".gitignore", "second.py\n")
    _write(root, ".git/HEAD", "ref: refs/heads/main\n")
    ignored = _write(root, "src/second.py", SECOND)
    seen = _write(root, "src/third.py", SECOND)
    editor = await start_editor(folders=[root], options=TRUSTED)
    editor.open(ignored, SECOND)
    editor.open(seen, SECOND)
    (hint,) = await _hints(editor, seen, lambda found: found)
    assert "second.py" not in hint.message
    assert not editor.client.diagnostics.get(ignored)
    editor.configure({"tailora": {"learning": {"trusted": True}, "clones": {"enabled": False}}})
    await _hints(editor, seen, lambda found: not found)


async def test_text_that_is_not_on_disk_is_not_marked(start_editor, root) -> None:
    uri = _write(root, "src/second.py", SECOND)
    other = _write(root, "src/third.py", SECOND)
    editor = await start_editor(folders=[root], options=TRUSTED)
    editor.open(uri, "# not saved yet\n" + SECOND)
    editor.open(other, SECOND)
    await _hints(editor, other, lambda found: found)  # told in the same answer, after it
    assert not editor.client.diagnostics.get(uri)


async def test_no_fix_is_offered_for_a_hint_of_ours(start_editor, root) -> None:
    uri = _write(root, "src/second.py", SECOND)
    editor = await start_editor(folders=[root], options=TRUSTED)
    editor.open(uri, SECOND)
    (hint,) = await _hints(editor, uri, lambda found: found)
    louder = types.Diagnostic(
        hint.range, hint.message, severity=types.DiagnosticSeverity.Warning, source="tailora"
    )
    context = types.CodeActionContext([hint, louder], only=[types.CodeActionKind.QuickFix])
    asked = types.CodeActionParams(types.TextDocumentIdentifier(uri), hint.range, context)
    assert not await editor.client.text_document_code_action_async(asked)


async def test_a_folder_that_is_not_trusted_is_not_indexed(start_editor, root, home) -> None:
    before = _indexes(home)
    uri = _write(root, "src/second.py", SECOND)
    editor = await start_editor(folders=[root], options={"completion": {"ahead": False}})
    editor.open(uri, SECOND)
    await _hints(editor, uri, lambda found: not found)
    assert _indexes(home) == before
    editor.configure({"tailora": {"learning": {"trusted": True}}})
    assert await _hints(editor, uri, lambda found: found)
    assert len(_indexes(home)) == len(before) + 1
