"""A stub engine, and editors that talk to the real server over its standard input and output."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))  # tests are no packages; this makes the helpers importable

import clients
from stub_engine import StubEngine

StartEditor = Callable[..., Awaitable[clients.Editor]]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``TAILORA_HOME``."""
    return tmp_path_factory.mktemp("h")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that a client opens."""
    return tmp_path_factory.mktemp("repository")


@pytest.fixture(scope="session")
def _running_engine(home: Path) -> Iterator[StubEngine]:
    engine = StubEngine(home)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def engine(_running_engine: StubEngine) -> StubEngine:
    """A running stub engine that has not been asked anything yet."""
    _running_engine.reset()
    return _running_engine


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _shared_editor(
    home: Path, _running_engine: StubEngine, repository: Path
) -> AsyncIterator[clients.Editor]:
    editor = clients.Editor(home)
    await editor.start(clients.vscode(), [repository])
    yield editor
    await editor.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def editor(_shared_editor: clients.Editor, engine: StubEngine) -> clients.Editor:
    """VS Code with ``repository`` open, ready, nothing computed ahead, and no progress told yet. Shared: use a document
    of your own."""
    _shared_editor.configure({"tailora": {"completion": {"ahead": False}}})
    await _shared_editor.status(lambda told: told.state == "ready")
    _shared_editor.client.progress_reports.clear()
    return _shared_editor


@pytest.fixture
def uri(repository: Path, request: pytest.FixtureRequest) -> str:
    """A Python file of this test's own; it need not exist."""
    return (repository / f"{request.node.name}.py").as_uri()


@pytest_asyncio.fixture(loop_scope="session")
async def start_editor(home: Path, engine: StubEngine, repository: Path) -> AsyncIterator[StartEditor]:
    """Starts an editor with a server of its own, and ``repository`` open unless other folders are given."""
    started: list[clients.Editor] = []

    async def start(
        capabilities: Any = None,
        *,
        folders: list[Path] | None = None,
        options: Any = None,
        ready: bool = True,
    ) -> clients.Editor:
        editor = clients.Editor(home)
        started.append(editor)
        open_folders = [repository] if folders is None else folders
        await editor.start(capabilities or clients.vscode(), open_folders, options)
        if ready:
            await editor.status(lambda told: told.state != "starting")
        return editor

    yield start
    for editor in started:
        await editor.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def raw(home: Path, engine: StubEngine) -> AsyncIterator[clients.RawClient]:
    """A raw client of a server that was started and nothing more."""
    client = clients.RawClient()
    await client.start(home)
    yield client
    await client.stop()
