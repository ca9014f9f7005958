"""Reads source texts out of a package's archive (wheel, sdist or npm tarball), in memory.

Nothing is written to disk and nothing of a package is run. Links, absolute paths and paths that leave the archive are
passed over, and what is read of one archive is bounded. Knows nothing of languages or of training.
"""

import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tailora_adapters.errors import FetchFailed

__all__ = ["read_texts"]

MAX_MEMBER_BYTES = 400_000
"""A larger member is passed over."""
MAX_ARCHIVE_BYTES = 1 << 30
"""Unpacked; a tarball that holds more is not read on."""

Wanted = Callable[[str], bool]


def read_texts(archive: Path, wanted: Wanted) -> Iterator[tuple[str, str]]:
    """Path and text (UTF-8, LF line endings) of every wanted member, in the archive's order.

    ``wanted`` gets the path with ``/``; that of a tarball without its one outer folder (``name-version/``).

    Raises:
        FetchFailed: the archive is damaged or unpacks to more than ``MAX_ARCHIVE_BYTES``.
    """
    members = _zip_members if archive.suffix in (".whl", ".zip") else _tar_members
    try:
        for path, data in members(archive, wanted):
            if b"\0" in data:
                continue
            try:
                text = data.decode("utf-8-sig")
            except UnicodeDecodeError:
                continue
            yield path, text.replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise FetchFailed(f"{archive} cannot be read ({error}): remove it and fetch it again") from error


def _zip_members(archive: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            link = stat.S_ISLNK(info.external_attr >> 16)
            if link or info.is_dir() or info.file_size > MAX_MEMBER_BYTES:
                continue
            if _inside(info.filename) and wanted(info.filename):
                yield info.filename, file.read(info)


def _tar_members(archive: Path, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    unpacked = 0
    with tarfile.open(archive, "r:*") as file:
        for member in file:
            # What is passed over is decompressed all the same when the next header is looked for.
            unpacked += member.size
            if unpacked > MAX_ARCHIVE_BYTES:
                raise FetchFailed(f"{archive} unpacks to more than {MAX_ARCHIVE_BYTES >> 20} MiB: not read")
            path = member.name.partition("/")[2]
            if not member.isreg() or member.size > MAX_MEMBER_BYTES or not _inside(member.name):
                continue
            if path and wanted(path) and (data := file.extractfile(member)):
                yield path, data.read()


def _inside(path: str) -> bool:
    return not path.startswith("/") and "\\" not in path and ".." not in path.split("/")
