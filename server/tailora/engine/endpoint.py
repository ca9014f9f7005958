"""Where the engine is: its lock, its listening socket and ``engine.json``, which tells clients about both.

Knows nothing of HTTP or of models. Keeps three invariants: only the holder of the lock listens or writes
``engine.json``; ``engine.json`` never names a socket that does not listen yet; nothing here can be read by
another user, not even for a moment.
"""

import contextlib
import hashlib
import json
import os
import secrets
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tailora import __version__
from tailora.errors import EngineError
from tailora_adapters.paths import runtime_dir, write_atomic

__all__ = ["PROTOCOL", "Endpoint", "acquire_lock", "listen", "publish", "read", "withdraw"]

PROTOCOL = 1
"""Raised when a client and an engine of different versions could misunderstand each other."""

_SOCKET_PATH_BYTES = 100
"""``sockaddr_un.sun_path`` holds 104 bytes on macOS and the BSDs, 108 on Linux."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The content of ``engine.json``: a Unix socket, or host, port and token."""

    pid: int
    version: str
    protocol: int
    socket: str | None = None
    host: str | None = None
    port: int | None = None
    token: str | None = None


def _json_path() -> Path:
    return runtime_dir() / "engine.json"


def _uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


def _is_private(folder: Path) -> bool:
    """Whether ``folder`` is a real folder of this user that nobody else can enter."""
    try:
        info = folder.lstat()
    except OSError:
        return False
    uid = _uid()
    if uid is None:
        return stat.S_ISDIR(info.st_mode)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == uid and stat.S_IMODE(info.st_mode) & 0o077 == 0


def _private_runtime_dir() -> Path:
    folder = runtime_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    if not _is_private(folder.resolve()):
        raise EngineError(f"{folder} belongs to another user; set TAILORA_HOME to a folder of your own")
    return folder


def _short_dir() -> Path:
    """A private folder with a short path, the same one at each start unless somebody else took the name."""
    # Hashed, because two homes of one user must not share a socket.
    digest = hashlib.sha256(str(runtime_dir().resolve()).encode()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / f"tailora-{_uid()}-{digest}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    return folder if _is_private(folder) else Path(tempfile.mkdtemp(prefix="tailora-"))


@contextlib.contextmanager
def acquire_lock(wait_s: float = 15.0) -> Iterator[bool]:
    """Makes this process the user's only engine for as long as the context lasts; yields whether it is.

    A loser waits only while there is neither a lock to get nor an engine to find: the holder is then just
    starting (it will publish) or just ending (it will let go). ``wait_s`` bounds that.

    Raises:
        EngineError: the runtime folder is not private to this user.
        OSError: the runtime folder cannot be made.
    """
    lock = FileLock(_private_runtime_dir() / "engine.lock", mode=0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if read() is not None or time.monotonic() > deadline:
                yield False
                return
            time.sleep(0.05)
            continue
        break
    try:
        yield True
    finally:
        lock.release()


def listen(*, tcp: bool = False) -> tuple[socket.socket, Endpoint]:
    """A listening socket and its address, not yet published. Call it with the lock held.

    What a killed engine left behind is removed first.

    Args:
        tcp: Loopback with a token even where there are Unix sockets.

    Raises:
        OSError: nothing can be bound.
    """
    stale = read()
    if stale is not None:
        withdraw(stale)
    if tcp or not hasattr(socket, "AF_UNIX"):
        return _listen_tcp()
    path = _private_runtime_dir() / "engine.sock"
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
        path = _short_dir() / "engine.sock"
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
            return _listen_tcp()
    return _listen_unix(path)


def _listen_unix(path: Path) -> tuple[socket.socket, Endpoint]:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By umask, not by a chmod afterwards: the mode is right from the first moment.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.listen(128)
    return listener, Endpoint(os.getpid(), __version__, PROTOCOL, socket=str(path))


def _listen_tcp() -> tuple[socket.socket, Endpoint]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    host, port = listener.getsockname()
    return listener, Endpoint(
        os.getpid(), __version__, PROTOCOL, host=host, port=port, token=secrets.token_urlsafe(32)
    )


def publish(endpoint: Endpoint) -> None:
    """Writes ``engine.json`` (0600, atomically).

    Raises:
        OSError: the disk is full or read-only.
    """
    write_atomic(_json_path(), (json.dumps(asdict(endpoint), indent=2) + "\n").encode(), mode=0o600)


def read() -> Endpoint | None:
    """What ``engine.json`` says, or None without one of use. The engine may be dead all the same."""
    try:
        data = json.loads(_json_path().read_bytes())
        endpoint = Endpoint(
            pid=int(data["pid"]),
            version=str(data["version"]),
            protocol=int(data["protocol"]),
            socket=data.get("socket"),
            host=data.get("host"),
            port=data.get("port"),
            token=data.get("token"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    has_socket = isinstance(endpoint.socket, str)
    has_port = isinstance(endpoint.host, str) and isinstance(endpoint.port, int)
    return endpoint if has_socket or has_port else None


def withdraw(endpoint: Endpoint) -> None:
    """Removes ``engine.json`` and the socket, if they are still this engine's. Call it with the lock held."""
    if read() == endpoint:
        _json_path().unlink(missing_ok=True)
    if endpoint.socket is None:
        return
    path = Path(endpoint.socket)
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    if path.parent != runtime_dir() and path.parent.name.startswith("tailora-"):
        with contextlib.suppress(OSError):  # not empty, or not ours
            path.parent.rmdir()
