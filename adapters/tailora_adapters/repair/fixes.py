"""Small edits of a repository's past, as they were made: the file before, the lines that changed, the lines after.

Only edits in one place of a file, of files that are learned now; what they changed is in no file any more, so each old
text is searched for secrets again, failing closed. Reads commits by ``corpus.repository``, never by git.
"""

import difflib
import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tailora_adapters.corpus import secrets
from tailora_adapters.corpus.repository import Commit, Repository
from tailora_adapters.errors import HistoryUnreadable
from tailora_adapters.repair.hole import Span

__all__ = ["Fix", "FixLimits", "mine"]

_MOST_FILES = 12
"""Of a commit: larger ones are moves, renames and reformatting."""


@dataclass(frozen=True, slots=True)
class FixLimits:
    """How much of a history is read, and what counts as small."""

    commits: int = 600
    lines: int = 8
    """Before, and after."""
    file_lines: int = 3_000
    seconds: float = 10.0
    """Of computing."""


@dataclass(frozen=True, slots=True)
class Fix:
    """One edit."""

    path: str
    """Of the file, as it is called now."""
    language: str
    before: tuple[str, ...]
    """The file's lines."""
    span: Span
    """The lines that were replaced; never none."""
    now: tuple[str, ...]
    """What stands there since; none where lines were taken out."""
    when: int
    """Seconds since the epoch."""
    commit: str


def mine(root: Path, languages: Mapping[str, str], limits: FixLimits = FixLimits()) -> list[Fix]:
    """The edits of the newest commits, newest first; empty where there is no history that can be read.

    ``languages``: LSP identifiers by path, of the files whose past may be read.
    """
    try:
        repository = Repository(root.resolve())
    except HistoryUnreadable:
        return []
    try:
        return list(_Reader(repository, languages, limits).read())
    finally:
        repository.close()


class _Reader:
    def __init__(self, repository: Repository, languages: Mapping[str, str], limits: FixLimits) -> None:
        self._repository = repository
        self._languages = languages
        self._limits = limits
        self._deadline = time.thread_time() + limits.seconds

    def read(self) -> list[Fix]:
        """What can be read until a limit or damage."""
        found: list[Fix] = []
        seen: set[str] = set()
        pending: list[tuple[int, str]] = []

        def add(identifier: str) -> None:
            if identifier not in seen:
                seen.add(identifier)
                try:
                    heapq.heappush(pending, (-self._repository.commit(identifier).when, identifier))
                except HistoryUnreadable:
                    return

        add(self._repository.head)
        for _ in range(self._limits.commits):
            if not pending or time.thread_time() > self._deadline:
                break
            commit = self._repository.commit(heapq.heappop(pending)[1])
            for parent in commit.parents:
                add(parent)
            if len(commit.parents) == 1:
                try:
                    found += self._of(commit)
                except HistoryUnreadable:
                    continue
        return found

    def _of(self, commit: Commit) -> list[Fix]:
        parent = self._repository.commit(commit.parents[0])
        changes = self._repository.changes(parent.tree, commit.tree)
        if len(changes) > _MOST_FILES:
            return []
        found = []
        for change in changes:
            path = change.path.removeprefix(self._repository.prefix)
            if path not in self._languages or change.old is None or change.new is None:
                continue
            before, after = (
                self._repository.text(change.old, 1 << 18),
                self._repository.text(change.new, 1 << 18),
            )
            if before is not None and after is not None:
                fix = self._small(path, before, after, commit)
                if fix is not None:
                    found.append(fix)
        return found

    def _small(self, path: str, before: str, after: str, commit: Commit) -> Fix | None:
        old, new = before.split("\n"), after.split("\n")
        if max(len(old), len(new)) > self._limits.file_lines:
            return None
        changed = [
            code
            for code in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
            if code[0] != "equal"
        ]
        if len(changed) != 1:
            return None
        _, first, end, low, high = changed[0]
        was, now = old[first:end], new[low:high]
        if not was or max(len(was), len(now)) > self._limits.lines or _says_the_same(was, now):
            return None
        if secrets.scan(before, path) or secrets.scan(after, path):
            return None
        language = self._languages[path]
        return Fix(path, language, tuple(old), Span(first, end), tuple(now), commit.when, commit.id)


def _says_the_same(was: list[str], now: list[str]) -> bool:
    """Whether only white space, or only comments, changed."""

    def code(lines: list[str]) -> str:
        kept = (line.strip() for line in lines)
        return "".join(
            "".join(line.split()) for line in kept if line and not line.startswith(("#", "//", "*", "/*"))
        )

    return code(was) == code(now)
