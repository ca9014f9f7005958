"""Repair cases from working code: bugs put into installed packages, those that a checker notices.

The answer is the file as it was. Bugs that no checker reports are left out: nobody would ask for a repair of them.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tailora.demo.repository import copy_sources
from tailora.errors import CheckerFailed
from tailora.evaluation.repair_suite import Case
from tailora.repair.checkers import Checker, compare, find
from tailora.repair.problem import Finding
from tailora_adapters.corpus.bugs import sample
from tailora_adapters.errors import TailoraError

__all__ = ["CHECKERS", "add_settings", "inject", "lay_package", "of_files"]

CHECKERS = frozenset({"ruff", "pyright", "basedpyright"})
_RUFF = '[lint]\nselect = ["E4", "E7", "E9", "F", "B"]\n'
_STYLE = re.compile(
    r"E[1-7]|report(Unknown|Unused|Any|Explicit|Missing|Implicit|Private|Deprecated|Unnecessary|Unannotated|Untyped)"
)
"""Rules about how code looks, and those that pyright does not have on where nothing is set."""
_MOST_OF_A_KIND = 0.3
"""Of a package's cases: imports are missed most easily."""
_LINES = range(20, 1500)
_TRIED_IN_A_FILE = 20
_KEPT_OF_A_FILE = 3


def inject(
    packages: Sequence[str],
    count: int,
    *,
    seed: int = 1,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> list[Case]:
    """``count`` cases, an even share of each package.

    Raises:
        TailoraError: a package is not installed, or there is no checker.
    """
    return asyncio.run(_inject(packages, count, seed, progress))


async def _inject(
    packages: Sequence[str], count: int, seed: int, progress: Callable[[float, str], None]
) -> list[Case]:
    cases: list[Case] = []
    for number, package in enumerate(packages):
        wanted = (number + 1) * count // len(packages) - len(cases)
        with TemporaryDirectory(prefix="tailora-inject-") as name:
            root = lay_package(package, Path(name))
            found = await of_files(package, root, _texts(root), wanted, seed)
        cases += found
        progress((number + 1) / len(packages), f"{package}: {len(found)} cases")
    return cases


def lay_package(package: str, folder: Path) -> Path:
    """The sources of an installed package as a project; wheels bring no settings for ruff along, so it gets plain ones.

    Raises:
        TailoraError: the package is not installed.
    """
    root = copy_sources(package, folder)
    add_settings(root)
    return root


def add_settings(root: Path) -> None:
    """Gives a project without settings for ruff plain ones."""
    (root / "ruff.toml").write_text(_RUFF, encoding="utf-8")


async def of_files(
    package: str, root: Path, files: Iterable[tuple[Path, str]], wanted: int, seed: int
) -> list[Case]:
    """``wanted`` cases in some files of the project at ``root``, or as many as there are.

    Raises:
        TailoraError: there is no checker.
    """
    checkers = [checker for checker in find(root, "python", trusted=False) if checker.name in CHECKERS]
    if not checkers:
        raise TailoraError("neither ruff nor pyright is installed: pip install ruff basedpyright")
    chosen = [(path, text) for path, text in files if text.count("\n") in _LINES and "\ufffd" not in text]
    chosen.sort()
    random.Random(seed).shuffle(chosen)
    try:
        return await _of_files(package, root, chosen, checkers, wanted, seed)
    finally:
        await asyncio.gather(*(checker.close() for checker in checkers))


async def _of_files(
    package: str,
    root: Path,
    files: Sequence[tuple[Path, str]],
    checkers: Sequence[Checker],
    wanted: int,
    seed: int,
) -> list[Case]:
    cases: list[Case] = []
    kinds: Counter[str] = Counter()
    for path, text in files:
        if len(cases) >= wanted:
            break
        relative = path.relative_to(root).as_posix()
        kept = 0
        try:
            before = [await checker.check(path, text) for checker in checkers]
            for bug in sample(text, _TRIED_IN_A_FILE, seed):
                if kinds[bug.kind] >= max(1, _MOST_OF_A_KIND * wanted):
                    continue
                noticed = await _noticed(path, bug.text, checkers, before)
                if noticed is not None and kept < _KEPT_OF_A_FILE and len(cases) < wanted:
                    identifier = f"{package}/{relative}:{bug.first + 1}/{bug.kind}"
                    cases.append(
                        Case(
                            identifier,
                            {relative: bug.text},
                            relative,
                            diagnostic=noticed,
                            answer=text,
                            package=package,
                            kind=bug.kind,
                        )
                    )
                    kept += 1
                    kinds[bug.kind] += 1
        except CheckerFailed:
            continue  # such as a file that a checker takes too long for
    return cases


def _texts(root: Path) -> Iterator[tuple[Path, str]]:
    for path in root.rglob("*.py"):
        yield path, path.read_text(encoding="utf-8", errors="replace")


async def _noticed(
    path: Path, text: str, checkers: Sequence[Checker], before: Sequence[Sequence[Finding]]
) -> Finding | None:
    """The first new diagnostic that tells of a fault, of the cheapest checker that has one."""
    for checker, known in zip(checkers, before, strict=True):
        compared = compare(known, await checker.check(path, text), ())
        told = [] if compared is None else [found for found in compared.new if not _STYLE.match(found.code)]
        if told:
            return told[0]
    return None
