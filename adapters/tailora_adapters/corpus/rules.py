"""Which paths of a repository may be learned, by all that is known of a file without reading it.

One set of rules for those who walk a whole tree (``select``) and for those who hear of single files, which
``PathRules`` is for. Never runs git.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

from tailora_adapters import languages
from tailora_adapters.corpus import secrets
from tailora_adapters.corpus.generated import generated_by_name
from tailora_adapters.corpus.ignore import IGNORE_FILES, IgnoreRules

__all__ = ["MAX_FILE_BYTES", "PathRules", "file_reason", "folder_reason", "inner_reason", "name_reason"]

MAX_FILE_BYTES = 256 * 1024
"""Larger files are not learned."""

_VENDORED = frozenset(
    (
        "node_modules", "bower_components", "jspm_packages", "vendor", "vendors", "vendored", "third_party",
        "third-party", "thirdparty", "3rdparty", "site-packages", "dist-packages", ".venv", "venv", ".tox",
        ".virtualenv", ".nox", ".eggs", "__pypackages__", "dist", "build", "pods", "carthage", ".gradle",
    )
)  # fmt: skip
_BUILT_BESIDE = {"target": {"Cargo.toml", "pom.xml", "build.sbt"}, "out": {"build.gradle", "gradlew"}}
"""Folders that hold build products only beside one of these files."""
_MARKERS = frozenset(
    (*IGNORE_FILES, ".git", "pyvenv.cfg", *(name for s in _BUILT_BESIDE.values() for name in s))
)
"""Files and folders that say something of what lies beside or below them."""
_MOST_KEPT = 20_000

T = TypeVar("T")


def name_reason(folder: str) -> str:
    """Why nothing in a folder of this name is learned; empty if its name is no reason."""
    if folder == "__pycache__":
        return "generated"
    if folder.lower() in _VENDORED or folder.endswith(".egg-info"):
        return "vendored"
    return "hidden folder" if folder.startswith(".") else ""


def folder_reason(path: str, name: str, rules: IgnoreRules, siblings: Collection[str]) -> str:
    """Why nothing in a folder beside ``siblings`` is learned, seen from outside; ``rules`` hold where it lies."""
    if any(sibling in siblings for sibling in _BUILT_BESIDE.get(name, ())):
        return "vendored"
    return name_reason(name) or ("ignored" if rules.ignored(path + "/") else "")


def inner_reason(names: Collection[str]) -> str:
    """Why nothing is learned in a folder, other than the root, that holds ``names``."""
    if ".git" in names:
        return "nested repository"
    return "vendored" if "pyvenv.cfg" in names else ""


def file_reason(path: str, name: str, rules: IgnoreRules) -> tuple[str, str]:
    """Why a file is not learned, and more of it, by its name and the ``rules`` where it lies; else empty."""
    if secrets.is_secret_file(path):
        return "secret", "its name"
    if generated_by_name(name):
        return "generated", "its name"
    if languages.by_path(name) is None:
        return "language unknown", ""
    return ("ignored" if rules.ignored(path) else ""), ""


class PathRules:
    """Says of single paths what a walk of the whole tree would. One thread at a time.

    Paths are relative to the root, with ``/``. What it reads of a folder it remembers, so tell it what ``changed``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._inside: dict[str, IgnoreRules | None] = {}
        """By folder, with ``/`` at its end; None where nothing is learned."""
        self._verdicts: dict[str, bool] = {}

    def learnable(self, path: str) -> bool:
        """Whether the file, which may be gone, is one that is learned."""
        verdict = self._verdicts.get(path)
        if verdict is None:
            folder, slash, name = path.rpartition("/")
            rules = self._rules(folder + slash)
            verdict = rules is not None and not file_reason(path, name, rules)[0]
            _keep(self._verdicts, path, verdict)
        return verdict

    def enters(self, folder: str, names: Collection[str]) -> bool:
        """Whether anything may be learned in a folder (with ``/`` at its end) that holds ``names``."""
        return self._rules(folder, names) is not None

    def changed(self, path: str) -> None:
        """Something happened to a file: if it says what is learned around it, that is read anew."""
        name = path.rpartition("/")[2]
        # Where an environment is deleted, the rest of it is still none of the project's code.
        exists = name in _MARKERS and os.path.lexists(self._root / path)
        if exists or name in IGNORE_FILES or path == ".git/info/exclude":
            self._inside.clear()
            self._verdicts.clear()

    def _rules(self, folder: str, names: Collection[str] | None = None) -> IgnoreRules | None:
        """Those inside a folder; None where nothing is learned."""
        if folder not in self._inside:
            _keep(self._inside, folder, self._find(folder, names))
        return self._inside[folder]

    def _find(self, folder: str, names: Collection[str] | None) -> IgnoreRules | None:
        if folder:
            parent, slash, name = folder[:-1].rpartition("/")
            parent += slash
            rules = self._rules(parent)
            siblings = self._markers(parent) if name in _BUILT_BESIDE else ()
            if rules is None or folder_reason(folder[:-1], name, rules, siblings):
                return None
        else:
            rules = IgnoreRules.outside(self._root)
        names = self._markers(folder) if names is None else names
        return None if folder and inner_reason(names) else rules.below(self._root, folder, names)

    def _markers(self, folder: str) -> Collection[str]:
        return [name for name in _MARKERS if os.path.lexists(self._root / folder / name)]


def _keep(kept: dict[str, T], key: str, value: T) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[key] = value
