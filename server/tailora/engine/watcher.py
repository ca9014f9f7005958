"""Notices that files of a project change, by the system's notifications or, where there are too few, by
looking.

Tells only which files changed, as paths relative to the root; when to learn them is decided elsewhere.
Follows no symbolic links, runs nothing of the project, not even git, and never raises for what a folder
contains.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

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

from tailora_adapters.languages import by_path
from tailora_adapters.paths import runtime_dir

__all__ = ["Watcher", "is_head_move", "is_relevant", "look"]

_IGNORED_FOLDERS = frozenset(
    (
        "__pycache__",
        "bower_components",
        "build",
        "dist",
        "env",
        "node_modules",
        "site-packages",
        "target",
        "third_party",
        "vendor",
        "venv",
    )
)
_LIMIT_FILE = Path("/proc/sys/fs/inotify/max_user_watches")
_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    DirDeletedEvent,
    DirMovedEvent,
]
_POLL_LIMIT = 300_000
"""Files looked at in one round."""


def is_relevant(path: str) -> bool:
    """Whether a file (relative path with ``/``) can be learned, by the rules that cost nothing to check."""
    *folders, name = PurePosixPath(path).parts or ("",)
    if name.startswith(".") or by_path(name) is None:
        return False
    return not any(folder.startswith(".") or folder in _IGNORED_FOLDERS for folder in folders)


def is_head_move(path: str) -> bool:
    """Whether a change of this file means that git's HEAD moved (commit, checkout, pull, rebase)."""
    return path in (".git/HEAD", ".git/logs/HEAD") or path.startswith(".git/refs/heads/")


class Watcher:
    """Watches one folder. ``start`` and ``stop`` block, so call them off the event loop.

    Args:
        root: A real path: no symbolic link in it.
        on_files: Called on a thread with the relevant files that changed.
        on_head: Called on a thread when git's HEAD moved.
        on_gone: Called on a thread when the folder is deleted.
        poll_s: Seconds between two looks where there are no notifications.
    """

    def __init__(
        self,
        root: Path,
        on_files: Callable[[set[str]], None],
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
        self._observer: BaseObserver | None = None
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    def start(self) -> str | None:
        """Starts to watch; returns what to tell the user if it is by looking only."""
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
        before = _times(self._root)
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

    def event(self, path: str, *, is_folder: bool) -> None:
        """Takes an absolute path that something happened to. The observer's thread."""
        relative = os.path.relpath(path, self._root).replace(os.sep, "/")
        if is_folder:
            if relative == ".":
                self._on_gone()
        elif is_head_move(relative):
            self._on_head()
        elif is_relevant(relative) and not relative.startswith("../"):
            self._on_files({relative})

    def _poll(self, before: dict[str, int]) -> None:
        while not self._stopping.wait(self._poll_s):
            now = _times(self._root)
            if not now and not self._root.exists():
                self._on_gone()
                return
            changed = {path for path, _ in before.items() ^ now.items()}
            before = now
            if changed:
                self._on_files(changed)


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._watcher.event(os.fsdecode(path), is_folder=event.is_directory)


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


def look(root: Path, limit: int = _POLL_LIMIT) -> Iterator[tuple[str, os.stat_result]]:
    """The relevant files (relative paths with ``/``) of at most ``limit`` that are seen; links are not followed."""
    left = limit
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _IGNORED_FOLDERS]
        for name in names:
            left -= 1
            if left < 0:
                return
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if is_relevant(relative):
                try:
                    yield relative, path.lstat()
                except OSError:
                    continue  # gone meanwhile


def _times(root: Path) -> dict[str, int]:
    """When each file was last modified, in nanoseconds."""
    return {path: found.st_mtime_ns for path, found in look(root)}
