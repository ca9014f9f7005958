"""Repairs of open documents, and what came of those that were made.

Between the code actions and the repair pipeline. Knows nothing of how actions look. Invariants: a repair sees the text
that its action was offered for, whatever is typed meanwhile; and only what came to an end with something to offer is
remembered.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from tailora.errors import CheckerFailed
from tailora.lsp.works import Report
from tailora.repair import pipeline
from tailora.repair.checkers import Checker, compare, find
from tailora.repair.context import Past, Surroundings
from tailora.repair.problem import Finding, Problem, Span
from tailora.repair.propose import EngineModel
from tailora.repair.session import repair_lines, selected

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer
    from tailora.options import Options, RepairOptions

__all__ = ["Repairs", "Snapshot", "adapter_of", "settings_of"]

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
        self._past = Past()

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
        """What came of the repair of a finding in just this text, if something did."""
        return self._made.get((snapshot.uri, snapshot.text, finding))

    def forget(self, uri: str) -> None:
        """The document is closed."""
        self._server.works.stop(uri)
        for key in [key for key in self._snapshots if key[0] == uri]:
            del self._snapshots[key]
        for made in [made for made in self._made if made[0] == uri]:
            del self._made[made]

    async def repair(self, snapshot: Snapshot, path: Path, finding: Finding) -> pipeline.Report:
        """Looks for edits that clear a finding.

        Raises:
            EngineError: the model cannot be asked.
            Stopped: nobody waits for it any more.
        """

        async def work(report: Report) -> pipeline.Report:
            return await self._repair(snapshot, path, finding, self.around(path), report)

        return await self._server.works.run(snapshot.uri, f"Repairing {path.name}", work)

    async def repair_all(
        self, snapshot: Snapshot, path: Path, findings: Sequence[Finding]
    ) -> tuple[str, int]:
        """The text with verified edits only, each made in what the ones before it left, and how many findings that
        clears. Raises as ``repair`` does."""

        async def work(report: Report) -> tuple[str, int]:
            text, cleared, changed = snapshot.text, 0, False
            around = self.around(path)
            waiting = sorted(findings, key=lambda finding: (finding.line, finding.column))
            while waiting:  # from below: lines above stay where they are, but for an import that comes in
                finding = waiting.pop()
                done = len(findings) - len(waiting) - 1

                def step(fraction: float, message: str, done: int = done) -> None:
                    report((done + fraction) / len(findings), f"{done + 1} of {len(findings)}: {message}")

                now = replace(snapshot, version=None, text=text)
                if changed and await self._gone(now, path, finding):
                    cleared += 1
                    continue
                found = await self._repair(now, path, finding, around, step)
                if not found.repairs or not found.repairs[0].verified:
                    continue
                made = found.repairs[0].candidate
                text, cleared, changed = made.text, cleared + 1, True
                grown = len(made.lines) - len(made.span)
                waiting = [
                    replace(other, line=other.line + grown, end_line=other.end_line + grown)
                    if other.line >= made.span.end
                    else other
                    for other in waiting
                ]
            return text, cleared

        return await self._server.works.run(snapshot.uri, f"Repairing {path.name}", work)

    async def rewrite(self, snapshot: Snapshot, path: Path, lines: Span) -> pipeline.Report:
        """Looks for another version of just these lines. Raises as ``repair`` does."""
        problem = selected(self._problem(snapshot, path), lines)

        async def work(report: Report) -> pipeline.Report:
            return await self._run(problem, path, self.around(path), report)

        return await self._server.works.run(snapshot.uri, f"Rewriting lines of {path.name}", work)

    async def _repair(
        self, snapshot: Snapshot, path: Path, finding: Finding, around: Surroundings, report: Report
    ) -> pipeline.Report:
        known = self.made(snapshot, finding)
        if known is not None:
            return known
        problem = replace(self._problem(snapshot, path), findings=(finding,))
        found = await self._run(problem, path, around, report)
        if found.repairs:
            self._made[snapshot.uri, snapshot.text, finding] = found
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return found

    def _problem(self, snapshot: Snapshot, path: Path) -> Problem:
        relative = self._server.folders.place(path).relative or path.name
        return Problem(PurePath(relative), snapshot.text, snapshot.language)

    async def _run(
        self, problem: Problem, path: Path, around: Surroundings, report: Report
    ) -> pipeline.Report:
        root = self._server.folders.place(path).root
        await self._server.link.ensure()
        return await repair_lines(
            problem,
            path,
            self._checkers_for(path, problem.language),
            lambda told: self.model(root, told),
            around=around,
            settings=settings_of(self._server.settings.for_root(root).repair),
            progress=report,
        )

    def around(self, path: Path) -> Surroundings:
        """The project that a file is in, as the editor has it now."""
        return Surroundings(self._server.folders.place(path).root, self._past, self._server.read_for_context)

    def model(self, root: Path | None, problem: Problem) -> EngineModel:
        """The engine as the model for a problem."""
        return EngineModel(
            self._server.link.client,
            root,
            problem.path.as_posix(),
            problem.language,
            adapter=adapter_of(self._server.settings.for_root(root)),
            context=problem.context,
        )

    async def _gone(self, snapshot: Snapshot, path: Path, finding: Finding) -> bool:
        """Whether an edit that was made for another finding has cleared this one, too."""
        for checker in self._checkers_for(path, snapshot.language):
            if checker.reports(finding.source):
                try:
                    found = await checker.check(
                        path, snapshot.text, codes=[finding.code] if finding.code else []
                    )
                except CheckerFailed:
                    return False
                return compare(found, found, [finding]) is None
        return False

    def _checkers_for(self, path: Path, language: str) -> list[Checker]:
        place = self._server.folders.place(path)
        trusted = self._server.settings.for_root(place.root).learning.trusted
        key = place.root or path.parent, language, trusted
        if key not in self._checkers:
            self._checkers[key] = find(key[0], language, trusted=trusted)
        return self._checkers[key]

    async def close(self) -> None:
        """Ends what is under way, and the checkers that run."""
        await self._server.works.close()
        checkers = [checker for found in self._checkers.values() for checker in found]
        self._checkers.clear()
        await asyncio.gather(*(checker.close() for checker in checkers), return_exceptions=True)


def adapter_of(options: Options) -> str:
    """Which adapter repairs: the project's own for it, unless the user wants none of the project's."""
    wanted = options.completion.adapter
    return "repair" if wanted == "serving" else wanted


def settings_of(options: RepairOptions) -> pipeline.Settings:
    """How much is tried, by the user's settings."""
    return replace(pipeline.Settings(), candidates=options.candidates, seconds=options.deadline_ms / 1000)
