"""Imports that may be missing in a Python file: what the project's other files import or define under that name.

The model is good at using a name and bad at knowing where it lives; the project knows. Knows nothing of the model;
reads source files only, and runs none.
"""

import ast
import contextlib
import functools
import importlib
import os
import re
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from tailora.repair.problem import Problem
from tailora_adapters.corpus.ignore import IgnoreRules
from tailora_adapters.corpus.rules import MAX_FILE_BYTES, file_reason, folder_reason, inner_reason
from tailora_adapters.corpus.unresolved import unresolved

__all__ = ["known_imports", "missing_name", "project_texts"]

_MOST_FILES = 2_000
_MOST_BYTES = 20 << 20
_MOST_SEEN = 100_000
"""Entries of folders."""
_LIBRARY = (
    "typing", "collections.abc", "collections", "dataclasses", "pathlib", "functools", "itertools", "contextlib",
    "enum", "abc", "datetime", "decimal", "fractions", "types", "operator", "inspect", "io", "json", "re", "math",
    "random", "textwrap", "tempfile", "threading", "subprocess", "urllib.parse", "uuid", "warnings", "copy", "time",
    "asyncio", "unittest.mock", "concurrent.futures", "logging", "os.path", "ast", "queue", "heapq", "bisect", "struct",
)  # fmt: skip
"""Modules of Python's library that names are imported from, the most usual first."""
_QUOTED = re.compile(r"[\"'`“‘]([A-Za-z_]\w*)[\"'`”’]")


def missing_name(problem: Problem) -> str | None:
    """The name that a finding says is not defined, if that is so."""
    if problem.language != "python":
        return None
    missing = unresolved(problem.text)
    for finding in problem.findings:
        for name in _QUOTED.findall(finding.message):
            if name in missing:
                return str(name)
    return None


def project_texts(
    root: Path,
    suffixes: tuple[str, ...] = (".py",),
    *,
    most_files: int = _MOST_FILES,
    most_bytes: int = _MOST_BYTES,
) -> Iterator[tuple[str, str]]:
    """The project's files that might be learned, those near the root first, as paths relative to it and texts.

    ``suffixes``: their endings.

    Never what the project ignores, secret files, links, or what cannot be read. Blocks.
    """
    seen = 0
    folders = deque([("", IgnoreRules.outside(root))])
    while folders:
        prefix, rules = folders.popleft()
        try:
            with os.scandir(root / prefix) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError:
            continue
        names = {entry.name for entry in entries}
        if prefix and inner_reason(names):
            continue
        rules = rules.below(root, prefix, names)
        for entry in entries:
            path = prefix + entry.name
            seen += 1
            if seen > _MOST_SEEN or most_files <= 0:
                return
            with contextlib.suppress(OSError, ValueError):  # ValueError: no UTF-8
                if entry.is_dir(follow_symlinks=False):
                    if not folder_reason(path, entry.name, rules, names):
                        folders.append((path + "/", rules))
                elif entry.name.endswith(suffixes) and entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    if size > MAX_FILE_BYTES or file_reason(path, entry.name, rules)[0]:
                        continue
                    most_files, most_bytes = most_files - 1, most_bytes - size
                    if most_bytes < 0:
                        return
                    yield path, Path(entry.path).read_text(encoding="utf-8")


def known_imports(name: str, path: PurePath, others: Iterable[tuple[str, str]], most: int = 3) -> list[str]:
    """Import lines that bind ``name``, the most usual first.

    ``others`` are the project's files, as paths relative to its root and texts; ``path`` is the file that needs it.
    """
    found: Counter[str] = Counter()
    word = re.compile(rf"\b{re.escape(name)}\b")
    for other, text in others:
        if not other.endswith(".py") or PurePath(other) == path or not word.search(text):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        found[_line(node, alias, PurePath(other), path)] += 2
        for statement in tree.body:
            if name in _defined(statement):
                found[f"from {_module(PurePath(other))} import {name}"] += 3
    if name in sys.stdlib_module_names:
        found[f"import {name}"] += 1
    for place, module in enumerate(_LIBRARY):
        if name in _exported(module):
            found[f"from {module} import {name}"] += 2 if place == 0 else 1
    return [line for line, _ in found.most_common(most)]


def _defined(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module gives to it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


@functools.cache
def _exported(module: str) -> frozenset[str]:
    """What a module of Python's own library offers; nothing of the project is imported."""
    found = importlib.import_module(module)
    own = (name for name, value in vars(found).items() if getattr(value, "__module__", None) == module)
    return frozenset(getattr(found, "__all__", None) or own)


def _line(node: ast.Import | ast.ImportFrom, alias: ast.alias, where: PurePath, path: PurePath) -> str:
    renamed = f" as {alias.asname}" if alias.asname else ""
    if isinstance(node, ast.Import):
        return f"import {alias.name}{renamed}"
    module = node.module or ""
    dots = "." * node.level
    if node.level and where.parent != path.parent:  # relative to another folder
        base = where.parents[node.level - 1] if node.level <= len(where.parents) else PurePath()
        dots, module = "", ".".join([*_parts(base), *([module] if module else [])])
    return f"from {dots}{module} import {alias.name}{renamed}"


def _module(path: PurePath) -> str:
    parts = _parts(path.with_suffix(""))
    return ".".join(parts[:-1] if parts[-1:] == ["__init__"] and len(parts) > 1 else parts)


def _parts(path: PurePath) -> list[str]:
    parts = list(path.parts)
    return parts[1:] if parts[:1] in (["src"], ["lib"]) and len(parts) > 1 else parts
