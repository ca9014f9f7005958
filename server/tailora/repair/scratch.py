"""A copy of a project in which its tests run, with a candidate's text in place of a file's.

The user's folder is only ever read. What a run of tests leaves behind is taken back by ``reset``: what it made is
deleted, and what it changed or deleted is copied anew, so each candidate meets the project as the user has it. Hard
links are never made and links never followed on writing, so nothing leads from the copy to the user's files.
"""

import contextlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import BinaryIO, Literal, Self

from tailora.errors import RepairError
from tailora_adapters.corpus.ignore import IgnoreRules
from tailora_adapters.corpus.secrets import is_secret_file
from tailora_adapters.temporary import temporary_folder

__all__ = ["MAX_BYTES", "MAX_FILES", "ScratchCopy"]

MAX_FILES = 50_000
MAX_BYTES = 500 << 20

_NEVER = frozenset(("__pycache__", "node_modules", "__pypackages__"))
_BUILT = (".py", ".so", ".pyd")
"""Of what git ignores in a package, the kinds without which it cannot be imported, such as ``_version.py``."""

_Kind = Literal["folder", "file", "link"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something that belongs in the copy, and how it looked when it was put there."""

    kind: _Kind
    mark: tuple[int, ...] = ()


class ScratchCopy:
    """A project's copy in a temporary folder, for all candidates of one repair. Blocks; one thread at a time.

    Left out are what git ignores (but for built modules of a package), hidden folders, virtual environments, secret
    files, special files, and links that lead out of the project. Paths are relative to the root, with ``/``.

    Raises:
        RepairError: on entering, where the project cannot be read or is too large.
    """

    def __init__(self, original: Path) -> None:
        self.original = original.absolute()
        self._entries: dict[str, _Entry] = {}
        """Folders before what lies in them."""
        self._contents: dict[str, bytes] = {}
        """Of files that were written since, what they are to hold."""
        self._before: dict[str, bytes | None] = {}
        """What they held at first; None for those that were not there."""

    def __enter__(self) -> Self:
        found = self._find()
        self._stack = contextlib.ExitStack()
        try:
            self.folder = self._stack.enter_context(temporary_folder("tailora-tests-"))
            """Holds the copy, and room for what is written beside it."""
            self.root = self.folder / (self.original.resolve().name or "project")
            self.root.mkdir()
            for path, kind in found.items():
                self._make(path, kind)
        except OSError as error:
            self._stack.close()
            raise RepairError(f"The project cannot be copied to run its tests: {error.strerror}.") from error
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in os.listdir(self.folder):  # noqa: PTH208  also unlocks folders, which cleanup does not
            with contextlib.suppress(OSError):
                _remove(self.folder / name)
        self._stack.close()

    def put(self, path: PurePath | str, text: str) -> None:
        """Makes a file hold ``text``, with the line endings and the byte order mark that it had.

        Raises:
            RepairError: the path leads out of the project, or it cannot be written.
        """
        name = self._inside(path)
        if name not in self._before:
            self._before[name] = (self.root / name).read_bytes() if name in self._entries else None
        before = self._before[name] or b""
        if b"\r\n" in before:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
        self._contents[name] = mark + text.encode(errors="replace").removeprefix(mark)
        for parent in reversed(PurePath(name).parents[:-1]):
            if parent.as_posix() not in self._entries:
                self._make(parent.as_posix(), "folder")
        try:
            self._write(name, self._contents[name])
        except OSError as error:
            raise RepairError(f"{path} cannot be written in the project's copy: {error.strerror}.") from error

    def restore(self, path: PurePath | str) -> None:
        """Puts back what a file held before it was first ``put``."""
        name = self._inside(path)
        if name not in self._before:
            return
        before = self._before[name]
        if before is None:
            self._contents.pop(name, None)
            self._entries.pop(name, None)
            _remove(self.root / name)
        else:
            self._contents[name] = before
            self._write(name, before)

    def reset(self) -> None:
        """Takes back all that was done in the copy by others than ``put`` and ``restore``.

        Raises:
            RepairError: that cannot be done, as the disk is full.
        """
        try:
            intact = self._clean()
            for path, entry in list(self._entries.items()):
                if path not in intact:
                    self._make(path, entry.kind)
        except OSError as error:
            raise RepairError(f"The project's copy cannot be put in order: {error.strerror}.") from error

    def _clean(self) -> set[str]:
        """Deletes what does not look as it should; the rest."""
        if self.root.is_symlink() or not self.root.is_dir():
            _remove(self.root)
            self.root.mkdir()
        self.root.chmod(0o700)
        intact: set[str] = set()
        folders = [""]
        while folders:
            prefix = folders.pop()
            for item in _list(self.root / prefix):
                path = prefix + item.name
                known = self._entries.get(path)
                if known is None or known != _look(item.path):
                    _remove(Path(item.path))
                    continue
                intact.add(path)
                if known.kind == "folder":
                    folders.append(path + "/")
        return intact

    def files(self, suffix: str) -> list[str]:
        """The files whose names end with ``suffix``, sorted."""
        return sorted(
            path for path, entry in self._entries.items() if entry.kind == "file" and path.endswith(suffix)
        )

    def _inside(self, path: PurePath | str) -> str:
        """A path as the copy's own, links within it followed."""
        target = (self.root / path).resolve()
        if not target.is_relative_to(self.root) or target == self.root:
            raise RepairError(f"{path} is not in the project {self.original}.")
        return target.relative_to(self.root).as_posix()

    def _find(self) -> dict[str, _Kind]:
        """What is to be copied, read without following links."""
        found: dict[str, _Kind] = {}
        size = 0
        pending = [("", IgnoreRules.outside(self.original))]
        while pending:
            prefix, rules = pending.pop()
            try:
                items = _list(self.original / prefix)
            except OSError as error:
                if prefix:
                    continue
                raise RepairError(f"{self.original} cannot be read: {error.strerror}.") from error
            names = {item.name for item in items}
            if prefix and "pyvenv.cfg" in names:
                continue
            if prefix:
                found[prefix[:-1]] = "folder"
            rules = rules.below(self.original, prefix, names)
            for item in items:
                path = prefix + item.name
                if item.is_symlink():
                    if self._leads_inside(item.path) and not rules.ignored_by_git(path):
                        found[path] = "link"
                elif item.is_dir(follow_symlinks=False):
                    skipped = item.name.startswith(".") or item.name in _NEVER
                    if not skipped and not rules.ignored_by_git(path + "/"):
                        pending.append((path + "/", rules))
                elif item.is_file(follow_symlinks=False) and item.name != ".git" and not is_secret_file(path):
                    if rules.ignored_by_git(path) and not (
                        "__init__.py" in names and item.name.endswith(_BUILT)
                    ):
                        continue
                    with contextlib.suppress(OSError):
                        size += item.stat(follow_symlinks=False).st_size
                        found[path] = "file"
                if len(found) > MAX_FILES or size > MAX_BYTES:
                    raise RepairError(
                        f"{self.original} is too large to be copied for running its tests: it has more than "
                        f"{MAX_FILES:,} files or {MAX_BYTES >> 20} MB that git does not ignore."
                    )
        return found

    def _leads_inside(self, link: str) -> bool:
        target = os.path.realpath(link)
        return Path(target).is_relative_to(self.original.resolve())

    def _make(self, path: str, kind: _Kind) -> None:
        """Makes one entry anew; one that the original does not have any more is forgotten."""
        target = self.root / path
        try:
            if kind == "folder":
                if not target.is_dir():
                    target.mkdir()
            elif path in self._contents:
                self._write(path, self._contents[path])
            elif kind == "link":
                source = self.original.resolve() / path
                inside = os.path.relpath(os.path.realpath(source), os.path.realpath(source.parent))
                _remove(target)
                target.symlink_to(inside)
            else:
                _remove(target)
                _copy(self.original / path, target)
        except (FileNotFoundError, PermissionError, NotADirectoryError):
            self._entries.pop(path, None)
        else:
            self._note(path)

    def _write(self, path: str, data: bytes) -> None:
        target, mode = self.root / path, 0o600
        with contextlib.suppress(OSError):
            mode |= stat.S_IMODE(target.lstat().st_mode) & 0o777
        _remove(target)  # never written in place: it may have become a link
        with target.open("xb") as file:
            file.write(data)
        target.chmod(mode)
        self._note(path)

    def _note(self, path: str) -> None:
        seen = _look(self.root / path)
        if seen is not None:
            self._entries[path] = seen


def _look(path: str | Path) -> _Entry | None:
    """What is there; the time of a file's last change cannot be set back by a program."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return _Entry("folder", (stat.S_IMODE(status.st_mode),))
    mark = (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return _Entry("link" if stat.S_ISLNK(status.st_mode) else "file", mark)


def _list(path: Path) -> "list[os.DirEntry[str]]":
    with os.scandir(path) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _remove(path: Path) -> None:
    """Deletes whatever is there, folders without rights included; follows no link."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    path.chmod(0o700)
    for item in _list(path):
        if item.is_dir(follow_symlinks=False):
            _remove(Path(item.path))
        else:
            os.unlink(item.path)  # noqa: PTH108
    path.rmdir()


def _copy(source: Path, target: Path) -> None:
    """Content, rights and time of a regular file; without reading it where the file system can share the blocks."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(source, flags | getattr(os, "O_BINARY", 0)), "rb") as reader:
        status = os.fstat(reader.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(f"{source} is not a regular file any more")
        with target.open("xb") as writer:
            if not _share(reader, writer, status.st_size):
                shutil.copyfileobj(reader, writer)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    target.chmod(stat.S_IMODE(status.st_mode) & 0o777 | 0o600)


def _share(reader: BinaryIO, writer: BinaryIO, size: int) -> bool:
    """Copies by the kernel; False, with nothing written, where it cannot."""
    if not hasattr(os, "copy_file_range"):
        return False
    done = 0
    while done < size:
        try:
            step = os.copy_file_range(reader.fileno(), writer.fileno(), size - done)
        except OSError:
            if done:
                raise
            return False
        if not step:
            break
        done += step
    return True
