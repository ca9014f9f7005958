"""Which lines and files tests make suspect, and which tests a change in a file concerns.

Suspicion is Ochiai's coefficient (Abreu, Zoeteweij and van Gemund: On the accuracy of spectrum-based fault
localization, TAIC PART 2007): ef / sqrt((ef + nf) * (ef + ep)), with the failing and passing tests that execute a line
(ef, ep) and the failing ones that do not (nf).
"""

import ast
import math
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from tailora.repair.scratch import ScratchCopy
from tailora.repair.tests import TestRun

__all__ = ["affected", "is_test_file", "suspect_files", "suspicion"]

_MOST_FILES = 2_000
_MOST_BYTES = 1 << 20


def suspicion(run: TestRun, path: str, lines: int) -> tuple[float, ...]:
    """Suspicion of each of a file's ``lines``; 0 for those that no failing test executed."""
    scores = _scores(run, path, _failing(run))
    return tuple(scores.get(line, 0.0) for line in range(lines))


def suspect_files(run: TestRun, failing: Collection[str]) -> list[str]:
    """The files that tests of ``failing`` executed, by their most suspect line and then by their mean; tests last."""
    paths = {path for node in failing for path in run.lines.get(node, ())}
    tests = {node.partition("::")[0] for node in (*run.results, *run.lines)}

    def order(path: str) -> tuple[bool, float, float, str]:
        scores = _scores(run, path, failing).values()
        mean = sum(scores) / max(len(scores), 1)
        return path in tests or is_test_file(path), -max(scores, default=0.0), -mean, path

    return sorted(paths, key=order)


def is_test_file(path: str) -> bool:
    """Whether a file belongs to the tests by its name, as pytest has it."""
    name = PurePosixPath(path).name
    return (
        (name.startswith("test_") and name.endswith(".py"))
        or name.endswith("_test.py")
        or name == "conftest.py"
    )


def _failing(run: TestRun) -> list[str]:
    return [node for node, result in run.results.items() if result in ("failed", "error")]


def _scores(run: TestRun, path: str, failing: Collection[str]) -> dict[int, float]:
    nobody: frozenset[int] = frozenset()
    ef = Counter(line for node in failing for line in run.lines.get(node, {}).get(path, nobody))
    ep = Counter(
        line
        for node, result in run.results.items()
        if result == "passed"
        for line in run.lines.get(node, {}).get(path, nobody)
    )
    known = sum(1 for node in failing if node in run.lines)
    return {line: count / math.sqrt(known * (count + ep[line])) for line, count in ef.items()}


def affected(copy: ScratchCopy, path: str) -> list[str]:
    """The test files that import the module ``path``, and after them those that import one that does.

    What a ``conftest.py`` imports counts for all tests beside and below it. Only ``path`` itself where it is a test.
    Blocks: reads up to 2,000 files, those of tests first.
    """
    if _has_tests(path):
        return [path]
    imports = _Imports(copy)
    direct = imports.of([path]) if path.endswith(".py") else set()
    between = imports.of(direct)
    near: list[str] = []
    far: list[str] = []
    for file in filter(_has_tests, imports.files):
        conftests = {(folder / "conftest.py").as_posix() for folder in PurePosixPath(file).parents}
        if file in direct:
            near.append(file)
        elif file in between or conftests & direct or path in conftests:
            far.append(file)
    return near + far


def _has_tests(path: str) -> bool:
    return is_test_file(path) and PurePosixPath(path).name != "conftest.py"


class _Imports:
    """Which files of a project import which."""

    def __init__(self, copy: ScratchCopy) -> None:
        every = copy.files(".py")
        self._known = frozenset(every)
        self.files = sorted(sorted(every, key=lambda file: not is_test_file(file))[:_MOST_FILES])
        self._texts = {file: text for file in self.files if (text := _read(copy.root / file)) is not None}
        self._parsed: dict[str, frozenset[str]] = {}

    def of(self, modules: Collection[str]) -> set[str]:
        """The files that import one of ``modules``."""
        names = frozenset(name for module in modules for name in self._names(module))
        # Parsing takes long, so only where a name stands at all; a package may be imported as ``.``.
        words = {name.rpartition(".")[2].encode() for name in names}
        if any(_is_package(module) for module in modules):
            words.add(b"from .")
        return {
            file
            for file, text in self._texts.items()
            if any(word in text for word in words) and names & self._imports(file)
        }

    def _names(self, path: str) -> frozenset[str]:
        """How a module may be called: from the root, from ``src``, and from its outermost package."""
        parts = list(PurePosixPath(path).with_suffix("").parts)
        top = len(parts) - 1
        while top and "/".join((*parts[:top], "__init__.py")) in self._known:
            top -= 1
        starts = {0, top} | ({1} if parts[0] == "src" else set())
        if _is_package(path):
            parts.pop()
        return frozenset(".".join(parts[start:]) for start in starts if parts[start:])

    def _imports(self, path: str) -> frozenset[str]:
        """Every name that a file imports, and for ``from a import b`` both ``a`` and ``a.b``."""
        if path not in self._parsed:
            packages = self._names(path)
            if not _is_package(path):
                packages = frozenset(name.rpartition(".")[0] for name in packages)
            try:
                nodes = list(ast.walk(ast.parse(self._texts[path])))
            except (SyntaxError, ValueError, RecursionError):
                nodes = []
            self._parsed[path] = frozenset(name for node in nodes for name in _imported(node, packages))
        return self._parsed[path]


def _is_package(path: str) -> bool:
    return PurePosixPath(path).name == "__init__.py"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.stat().st_size <= _MOST_BYTES else None
    except OSError:
        return None


def _imported(node: ast.AST, packages: frozenset[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        bases = [node.module or ""]
        if node.level:
            bases = [_relative(package, node.level, node.module) for package in packages]
        for base in filter(None, bases):
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _relative(package: str, level: int, module: str | None) -> str:
    """What a relative import in ``package`` names."""
    parts = package.split(".")
    return ".".join(part for part in (*parts[: max(len(parts) - level + 1, 0)], module) if part)
