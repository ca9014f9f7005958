"""An adapter from a folder of the user's into the store: as a candidate, which serves only if the gate lets it.

Nothing in the folder is trusted: each file is copied first, and the copy is checked; the configuration is written
anew from the few settings of a plain LoRA. Knows nothing of torch or of how the gate judges. Invariant: what
``import_adapter`` raised on left nothing behind, and what it returned has not served.
"""

import json
import math
import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tailora_adapters import foundation
from tailora_adapters._store_files import CONFIG, MANIFEST, WEIGHTS, read_header, sha256_of, writing
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import AdapterCorrupt, StoreError
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, GateResult, Manifest
from tailora_adapters.store import IMPORTED, AdapterVersion, ProjectStore
from tailora_adapters.training.weights import check_weights

__all__ = ["MAX_RANK", "Judge", "admit", "import_adapter"]

Judge = Callable[[AdapterVersion], GateResult]
"""Runs the gate on a stored version."""

MAX_RANK = 64

_MAX_BYTES = 200 * 1000 * 1000
_MAX_TEXT_BYTES = 16 * 1000 * 1000
_IGNORED = frozenset({"README.md"})
"""What peft writes beside an adapter; not copied."""
_TENSOR = re.compile(r"base_model\.model\.model\.layers\.(\d{1,4})\.(\w+\.\w+)\.lora_([AB])\.weight")
_DTYPES = frozenset({"BF16", "F16", "F32"})
_PLAIN = frozenset(
    (
        "auto_mapping", "base_model_name_or_path", "bias", "inference_mode", "init_lora_weights", "layers_pattern",
        "layers_to_transform", "lora_alpha", "lora_dropout", "megatron_core", "peft_type", "peft_version",
        "qalora_group_size", "r", "revision", "target_modules", "task_type", "use_rslora",
    )
)  # fmt: skip
"""Settings that a plain LoRA may have. Any other one that is set may change what the weights mean."""


def import_adapter(project: ProjectStore, folder: Path, model: str, *, claimed: bool) -> AdapterVersion:
    """Checks the adapter in ``folder`` against the base ``model`` and stores it as a candidate.

    ``claimed`` says that the user named the model: it is needed where the folder has no manifest.

    Raises:
        StoreError: the folder holds something else, or an adapter of another base model.
        AdapterCorrupt: a file is damaged, or its weights are not a plain LoRA of the model's shape.
        ModelMissing, ModelCorrupt, ModelError: the base model.
        TrainingBusy, StoreUnwritable: the project.
    """
    names = _listed(folder)
    model_folder, record = cache.open_record(catalogue.find(model))
    base = BaseInfo(record.name, record.source_sha256, record.tokenizer_sha256)
    if MANIFEST not in names and not claimed:
        raise StoreError(f"{folder} has no {MANIFEST}: name the base model that it belongs to with --base")
    with project.candidate() as candidate:
        for name in names:
            _copy(folder / name, candidate.path / name, _MAX_BYTES if name == WEIGHTS else _MAX_TEXT_BYTES)
        manifest = _manifest(candidate.path, base, folder.resolve().name)
        config = _config(candidate.path)
        shape = Shape.from_config(json.loads((model_folder / "config.json").read_text(encoding="utf-8")))
        _check_tensors(candidate.path, config, shape)
        with writing(candidate.path):
            (candidate.path / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        floor = foundation.find(record.name)
        check_weights(candidate.path, floor.path if floor else None)
        return candidate.commit(manifest)


def admit(project: ProjectStore, version: AdapterVersion, judge: Judge) -> AdapterVersion:
    """Has the gate judge an imported version: it serves from then on, or is rejected with the reason.

    What could not be judged is not kept.
    """
    try:
        gate = judge(version)
    except BaseException:
        project.delete(version.version)
        raise
    if gate.decision == "promoted":
        return project.promote(version.version, gate)
    return project.reject(version.version, gate)


def _listed(folder: Path) -> list[str]:
    """The names of the files to copy.

    Raises:
        StoreError: it is no folder, or holds anything that an adapter does not need.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise StoreError(f"{folder} cannot be read as a folder: {error.strerror}") from error
    for entry in entries:
        if entry.is_symlink():
            raise StoreError(
                f"{folder} is refused: {entry.name} is a symbolic link; copy the file itself there"
            )
        if not entry.is_file(follow_symlinks=False):
            raise StoreError(f"{folder} is refused: {entry.name} is not a file")
        if entry.name not in (WEIGHTS, CONFIG, MANIFEST, *_IGNORED):
            raise StoreError(
                f"{folder} is refused: {entry.name} does not belong to an adapter; "
                f"only {WEIGHTS}, {CONFIG} and {MANIFEST} may be there (safetensors, never pickle or code)"
            )
    names = [entry.name for entry in entries if entry.name not in _IGNORED]
    if missing := [name for name in (WEIGHTS, CONFIG) if name not in names]:
        raise StoreError(f"{folder} is not an adapter: {' and '.join(missing)} missing")
    return names


def _copy(source: Path, target: Path, limit: int) -> None:
    """Copies a regular file of at most ``limit`` bytes; no link or pipe that took its place is opened.

    Raises:
        StoreError: it is larger, or cannot be read.
        StoreUnwritable: the store is full.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        with os.fdopen(os.open(source, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise StoreError(f"{source} is not a file")
            data = file.read(limit + 1)
    except OSError as error:
        raise StoreError(f"{source} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise StoreError(f"{source} is refused: it has more than {limit // 1_000_000} MB")
    with writing(target):
        target.write_bytes(data)


def _manifest(folder: Path, base: BaseInfo, source: str) -> Manifest:
    """A manifest for the copy: the folder's own as far as it matters here, or one that claims ``base``."""
    own = Manifest.read(folder / MANIFEST) if (folder / MANIFEST).exists() else None
    origin: dict[str, Any] = {"from": source, "base": "in its manifest" if own else "claimed"}
    if own is None:
        data, cost = DataInfo(examples=0, tokens=0, held_out_examples=0), Cost(0.0, 0.0, 0.0)
        return Manifest(base=base, settings={IMPORTED: origin}, seed=0, data=data, cost=cost)
    if not own.base.fits(base):
        raise StoreError(_mismatch(own.base, base))
    if own.weights_sha256 != sha256_of(folder / WEIGHTS):
        raise AdapterCorrupt(f"{WEIGHTS} is not the file that {MANIFEST} describes: their hashes differ")
    # The parent is a version of another project, and that gate judged other code.
    origin |= {"version": own.version, "parent": own.parent}
    return replace(own, parent=None, gate=None, settings={**own.settings, IMPORTED: origin}, figures={})


def _mismatch(own: BaseInfo, base: BaseInfo) -> str:
    if own.name != base.name:
        return (
            f"the adapter belongs to the base model {own.name}, not to {base.name}: name its own with --base"
        )
    what = "the tokenizer" if own.sha256 == base.sha256 else "the weights"
    return f"the adapter belongs to another build of {base.name}: {what} had another hash when it was trained"


def _config(folder: Path) -> dict[str, Any]:
    """The configuration of a plain LoRA, written anew.

    Raises:
        AdapterCorrupt: it is something else.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config.get("peft_type") != "LORA":
            raise AdapterCorrupt(
                f"{CONFIG}: {config.get('peft_type')} is not LoRA, the one method that is served"
            )
        if odd := sorted(key for key, value in config.items() if value and key not in _PLAIN):
            raise AdapterCorrupt(f"{CONFIG}: only plain LoRA is served, but {', '.join(odd)} is set")
        if config.get("bias", "none") != "none":
            raise AdapterCorrupt(f"{CONFIG}: biases are trained as well, only plain LoRA is served")
        if (start := config.get("init_lora_weights", True)) not in (True, False, "gaussian"):
            raise AdapterCorrupt(
                f"{CONFIG}: {start!r} changed the base model's own weights, only plain LoRA is served"
            )
        rank, alpha, targets = config["r"], config["lora_alpha"], config["target_modules"]
        if not (type(rank) is int and 1 <= rank <= MAX_RANK):
            raise AdapterCorrupt(f"{CONFIG}: rank {rank!r} is not a whole number from 1 to {MAX_RANK}")
        if type(alpha) not in (int, float) or not (math.isfinite(alpha) and 0 < alpha <= 1000):
            raise AdapterCorrupt(f"{CONFIG}: lora_alpha {alpha!r} is not a number from 0 to 1000")
        if not isinstance(targets, list) or not all(isinstance(one, str) for one in targets):
            raise AdapterCorrupt(f"{CONFIG}: target_modules must be a list of names, not {targets!r}")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise AdapterCorrupt(f"{CONFIG} cannot be read: {error!r}") from error
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(set(targets)),
        "use_rslora": config.get("use_rslora") is True,
        "inference_mode": True,
    }


def _check_tensors(folder: Path, config: dict[str, Any], shape: Shape) -> None:
    """Every tensor is one half of a LoRA on a projection that the model has, of its size; and none lacks.

    Raises:
        AdapterCorrupt: names the first that is not.
    """
    tensors, projections, rank = read_header(folder / WEIGHTS), shape.projections, config["r"]
    pairs: dict[tuple[str, str], set[str]] = {}
    for name, (dtype, size) in sorted(tensors.items()):
        match = _TENSOR.fullmatch(name)
        layer, module, half = match.groups() if match else ("", "", "")
        if module not in projections or int(layer) >= shape.layers:
            raise AdapterCorrupt(f"{WEIGHTS}: {name} is not part of a LoRA on this model's layers")
        out, width = projections[module]
        expected = (rank, width) if half == "A" else (out, rank)
        if size != expected:
            raise AdapterCorrupt(f"{WEIGHTS}: {name} has the shape {size}, the base model needs {expected}")
        if dtype not in _DTYPES:
            raise AdapterCorrupt(
                f"{WEIGHTS}: {name} has the type {dtype}; one of {', '.join(sorted(_DTYPES))} is needed"
            )
        pairs.setdefault((layer, module), set()).add(half)
    found = {module.partition(".")[2] for _, module in pairs}
    if unlike := sorted(found ^ set(config["target_modules"])):
        raise AdapterCorrupt(f"{CONFIG} and {WEIGHTS} do not agree on {', '.join(unlike)}")
    if single := sorted(key for key, halves in pairs.items() if len(halves) == 1):
        layer, module = single[0]
        raise AdapterCorrupt(f"{WEIGHTS}: layer {layer} has only half a LoRA on {module}")
