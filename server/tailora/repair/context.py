"""What of the project tells the model more about a problem: what the suspect lines import, and how lines like them were
changed in the past.

Reads source files and commits, and runs nothing. The invariants of ``completion.context`` hold: nothing outside the
root, nothing that looks secret. Knows nothing of prompts or of the model.
"""

import asyncio
import re
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tailora.completion import ContextSnippet, RecentEdits, gather
from tailora.completion.snapshot import Snapshot
from tailora.repair.imports import known_imports, missing_name, project_texts
from tailora.repair.problem import Problem, Span
from tailora.repair.syntax import Syntax
from tailora_adapters import languages
from tailora_adapters.corpus.repository import Repository
from tailora_adapters.corpus.secrets import is_secret_file
from tailora_adapters.errors import HistoryUnreadable
from tailora_adapters.repair.fixes import Fix, FixLimits, mine
from tailora_adapters.repair.hole import indentation

__all__ = ["Past", "Surroundings", "similar"]

_LIMITS = FixLimits(commits=200, lines=4, seconds=1.5)
_MOST_PROJECTS = 8
_MOST_FIXES = 1
_ALIKE = 0.5
"""Jaccard similarity of words and signs from which an old line is shown."""
_FIX_CHARS = 240
_DEFINITION_CHARS = 480
"""Together a little less than the engine's budget for context (``base.prompt.PromptBudget``)."""
_AROUND = 30
"""Lines before and behind a suspect line that is in no function."""
_WORD = re.compile(r"\w+|[^\w\s]")


class Past:
    """Small edits of projects' histories, each history read once for each commit that is checked out. Any thread."""

    def __init__(self, limits: FixLimits = _LIMITS) -> None:
        self._limits = limits
        self._known: dict[tuple[Path, str], tuple[str, tuple[Fix, ...]]] = {}
        self._lock = threading.Lock()

    def fixes(self, root: Path, language: str, paths: Iterable[str]) -> tuple[Fix, ...]:
        """The edits of the newest commits, newest first, of just these files, which are in one language. Blocks, for a
        second or two at first."""
        with self._lock:
            head = _head(root)
            if head is None:
                return ()
            known = self._known.get((root, language))
            if known is None or known[0] != head:
                found = tuple(mine(root, dict.fromkeys(paths, language), self._limits))
                known = self._known[root, language] = head, found
                while len(self._known) > _MOST_PROJECTS:
                    del self._known[next(iter(self._known))]
            return known[1]


class Surroundings:
    """The project around the files of one request; its texts are read once."""

    def __init__(
        self,
        root: Path | None,
        past: Past | None = None,
        read: Callable[[Path], str | None] | None = None,
    ) -> None:
        """Without a root nothing is looked at. ``read`` gives what a file holds, as the editor has it."""
        self._root = root
        self._past = past
        self._read = read or _on_disk
        self._read_texts: dict[str, list[tuple[str, str]]] = {}

    async def add_to(self, problem: Problem) -> Problem:
        """The problem with imports that may be missing, and with context."""
        if self._root is None:
            return problem
        problem = await asyncio.to_thread(self._look, problem)
        return replace(problem, context=(*problem.context, *self._definitions(problem)))

    def _look(self, problem: Problem) -> Problem:
        name = missing_name(problem)
        if name is not None:
            imports = tuple(known_imports(name, problem.path, self._texts(problem.language)))
            problem = replace(problem, imports=imports)
        return replace(problem, context=tuple(self._fixes(problem)))

    def _texts(self, language: str) -> Sequence[tuple[str, str]]:
        """The project's files in a language."""
        if language not in self._read_texts:
            known = languages.by_id(language)
            found = project_texts(self._root, known.suffixes) if self._root and known else ()
            self._read_texts[language] = list(found)
        return self._read_texts[language]

    def _fixes(self, problem: Problem) -> Sequence[tuple[str, str]]:
        if self._root is None or self._past is None:
            return ()
        paths = [path for path, _ in self._texts(problem.language)]
        return similar(self._past.fixes(self._root, problem.language, paths), problem)

    def _definitions(self, problem: Problem) -> list[tuple[str, str]]:
        assert self._root is not None
        path = self._root / problem.path
        lines = problem.text.split("\n")
        around = _around(problem)
        snapshot = Snapshot(path.as_uri(), path, problem.language, None, problem.text, 0)
        found: tuple[ContextSnippet, ...] = gather(
            snapshot,
            root=self._root,
            recent=RecentEdits(),
            read=self._read,
            budget_chars=_DEFINITION_CHARS * 3 // 2,
            used=set(_WORD.findall("\n".join(lines[around.first : around.end]))),
        )
        return [(snippet.path, snippet.text) for snippet in found]


def similar(fixes: Sequence[Fix], problem: Problem, most: int = _MOST_FIXES) -> list[tuple[str, str]]:
    """How lines like the suspect ones were changed, as (path, text): as in a prompt, the old lines as a comment."""
    lines = problem.text.split("\n")
    wanted = [set(_WORD.findall(lines[line])) for line in _suspect_lines(problem)]
    scored: list[tuple[float, int]] = []
    for number, fix in enumerate(fixes):
        if fix.language != problem.language or fix.before == tuple(lines):
            continue
        was = fix.before[fix.span.first : fix.span.end]
        alike = max((_alike(words, was) for words in wanted), default=0.0)
        if alike >= _ALIKE and len(_shown(fix)) <= _FIX_CHARS:
            scored.append((-alike, number))
    return [(fixes[number].path, _shown(fixes[number])) for _, number in sorted(scored)[:most]]


def _alike(words: Collection[str], lines: Iterable[str]) -> float:
    """The likest line's Jaccard similarity."""
    best = 0.0
    for line in lines:
        other = set(_WORD.findall(line))
        union = len(other | set(words))
        best = max(best, len(other & set(words)) / union if union else 0.0)
    return best


def _shown(fix: Fix) -> str:
    known = languages.by_id(fix.language)
    comment = known.comment if known else "#"
    was = fix.before[fix.span.first : fix.span.end]
    cut = len(indentation(fix.before, fix.span))
    old = [f"{comment} {line.strip()}" for line in was if line.strip()]
    return "\n".join([*old, *(line[cut:] if not line[:cut].strip() else line for line in fix.now)])


def _suspect_lines(problem: Problem) -> list[int]:
    count = problem.text.count("\n") + 1
    if problem.findings:
        return [min(max(finding.line, 0), count - 1) for finding in problem.findings]
    marked = [line for line, value in enumerate(problem.suspects[:count]) if value]
    return sorted(marked, key=lambda line: -problem.suspects[line])[:4]


def _around(problem: Problem) -> Span:
    """The function of the most suspect line, or as many lines around it."""
    lines = _suspect_lines(problem)
    if not lines:
        return Span(0, problem.text.count("\n") + 1)
    function = Syntax(problem.text, problem.language).function(lines[0])
    return function or Span(max(0, lines[0] - _AROUND), lines[0] + _AROUND)


def _head(root: Path) -> str | None:
    try:
        repository = Repository(root.resolve())
    except HistoryUnreadable:
        return None
    try:
        return repository.head
    finally:
        repository.close()


def _on_disk(path: Path) -> str | None:
    return None if is_secret_file(path.name) else path.read_text(encoding="utf-8")
