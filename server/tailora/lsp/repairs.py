"""Repairs of open documents: one at a time in each, its progress, and what came of those that were made.

Between the code actions and the repair pipeline. Knows nothing of how actions look. Invariants: a repair sees the text
that its action was offered for, whatever is typed meanwhile; what it makes is applied to the text as it is then, or not
at all; and everything it started has ended when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tailora.repair import pipeline
from tailora.repair.checkers import Checker, find
from tailora.repair.problem import Finding, Problem
from tailora.repair.propose import EngineModel
from tailora.repair.questions import ask_checkers, relevant
from tailora.repair.validate import Trial

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer
    from tailora.options import RepairOptions

__all__ = ["Repairs", "Snapshot"]

_KEPT = 32
"""Snapshots, and repairs that were made."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document as an action was offered for it."""

    uri: str
    version: int | None
    text: str
    """Lines end with LF."""
    language: str


class Repairs:
    """What the code actions share."""

    def __init__(self, server: TailoraServer) -> None:
        self._server = server
        self._snapshots: OrderedDict[tuple[str, int | None], Snapshot] = OrderedDict()
        self._made: OrderedDict[tuple[str, str, Finding], pipeline.Report] = OrderedDict()
        self._checkers: dict[tuple[Path, str, bool], list[Checker]] = {}
        self._busy: dict[str, asyncio.Lock] = {}

    def keep(self, snapshot: Snapshot) -> None:
        """Remembers what an action was offered for, for a while."""
        key = snapshot.uri, snapshot.version
        self._snapshots[key] = snapshot
        self._snapshots.move_to_end(key)
        if len(self._snapshots) > _KEPT:
            self._snapshots.popitem(last=False)

    def snapshot(self, uri: str, version: int | None) -> Snapshot | None:
        """What ``keep`` was given, if it is still known."""
        return self._snapshots.get((uri, version))

    def made(self, snapshot: Snapshot, finding: Finding) -> pipeline.Report | None:
        """What came of the repair of a finding in just this text, if one was made."""
        return self._made.get((snapshot.uri, snapshot.text, finding))

    def forget(self, uri: str) -> None:
        """The document is closed."""
        for key in [key for key in self._snapshots if key[0] == uri]:
            del self._snapshots[key]
        for made in [made for made in self._made if made[0] == uri]:
            del self._made[made]
        self._busy.pop(uri, None)

    async def repair(self, snapshot: Snapshot, finding: Finding, path: Path) -> pipeline.Report:
        """Repairs a finding. A second one in the same document waits for the first.

        Raises:
            EngineError: the model cannot be asked.
        """
        known = self.made(snapshot, finding)
        if known is not None:
            return known
        async with self._busy.setdefault(snapshot.uri, asyncio.Lock()):
            report = await self._repair(snapshot, finding, path)
        key = snapshot.uri, snapshot.text, finding
        self._made[key] = report
        if len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return report

    async def _repair(self, snapshot: Snapshot, finding: Finding, path: Path) -> pipeline.Report:
        ls = self._server
        place = ls.folders.place(path)
        options = ls.settings.for_root(place.root)
        relative = place.relative or path.name
        problem = Problem(PurePath(relative), snapshot.text, snapshot.language, (finding,))
        checkers = self._checkers_for(place.root or path.parent, snapshot.language, options.learning.trusted)
        await ls.link.ensure()
        model = EngineModel(
            ls.link.client,
            place.root,
            relative,
            snapshot.language,
            adapter=options.completion.adapter,
        )
        trial = Trial(problem, ask_checkers(problem, path, relevant(checkers, finding.source)))
        settings = _settings(options.repair)
        async with _progress(ls, f"Repairing {path.name}") as report:
            return await pipeline.repair(problem, model, trial, settings, progress=report)

    def _checkers_for(self, root: Path, language: str, trusted: bool) -> list[Checker]:
        key = root, language, trusted
        if key not in self._checkers:
            self._checkers[key] = find(root, language, trusted=trusted)
        return self._checkers[key]

    async def close(self) -> None:
        """Ends the checkers that run."""
        checkers = [checker for found in self._checkers.values() for checker in found]
        self._checkers.clear()
        await asyncio.gather(*(checker.close() for checker in checkers), return_exceptions=True)


def _settings(options: RepairOptions) -> pipeline.Settings:
    return replace(pipeline.Settings(), candidates=options.candidates, seconds=options.deadline_ms / 1000)


@contextlib.asynccontextmanager
async def _progress(ls: TailoraServer, title: str):  # type: ignore[no-untyped-def]
    """Work-done progress where the client shows it; its cancel button cancels the task that is in the block."""
    window = ls.client_capabilities.window
    if window is None or not window.work_done_progress:
        yield lambda _fraction, _message: None
        return
    progress, token = ls.work_done_progress, f"tailora-repair-{secrets.token_hex(6)}"
    try:
        await progress.create_async(token)
    except JsonRpcException:
        yield lambda _fraction, _message: None
        return
    progress.begin(token, types.WorkDoneProgressBegin(title=title, cancellable=True, percentage=0))
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    progress.tokens[token].add_done_callback(lambda _: loop.call_soon_threadsafe(task.cancel))

    def report(fraction: float, message: str) -> None:
        progress.report(
            token, types.WorkDoneProgressReport(message=message, percentage=round(100 * fraction))
        )

    try:
        yield report
    finally:
        progress.end(token, types.WorkDoneProgressEnd())
        progress.tokens.pop(token, None)
