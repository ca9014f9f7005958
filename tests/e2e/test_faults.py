"""A killed engine and damaged model files: every request is answered, the status says what to do, and it mends."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from real_model import MODEL, Hole, Home, Window, cut, ready

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def hole(repository: Path) -> Hole:
    """Somewhere to ask."""
    return cut(repository / "watchdog/utils/delayed_queue.py", "self._queue.", "popleft()")


@pytest_asyncio.fixture(loop_scope="module")
async def window(home: Home, repository: Path, hole: Hole) -> AsyncIterator[Window]:
    """A window on a running engine."""
    window = await home.window(repository)
    window.show(hole)
    yield window
    await window.stop()


async def test_the_engine_is_killed_in_a_completion(home, window, hole):
    await window.suggestion(hole)
    await window.status(ready)
    killed = home.engine()
    seen = len(window.statuses)
    # Other text before the cursor: a whole prompt to read, so the request is still running when it is seen.
    window.insert(hole.uri, 0, 0, "# An example.\n")
    moved = Hole(hole.uri, hole.text, hole.line + 1, hole.character, hole.missing)
    asked = asyncio.create_task(window.suggestion(moved))
    await home.until(lambda status: status["requests"]["active"])
    killed.kill()
    assert await asked is None
    await window.reason("the engine went away")
    away = ("error", "starting")
    await window.until(lambda: any(told.state in away for told in window.statuses[seen:]))
    assert await window.suggestion(moved)
    assert home.engine().pid != killed.pid
    await window.status(ready)


def _model_of_links(models: Path, target: Path) -> Path:
    """The models folder again, of links: nothing is copied."""
    folder = target / MODEL
    folder.mkdir(parents=True)
    for path in (models / MODEL).iterdir():
        if path.is_file() and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    for name in ("checked.json", "record.json"):  # the ones that are written
        (folder / name).unlink(missing_ok=True)
        shutil.copy(models / MODEL / name, folder / name)
    return folder


@pytest.mark.parametrize("name,mended_by", [("tokenizer.json", "terminal"), ("model.safetensors", "editor")])
async def test_a_damaged_model_file(make_home, models, repository, tmp_path, hole, name, mended_by):
    folder = _model_of_links(models, tmp_path / "models")
    whole = (folder / name).readlink()
    (folder / name).unlink()
    (folder / name).write_bytes(b"{}")
    home = make_home(tmp_path / "models")
    window = await home.window(repository)
    window.show(hole)
    assert await window.suggestion(hole) is None
    status = await window.status(lambda told: told.state == "error")
    assert f"tailora model pull {MODEL}" in status.message
    assert name in status.message
    engine = home.engine()

    (folder / name).unlink()
    (folder / name).symlink_to(whole)
    if mended_by == "editor":
        await window.do("tailora.pullModel")
    else:
        pull = [sys.executable, "-m", "tailora", "model", "pull", MODEL]
        await asyncio.to_thread(subprocess.run, pull, env=home.env, check=True, capture_output=True)
    await window.status(lambda told: told.state == "ready")
    assert await window.suggestion(hole)
    assert home.engine().pid == engine.pid
    await window.stop()
    home.end()
