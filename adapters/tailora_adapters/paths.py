"""Where Tailora keeps its files, and how they are written.

``TAILORA_HOME`` moves everything under one folder (tests, portable installs). Otherwise the platform's own
places are used. Nothing is created by asking for a path. Every file is written under a temporary name in its
own folder and renamed, so that a kill at any moment leaves the old content or the new one.
"""

import contextlib
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import platformdirs

__all__ = [
    "cache_dir",
    "config_dir",
    "data_dir",
    "log_file",
    "models_dir",
    "projects_dir",
    "runtime_dir",
    "write_atomic",
    "write_json",
]


def _home() -> Path | None:
    value = os.environ.get("TAILORA_HOME")
    return Path(value).expanduser() if value else None


def cache_dir() -> Path:
    """What can be fetched or computed again: base models and their conversions."""
    home = _home()
    return home / "cache" if home else Path(platformdirs.user_cache_dir("tailora", appauthor=False))


def models_dir() -> Path:
    """Base models, a folder each. ``TAILORA_MODELS`` overrides it (a model cache shared by several homes)."""
    value = os.environ.get("TAILORA_MODELS")
    return Path(value).expanduser() if value else cache_dir() / "models"


def data_dir() -> Path:
    """What a user would miss: adapters and their manifests."""
    home = _home()
    return home / "data" if home else Path(platformdirs.user_data_dir("tailora", appauthor=False))


def projects_dir() -> Path:
    """Adapters, a folder for every project."""
    return data_dir() / "projects"


def config_dir() -> Path:
    """The user's ``config.toml``."""
    home = _home()
    return home / "config" if home else Path(platformdirs.user_config_dir("tailora", appauthor=False))


def log_file() -> Path:
    """The engine's log."""
    return cache_dir() / "logs" / "engine.log"


def runtime_dir() -> Path:
    """The engine's socket, lock and token. Short, because a Unix socket's path holds about 100 bytes."""
    home = _home()
    if home:
        return home / "run"
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR it names a folder in the temporary one; the engine makes it private or takes another.
        warnings.simplefilter("ignore")
        return Path(platformdirs.user_runtime_dir("tailora", appauthor=False))


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Writes ``data`` to ``path`` by a temporary file, fsync and rename.

    Raises:
        OSError: the folder is read-only or the disk is full; ``path`` still holds what it held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n").encode())
