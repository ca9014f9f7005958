"""A trained adapter to disk in the standard PEFT format, in bfloat16. Knows nothing of versions or manifests."""

import errno
import tempfile
from pathlib import Path

import torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import save_file

from tailora_adapters.base.cache import hash_file

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "save_adapter"]

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"


def save_adapter(model: PeftModel, folder: Path) -> str:
    """Writes ``adapter_model.safetensors`` and ``adapter_config.json``; returns the weights' SHA-256.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in get_peft_model_state_dict(model).items()
    }
    with tempfile.TemporaryDirectory(dir=folder) as work:
        try:
            save_file(state, Path(work) / WEIGHTS_FILE, metadata={"format": "pt"})
        except SafetensorError as error:  # what safetensors makes of a full disk
            raise OSError(errno.ENOSPC if "os error 28" in str(error) else errno.EIO, str(error)) from error
        config = model.peft_config["default"]
        config.base_model_name_or_path = None
        config.inference_mode = True
        config.save_pretrained(work)
        for name in (WEIGHTS_FILE, CONFIG_FILE):
            (Path(work) / name).replace(folder / name)
    return hash_file(folder / WEIGHTS_FILE)
