"""What a sound version folder looks like, and what to tell a user whose disk is not.

Private to ``store``; knows no projects, no states and no locks. ``inspect`` reads headers only, so that it is
cheap enough for the request path.
"""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from tailora_adapters.errors import AdapterCorrupt, StoreUnwritable
from tailora_adapters.manifest import Manifest

__all__ = [
    "CONFIG",
    "MANIFEST",
    "WEIGHTS",
    "Stamp",
    "file_stamp",
    "inspect",
    "read_header",
    "sha256_of",
    "sync",
    "writing",
]

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"

Stamp = tuple[int, int, int]
"""Modification time (ns), size, inode of a file."""

_HEADER_LIMIT = 100_000_000
"""Bytes; the safetensors format's own limit."""


def inspect(path: Path) -> tuple[Manifest | None, str | None]:
    """The manifest of a version's folder, and what is wrong with its files, if anything.

    Reads the manifest, the configuration and the header of the weights, not the weights.
    """
    try:
        manifest = Manifest.read(path / MANIFEST)
    except AdapterCorrupt as error:
        return None, str(error)
    try:
        if not isinstance(json.loads((path / CONFIG).read_text(encoding="utf-8")), dict):
            return manifest, f"{CONFIG} is not a JSON object"
        read_header(path / WEIGHTS)
        return manifest, None
    except AdapterCorrupt as error:
        return manifest, str(error)
    except FileNotFoundError as error:
        return manifest, f"{Path(str(error.filename)).name} is missing"
    except (OSError, ValueError) as error:
        return manifest, f"{CONFIG} or {WEIGHTS} cannot be read: {error}"


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor in a safetensors file (8 bytes length, JSON, then the tensors' bytes).

    Raises:
        AdapterCorrupt: the file's size is not what its header says, or that is damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(_HEADER_LIMIT, size - 8):
            raise AdapterCorrupt(f"{path.name} is cut off or not a safetensors file")
        try:
            header = json.loads(file.read(length))
            tensors = {name: value for name, value in header.items() if name != "__metadata__"}
            expected = 8 + length + max((one["data_offsets"][1] for one in tensors.values()), default=0)
            found = {
                name: (str(one["dtype"]), tuple(map(int, one["shape"]))) for name, one in tensors.items()
            }
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            raise AdapterCorrupt(f"{path.name} has a damaged header") from None
    if not found:
        raise AdapterCorrupt(f"{path.name} holds no tensors")
    if size != expected:
        raise AdapterCorrupt(f"{path.name} has {size} bytes instead of {expected}")
    return found


def sha256_of(path: Path) -> str:
    """Of a whole file, in hexadecimal.

    Raises:
        AdapterCorrupt: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AdapterCorrupt(f"{path} cannot be read: {error.strerror}") from error


def file_stamp(path: Path) -> Stamp | None:
    """Differs when the file was replaced or changed. None if it is missing."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def sync(directory: Path, *, files: bool = True) -> None:
    """Forces a folder, and the files in it, to disk."""
    for path in (*(directory.iterdir() if files else ()), directory):
        if os.name == "nt" and path == directory:
            continue  # Windows has no handle for that
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an ``OSError`` of the body into ``StoreUnwritable`` that says what to do.

    Raises:
        StoreUnwritable: nothing was changed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "the disk is full: free some space, or delete old adapters (tailora adapter delete)"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            advice = "no permission to write: make the folder writable, or set TAILORA_HOME to one that is"
        else:
            advice = f"{error.strerror or error}: check the folder, or set TAILORA_HOME to another one"
        raise StoreUnwritable(f"{path} cannot be written, and nothing was changed; {advice}") from error
