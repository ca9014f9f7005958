"""Adapters change what is suggested without a restart, never mix, and a broken one costs nothing but itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from real_model import Hole, Home, Window, add_version, answer, copy_package, cut, lora, ready

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

_WIDTH_OF_ANOTHER_MODEL = 1536


@pytest_asyncio.fixture(loop_scope="module")
async def window(home: Home, tmp_path: Path) -> AsyncIterator[Window]:
    """A window with a repository of this test's own, ``tmp_path / "repository"``."""
    window = await home.window(copy_package(tmp_path / "repository"))
    yield window
    await window.stop()


@pytest.fixture
def root(window: Window, tmp_path: Path) -> Path:
    """The repository that ``window`` has open."""
    return tmp_path / "repository"


@pytest.fixture
def hole(window: Window, root: Path) -> Hole:
    """Shown in ``window``."""
    hole = cut(
        root / "watchdog/utils/delayed_queue.py",
        "        self._queue.",
        "append((element, time.monotonic(), delay))",
    )
    window.show(hole)
    return hole


async def test_another_adapter_other_text_and_back(home, window, root, hole):
    before = await window.suggestion(hole)
    assert before
    version = add_version(home, root, lora(home.models, 8))
    swapped = await window.suggestion(hole)
    assert swapped != before
    assert (await answer(home, root, hole))[1]["adapter"] == version
    await window.do("tailora.rollBack")
    assert await window.suggestion(hole) == before
    assert (await answer(home, root, hole))[1]["adapter"] == "foundation"

    # The same questions in the other order, to an engine that has computed nothing yet: the same answers.
    old = home.engine()
    home.store(root).use(version)
    await window.do("tailora.restartEngine")
    assert await window.suggestion(hole) == swapped
    await window.do("tailora.rollBack")
    assert await window.suggestion(hole) == before
    assert home.engine().pid != old.pid


async def test_states_of_another_adapter_are_not_used(home, window, root, hole):
    versions = [add_version(home, root, lora(home.models, seed)) for seed in (1, 2)]
    texts = [(await answer(home, root, hole, adapter="foundation"))[0]]
    for version in versions:
        text, told = await answer(home, root, hole, adapter=version)
        assert (told["adapter"], told["cached_tokens"]) == (version, 0)
        texts.append(text)
    assert len(set(texts)) == 3
    # By turns, each goes on from its own state, which holds the whole prompt.
    seen: dict[str, str] = {}
    for _ in range(3):
        for version in ("foundation", *versions):
            text, told = await answer(home, root, hole, adapter=version)
            assert (told["adapter"], told["cached_tokens"]) == (version, told["prompt_tokens"])
            assert seen.setdefault(version, text) == text


async def test_disabled_and_enabled(home, window, root, hole):
    before = await window.suggestion(hole)
    add_version(home, root, lora(home.models, 7))
    swapped = await window.suggestion(hole)
    assert swapped != before
    await window.do("tailora.disable")
    # Automatic requests may come from the cache, which must know that the adapter is another one. They are answered
    # with the first whole line, where a command waits for all.
    first = await window.suggestion(hole, manual=False)
    assert first
    assert before.startswith(first)
    await window.do("tailora.enable")
    first = await window.suggestion(hole, manual=False)
    assert first
    assert swapped.startswith(first)


@pytest.mark.parametrize("damage", ["cut off", "not a number", "of another model"])
async def test_a_broken_adapter(home, window, root, hole, damage):
    without = await window.suggestion(hole)
    add_version(home, root, lora(home.models, 6))
    good = await window.suggestion(hole)
    if damage == "of another model":
        state = lora(home.models, 3, width=_WIDTH_OF_ANOTHER_MODEL)
    else:
        state = lora(home.models, 3)
    if damage == "not a number":
        next(iter(state.values()))[0, 0] = torch.nan
    bad = add_version(home, root, state)
    if damage == "cut off":
        weights = home.store(root).get(bad).path / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        # The engine may have read the version while it was whole: a change of the store makes it look again.
        home.store(root).disable()
        home.store(root).enable()
    text = await window.suggestion(hole)
    assert text in (good, without)
    assert text
    _, told = await answer(home, root, hole)
    assert told["adapter"] != bad
    status = await window.status(lambda told: told.project and f"version {bad}" in told.project.message)
    assert status.suggestion.shown
    assert ready(status)
