"""Notices that files of a project change, by the system's notifications or, where there are too few, by
looking.

Tells only which files changed, as paths relative to the root, and how large they are now; when to learn them is
decided elsewhere, and which are learned at all by ``corpus.rules``. Follows no symbolic links, runs nothing of the
project, not even git, and never raises for what a folder contains.
"""

import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from watchdog.events import (
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from tailora_adapters.corpus.rules import MAX_FILE_BYTES, PathRules, name_reason
from tailora_adapters.languages import by_path
from tailora_adapters.paths import runtime_dir

__all__ = ["Look", "Watcher", "is_head_move", "is_relevant"]

_LIMIT_FILE = Path("/proc/sys/fs/inotify/max_user_watches")
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]
_LIMIT = 300_000
"""Files of any kind that are looked at in one round."""


def is_relevant(path: str) -> bool:
    """Whether a file (relative path with ``/``) may be learned, by what is known without its project."""
    *folders, name = path.split("/")
    return _is_source(name) and not any(map(name_reason, folders))


def _is_source(name: str) -> bool:
    # Under hidden names editors write what they rename into its place.
    return not name.startswith(".") and by_path(name) is not None


def is_head_move(path: str) -> bool:
    """Whether a change of this file means that git's HEAD moved (commit, checkout, pull, rebase)."""
    return path in (".git/HEAD", ".git/logs/HEAD") or path.startswith(".git/refs/heads/")


class Watcher:
    """Watches one folder. ``start`` and ``stop`` block, so call them off the event loop.

    Args:
        root: A real path: no symbolic link in it.
        on_files: Called on a thread with the files that changed and may be learned, and their sizes in bytes; 0: gone.
        on_head: Called on a thread when git's HEAD moved.
        on_gone: Called on a thread when the folder is deleted, or is found to be another one.
        poll_s: Seconds between two looks where there are no notifications.
    """

    def __init__(
        self,
        root: Path,
        on_files: Callable[[Mapping[str, int]], None],
        on_head: Callable[[], None],
        on_gone: Callable[[], None],
        *,
        poll_s: float = 120.0,
    ) -> None:
        self._root = root
        self._on_files = on_files
        self._on_head = on_head
        self._on_gone = on_gone
        self._poll_s = poll_s
        self._rules = PathRules(root)
        self._folder: tuple[int, int] | None = None
        """Which one is watched."""
        self._gone = False
        self._observer: BaseObserver | None = None
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    def start(self) -> str | None:
        """Starts to watch; returns what to tell the user if it is by looking only."""
        self._folder = _identity(self._root)
        why = "it has more folders than the system can watch"
        if not _too_many_folders(self._root):
            try:
                self._observer = Observer()
                self._observer.start()
                self._observer.schedule(_Handler(self), str(self._root), recursive=True, event_filter=_EVENTS)
                self._probe(self._observer)
                return None
            except OSError as error:
                why = error.strerror or str(error)
                self._stop_observer()
        # Looked at here, not on the thread: what changes from now on is a change.
        before = _times(Look(self._root))
        self._poller = threading.Thread(target=self._poll, args=(before,), name="poll-project", daemon=True)
        self._poller.start()
        return f"no file notifications here ({why}): changes are looked for every {self._poll_s:.0f} s"

    def _probe(self, observer: BaseObserver) -> None:
        """Finds out whether the system's limit was reached: watchdog silently skips folders below the root.

        Raises:
            OSError: it was.
        """
        folder = runtime_dir()
        if folder.is_dir() and not folder.is_relative_to(self._root):
            watch = observer.schedule(FileSystemEventHandler(), str(folder), event_filter=[DirMovedEvent])
            observer.unschedule(watch)

    def stop(self) -> None:
        """Stops watching. Idempotent."""
        self._stopping.set()
        self._stop_observer()
        if self._poller is not None and self._poller is not threading.current_thread():
            self._poller.join(timeout=5.0)

    def _stop_observer(self) -> None:
        observer, self._observer = self._observer, None
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join(timeout=5.0)

    @property
    def is_deaf(self) -> bool:
        """Whether the folder at the root is no longer watched: notifications follow the old one wherever it goes."""
        return self._gone or (self._observer is not None and self._folder != _identity(self._root))

    def _lose(self) -> None:
        self._gone = True  # for good: a folder made anew may get the number of a deleted one
        self._on_gone()

    def event(self, path: str, *, is_folder: bool) -> None:
        """Takes an absolute path that something happened to. The observer's thread."""
        relative = os.path.relpath(path, self._root).replace(os.sep, "/")
        if is_folder:
            if relative == ".":
                self._lose()
        elif is_head_move(relative):
            self._on_head()
        elif not relative.startswith("../"):
            self._rules.changed(relative)
            self._tell((relative,), self._rules)

    def _tell(self, paths: Iterable[str], rules: PathRules) -> None:
        sizes = {
            path: _size(self._root / path) for path in paths if is_relevant(path) and rules.learnable(path)
        }
        known = {path: size for path, size in sizes.items() if size is not None}
        if known and self.is_deaf:
            self._lose()
        elif known:
            self._on_files(known)

    def _poll(self, before: dict[str, int]) -> None:
        while not self._stopping.wait(self._poll_s):
            look = Look(self._root)
            now = _times(look)
            if not now and not self._root.exists():
                self._lose()
                return
            self._tell({path for path, _ in before.items() ^ now.items()}, look.rules)
            before = now


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._watcher.event(os.fsdecode(path), is_folder=event.is_directory)


def _identity(root: Path) -> tuple[int, int] | None:
    """Which folder is there, whatever its name; None: none."""
    try:
        found = root.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _too_many_folders(root: Path) -> bool:
    """Whether watching all folders would take more than half of the user's inotify watches.

    The editor needs its own, and a limit that is reached breaks other programs too.
    """
    try:
        limit = int(_LIMIT_FILE.read_text()) // 2
    except (OSError, ValueError):
        return False
    folders = (1 for _ in os.walk(root))
    return any(count > limit for count, _ in enumerate(folders, 1))


class Look:
    """The files of a work tree that may be learned, by all but the ignore rules for single files; once through."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._left = _LIMIT
        self.rules = PathRules(root)
        """For what ignore rules say of a single file: too dear to ask for all of them."""
        self.complete = True
        """Whether the limit was not reached so far."""

    def __iter__(self) -> Iterator[tuple[str, os.stat_result]]:
        for folder, folders, names in os.walk(self._root):
            prefix = (
                "" if folder == str(self._root) else Path(folder).relative_to(self._root).as_posix() + "/"
            )
            if not self.rules.enters(prefix, {*folders, *names}):
                folders.clear()
                continue
            folders[:] = [name for name in folders if not name_reason(name)]
            for name in names:
                self._left -= 1
                if self._left < 0:
                    self.complete = False
                    return
                found = _stat(f"{folder}/{name}") if _is_source(name) else None
                if found is not None and _is_learned_size(found):
                    yield prefix + name, found


def _times(look: Look) -> dict[str, int]:
    """When each file was last modified, in nanoseconds."""
    return {path: found.st_mtime_ns for path, found in look}


def _size(path: Path) -> int | None:
    """In bytes; 0 where the file is gone, None where it is none that is learned."""
    found = _stat(path)
    if found is None:
        return 0
    return found.st_size if _is_learned_size(found) else None


def _is_learned_size(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_size <= MAX_FILE_BYTES


def _stat(path: str | Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None  # gone meanwhile
