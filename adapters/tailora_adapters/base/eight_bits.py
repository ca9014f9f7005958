"""Weights in 8 bits for long inputs on CPUs: one scale an output, and one a token for the inputs, found as they come.

A weight is ``q * scale`` with q in -127..127; oneDNN multiplies with 8-bit inputs and sums in 32 bits, on processors
with VNNI twice as fast as bfloat16. Knows nothing of files, decoding or training.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["EightBits", "dequantize_inputs", "is_right", "quantize_eight", "quantize_inputs"]

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
        return self.product(*quantize_inputs(x))

    def product(self, values: Tensor, steps: Tensor) -> Tensor:
        """What ``quantize_inputs`` returned, (tokens, in) and (tokens, 1) -> (tokens, out) float32."""
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


def quantize_inputs(x: Tensor) -> tuple[Tensor, Tensor]:
    """(tokens, in) float32 -> uint8 values of the same shape and (tokens, 1) float32 steps."""
    steps = x.abs().amax(-1, keepdim=True).clamp_(min=1e-12).div_(_MOST)
    return (x / steps).add_(_ZERO + 0.5).to(torch.uint8), steps


def dequantize_inputs(values: Tensor, steps: Tensor) -> Tensor:
    """The inputs that ``quantize_inputs`` stands for, bfloat16."""
    return values.to(torch.bfloat16).sub_(_ZERO).mul_(steps.to(torch.bfloat16))


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
