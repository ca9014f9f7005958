"""Time that passes only when everybody waits, documents to type in, and moments."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tailora.bench.places import Document

T = TypeVar("T")

CODE = "\n".join(
    [
        '"""A module."""',
        *(
            f"def function_{number}(first_{number}, second_{number}):\n"
            f"    total_{number} = first_{number} + second_{number} * {number}\n"
            f"    print('the total is', total_{number}, 'and no more')\n"
            f"    return total_{number} - first_{number}\n"
            for number in range(60)
        ),
    ]
)


class _NoWaiting(selectors.DefaultSelector):
    """Waits for nothing: instead, the loop's time jumps to where the wait would have ended."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for something that never comes"
        self.passed += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with time of its own. Nothing in it may do real input or output."""

    def __init__(self) -> None:
        self._no_waiting = _NoWaiting()
        super().__init__(self._no_waiting)

    def time(self) -> float:
        return self._no_waiting.passed


@pytest.fixture
def in_no_time() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine in virtual time."""

    def run(work: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(work)

    return run


@pytest.fixture
def document(tmp_path: Path) -> Document:
    """Some Python."""
    root = tmp_path / "package"
    root.mkdir()
    path = root / "module.py"
    path.write_text(CODE, encoding="utf-8")
    return Document(path, root, "python", CODE)
