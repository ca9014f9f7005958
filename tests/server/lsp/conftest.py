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


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short ``TAILORA_HOME``: a socket's path must not be long."""
    return tmp_path_factory.mktemp("h")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder that a client opens."""
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def engine(home: Path) -> Iterator[StubEngine]:
    """A running stub engine."""
    engine = StubEngine(home)
    engine.start()
    yield engine
    engine.stop()


@pytest_asyncio.fixture
async def start_editor(home: Path, engine: StubEngine, repository: Path) -> AsyncIterator[StartEditor]:
    """Starts an editor that has ``repository`` open (or other folders) and waits until the server is ready."""
    started: list[clients.Editor] = []

    async def start(
        capabilities: Any = None, *, folders: list[Path] | None = None, options: Any = None, ready: bool = True
    ) -> clients.Editor:
        editor = clients.Editor(home)
        started.append(editor)
        open_folders = [repository] if folders is None else folders
        editor.result = await editor.start(capabilities or clients.vscode(), open_folders, options)
        if ready:
            await editor.status(lambda status: status.state not in ("starting",))
        return editor

    yield start
    for editor in started:
        await editor.stop()


@pytest_asyncio.fixture
async def raw(home: Path) -> AsyncIterator[clients.RawClient]:
    """A raw client of a server that was started and nothing more."""
    client = clients.RawClient()
    await client.start(home)
    yield client
    await client.stop()
