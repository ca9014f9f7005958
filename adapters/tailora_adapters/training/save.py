"""A trained adapter to disk in the standard PEFT format. Knows nothing of versions or manifests."""

import errno
import json
import tempfile
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tailora_adapters.base.cache import hash_file
from tailora_adapters.methods.attached import TOKENS, Attached, attached

__all__ = ["CONFIG_FILE", "MANIFEST_FILE", "WEIGHTS_FILE", "as_saved", "config_text", "save_adapter"]

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
MANIFEST_FILE = "manifest.json"


def as_saved(tensor: Tensor) -> Tensor:
    """In the type that it is saved in: bfloat16 for matrices; vectors, which scale whole rows, keep float32."""
    return tensor if min(tensor.shape, default=1) == 1 or tensor.dim() < 2 else tensor.to(torch.bfloat16)


def save_adapter(model: Attached | PeftModel, folder: Path) -> str:
    """Writes ``adapter_model.safetensors`` and ``adapter_config.json``; returns the weights' SHA-256.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    adapter = attached(model)
    state = {
        # A network may have computed the tokens: they are as exact as it made them.
        name: (tensor.float() if name == TOKENS else as_saved(tensor)).detach().contiguous()
        for name, tensor in adapter.tensors().items()
    }
    config = config_text(adapter)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        try:
            save_file(state, Path(work) / WEIGHTS_FILE, metadata={"format": "pt"})
        except SafetensorError as error:  # what safetensors makes of a full disk
            raise OSError(errno.ENOSPC if "os error 28" in str(error) else errno.EIO, str(error)) from error
        (Path(work) / CONFIG_FILE).write_text(config, encoding="utf-8")
        for name in (WEIGHTS_FILE, CONFIG_FILE):
            (Path(work) / name).replace(folder / name)
    return hash_file(folder / WEIGHTS_FILE)


def config_text(adapter: Attached) -> str:
    """``adapter_config.json`` of an adapter."""
    return json.dumps(_plain(adapter.config()), indent=2, sort_keys=True) + "\n"


def _plain(value: Any) -> Any:
    """As JSON has it, in the form in which peft reads it."""
    if isinstance(value, Mapping):
        found = {str(key): _plain(item) for key, item in value.items()}
        return found | {key: item for key, item in _AS_SAVED.items() if key in found}
    if isinstance(value, set | frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


_AS_SAVED = {"base_model_name_or_path": None, "inference_mode": True, "prefix_projection": False}
"""Whatever they were in training: what a network computed is saved, not the network."""
