"""What editors show of a repository's adapters, and what a user does to single versions of them.

Reads and changes the store, in a thread; the engine notices a changed store by itself at the next request. Knows
nothing of how adapters are trained.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailora.errors import EngineError
from tailora_adapters.errors import TailoraError
from tailora_adapters.store import ProjectStore, Store

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["adapters", "delete_adapters", "use_version"]


async def adapters(ls: TailoraServer, root: Path, *_: Any) -> dict[str, Any]:
    """All versions, what the gate said of them and what became of their suggestions (``adapter_report.report``)."""
    from tailora.adapter_report import report  # not needed before somebody looks

    told = await asyncio.to_thread(lambda: report(Store().project(root)))
    count = len(told["versions"])
    what = "1 version was" if count == 1 else f"{count} versions were"
    message = f"{what} learned of {root.name}" if count else f"Nothing was learned of {root.name} yet"
    return {"ok": True, "message": message, "root": str(root), **told}


async def use_version(ls: TailoraServer, root: Path, version: Any = None, *_: Any) -> dict[str, Any]:
    """Serves ``version`` from the next keystroke.

    Raises:
        TailoraError: there is no such version, or it cannot serve.
    """
    if not isinstance(version, str):
        raise TailoraError("the arguments are the URI of a folder and a version of its adapters")
    await _change(ls, root, lambda project: project.use(version))
    return {"ok": True, "message": f"Version {version} is used from the next suggestion on"}


async def delete_adapters(ls: TailoraServer, root: Path, version: Any = None, *_: Any) -> dict[str, Any]:
    """Deletes ``version``, or without one everything that was learned of ``root``.

    Raises:
        TailoraError: there is no such version, or the disk cannot be written.
    """
    if version is not None and not isinstance(version, str):
        raise TailoraError(
            "the arguments are the URI of a folder and a version of its adapters, or null for all"
        )
    if version is None:
        await _change(ls, root, ProjectStore.delete_all)
        return {"ok": True, "message": f"Everything that was learned of {root.name} was deleted"}
    await _change(ls, root, lambda project: project.delete(version))
    return {"ok": True, "message": f"Version {version} was deleted"}


async def _change(ls: TailoraServer, root: Path, change: Callable[[ProjectStore], object]) -> None:
    await asyncio.to_thread(lambda: change(Store().project(root)))
    with contextlib.suppress(EngineError):  # without an engine the next one finds the store as it is
        ls.board.update(root, await ls.link.client.status(root))
