"""Open projects with a scripted worker, and ways to wait for what they say."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailora.engine.project import Project
from tailora.engine.projects import Projects
from tailora.engine.schedule import Rules
from tailora.engine.surroundings import Surroundings
from tailora.method_options import How
from tailora_adapters.store import Store

WORKER = (sys.executable, str(Path(__file__).with_name("engine_worker.py")))
AT_ONCE = Rules(quiet_s=0, min_gap_s=0, min_new_tokens=0, max_load=1, on_battery=True, budget_s_per_day=0)


class Harness:
    """Open projects, and a way to wait for what their status says."""

    def __init__(
        self,
        rules: Rules,
        store: Store | None = None,
        around: Surroundings | None = None,
    ) -> None:
        self._changed = asyncio.Event()
        self.projects = Projects(
            "m",
            store or Store(),
            rules,
            self._changed.set,
            worker_command=WORKER,
            poll_s=0.05,
            surroundings=around,
            save_every_s=0,
        )
        self.projects.start()
        self.seen: list[tuple[str, str]] = []
        """Every state and message that a status said."""

    async def until(self, root: Path, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                self._changed.clear()
                status = self.projects.status(str(root))
                self.seen.append((status["state"], status["message"]))
                if condition(status):
                    return status
                await self._changed.wait()

    def project(self, root: Path) -> Project:
        return self.projects._projects[root.resolve()]

    async def open(
        self,
        root: Path,
        client: str = "c",
        trusted: bool = True,
        learning: bool = True,
        how: How | None = None,
    ) -> None:
        await self.projects.open(str(root), client, trusted=trusted, learning=learning, how=how)

    async def watching(self, root: Path) -> None:
        """Waits for the watcher of a project that was just opened."""
        async with asyncio.timeout(20):
            while any(task.get_name() == "watch" for task in self.projects._tasks):
                await asyncio.wait(
                    [task for task in self.projects._tasks if task.get_name() == "watch"],
                )


def put(path: Path) -> None:
    """Makes a file by one event, so that one change starts one run."""
    hidden = path.with_name(f".{path.name}")
    hidden.write_text("1")
    hidden.rename(path)
