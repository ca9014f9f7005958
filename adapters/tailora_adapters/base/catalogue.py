"""The base models that Tailora knows by name, as data (``catalogue.json``), and any local folder or GGUF file.

A model is pinned by the hash of its content where that is one file, and by the commit that its first fetch
resolved otherwise. Knows nothing of how to fetch or load.
"""

import functools
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailora_adapters.errors import ModelError

__all__ = [
    "DEFAULT_CPU",
    "DEFAULT_CUDA",
    "BaseModel",
    "Hub",
    "Part",
    "Shape",
    "default_name",
    "find",
    "gpu_memory_mb",
    "known",
]

DEFAULT_CPU = "qwen2.5-coder-0.5b"
DEFAULT_CUDA = "qwen2.5-coder-7b"
"""From 12 GB of GPU memory."""

_CUDA_MB = 11_500  # a «12 GB» card reports a little less than 12,288


@dataclass(frozen=True, slots=True)
class Hub:
    """Where a model lies on the model hub."""

    repository: str
    file: str | None
    """One GGUF file, or None for the repository's safetensors and tokenizer."""
    revision: str | None
    """Commit; None where the content's hash pins the file, or where the first fetch records it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One wheel that carries a piece of a GGUF file as its only ``data/partNN.bin``."""

    requirement: str
    sha256: str
    """Of the wheel file."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a decoder of the Llama and Qwen2 family, as its ``config.json`` gives them."""

    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_width: int
    layers: int
    vocabulary: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Shape":
        """The shape that a ``config.json`` describes.

        Raises:
            KeyError: a size is missing.
        """
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        return cls(
            hidden=hidden,
            intermediate=config["intermediate_size"],
            heads=heads,
            kv_heads=config["num_key_value_heads"],
            head_width=config.get("head_dim") or hidden // heads,
            layers=config["num_hidden_layers"],
            vocabulary=config["vocab_size"],
        )

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """(out, in) of a layer's weights, those that are read together as one."""
        attention = self.heads * self.head_width
        return {
            "qkv": (attention + 2 * self.kv_heads * self.head_width, self.hidden),
            "o": (self.hidden, attention),
            "gate_up": (2 * self.intermediate, self.hidden),
            "down": (self.hidden, self.intermediate),
        }

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """(out, in) of each matrix that an adapter may change, by its name below ``model.layers.N``."""
        attention, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        return {
            "self_attn.q_proj": (attention, self.hidden),
            "self_attn.k_proj": (keys, self.hidden),
            "self_attn.v_proj": (keys, self.hidden),
            "self_attn.o_proj": (self.hidden, attention),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }

    @property
    def layer_weights(self) -> int:
        """How many weights one layer has; biases and norms are too few to count."""
        return sum(out * width for out, width in self.matrices.values())

    @property
    def head_weights(self) -> int:
        """How many weights the output matrix has."""
        return self.vocabulary * self.hidden


@dataclass(frozen=True, slots=True)
class BaseModel:
    """One entry of the catalogue, or a model on the user's disk."""

    name: str
    parameters: str = "unknown"
    licence: str = "unknown"
    download_mb: int = 0
    memory_mb: int = 0
    """What the engine holds without a GPU, about."""
    shape: Shape | None = None
    """None where only the model's files say it."""
    hub: Hub | None = None
    gguf_sha256: str | None = None
    gguf_bytes: int | None = None
    packaged: tuple[Part, ...] = ()
    local: Path | None = None
    """A folder in the transformers format or a GGUF file."""


@functools.cache
def known() -> tuple[BaseModel, ...]:
    """All models of the catalogue, smallest first."""
    text = Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8")
    return tuple(
        BaseModel(
            **{
                **entry,
                "shape": Shape(**entry["shape"]),
                "hub": Hub(**entry["hub"]),
                "packaged": tuple(Part(**part) for part in entry["packaged"]),
            }
        )
        for entry in json.loads(text)["models"]
    )


@functools.cache
def gpu_memory_mb() -> int | None:
    """Memory of the largest NVIDIA GPU, asked of the driver so that torch need not load; None without one."""
    driver = shutil.which("nvidia-smi")
    if driver is None:
        return None
    try:
        asked = subprocess.run(
            [driver, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return max(int(line) for line in asked.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def default_name() -> str:
    """The model for this machine where nobody chose one: by the memory of its GPU."""
    return DEFAULT_CUDA if (gpu_memory_mb() or 0) >= _CUDA_MB else DEFAULT_CPU


def find(name: str) -> BaseModel:
    """A model by its catalogue name, or by the path of a folder or ``.gguf`` file.

    Raises:
        ModelError: neither.
    """
    for model in known():
        if model.name == name:
            return model
    path = Path(name).expanduser()
    if (path / "config.json").is_file() or (path.suffix == ".gguf" and path.is_file()):
        return BaseModel(name=path.stem if path.suffix == ".gguf" else path.name, local=path.resolve())
    names = ", ".join(model.name for model in known())
    raise ModelError(
        f"there is no base model {name!r}: use one of {names}, or the path of a model folder or a .gguf file"
    )
