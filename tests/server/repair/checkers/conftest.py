"""A small project, and programs that stand in for checkers."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

Fake = Callable[[Path, str], Path]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Tailora keeps its caches."""
    monkeypatch.setenv("TAILORA_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def running() -> Callable[[], set[psutil.Process]]:
    """What was started since the test began and still runs; other tests share a server for the whole session."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: set(psutil.Process().children(recursive=True)) - before


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "shelf.py").write_text("def count(books: list[str]) -> int:\n    return len(books)\n")
    (root / "use.py").write_text("from shelf import count\n\nprint(count([]))\n")
    return root


@pytest.fixture
def fake() -> Fake:
    """Makes an executable of a Python program."""

    def make(path: Path, program: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{program}")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def appears() -> Callable[[Path], Awaitable[None]]:
    """Waits for a file that another process writes."""

    async def wait(path: Path) -> None:
        while not await asyncio.to_thread(path.exists):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.01)

    return wait


def contents(root: Path) -> dict[str, bytes | None]:
    """Everything in a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.rglob("*")
    }


@pytest.fixture
def unchanged(root: Path) -> Callable[[], bool]:
    """Whether the project is what it was before the test's own preparation ended, byte for byte."""
    before = contents(root)
    return lambda: contents(root) == before
