"""Git repositories with a past, to learn from and to be asked about: made of a package's releases, or copied.

Between releases there is no history, so each small edit of a file that a release brought is a commit of its own, and
the rest of the release another one. Never touches the repository that it copies. Knows nothing of models.
"""

import difflib
import re
import subprocess
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from packaging.version import InvalidVersion, Version

from tailora.evaluation.trees import release, write_tree
from tailora.repair.imports import project_texts
from tailora.scratch_commits import commit_all
from tailora_adapters.errors import TailoraError
from tailora_adapters.foundation import registries
from tailora_adapters.repair.fixes import Fix, FixLimits, mine

__all__ = ["Past", "copy_repository", "cut", "repository_of_releases"]

_LIMITS = FixLimits(commits=5_000, lines=4, seconds=120.0)
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)
_PROSE = re.compile(r"\s*(?:#|//|\"\"\"|'''|\"[^\"]*\"$|__version__)")


@dataclass(frozen=True, slots=True)
class Past:
    """A repository as it was at some commit, and what was changed after it."""

    root: Path
    later: tuple[Fix, ...]
    """Oldest first."""


def repository_of_releases(
    package: str, old: str, new: str, folder: Path, progress: Callable[[str], None] = lambda _message: None
) -> Path:
    """A repository of all final releases from ``old`` to ``new``.

    Raises:
        FetchFailed: a release, or their list, is not to be had.
        TailoraError: there are fewer than two releases, or no git.
    """
    names = _between(registries.pypi_versions(package), old, new)
    if len(names) < 2:
        raise TailoraError(f"{package} has fewer than two releases from {old} to {new}")
    root = folder / package
    root.mkdir(parents=True)
    before: dict[str, str] = {}
    when = _FIRST
    for name in names:
        progress(f"{package} {name}")
        after = {path: text for path, text in release(package, name).items() if path.endswith(".py")}
        for path in sorted(path for path in after if before.get(path) not in (None, after[path])):
            for text in _step_by_step(before[path], after[path]):
                write_tree({path: text}, root)
                when += timedelta(minutes=1)
                _commit(root, f"{path}, on the way to {name}", when)
        write_tree(after, root, before)
        when += timedelta(minutes=1)
        _commit(root, name, when)
        before = after
    return root


def copy_repository(source: Path, folder: Path) -> Path:
    """A copy of a repository with its history.

    Raises:
        TailoraError: git cannot copy it.
    """
    root = folder / source.resolve().name
    _git(folder, "clone", "--quiet", "--no-hardlinks", str(source.resolve()), str(root))
    return root


def cut(root: Path, count: int) -> Past:
    """Takes a repository back to before its newest small edits of code, ``count`` of them at most.

    Only edits of lines of files that were there already, and not those that an earlier commit made the same way.

    Raises:
        TailoraError: there is no such edit.
    """
    found = [fix for fix in mine(root, _files(root), _LIMITS) if _of_code(fix)]
    found = found[: min(count, len(found) // 2)]
    if not found:
        raise TailoraError(f"{root.name} has no small edits in its history")
    _git(root, "reset", "--quiet", "--hard", f"{found[-1].commit}~1")
    files = _files(root)
    known = {(fix.path, fix.now) for fix in mine(root, files, _LIMITS)}
    later = [fix for fix in reversed(found) if fix.path in files and (fix.path, fix.now) not in known]
    return Past(root, tuple(later))


def _between(names: Collection[str], old: str, new: str) -> list[str]:
    found: dict[Version, str] = {}
    for name in names:
        try:
            version = Version(name)
        except InvalidVersion:
            continue
        if Version(old) <= version <= Version(new) and not version.is_prerelease:
            found[version] = name
    return [found[version] for version in sorted(found)]


def _step_by_step(before: str, after: str) -> Iterator[str]:
    """What a file looked like if its small edits were made one after the other, without the larger ones."""
    old, new = before.split("\n"), after.split("\n")
    codes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for kind, first, end, low, high in reversed(codes):  # from below: lines above stay where they are
        if kind == "replace" and max(end - first, high - low) <= _LIMITS.lines:
            old[first:end] = new[low:high]
            yield "\n".join(old)


def _of_code(fix: Fix) -> bool:
    """Whether lines of code took the place of lines of code; versions and prose are nothing to repair."""
    was = fix.before[fix.span.first : fix.span.end]
    code = [line for line in (*was, *fix.now) if line.strip() and not _PROSE.match(line)]
    return bool(fix.now) and len(code) == sum(bool(line.strip()) for line in (*was, *fix.now))


def _files(root: Path) -> dict[str, str]:
    return dict.fromkeys((path for path, _ in project_texts(root)), "python")


def _commit(root: Path, message: str, when: datetime) -> None:
    if not commit_all(root, message, when=when):
        raise TailoraError("git is not installed here, and a history cannot be made without it")


def _git(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise TailoraError("git is not installed here") from None
    except subprocess.CalledProcessError as error:
        raise TailoraError(f"git {arguments[0]}: {error.stderr.strip()[-300:]}") from error
