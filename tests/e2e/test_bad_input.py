"""Whatever is opened, typed, asked for or set: a clear message or null, and the next request gets its suggestion."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from lsprotocol import types
from real_model import SETTINGS, Hole, Home, Window, cut

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

_MANY_FILES = 100_000
_TRUSTED = {**SETTINGS, "learning": {"trusted": True}}
_CODE = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return "
_END = _CODE.count("\n"), len("    return ")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(home: Home, repository: Path) -> AsyncIterator[Window]:
    """A trusted window, shared: its documents are a test's own."""
    window = await home.window(repository, settings=_TRUSTED)
    yield window
    await window.stop()


@pytest.fixture(scope="module")
def sound(repository: Path) -> Hole:
    """Where a suggestion is certain."""
    return cut(repository / "watchdog/utils/delayed_queue.py", "self._queue.", "popleft()")


@pytest_asyncio.fixture(loop_scope="module")
async def window(shared: Window, sound: Hole) -> AsyncIterator[Window]:
    """The window; after the test it must still give a suggestion."""
    yield shared
    shared.show(sound)
    assert await shared.suggestion(sound)
    shared.close(sound.uri)


@pytest.fixture
def uri(repository: Path, request: pytest.FixtureRequest) -> str:
    """A file of this test's own; it need not exist."""
    return (repository / f"{request.node.name}.py").as_uri()


async def test_50_megabytes(window, uri):
    line = "value = [1, 2, 3]  # a line of a large file\n"
    window.open(uri, line * (50 * 2**20 // len(line)))
    assert await window.ask(uri, 5, 8, manual=True) is None
    await window.reason("the file is too large")
    window.insert(uri, 5, 0, "x")
    assert await window.ask(uri, 5, 8, manual=True) is None
    window.close(uri)


async def test_a_binary_document(window, uri):
    window.open(uri, "\0\x01\x02binary\0" * 100)
    assert await window.ask(uri, 0, 4, manual=True) is None
    await window.reason("the file is binary")


async def test_context_that_is_not_utf8(window, repository, uri):
    (repository / "legacy.py").write_bytes("def größe(wert):\n    return len(wert)\n".encode("latin-1"))
    window.configure({"tailora": {"completion": {"context_chars": 6000}}})
    text = "from legacy import größe\n\n" + _CODE
    window.open(uri, text)
    assert await window.ask(uri, _END[0] + 2, _END[1], manual=True)
    window.configure({"tailora": {}})


async def test_windows_line_ends(window, uri):
    window.open(uri, _CODE.replace("\n", "\r\n") + "\r\n\r\nprint(subtract(2, 1))\r\n")
    item = await window.ask(uri, *_END, manual=True)
    assert item
    assert "\n" not in item.insert_text.replace("\r\n", "")


async def test_tabs_and_spaces_mixed(window, uri):
    window.open(uri, "if True:\n\tx = [\n        1,\n\t\t2,\n    \t]\n\tfor item in x:\n\t\tprint(")
    item = await window.ask(uri, 6, 8, manual=True)
    assert item is None or "\x00" not in item.insert_text


@pytest.mark.parametrize("line,character", [(10**6, 0), (0, 10**6), (2**31 - 1, 2**31 - 1)])
async def test_a_cursor_past_the_end(window, repository, line, character):
    uri = (repository / f"past_{line}_{character}.py").as_uri()
    window.open(uri, _CODE)
    item = await window.ask(uri, line, character, manual=True)
    if item is not None:
        assert item.range.start.line <= _END[0]
        assert item.range.start.character <= max(map(len, _CODE.split("\n")))


@pytest.mark.parametrize(
    "uri,reason",
    [
        ("git:/somewhere/file.py", "only in files and untitled ones"),
        ("file:///never/opened.py", "never opened"),
        ("untitled:Never-opened", "never opened"),
        ("no URI at all", "no suggestions in"),
        ("file:///%00%ff%zz", "never opened"),
        ("", ""),
    ],
)
async def test_documents_that_nobody_opened(window, uri, reason):
    assert await window.ask(uri, 3, 3, manual=True) is None
    await window.reason(reason)


async def test_a_document_without_a_file(window):
    window.open("untitled:Untitled-1", _CODE)
    assert await window.ask("untitled:Untitled-1", *_END, manual=True)


async def test_settings_that_cannot_be_used(window, uri):
    before = len(window.messages)
    window.configure({"tailora": {"completion": {"max_lines": "many", "colour": "red"}, "learning": 3}})
    await window.until(lambda: len(window.messages) > before)
    message = window.messages[-1]
    assert "completion.max_lines" in message
    assert "completion.colour" in message
    assert "learning" in message
    window.open(uri, _CODE)
    assert await window.ask(uri, *_END, manual=True)
    window.configure({"tailora": {}})


def _add_folder(window: Window, root: Path) -> None:
    event = types.WorkspaceFoldersChangeEvent([types.WorkspaceFolder(root.as_uri(), root.name)], [])
    window.client.workspace_did_change_workspace_folders(types.DidChangeWorkspaceFoldersParams(event))


async def _open_folder(home: Home, window: Window, root: Path) -> None:
    """Adds a folder to the workspace and waits until the engine has it open."""
    _add_folder(window, root)
    await home.until(lambda status: status["project"]["trusted"], root)


async def test_no_git_repository(home, window, tmp_path):
    root = tmp_path / "plain"
    root.mkdir()
    (root / "code.py").write_text(_CODE, encoding="utf-8")
    await _open_folder(home, window, root)
    window.open((root / "code.py").as_uri(), _CODE)
    assert await window.ask((root / "code.py").as_uri(), *_END, manual=True)


async def test_an_empty_repository_is_too_little_to_learn(home, window, tmp_path):
    root = tmp_path / "empty"
    (root / ".git").mkdir(parents=True)
    await _open_folder(home, window, root)
    await window.do("tailora.trainNow", root.as_uri())
    await home.until(lambda status: "too little" in status["project"]["message"], root)


async def test_links_in_a_circle(home, window, tmp_path):
    root = tmp_path / "circle"
    (root / "below").mkdir(parents=True)
    (root / "below" / "above").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    await _open_folder(home, window, root)
    window.open((root / "below/above/below/code.py").as_uri(), _CODE)
    assert await window.ask((root / "below/above/below/code.py").as_uri(), *_END, manual=True)
    # A folder that is nothing but a circle is left out, and others can be opened after it.
    _add_folder(window, root / "self")
    (tmp_path / "next").mkdir()
    await _open_folder(home, window, tmp_path / "next")


async def test_a_folder_that_is_deleted_while_open(home, window, tmp_path):
    root = tmp_path / "deleted"
    root.mkdir()
    (root / "code.py").write_text(_CODE, encoding="utf-8")
    await _open_folder(home, window, root)
    window.open((root / "code.py").as_uri(), _CODE)
    shutil.rmtree(root)
    await home.until(lambda status: "does not exist" in status["project"]["message"], root)
    assert await window.ask((root / "code.py").as_uri(), *_END, manual=True)


async def test_very_many_files(home, window, tmp_path):
    root = tmp_path / "many"
    root.mkdir()
    for number in range(_MANY_FILES):
        (root / f"f{number}.py").touch()
    (root / "code.py").write_text(_CODE, encoding="utf-8")
    await _open_folder(home, window, root)
    window.open((root / "code.py").as_uri(), _CODE)
    assert await window.ask((root / "code.py").as_uri(), *_END, manual=True)
