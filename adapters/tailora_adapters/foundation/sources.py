"""Where a foundation adapter's training data comes from: ``python -m tailora_adapters.foundation.sources``.

``sources.json`` pins packages of permissive licences by version and hash; they are fetched once, kept in the cache,
and only read, never run. Packages marked ``held_out`` are for measuring and never for training. Knows nothing of
models or of examples; the files of a package are the same on every machine.
"""

import fnmatch
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tailora_adapters import languages
from tailora_adapters.base.cache import hash_file
from tailora_adapters.corpus.select import foreign_reason
from tailora_adapters.errors import FetchFailed
from tailora_adapters.foundation import archives, registries
from tailora_adapters.paths import cache_dir

__all__ = ["REGISTRIES", "File", "Package", "cache_folder", "fetch", "main", "packages"]

REGISTRIES = ("npm", "pypi-sdist", "pypi-wheel")
MIN_CHARACTERS = 400
MAX_CHARACTERS = 100_000
MAX_DIGITS = 0.3
"""Share of a text's characters (without blanks); more is a table of numbers."""

_LEFT_OUT = frozenset(
    (
        "_vendor", "deps", "extern", "external", "external_libs",  # others' code, maybe of another licence
        "locale", "locales", "_unicode_data", "unicode", "migrations", "fixtures", "__fixtures__",  # data
    )
)  # fmt: skip
"""Folders left out beyond those that are left out of every repository."""

_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")
"""Mostly a compiler's output."""


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned archive."""

    registry: str
    """One of ``REGISTRIES``."""
    name: str
    version: str
    licence: str
    """SPDX expression."""
    file: str
    """The archive's name."""
    sha256: str
    """Of the archive, in hexadecimal."""
    languages: tuple[str, ...]
    """LSP identifiers of the languages that are taken of it."""
    held_out: bool
    include: tuple[str, ...] = ()
    """Patterns (``*`` also matches ``/``) of the only paths to take; none: all."""
    exclude: tuple[str, ...] = ()
    """Patterns of paths to leave out."""

    @property
    def reference(self) -> str:
        """Names the archive and its hash, for a manifest."""
        return f"{self.registry}:{self.file}#sha256={self.sha256}"


@dataclass(frozen=True, slots=True)
class File:
    """A source of a package."""

    path: str
    """In the package, with ``/``."""
    language: str
    """LSP language identifier."""
    text: str
    """With LF line endings."""


Download = Callable[[Package, Path], None]
"""Stores a package's archive in a folder, or raises ``FetchFailed``."""


def packages() -> list[Package]:
    """What ``sources.json`` pins, in its order."""
    entries = json.loads(Path(__file__).with_name("sources.json").read_text(encoding="utf-8"))
    return [_package(entry) for entry in entries]


def cache_folder() -> Path:
    """Where archives are kept between runs."""
    return cache_dir() / "foundation-sources"


def fetch(package: Package, folder: Path, *, download: Download | None = None) -> list[File]:
    """The sources of a package by path; its archive is fetched into ``folder`` unless it is there already.

    Raises:
        FetchFailed: the archive cannot be brought here, is not the pinned one or cannot be read.
    """
    archive = folder / package.file
    if not archive.is_file() or hash_file(archive) != package.sha256:
        folder.mkdir(parents=True, exist_ok=True)
        (download or _download)(package, folder)
        if not archive.is_file():
            raise FetchFailed(f"{package.file} is not what {package.registry} has for {package.name}")
        if hash_file(archive) != package.sha256:
            archive.unlink()
            raise FetchFailed(f"{package.file} is not the file that was pinned: its hash differs")
    texts = archives.read_texts(archive, lambda path: _language(package, path) is not None)
    files: dict[str, File] = {}
    for path, text in texts:
        language = _language(package, path)
        if language and _is_code(text) and not foreign_reason(path, text):
            # The same text twice teaches nothing new: the first one of the archive stays.
            files.setdefault(text, File(path, language, text))
    return sorted(files.values(), key=lambda file: file.path)


def _package(entry: dict[str, Any]) -> Package:
    lists = {name: tuple(entry.get(name, ())) for name in ("languages", "include", "exclude")}
    return Package(**{**entry, **lists})


def _download(package: Package, folder: Path) -> None:
    match package.registry:
        case "npm":
            registries.npm_tarball(f"{package.name}@{package.version}", folder)
        case "pypi-sdist":
            registries.pypi_sdist(package.name, package.file, folder)
        case _:
            registries.pypi_wheel(f"{package.name}=={package.version}", folder)


def _language(package: Package, path: str) -> str | None:
    """The language of a path that is taken of the package, or None where it is not taken."""
    language = languages.by_path(path)
    if language is None or language.id not in package.languages or path.endswith(_DECLARATIONS):
        return None
    if not _LEFT_OUT.isdisjoint(path.split("/")[:-1]) or _matches(path, package.exclude):
        return None
    return language.id if not package.include or _matches(path, package.include) else None


def _is_code(text: str) -> bool:
    characters = "".join(text.split())
    digits = sum(character.isdigit() for character in characters)
    return MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS and digits <= MAX_DIGITS * len(characters)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def main() -> None:
    """Fetches everything and prints what there is to learn of each language."""
    console = Console()
    found: list[tuple[Package, list[File]]] = []
    failures: list[str] = []
    pinned = packages()
    for package in track(pinned, "fetching", console=console):
        try:
            found.append((package, fetch(package, cache_folder())))
        except FetchFailed as error:
            failures.append(f"{package.name}: {error}")
    console.print(_table(found))
    size = sum((cache_folder() / package.file).stat().st_size for package, _ in found)
    console.print(f"{len(found)} of {len(pinned)} packages, {size / 1e6:.0f} MB")
    console.print("licences: " + ", ".join(sorted({package.licence for package in pinned})))
    for failure in failures:
        console.print(failure, style="red", markup=False)
    if failures:
        raise SystemExit(1)


def _table(found: list[tuple[Package, list[File]]]) -> Table:
    table = Table("language", "train: packages", "files", "lines", "held out: packages", "files", "lines")
    for language in sorted({file.language for _, files in found for file in files}):
        row = [language]
        for held_out in (False, True):
            taken = [
                (package, file)
                for package, files in found
                for file in files
                if package.held_out is held_out and file.language == language
            ]
            lines = sum(file.text.count("\n") for _, file in taken)
            names = {package.name for package, _ in taken}
            row += [f"{len(names):,}", f"{len(taken):,}", f"{lines:,}"]
        table.add_row(*row)
    return table


if __name__ == "__main__":
    main()
