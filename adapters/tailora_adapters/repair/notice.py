"""Which bugs a checker notices, and what it says of them, in the words that an editor shows.

Each text with a bug lies beside the file that it was made of, under another name, in a temporary copy of the Python
files that are learned: so no bug can be noticed in the place of another one, and all are asked about at once. What
counts is what is not said of the file as it is, there under another name too. Invariant: whatever a checker does, an
answer comes in time, and nothing is left behind.
"""

import itertools
import logging
import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.corpus.unresolved import unresolved
from tailora_adapters.errors import CheckFailed
from tailora_adapters.repair import checkers
from tailora_adapters.repair.checkers import Checker, Finding, Sources
from tailora_adapters.temporary import temporary_folder

__all__ = ["SECONDS", "Checkers", "undefined"]

_log = logging.getLogger(__name__)

SECONDS = 45.0
"""Of wall clock, for all questions of one run."""
_SHARE = 2 / 3
"""Of what is left, one question takes at most."""
_MOST_ROOTS = 32
_MARK = re.compile(r"__tailora_\d+")
"""In the names of files that texts lie in."""
_LINE_NUMBER = re.compile(r"\b(lines?) \d+")
_STYLE = re.compile(
    r"report(Unknown|Unused(?!Coroutine)|Any|Explicit|Missing|Implicit|Private|Deprecated|Unnecessary|Unannotated)"
    r"|reportUntyped|unused-(?!awaitable)|deprecated|redundant-"
)
"""Rules about how code looks, and those that pyright does not have on where nothing is set."""


class Checkers:
    """Asks the checkers that are installed, as ``lessons`` wants it. Where none answers, names that are bound nowhere
    are noticed."""

    def __init__(
        self,
        root: Path,
        files: Sequence[SourceFile],
        *,
        seconds: float = SECONDS,
        installed: Sequence[tuple[Checker, Path]] | None = None,
    ) -> None:
        """``files`` are those of the repository at ``root`` that are learned: no other ones are shown to checkers."""
        self._root = root
        self._files = {file.path: file.text for file in files if file.language == "python"}
        self._left = seconds
        self._took: dict[Checker, float] = {}
        """Seconds for a part of the texts, at most so far."""
        self._installed = list(checkers.installed(root) if installed is None else installed)

    def __call__(self, asked: Sequence[tuple[str, str]]) -> list[str | None]:
        """What a checker says of each file with a bug, by its path and text; None for a bug that none notices."""
        said = self._answers(asked)
        if not said:
            return [undefined(text) for _, text in asked]
        told = ", ".join(f"{checker.name} {len(_noticed(found))}" for checker, found in said.items())
        _log.info("of %d bugs are noticed: %s", len(asked), told)
        return [_one(said, number) for number in range(len(asked))]

    def judged(self, asked: Sequence[tuple[str, str]]) -> list[bool | None]:
        """Whether no checker says more of each text than of the file at its path as it is. None where one of the
        checkers gave no answer about it and the others say nothing, and where none is installed."""
        judges = [checker for checker, _ in self._installed]
        most = min((checker.most or len(asked) for checker in judges), default=len(asked))
        found: list[bool | None] = []
        for begin in range(0, len(asked), max(1, most)):
            part = asked[begin : begin + most]
            said = self._answers(part, thorough=True)
            for number in range(len(part)):
                silent = [number in said.get(judge, {}) for judge in judges]
                clean = True if judges and all(silent) else None
                found.append(clean if _one(said, number) is None else False)
        return found

    def _answers(
        self, asked: Sequence[tuple[str, str]], *, thorough: bool = False
    ) -> dict[Checker, dict[int, str | None]]:
        """What each checker that answered says of the texts that it was asked about, by their number."""
        began = time.monotonic()
        said: dict[Checker, dict[int, str | None]] = {}
        if self._installed and asked:
            try:
                with temporary_folder("tailora-notice-") as folder:
                    question = _Question(self._root, folder, self._files, asked)
                    said = self._ask(question, began, thorough=thorough)
            except OSError as error:
                _log.warning("the work goes on without what checkers say: %s", error)
        self._left -= time.monotonic() - began
        return said

    def _ask(
        self, question: "_Question", began: float, *, thorough: bool
    ) -> dict[Checker, dict[int, str | None]]:
        """As ``_answers``. One that failed is not asked again; slow ones are asked about what others notice, unless
        this is to be ``thorough``."""
        said: dict[Checker, dict[int, str | None]] = {}
        waiting = list(self._installed)
        until = began + _SHARE * self._left
        while waiting:
            now = time.monotonic()
            share = now + (until - now) / len(waiting)
            checker, executable = waiting.pop(0)
            others = [] if thorough else [_noticed(found) for found in said.values()]
            noticed = sorted({number for found in others for number in found})
            try:
                for found in question.put(checker, executable, noticed, share, self._took):
                    said.setdefault(checker, {}).update(found)
            except CheckFailed as error:
                _log.warning("the work goes on without what %s says: %s", checker.name, error)
                self._installed.remove((checker, executable))
        return said


def undefined(text: str) -> str | None:
    """What every linter says of a name that is bound nowhere; of other bugs nothing."""
    names = unresolved(text)
    return f"Undefined name `{min(names)}`" if names else None


class _Question:
    """Texts with bugs in a copy of a repository, which lies in ``folder``."""

    def __init__(
        self, root: Path, folder: Path, files: Mapping[str, str], asked: Sequence[tuple[str, str]]
    ) -> None:
        self._root = root
        self._files = files
        self._asked = asked
        self._sources = Sources(folder / "copy", folder / "empty", _roots(files))
        self._sources.empty.mkdir()
        for path, text in files.items():
            self._write(path, text)
        for path in {path for path, _ in asked} & files.keys():
            self._write(_place(path, 0), files[path])
        for number, (path, text) in enumerate(asked):
            if path in files:
                self._write(_place(path, number + 1), text)

    def _write(self, path: str, text: str) -> None:
        place = self._sources.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode("utf-8", "replace"))

    def put(
        self,
        checker: Checker,
        executable: Path,
        noticed: Sequence[int],
        until: float,
        took: dict[Checker, float],
    ) -> Iterator[dict[int, str | None]]:
        """What a checker says newly, a part of the texts at a time; of a slow one, those that were ``noticed`` before,
        if any were. As many parts as there is time for, which ``took`` tells.

        Raises:
            CheckFailed: it gave no answer, or not in time.
        """
        numbers = [number for number, (path, _) in enumerate(self._asked) if path in self._files]
        if checker.most is not None:
            numbers = list(noticed or numbers)[: checker.most]
        before: dict[str, Counter[tuple[str, str]]] = {}
        for begin in range(0, len(numbers), checker.batch):
            now = time.monotonic()
            if until - now <= took.get(checker, 0.0):
                _log.info("no time to ask %s about %d bugs", checker.name, len(numbers) - begin)
                return
            part = numbers[begin : begin + checker.batch]
            fresh = sorted({self._asked[number][0] for number in part} - before.keys())
            places = {number: _place(self._asked[number][0], number + 1) for number in part}
            found: dict[str, list[Finding]] = defaultdict(list)
            for finding in checkers.ask(
                checker,
                executable,
                self._sources,
                [*(_place(path, 0) for path in fresh), *places.values()],
                root=self._root,
                seconds=until - now,
            ):
                if not _STYLE.match(finding.rule):
                    found[finding.path].append(finding)
            took[checker] = max(took.get(checker, 0.0), time.monotonic() - now)
            before |= {path: Counter(map(_key, found[_place(path, 0)])) for path in fresh}
            yield {number: self._new(number, found[place], before) for number, place in places.items()}

    def _new(
        self, number: int, findings: Sequence[Finding], before: Mapping[str, Counter[tuple[str, str]]]
    ) -> str | None:
        """The finding nearest to the bug, of those that are more than ``before``."""
        path, text = self._asked[number]
        more = Counter(map(_key, findings)) - before[path]
        bug = _first_change(self._files[path], text)
        new = [finding for finding in findings if more[_key(finding)]]
        nearest = min(new, key=lambda finding: (abs(finding.line - bug), finding.line), default=None)
        return None if nearest is None else _MARK.sub("", nearest.message)


def _key(finding: Finding) -> tuple[str, str]:
    """What a finding says. Lines that a message names shift with a bug."""
    return finding.rule, _LINE_NUMBER.sub(r"\1 #", _MARK.sub("", finding.message))


def _noticed(found: Mapping[int, str | None]) -> list[int]:
    """The texts that something was said of."""
    return [number for number, message in found.items() if message is not None]


def _one(said: Mapping[Checker, Mapping[int, str | None]], number: int) -> str | None:
    """The words of one checker: of one that is asked about few, or else now of this and now of that one."""
    messages: list[str] = []
    for checker, found in said.items():
        if (message := found.get(number)) is not None:
            messages = [message] if checker.most is not None else [*messages, message]
    return messages[number % len(messages)] if messages else None


def _first_change(before: str, after: str) -> int:
    """The line, from 0."""
    pairs = zip(before.split("\n"), after.split("\n"), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _place(path: str, number: int) -> str:
    """Where a text lies that is made of the file at ``path``: beside it, in the same package."""
    file = PurePosixPath(path)
    return file.with_name(f"{file.stem}__tailora_{number}{file.suffix}").as_posix()


def _roots(paths: Collection[str]) -> list[str]:
    """The folders that packages lie in, from which they are imported."""
    packages = {PurePosixPath(path).parent for path in paths if PurePosixPath(path).stem == "__init__"}
    tops = {package.parent.as_posix() for package in packages if package.parent not in packages}
    found = tops | {"src"} if any(path.startswith("src/") for path in paths) else tops
    return [".", *sorted(found - {"."})][:_MOST_ROOTS]
