"""An adapter of every method serves: over LSP, with the real model, on the engine's own decoder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from real_model import Hole, Home, Window, add_version, answer, copy_package, cut, of_method, ready

from tailora_adapters.methods import METHODS

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(
    home: Home, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Window, Path, Hole]]:
    """A window, its repository and a hole that is shown in it."""
    root = copy_package(tmp_path_factory.mktemp("methods") / "repository")
    window = await home.window(root)
    hole = cut(
        root / "watchdog/utils/delayed_queue.py",
        "        self._queue.",
        "append((element, time.monotonic(), delay))",
    )
    window.show(hole)
    await window.suggestion(hole)
    await window.status(ready)  # what is asked before may be answered too late
    yield window, root, hole
    await window.stop()


@pytest.mark.parametrize("name", [method.name for method in METHODS.values() if method.served])
async def test_suggestions_come_from_it_and_go_with_it(home, opened, name):
    window, root, hole = opened
    before = await window.suggestion(hole)
    _, base = await answer(home, root, hole, logprobs=0)
    state, config = of_method(home.models, METHODS[name])
    version = add_version(home, root, state, config, METHODS[name])
    changed = await window.suggestion(hole)
    _, told = await answer(home, root, hole, logprobs=0)
    assert told["adapter"] == version
    assert told["likelihoods"] != base["likelihoods"]
    # What stands ahead of all others changes the odds, and random tokens there not always the answer.
    assert changed != before or METHODS[name].whole
    home.store(root).delete(version)
    assert await window.suggestion(hole) == before
