"""Source trees at two points in time and between: releases of a package, or commits of a repository.

Only reads: wheels are stored and never installed, git is read without git. Knows nothing of models.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailora_adapters import languages
from tailora_adapters.corpus.diff import shared_lines
from tailora_adapters.corpus.generated import generated
from tailora_adapters.corpus.repository import Repository
from tailora_adapters.errors import TailoraError
from tailora_adapters.foundation import archives, registries
from tailora_adapters.paths import cache_dir

__all__ = ["Tree", "added_lines", "between_commits", "between_releases", "release", "write_tree"]

Tree = Mapping[str, str]
"""Path (with ``/``) to text, source files only."""

_MOST_CHARS = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Blob:
    path: str
    identifier: str


def release(package: str, version: str) -> Tree:
    """A release of a package.

    Raises:
        FetchFailed: it is not to be had as a wheel.
    """
    folder = cache_dir() / "releases" / f"{package}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.whl")):
        registries.pypi_wheel(f"{package}=={version}", folder)
    texts = archives.read_texts(next(folder.glob("*.whl")), lambda path: languages.by_path(path) is not None)
    return {path: text for path, text in texts if _usable(text)}


def between_releases(package: str, old: str, new: str, steps: int, *, seed: int) -> list[Tree]:
    """``steps`` + 1 trees, from one release to the other. Between releases there is no history: the files that changed
    are dealt out in random order, and those that are gone go last.

    Raises:
        FetchFailed: a release is not to be had as a wheel.
    """
    before, after = release(package, old), release(package, new)
    changed = [path for path in sorted(after) if before.get(path) != after[path]]
    random.Random(seed).shuffle(changed)
    trees: list[Tree] = [before]
    for step in range(steps):
        part = changed[step * len(changed) // steps : (step + 1) * len(changed) // steps]
        trees.append({**trees[-1], **{path: after[path] for path in part}})
    trees[-1] = after
    return trees


def between_commits(root: Path, old: str, new: str, steps: int) -> list[Tree]:
    """Up to ``steps`` + 1 trees along the first parents of ``new`` down to ``old``, by number of commits.

    Raises:
        HistoryUnreadable: a revision or the repository cannot be read.
        TailoraError: ``old`` is no first-parent ancestor of ``new``.
    """
    repository = Repository(root.resolve())
    try:
        commit, last = repository.resolve(new), repository.resolve(old)
        line = [commit]
        while commit.id != last.id:
            if not commit.parents:
                raise TailoraError(f"{old} is not among the first parents of {new}")
            commit = repository.commit(commit.parents[0])
            line.append(commit)
        line.reverse()
        steps = min(steps, len(line) - 1)
        chosen = [line[round(step * (len(line) - 1) / max(1, steps))] for step in range(steps + 1)]
        return [_commit_tree(repository, commit.tree) for commit in chosen]
    finally:
        repository.close()


def _commit_tree(repository: Repository, tree: str) -> Tree:
    result = {}
    for change in repository.changes(None, tree):
        known = languages.by_path(change.path) is not None and change.path.startswith(repository.prefix)
        text = repository.text(change.new, _MOST_CHARS) if known and change.new else None
        if text is not None and _usable(text):
            result[change.path.removeprefix(repository.prefix)] = text
    return result


def _usable(text: str) -> bool:
    return text.count("\n") >= 5 and len(text) <= _MOST_CHARS and not generated(text)


def added_lines(old: Tree, new: Tree) -> dict[str, dict[int, float]]:
    """Lines (from 0) of each file of ``new`` that ``old`` does not have: neither at their place, nor elsewhere in the
    file, nor in a file that is gone (a file that was moved is not new). The weights are 1."""
    gone = {line.strip() for path in old.keys() - new.keys() for line in old[path].split("\n")}
    result = {}
    for path, text in new.items():
        before = old.get(path, "")
        if before == text:
            continue
        lines, earlier = text.split("\n"), before.split("\n")
        shared = shared_lines(earlier, lines)
        known = gone | {line.strip() for line in earlier}
        found = {
            number: 1.0
            for number, line in enumerate(lines)
            if number not in shared and line.strip() and line.strip() not in known
        }
        if found:
            result[path] = found
    return result


def write_tree(tree: Tree, folder: Path, previous: Tree | None = None) -> Sequence[str]:
    """Makes the folder hold ``tree``, where it held ``previous``; returns the paths that changed."""
    earlier = previous or {}
    for path in earlier.keys() - tree.keys():
        (folder / path).unlink(missing_ok=True)
    changed = [path for path, text in tree.items() if earlier.get(path) != text]
    for path in changed:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(tree[path], encoding="utf-8")
    return sorted({*changed, *(earlier.keys() - tree.keys())})
