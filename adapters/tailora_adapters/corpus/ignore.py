"""Git's ignore rules at every level of a tree, and Tailora's own beside them.

Matching is pathspec's; this holds the precedence of git: deeper files win over outer ones, and those over
``.git/info/exclude``. ``.tailoraignore`` has the same form and can only leave out more. Files that cannot be
read count as empty. Never runs git.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

__all__ = ["IGNORE_FILES", "IgnoreRules", "git_directories"]

_GIT = ".gitignore"
_TAILORA = ".tailoraignore"
IGNORE_FILES = (_GIT, _TAILORA)
_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Level:
    """The rules of one file, and how a path relative to the root is made relative to the file's folder."""

    spec: GitIgnoreSpec
    before: str = ""
    """To put before it, where the file lies above the root."""
    cut: int = 0
    """Characters to take off, where it lies below."""

    def include(self, path: str) -> bool | None:
        return self.spec.check_file(self.before + path[self.cut :]).include


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that hold in one folder. Paths are relative to the root, with ``/``; folders end with it."""

    git: tuple[_Level, ...] = ()
    """Innermost first."""
    tailora: tuple[_Level, ...] = ()

    @classmethod
    def outside(cls, root: Path) -> "IgnoreRules":
        """The rules of ``.git`` and, where ``root`` is inside a repository, of the folders above it."""
        levels: list[_Level] = []
        before = ""
        for folder in (root, *root.parents):
            if folder != root and (spec := _read(folder / _GIT)):
                levels.append(_Level(spec, before=before))
            if (folder / ".git").exists():
                if spec := _read(git_directories(folder / ".git")[1] / "info" / "exclude"):
                    levels.append(_Level(spec, before=before))
                # Who opens a folder that the repository around it ignores means it.
                return cls() if before and _matches(levels, "") else cls(git=tuple(levels))
            before = f"{folder.name}/{before}"
        return cls()  # no repository: what lies above has nothing to say

    def below(self, root: Path, prefix: str, names: Collection[str]) -> "IgnoreRules":
        """The rules inside the folder ``prefix``, which holds ``names``."""
        git, tailora = self.git, self.tailora
        if _GIT in names and (spec := _read(root / prefix / _GIT)):
            git = (_Level(spec, cut=len(prefix)), *git)
        if _TAILORA in names and (spec := _read(root / prefix / _TAILORA)):
            tailora = (_Level(spec, cut=len(prefix)), *tailora)
        return self if git is self.git and tailora is self.tailora else IgnoreRules(git, tailora)

    def ignored(self, path: str) -> bool:
        """Whether a path in this folder is left out."""
        return self.ignored_by_git(path) or _matches(self.tailora, path)

    def ignored_by_git(self, path: str) -> bool:
        """Whether git itself leaves a path in this folder out."""
        return _matches(self.git, path)


def _matches(levels: Iterable[_Level], path: str) -> bool:
    for level in levels:
        include = level.include(path)
        if include is not None:
            return include
    return False


def _read(path: Path) -> GitIgnoreSpec | None:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LIMIT:
            return None  # git does not follow links either
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError:
        return None
    lines = [line for line in text.splitlines() if _usable(line)]
    return GitIgnoreSpec.from_lines(lines) if lines else None


def _usable(line: str) -> bool:
    """Git passes over patterns that it cannot read; pathspec raises."""
    if not line.strip() or line.startswith("#"):
        return False
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def git_directories(path: Path) -> tuple[Path, Path]:
    """The folder behind ``.git``, which is a file in a worktree or submodule, and that of the whole repository.

    They differ in a worktree alone, whose own folder holds its ``HEAD`` and little else.
    """
    try:
        if path.is_dir():
            return path, path
        target = path.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        directory = path.parent / target
        common = directory / "commondir"
        if common.is_file():
            return directory, directory / common.read_text(encoding="utf-8").strip()
        return directory, directory
    except (OSError, UnicodeDecodeError):
        return path, path
