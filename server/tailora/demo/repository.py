"""A real repository for the demo: the source of an installed package, copied to a temporary git repository.

Knows nothing of the language server.
"""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from tailora.scratch_commits import commit_all
from tailora_adapters.errors import TailoraError

__all__ = ["DEFAULT_PACKAGE", "Spot", "copy_package", "copy_sources", "find_spot"]

DEFAULT_PACKAGE = "cattrs"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the demo types."""

    path: Path
    text: str
    """The file as the editor has it: the rest of one line is not typed yet."""
    line: int
    character: int
    real: str
    """What really stands there."""


def copy_package(name: str, target: Path) -> Path:
    """Copies an installed package's sources as ``copy_sources`` does, and commits them there.

    Raises:
        TailoraError: the package is not installed.
    """
    root = copy_sources(name, target)
    commit_all(root, f"{name}, as installed")
    return root


def copy_sources(name: str, target: Path) -> Path:
    """Copies an installed package's Python sources to ``target/name/src/name``; returns ``target/name``.

    Raises:
        TailoraError: the package is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise TailoraError(f"the package {name!r} is not installed: name another by --package")
    source = Path(next(iter(spec.submodule_search_locations)))
    root = target / name
    shutil.copytree(
        source, root / "src" / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyc")
    )
    return root


def find_spot(root: Path, relative: str) -> Spot:
    """The middle of a typical line, about two thirds into a file: after ``self.`` or ``= `` or an opening bracket.

    Raises:
        TailoraError: the file has no such line.
    """
    path = root / relative
    lines = path.read_text(encoding="utf-8").split("\n")
    start = len(lines) * 2 // 3
    for number in [*range(start, len(lines)), *range(start)]:
        line = lines[number]
        for mark in ("self.", " = ", "return "):
            place = line.find(mark)
            rest = line[place + len(mark) :]
            if place > 0 and len(rest) >= 12 and not line.lstrip().startswith(("#", '"')):
                character = place + len(mark)
                text = "\n".join([*lines[:number], line[:character], *lines[number + 1 :]])
                return Spot(path, text, number, character, rest)
    raise TailoraError(f"{relative} has no line to complete")
