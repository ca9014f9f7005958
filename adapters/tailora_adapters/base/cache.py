"""A converted base model in the cache: where it lies, whether it is whole, and what it is called by hash.

``record.json`` is written last, so that a folder without it is not ready. A file's full hash is checked when its
size, inode or modification time differs from what was last checked. Knows nothing of fetching or of torch.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tailora_adapters.base.catalogue import BaseModel, find
from tailora_adapters.errors import ModelCorrupt, ModelError, ModelMissing
from tailora_adapters.manifest import BaseInfo
from tailora_adapters.paths import models_dir, write_json

__all__ = [
    "FORMAT",
    "Record",
    "base_info",
    "folder_of",
    "hash_file",
    "is_ready",
    "open_record",
    "verify",
    "write_record",
]

FORMAT = 1
"""Raised when the conversion changes; older conversions are made anew."""

_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Record:
    """What a converted model was made from, and the hashes of its files."""

    format: int
    name: str
    source_sha256: str
    """Of the GGUF file, or of the hub commit's files."""
    revision: str | None
    tokenizer_sha256: str
    files: dict[str, str]
    """File name to SHA-256."""


def folder_of(model: BaseModel) -> Path:
    """The folder of a model's conversion, ready or not."""
    if model.local is not None:
        mark = hashlib.sha256(str(model.local).encode()).hexdigest()[:12]
        return models_dir() / f"{model.name}-{mark}"
    return models_dir() / model.name


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def base_info(name: str) -> BaseInfo:
    """What an adapter of a model has to name as its base. Reads the record, checks no file.

    The hashes are empty where the model is not in the cache: only the name is known then.
    """
    try:
        model = find(name)
        record = _read(folder_of(model))
    except (ModelMissing, ModelCorrupt):
        return BaseInfo(model.name, "", "")
    except ModelError:
        return BaseInfo(name, "", "")
    return BaseInfo(record.name, record.source_sha256, record.tokenizer_sha256)


def is_ready(model: BaseModel) -> bool:
    """Whether a conversion is there (without checking its content)."""
    try:
        record = _read(folder_of(model))
    except (ModelMissing, ModelCorrupt):
        return False
    return record.format == FORMAT


def open_record(model: BaseModel) -> tuple[Path, Record]:
    """The folder and record of a ready model; files that changed since they were last checked are hashed.

    Raises:
        ModelMissing: not fetched yet.
        ModelCorrupt: a file is missing or differs from its hash.
    """
    folder = folder_of(model)
    record = _read(folder)
    if record.format != FORMAT:
        raise ModelMissing(
            f"{model.name} was converted by another version: run `tailora model pull {model.name}`"
        )
    verify(folder, record, everything=False)
    return folder, record


def verify(folder: Path, record: Record, *, everything: bool) -> None:
    """Checks the files against their hashes; with ``everything``, also those that look unchanged.

    Raises:
        ModelCorrupt: names the file.
    """
    stamp_path = folder / "checked.json"
    try:
        stamps = json.loads(stamp_path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stamps = {}
    fresh: dict[str, list[int]] = {}
    for name, expected in record.files.items():
        path = folder / name
        try:
            stat = path.stat()
            fresh[name] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
            if (everything or stamps.get(name) != fresh[name]) and hash_file(path) != expected:
                raise ModelCorrupt(
                    f"{path} is damaged (its hash differs): run `tailora model pull {record.name}` to mend it"
                )
        except OSError as error:
            raise ModelCorrupt(
                f"{path} cannot be read ({error}): run `tailora model pull {record.name}`"
            ) from error
    if fresh != stamps and os.access(folder, os.W_OK):
        write_json(stamp_path, fresh)


def _read(folder: Path) -> Record:
    path = folder / "record.json"
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelMissing(
            f"{folder.name} is not on this machine: run `tailora model pull {folder.name}`"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise ModelCorrupt(
            f"{path} cannot be read ({error}): run `tailora model pull {folder.name}`"
        ) from error


def write_record(folder: Path, record: Record) -> None:
    """Makes a conversion ready."""
    write_json(folder / "record.json", asdict(record))
