"""Weights in 8 bits for long inputs on CPUs: one scale an output, and one a token for the inputs, found as they come.

A weight is ``q * scale`` with q in -127..127; oneDNN multiplies with 8-bit inputs and sums in 32 bits, on processors
with VNNI twice as fast as bfloat16. Quantized once into ``dense-int8-….safetensors`` beside the dense weights. Knows
nothing of decoding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tailora.engine.packing import kept_tensors

__all__ = ["INT8_FILE", "EightBits", "is_right", "load_eight_bits", "quantize_eight"]

INT8_FILE = "dense-int8-1.safetensors"
"""The number changes with the form or the method of the quantization."""

_MOST = 127
_ZERO = 128
"""Inputs are unsigned for oneDNN; this is their zero."""
_TOLERANCE = 0.02
"""Of the largest value."""


def quantize_eight(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) -> int8 values of the same shape and (out,) float32 scales."""
    weight = weight.float()
    scales = weight.abs().amax(1).clamp_(min=1e-12).div_(_MOST)
    return weight.div(scales[:, None]).round_().to(torch.int8), scales


@dataclass(frozen=True, slots=True)
class EightBits:
    """A weight as oneDNN wants it."""

    weight: Tensor  # opaque
    scales: Tensor  # (out,), float32
    zeros: Tensor  # (out,), int8

    @classmethod
    def of(cls, values: Tensor, scales: Tensor) -> "EightBits":
        """From what ``quantize_eight`` returned.

        Raises:
            RuntimeError: not on this processor.
        """
        weight = torch.ops.onednn.qlinear_prepack(values, None)
        # The weight is a copy; one of the scales, too, lets go of the file in which both may lie.
        return cls(weight, scales.clone(), torch.zeros(len(scales), dtype=torch.int8))

    def multiply(self, x: Tensor) -> Tensor:
        """(tokens, in) float32 -> (tokens, out) float32."""
        steps = x.abs().amax(-1, keepdim=True).clamp_(min=1e-12).div_(_MOST)
        values = (x / steps).add_(_ZERO + 0.5).to(torch.uint8)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            values,
            1.0,
            _ZERO,
            self.weight,
            self.scales,
            self.zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return product.mul_(steps)


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


def is_right(width: int) -> bool:
    """Whether oneDNN's product is there and right for inputs ``width`` wide, also where all values are as large as can
    be: without VNNI, sums of pairs may not fit into 16 bits."""
    generator = torch.Generator().manual_seed(1)
    usual = torch.randn((64, width), generator=generator) * width**-0.5
    largest = torch.full((64, width), width**-0.5)
    try:
        for weight in (usual, largest):
            eight = EightBits.of(*quantize_eight(weight))
            for x in (torch.randn((16, width), generator=generator), torch.ones((16, width))):
                expected = F.linear(x, weight)
                if not (eight.multiply(x) - expected).abs().max() <= _TOLERANCE * expected.abs().max():
                    return False
    except (AttributeError, NotImplementedError, RuntimeError):  # no such operator, or not for this processor
        return False
    return True
