"""The weights in 8 bits, quantized once into a file beside the dense ones. Knows nothing of decoding."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from tailora.engine.packing import kept_tensors
from tailora_adapters.base.eight_bits import EightBits, quantize_eight

__all__ = ["INT8_FILE", "load_eight_bits"]

INT8_FILE = "dense-int8-1.safetensors"
"""The number changes with the form or the method of the quantization."""


def load_eight_bits(
    folder: Path,
    names: Sequence[str],
    dense: Callable[[str], Tensor],
    progress: Callable[[float], None] = lambda _: None,
) -> Mapping[str, EightBits]:
    """Weights in 8 bits by name, from the cache or made now from ``dense(name)`` of shape (out, in)."""

    def make() -> dict[str, Tensor]:
        state = {}
        for number, name in enumerate(names):
            state[f"{name}.q"], state[f"{name}.s"] = quantize_eight(dense(name))
            progress((number + 1) / len(names))
        return state

    state = kept_tensors(folder / INT8_FILE, [f"{name}.{part}" for name in names for part in "qs"], make)
    return {name: EightBits.of(state[f"{name}.q"], state[f"{name}.s"]) for name in names}
