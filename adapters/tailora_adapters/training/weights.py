"""An adapter's weights looked at as numbers, from its files alone: are they finite, and how large is the update.

Needs numpy and no torch; knows nothing of where the adapter came from.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from tailora_adapters._store_files import CONFIG, WEIGHTS
from tailora_adapters.errors import AdapterCorrupt

__all__ = ["NormBand", "check_weights", "update_norm"]


@dataclass(frozen=True, slots=True)
class NormBand:
    """How large an adapter's update may be, as a multiple of the foundation adapter's norm."""

    least: float = 0.02
    """Below it hardly anything was learned, or the file is empty."""
    most: float = 4.0
    """As the gate's limit for trained candidates: beyond it an update drowns what the model knows."""


def update_norm(folder: Path) -> float:
    """Frobenius norm of the whole update: root of the sum over matrices of |scale B A|^2.

    Raises:
        AdapterCorrupt: unreadable, not pairs of LoRA matrices, or with weights that are not numbers.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        rank = int(config["r"])
        scale = float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)
        content = (folder / WEIGHTS).read_bytes()
        tensors = {name: _array(one) for name, one in deserialize(content)}  # type: ignore[no-untyped-call]
        if not all(np.isfinite(one).all() for one in tensors.values()):
            raise ValueError("it holds weights that are not numbers")
        total = 0.0
        for name in tensors:
            if ".lora_A." in name:
                a = tensors[name].astype(np.float64)  # (rank, in)
                b = tensors[name.replace(".lora_A.", ".lora_B.")].astype(np.float64)  # (out, rank)
                # |B A|^2 = trace((B^T B)(A A^T)): never forms the full matrix.
                total += float(((b.T @ b) * (a @ a.T)).sum())
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, SafetensorError) as error:
        raise AdapterCorrupt(f"the adapter in {folder} cannot be read: {error}") from error
    return abs(scale) * math.sqrt(total)


def check_weights(folder: Path, foundation: Path | None, *, band: NormBand = NormBand()) -> float:
    """Checks that the update is about as large as one that a training makes, and returns its norm.

    Without a ``foundation`` adapter to compare with, it must only be finite and not zero.

    Raises:
        AdapterCorrupt: as ``update_norm``, or outside the band; the message has the numbers.
    """
    norm = update_norm(folder)
    if norm == 0:
        raise AdapterCorrupt("the adapter changes nothing: the norm of its update is 0")
    if foundation is not None:
        reference = update_norm(foundation)
        if not band.least * reference <= norm <= band.most * reference:
            raise AdapterCorrupt(
                f"the norm of the adapter's update is {norm:.3g}, {norm / reference:.3g} times that of the foundation "
                f"adapter ({reference:.3g}); {band.least:g} to {band.most:g} times are allowed"
            )
    return norm


def _array(tensor: dict[str, Any]) -> NDArray[np.float32]:
    """A tensor of ``deserialize`` in single precision.

    Raises:
        ValueError: not a type of weights.
    """
    dtype, data = tensor["dtype"], bytes(tensor["data"])
    if dtype == "BF16":  # the upper half of a float32
        flat = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    elif dtype in ("F16", "F32"):
        flat = np.frombuffer(data, "<f2" if dtype == "F16" else "<f4")
    else:
        raise ValueError(f"{dtype} is not a type of weights")
    return flat.reshape(tensor["shape"]).astype(np.float32)
