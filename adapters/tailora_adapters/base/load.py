"""A converted base model as a transformers model, memory-mapped, in the representation that was asked for.

The only place that knows bitsandbytes. CUDA figures are not measured yet: what is done there follows the
documentation of transformers and bitsandbytes, and the same path is tested on the CPU.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_KERNEL_MAPPING", "1")

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.device import Quantization
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.errors import ModelError

__all__ = ["Loaded", "load_model"]

_log = logging.getLogger(__name__)

transformers_logging.disable_progress_bar()
# One line for every matmul of an int8 model: that its inputs are cast to float16.
logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory with what belongs to it."""

    model: PreTrainedModel
    tokenizer: CodeTokenizer
    folder: Path
    record: cache.Record


def load_model(name: str, *, quantization: Quantization = "none", device: str = "cpu") -> Loaded:
    """Loads a model from the cache.

    ``packed`` loads like ``none`` here: the packing is the decoder's.

    Raises:
        ModelMissing, ModelCorrupt: see ``cache.open_record``.
        ModelError: the representation cannot be had on this machine.
    """
    folder, record = cache.open_record(catalogue.find(name))
    config = _bitsandbytes(quantization)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            local_files_only=True,
            attn_implementation="sdpa",
            device_map={"": device} if config is not None or device != "cpu" else None,
            quantization_config=config,
        )
    except (ImportError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{name} cannot be loaded with quantization {quantization!r} on {device}: {error}"
        ) from error
    model.eval()
    model.requires_grad_(False)
    return Loaded(model, CodeTokenizer.from_folder(folder), folder, record)


def _bitsandbytes(quantization: Quantization) -> BitsAndBytesConfig | None:
    if quantization == "nf4":
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return None
