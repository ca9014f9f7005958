"""Checkers that are language servers: pyright, basedpyright, ty, and TypeScript since version 7."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types

from tailora.errors import CheckerFailed
from tailora.repair.checkers.checker import column, family
from tailora.repair.checkers.connection import Connection, ServerEnded
from tailora.repair.checkers.disk import snapshot
from tailora.repair.checkers.process import end, environment, start
from tailora.repair.problem import Finding

__all__ = ["LanguageServer"]

_FIRST_SECONDS, _SECONDS = 60.0, 20.0


class LanguageServer:
    """A language server that is started at the first check and kept, as what it knows of the project takes long.

    Giving up a check leaves it running. One that takes too long is ended, and started anew by the next check; one
    that crashes is started once more at once.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        root: Path,
        languages: frozenset[str],
        *,
        trusted: bool,
        settings: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = _SECONDS,
        first_seconds: float = _FIRST_SECONDS,
    ) -> None:
        self.name, self.languages = name, languages
        self._command, self._root, self._settings = command, root, settings or {}
        self._env = {**environment(root, trusted=trusted), **(env or {})}
        self._seconds, self._first_seconds = seconds, first_seconds
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process that is kept, if there is one."""
        return self._connection.process.pid if self._connection else None

    def reports(self, source: str) -> bool:
        """See ``Checker``."""
        return family(source) == family(self.name)

    async def check(self, path: Path, text: str, *, codes: Sequence[str] = ()) -> tuple[Finding, ...]:
        """See ``Checker``. Hints are no findings."""
        async with self._lock:
            try:
                return await self._check(path, text)
            except ServerEnded:
                await self._end()
            try:
                return await self._check(path, text)
            except ServerEnded:
                await self._end()
                raise CheckerFailed(f"{self.name} ended before it answered, twice") from None

    async def _check(self, path: Path, text: str) -> tuple[Finding, ...]:
        if self._closed:
            raise CheckerFailed(f"{self.name} was closed")
        answered = self._connection is not None and self._connection.answered
        seconds = self._seconds if answered else self._first_seconds
        try:
            async with asyncio.timeout(seconds):
                files = await asyncio.to_thread(snapshot, self._root)
                if self._connection is None:
                    self._connection = await self._start()
                    self._connection.files = files
                self._connection.changed(files)
                encoding, found = await self._connection.diagnostics(path, text, self._language(path))
        except TimeoutError:
            await self._end()
            raise CheckerFailed(f"{self.name} took longer than {seconds:g} s and was stopped") from None
        except CheckerFailed:
            await self._end()
            raise
        lines = text.split("\n")
        return tuple(
            _finding(it, self.name, lines, encoding)
            for it in found
            if it.severity != types.DiagnosticSeverity.Hint
        )

    async def _start(self) -> Connection:
        # Not in the project: interpreters look for modules where they are started.
        cwd = Path(self._command[0]).parent
        process = await start(self._command, name=self.name, cwd=cwd, env=self._env)
        try:
            connection = Connection(self.name, process, self._settings)
        except BaseException:
            await end(process)
            raise
        try:
            await connection.initialize(self._root)
        except BaseException:
            await connection.close(politely=False)
            raise
        if self._closed:
            await connection.close(politely=False)
            raise CheckerFailed(f"{self.name} was closed")
        return connection

    def _language(self, path: Path) -> str:
        suffix = path.suffix.lower()
        if "python" in self.languages:
            return "python"
        kind = "javascript" if "j" in suffix else "typescript"
        return f"{kind}react" if suffix.endswith("x") else kind

    async def _end(self, *, politely: bool = False) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(politely=politely)

    async def close(self) -> None:
        """Ends it, and a check that waits for it. Nothing can be asked afterwards."""
        self._closed = True
        await self._end(politely=True)


def _finding(it: types.Diagnostic, name: str, lines: Sequence[str], encoding: str) -> Finding:
    def at(place: types.Position) -> int:
        return column(lines[place.line], place.character, encoding) if place.line < len(lines) else 0

    code = "" if it.code is None else str(it.code)
    start, end = it.range.start, it.range.end
    return Finding(it.source or name, code, it.message, start.line, at(start), end.line, at(end))
