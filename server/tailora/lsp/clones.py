"""Hints at functions that repeat others of the repository, in the documents that are open.

A process of its own reads the repository (``tailora_adapters.clones.worker``), one at a time for each folder, when a
document is opened or saved; nothing of it runs here. Knows nothing of how clones are found. Invariants: a hint is
published only for a text that is on disk as it is in the editor; what is no longer so is withdrawn; and no more than
one process runs for a folder, whatever is opened and saved meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from tailora.lsp.text import path_of, units

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer
    from tailora.options import CloneOptions

__all__ = ["SOURCE", "CloneHints"]

_log = logging.getLogger(__name__)

SOURCE = "tailora"
"""Of the diagnostics that are published here, which are nothing to repair."""

_RELATED = 5
"""Places that a hint names, at most."""
_GATHER_S = 0.5
"""Pause before a process is started: an editor opens many documents at once when it starts."""


class CloneHints:
    """One for each window."""

    def __init__(self, server: TailoraServer) -> None:
        self._server = server
        self._asked: dict[Path, set[str]] = {}
        """URIs by root, of documents that wait for a process."""
        self._running: dict[Path, asyncio.Task[None]] = {}
        self._used: dict[Path, CloneOptions | None] = {}
        """The settings that the hints of a folder were made with; None: there are to be none."""
        self._published: set[str] = set()
        self._told: set[str] = set()

    def look(self, uri: str) -> None:
        """A document was opened or saved."""
        root = self._root(uri)
        if root is None:
            return
        self._used[root] = self._wanted(root)
        if self._used[root] is None:
            self._publish(uri, [])
            return
        self._asked.setdefault(root, set()).add(uri)
        if root not in self._running:
            self._running[root] = self._server.spawn(self._work(root), "look for clones")

    def forget(self, uri: str) -> None:
        """A document was closed."""
        for asked in self._asked.values():
            asked.discard(uri)
        root = self._root(uri)
        if root is not None and set(self._open(root)) <= {uri} and (running := self._running.pop(root, None)):
            running.cancel()
        self._publish(uri, [])

    def settings_changed(self) -> None:
        """Looks anew in the open documents of folders whose settings of this are others now."""
        changed = [root for root, used in self._used.items() if used != self._wanted(root)]
        for uri in [uri for root in changed for uri in self._open(root)]:
            self.look(uri)

    def _wanted(self, root: Path) -> CloneOptions | None:
        """The settings where hints are wanted. The index is kept, so a folder that may not be learned has none."""
        options = self._server.settings.for_root(root)
        learned = options.learning.trusted and options.learning.enabled
        return options.clones if options.clones.enabled and learned else None

    def _root(self, uri: str) -> Path | None:
        path = path_of(uri)
        place = self._server.folders.place(path) if path is not None else None
        return place.root if place is not None and place.relative is not None else None

    def _open(self, root: Path) -> list[str]:
        return [uri for uri in self._server.workspace.text_documents if self._root(uri) == root]

    async def _work(self, root: Path) -> None:
        """Answers for all that is asked until nothing is."""
        try:
            while self._asked.get(root):
                await asyncio.sleep(_GATHER_S)
                self._asked.pop(root, None)
                await self._answer(root)
        finally:
            if self._running.get(root) is asyncio.current_task():
                del self._running[root]

    async def _answer(self, root: Path) -> None:
        # All that are open: a function that was saved may repeat one of another document, or no longer.
        uris = {self._relative(uri): uri for uri in self._open(root)}
        options = self._wanted(root)
        if not uris or options is None:
            return
        answer = await _ask(root, list(uris), options)
        problem = answer["problem"]
        if problem and problem not in self._told:
            self._told.add(problem)
            _log.warning("No clones are looked for in %s: %s", root, problem)
        for relative, uri in uris.items():
            file = answer["files"].get(relative)
            self._publish(uri, self._hints(root, uri, file) if file else [])

    def _relative(self, uri: str) -> str:
        return self._server.folders.place(path_of(uri)).relative or ""

    def _hints(self, root: Path, uri: str, file: dict[str, Any]) -> list[types.Diagnostic]:
        document = self._server.workspace.opened(uri)
        if document is None or not _same(document.source, file["sha256"]):
            return []
        lines, encoding = document.lines, self._server.workspace.position_encoding
        related = self._related()
        hints = []
        for function in file["functions"]:
            line = lines[function["line"]]
            column, end = (units(line[: function[key]], encoding) for key in ("column", "end_column"))
            others = function["clones"]
            hints.append(
                types.Diagnostic(
                    range=_range(function["line"], column, end),
                    severity=types.DiagnosticSeverity.Hint,
                    source=SOURCE,
                    code=f"clone-type-{others[0]['type']}",
                    message=_message(others),
                    related_information=[self._place(root, other) for other in others[:_RELATED]]
                    if related
                    else None,
                )
            )
        return hints

    def _place(self, root: Path, other: dict[str, Any]) -> types.DiagnosticRelatedInformation:
        # Columns of other files are in characters: a name stands behind such as are not ASCII next to never.
        place = _range(other["line"], other["column"], other["end_column"])
        location = types.Location((root / other["path"]).as_uri(), place)
        return types.DiagnosticRelatedInformation(location, f"{other['name']}: {_alike(other)}")

    def _related(self) -> bool:
        text = self._server.client_capabilities.text_document
        published = text.publish_diagnostics if text is not None else None
        return bool(published is not None and published.related_information)

    def _publish(self, uri: str, hints: list[types.Diagnostic]) -> None:
        """Tells the hints of a document; of one that never had any, nothing."""
        if not self._server.client_listens or (not hints and uri not in self._published):
            return
        if hints:
            self._published.add(uri)
        else:
            self._published.discard(uri)
        document = self._server.workspace.opened(uri)
        version = document.version if document is not None else None
        self._server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, hints, version))


async def _ask(root: Path, paths: list[str], options: CloneOptions) -> dict[str, Any]:
    """The worker's answer; it is ended with this task."""
    command = [
        sys.executable, "-m", "tailora_adapters.clones.worker", "--root", str(root),
        "--min-tokens", str(options.min_tokens), "--threshold", str(options.threshold / 100),
        "--parent-pid", str(os.getpid()),
    ]  # fmt: skip
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nothing)
    try:
        output, _ = await process.communicate(json.dumps(paths).encode())
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        return {"files": {}, "problem": f"the process that looks for them ended with {process.returncode}"}
    return answer


def _same(text: str, sha256: str) -> bool:
    """Whether a text is what the bytes of a file hold, with or without a byte order mark."""
    data = text.encode("utf-8", "surrogatepass")
    return any(hashlib.sha256(mark + data).hexdigest() == sha256 for mark in (b"", b"\xef\xbb\xbf"))


def _message(others: list[dict[str, Any]]) -> str:
    first = others[0]
    more = f"; and {len(others) - 1} more" if len(others) > 1 else ""
    return f"repeats `{first['name']}` in {first['path']}:{first['line'] + 1}, {_alike(first)}{more}"


def _alike(other: dict[str, Any]) -> str:
    if other["type"] == 1:
        return "the same but for layout and comments"
    if other["type"] == 2:
        return "the same but for names and literals"
    # 99.6 % are not all of it.
    return f"{min(99, round(100 * other['similarity']))} % the same"


def _range(line: int, column: int, end: int) -> types.Range:
    return types.Range(types.Position(line, column), types.Position(line, end))
