"""One request before anything is measured, so that weights are loaded and threads have started."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tailora.bench.places import Document
from tailora.bench.player import Client, Screen
from tailora.bench.processes import answer_on

__all__ = ["warm_up"]

_SETTLE_S = 1.0
_TEXT = "def area(width: int, height: int) -> int:\n    return \n\n\nprint(area(3, 4))\n"


async def warm_up(client: Client, folder: Path, ready: Callable[[], Awaitable[None]] | None = None) -> None:
    """Asks once in a scratch document of ``folder`` and lets things settle.

    Args:
        ready: Waits until the client can be asked; called once the document is open.

    Raises:
        TailoraError: no answer came in time.
    """
    document = Document(folder / "warm.py", folder, "python", _TEXT)
    cursor = _TEXT.index("return ") + len("return ")
    client.open(document, _TEXT)
    if ready is not None:
        await ready()
    screen = Screen(asyncio.get_running_loop().time)
    client.ask(document, _TEXT, cursor, screen)
    await answer_on(screen)
    client.leave()
    await asyncio.sleep(_SETTLE_S)
