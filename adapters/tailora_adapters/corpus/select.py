"""Which files of a repository may be learned, and why every other one may not.

Reads the file system only, never git; knows nothing of training. Invariants: symbolic links are not followed,
so nothing outside the root is read and loops are impossible; what changes or vanishes meanwhile never raises;
no source with a secret is returned; what is kept and listed is bounded for a repository of any size.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tailora_adapters import languages
from tailora_adapters.corpus import secrets
from tailora_adapters.corpus.generated import generated, generated_by_name
from tailora_adapters.corpus.ignore import IgnoreRules
from tailora_adapters.corpus.rules import (
    MAX_FILE_BYTES,
    file_reason,
    folder_reason,
    inner_reason,
    name_reason,
)
from tailora_adapters.errors import CorpusError

__all__ = [
    "FORGOTTEN",
    "Candidate",
    "Progress",
    "Rejection",
    "SelectOptions",
    "Selection",
    "SourceFile",
    "covers",
    "foreign_reason",
    "read_file",
    "select_files",
    "tally",
    "walk_files",
]

FORGOTTEN = "forgotten by the user"
"""The reason of a file or folder that the user had forgotten."""

Progress = Callable[[float, str], None]
"""Gets a fraction (0 to 1) and what is being done."""


@dataclass(frozen=True, slots=True)
class SelectOptions:
    """Limits of a selection."""

    max_files: int = 5_000
    """Files to keep; the most recently modified ones where there are more."""
    max_bytes: int = 32 * 1024 * 1024
    """Source text to keep in all."""
    max_file_bytes: int = MAX_FILE_BYTES
    min_lines: int = 5
    """Lines that are not blank."""
    max_listed: int = 1_000
    """Rejected files to list by name for each reason; the rest are counted."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that may be learned."""

    path: str
    """Relative to the root, with ``/``."""
    language: str
    """LSP language identifier."""
    text: str
    """With LF line endings and without a byte order mark."""
    sha256: str
    """Of the file's bytes, in hexadecimal."""
    mtime: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file or folder that was left out. ``reason`` is one of a few; ``detail`` says more."""

    path: str
    """Relative, with ``/``; folders end with it; empty where ``count`` files are summed up."""
    reason: str
    detail: str = ""
    count: int = 1

    def __str__(self) -> str:
        subject = self.path or f"{self.count:,} more files"
        return f"{subject}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Selection:
    """What ``select_files`` found, both parts by path."""

    files: tuple[SourceFile, ...]
    rejected: tuple[Rejection, ...]


def tally(rejected: tuple[Rejection, ...]) -> dict[str, int]:
    """How many files (and folders) were left out for each reason, most first."""
    counts: dict[str, int] = {}
    for rejection in rejected:
        counts[rejection.reason] = counts.get(rejection.reason, 0) + rejection.count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def covers(names: Collection[str], path: str) -> bool:
    """Whether ``path`` is one of ``names`` or lies below one; all relative to the root, with ``/``."""
    parts = path.split("/")
    return any("/".join(parts[: count + 1]) in names for count in range(len(parts)))


def foreign_reason(path: str, text: str) -> str:
    """Why a source is taken for vendored or generated, by its path (with ``/``) and text; empty if it is not.

    For files that are not in a folder of the disk; ``select_files`` knows more (what lies beside a file).
    """
    *folders, name = path.split("/")
    for folder in folders:
        if reason := name_reason(folder):
            return reason
    return "generated" if generated_by_name(name) or generated(text) else ""


def select_files(
    root: Path,
    *,
    options: SelectOptions = SelectOptions(),
    forgotten: Collection[str] = (),
    progress: Progress | None = None,
) -> Selection:
    """Walks ``root`` and reads the files that may be learned; none that is, or lies in, a ``forgotten`` one.

    Raises:
        CorpusError: ``root`` is missing, not a folder or unreadable.
    """
    root = root.resolve()
    rejected = _Rejected(options.max_listed)
    report = progress or (lambda fraction, message: None)
    found = _find(root, options, frozenset(forgotten), rejected, report)
    files = _read_all(root, found, options, rejected, report)
    return Selection(tuple(sorted(files, key=lambda file: file.path)), rejected.result())


def walk_files(
    root: Path, *, options: SelectOptions = SelectOptions(), forgotten: Collection[str] = ()
) -> list["Candidate"]:
    """What of ``root`` may be worth reading by all that is known without it, ``max_files`` at most, by path.

    For those who read again only what changed, each by ``read_file``; ``max_bytes`` is theirs to keep.

    Raises:
        CorpusError: as ``select_files``.
    """
    root = root.resolve()
    rejected = _Rejected(0)
    found = _find(root, options, frozenset(forgotten), rejected, lambda fraction, message: None)
    return sorted(found[: options.max_files], key=lambda candidate: candidate.path)


def read_file(
    root: Path, candidate: "Candidate", *, options: SelectOptions = SelectOptions()
) -> SourceFile | Rejection:
    """The file that a walk found, or why it is not learned."""
    rejected = _Rejected(1)
    return _read(root, candidate, options, rejected) or rejected.result()[0]


def _find(
    root: Path, options: SelectOptions, forgotten: frozenset[str], rejected: "_Rejected", report: Progress
) -> list["Candidate"]:
    """All candidates, in the order in which they are to be read."""
    found = list(_Walk(root, options, forgotten, rejected, report).candidates())
    # By path where all are read, so that the kept one of two equal files is always the same.
    found.sort(key=lambda candidate: candidate.path)
    if len(found) > options.max_files:
        found.sort(key=lambda candidate: candidate.mtime, reverse=True)
    return found


@dataclass(slots=True)
class _Rejected:
    """Collects rejections; beyond ``limit`` for one reason it only counts."""

    limit: int
    listed: dict[str, list[Rejection]] = field(default_factory=dict)
    more: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, reason: str, detail: str = "") -> None:
        entries = self.listed.setdefault(reason, [])
        if len(entries) < self.limit:
            entries.append(Rejection(path, reason, detail))
        else:
            self.more[reason] = self.more.get(reason, 0) + 1

    def result(self) -> tuple[Rejection, ...]:
        entries = [rejection for listed in self.listed.values() for rejection in listed]
        entries.sort(key=lambda rejection: (rejection.path, rejection.reason))
        return (*entries, *(Rejection("", reason, "", count) for reason, count in sorted(self.more.items())))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that was found, and not read yet."""

    path: str
    """Relative to the root, with ``/``."""
    mtime: float
    """Seconds since the epoch."""
    stamp: tuple[int, int]
    """Modification time (ns) and size: another one when the file was changed."""


class _Walk:
    """Depth-first over the folders; yields files whose content is worth reading."""

    def __init__(
        self,
        root: Path,
        options: SelectOptions,
        forgotten: frozenset[str],
        rejected: _Rejected,
        report: Progress,
    ) -> None:
        self._root = root
        self._options = options
        self._forgotten = forgotten
        self._rejected = rejected
        self._report = report
        self._seen = 0

    def candidates(self) -> Iterator[Candidate]:
        """Raises ``CorpusError`` only where the root itself cannot be listed."""
        try:
            entries = _list(self._root)
        except FileNotFoundError:
            raise CorpusError(f"{self._root} does not exist: was the folder moved or deleted?") from None
        except NotADirectoryError:
            raise CorpusError(f"{self._root} is not a folder") from None
        except OSError as error:
            raise CorpusError(f"{self._root} cannot be read: {error.strerror}") from error
        pending: list[tuple[str, IgnoreRules]] = []
        yield from self._inside("", entries, IgnoreRules.outside(self._root), pending)
        while pending:
            prefix, rules = pending.pop()
            try:
                entries = _list(self._root / prefix)
            except OSError as error:
                self._rejected.add(prefix, "unreadable", _cause(error))
                continue
            names = {entry.name for entry in entries}
            if reason := inner_reason(names):
                self._rejected.add(prefix, reason)
            else:
                yield from self._inside(prefix, entries, rules, pending)

    def _inside(
        self,
        prefix: str,
        entries: "list[os.DirEntry[str]]",
        rules: IgnoreRules,
        pending: list[tuple[str, IgnoreRules]],
    ) -> Iterator[Candidate]:
        names = {entry.name for entry in entries}
        rules = rules.below(self._root, prefix, names)
        for entry in entries:
            self._seen += 1
            if self._seen % 2_000 == 0:
                self._report(0.0, f"{self._seen:,} files seen")
            path = prefix + entry.name
            if not _is_utf8(path):
                printable = os.fsencode(path).decode("utf-8", "backslashreplace")
                self._rejected.add(printable, "unreadable", "its name is not UTF-8")
                continue
            try:
                if entry.is_symlink():
                    self._rejected.add(path, "symlink")
                elif entry.is_dir(follow_symlinks=False):
                    if entry.name == ".git":
                        continue
                    if path in self._forgotten:
                        self._rejected.add(path + "/", FORGOTTEN)
                    elif reason := folder_reason(path, entry.name, rules, names):
                        self._rejected.add(path + "/", reason)
                    else:
                        pending.append((path + "/", rules))
                elif candidate := self._file(entry, path, rules):
                    yield candidate
            except OSError as error:
                self._rejected.add(path, "unreadable", _cause(error))

    def _file(self, entry: "os.DirEntry[str]", path: str, rules: IgnoreRules) -> Candidate | None:
        reason, detail = (FORGOTTEN, "") if path in self._forgotten else file_reason(path, entry.name, rules)
        if reason:
            self._rejected.add(path, reason, detail)
            return None
        status = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            self._rejected.add(path, "not a regular file")
        elif status.st_size > self._options.max_file_bytes:
            self._rejected.add(path, "too large", f"{status.st_size:,} bytes")
        else:
            return Candidate(path, status.st_mtime, (status.st_mtime_ns, status.st_size))
        return None


def _list(path: Path) -> "list[os.DirEntry[str]]":
    """The entries of a folder by name; a folder that vanishes while it is read ends early."""
    found: list[os.DirEntry[str]] = []
    with os.scandir(path) as entries, contextlib.suppress(FileNotFoundError):
        found.extend(entries)
    return sorted(found, key=lambda entry: entry.name)


def _read_all(
    root: Path, found: list[Candidate], options: SelectOptions, rejected: _Rejected, report: Progress
) -> list[SourceFile]:
    files: list[SourceFile] = []
    hashes: dict[str, str] = {}
    kept = 0
    for index, candidate in enumerate(found):
        if len(files) >= options.max_files:
            rejected.more[f"over the limit of {options.max_files:,} files"] = len(found) - index
            break
        if index % 50 == 0:
            report(index / len(found), f"{index:,} of {len(found):,} files read")
        file = _read(root, candidate, options, rejected)
        if file is None:
            continue
        if file.sha256 in hashes:
            rejected.add(file.path, "duplicate", f"of {hashes[file.sha256]}")
            continue
        kept += len(file.text)
        if kept > options.max_bytes:
            limit = f"{options.max_bytes / 1024 / 1024:,.0f} MiB"
            rejected.more[f"over the limit of {limit}"] = len(found) - index
            break
        hashes[file.sha256] = file.path
        files.append(file)
    report(1.0, f"{len(files):,} files selected")
    return files


def _read(root: Path, candidate: Candidate, options: SelectOptions, rejected: _Rejected) -> SourceFile | None:
    path = candidate.path
    language = languages.by_path(path)
    assert language is not None
    try:
        data = _read_bytes(root / path, options.max_file_bytes)
    except OSError as error:
        rejected.add(path, "unreadable", _cause(error))
        return None
    if len(data) > options.max_file_bytes:
        rejected.add(path, "too large", "it grew meanwhile")
        return None
    if b"\0" in data:
        rejected.add(path, "binary")
        return None
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        rejected.add(path, "not UTF-8")
        return None
    if sum(1 for line in text.split("\n") if line.strip()) < options.min_lines:
        rejected.add(path, "too small")
        return None
    if detail := generated(text):
        rejected.add(path, "generated", detail)
        return None
    if findings := secrets.scan(text, path):
        first = findings[0]
        if first.kind == secrets.SCAN_FAILED:
            rejected.add(path, secrets.SCAN_FAILED)
        else:
            rejected.add(path, "secret", f"{first.kind}, line {first.line}")
        return None
    return SourceFile(path, language.id, text, hashlib.sha256(data).hexdigest(), candidate.mtime)


def _read_bytes(path: Path, limit: int) -> bytes:
    """At most ``limit`` + 1 bytes of a regular file; neither a pipe nor a link put in its place is opened."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is not a regular file any more")
        return file.read(limit + 1)


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _cause(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "it vanished meanwhile"
    if isinstance(error, PermissionError):
        return "no permission"
    return error.strerror or "it changed meanwhile"
