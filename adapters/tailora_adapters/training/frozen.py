"""Frozen weights with LoRA on top: one autograd function for all projections that read the same input.

::

    x (tokens, in) --frozen W (out, in)--------------------+--> y (tokens, out)
                   --A (rank, in)--> low --B (out, rank)---+

The weights' own gradients are never computed; in 8 bits, inputs and gradients are quantized a token at a time.
Knows nothing of layers or of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tailora_adapters.base.eight_bits import EightBits, dequantize_inputs, quantize_eight
from tailora_adapters.training.fused import quantize

__all__ = ["FrozenWeight", "Lora", "linear", "project"]


@dataclass(frozen=True, slots=True)
class Lora:
    """Trained parameters of one projection."""

    a: Tensor  # (rank, in), float32
    b: Tensor  # (out, rank), float32
    scale: float


class FrozenWeight:
    """A weight (out, in), and its transposed one where gradients pass."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        backward: bool,
        form: torch.dtype,
        lengths: bool = False,
    ) -> None:
        """``form``: int8, bfloat16 or float32. ``lengths``: of the rows, whether they will be asked for."""
        self._squares = weight.float().square().sum(-1) if lengths else None
        self.bias = bias.float() if bias is not None else None
        self.form = form
        if self.eight_bits:
            self._forward: Any = EightBits.of(*quantize_eight(weight))
            self._backward: Any = EightBits.of(*quantize_eight(weight.T.contiguous())) if backward else None
        else:
            self._forward = weight.to(form)
            self._backward = self._forward.T

    @property
    def eight_bits(self) -> bool:
        """Whether inputs are to be in 8 bits, too."""
        return self.form == torch.int8

    def multiply(self, x: Tensor, quantized: tuple[Tensor, Tensor] | None) -> Tensor:
        """(tokens, in) -> (tokens, out), float32. ``quantized``: ``x`` in 8 bits, where these are used."""
        y = (
            self._forward.product(*quantized)
            if quantized is not None
            else linear(x.to(self.form), self._forward).float()
        )
        return y.add_(self.bias) if self.bias is not None else y

    def product(self, x: Tensor) -> Tensor:
        """W x without the bias: (n, in) -> (n, out), float32, no gradients."""
        y = self.multiply(x, quantize(x.float(), copy=False)[:2] if self.eight_bits else None)
        return y - self.bias if self.bias is not None else y

    @property
    def row_norms_squared(self) -> Tensor:
        """Of the weight's rows, (out,)."""
        assert self._squares is not None, "they were to be asked for"
        return self._squares

    def multiply_transposed(self, gradient: Tensor, quantized: tuple[Tensor, Tensor] | None) -> Tensor:
        """(tokens, out) -> (tokens, in), float32."""
        if quantized is not None:
            product: Tensor = self._backward.product(*quantized)
            return product
        return F.linear(gradient.to(self.form), self._backward).float()


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (n, in), weight (out, in) -> (n, out). In float32 the other way round: MKL reads the weights anew for each of
    a few rows (8 rows of 896, 4,864 outputs: 15.0 against 5.4 ms; 256: 94 against 84)."""
    if weight.dtype != torch.float32 or len(x) == 1:
        return F.linear(x, weight)
    return torch.mm(weight, x.T).T.contiguous()


def project(x: Tensor, weights: Sequence[FrozenWeight], loras: Sequence[Lora | None]) -> tuple[Tensor, ...]:
    """x (tokens, in), float32 -> for every weight (tokens, out), float32."""
    trained = [lora for lora in loras if lora is not None]
    if not trained and not (torch.is_grad_enabled() and x.requires_grad):
        quantized = quantize(x, copy=False)[:2] if weights[0].eight_bits else None
        return tuple(weight.multiply(x, quantized) for weight in weights)
    parameters = [tensor for lora in trained for tensor in (lora.a, lora.b)]
    result: tuple[Tensor, ...] = _Project.apply(x, weights, loras, *parameters)  # type: ignore[no-untyped-call]
    return result


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Sequence[FrozenWeight],
        loras: Sequence[Lora | None],
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        quantized, narrow = _narrow(x, weights[0])
        outputs, lows = [], []
        for weight, lora in zip(weights, loras, strict=True):
            y = weight.multiply(x, quantized)
            if lora is not None:
                low = narrow @ lora.a.T.to(narrow.dtype)  # (tokens, rank)
                y.addmm_(low.float(), lora.b.T, alpha=lora.scale)
                lows.append(low)
            outputs.append(y)
        ctx.weights, ctx.loras = weights, loras
        ctx.save_for_backward(*(quantized or (narrow,)), *lows, *parameters)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = list(ctx.saved_tensors)
        eight_bits = ctx.weights[0].eight_bits
        x = dequantize_inputs(saved.pop(0), saved.pop(0)) if eight_bits else saved.pop(0)
        trained = sum(lora is not None for lora in ctx.loras)
        lows = saved[:trained]
        of_x: Tensor | None = None
        of_parameters: list[Tensor] = []
        for weight, lora, gradient in zip(ctx.weights, ctx.loras, gradients, strict=True):
            quantized, narrow = _narrow(gradient, weight)
            if ctx.needs_input_grad[0]:
                passed = weight.multiply_transposed(gradient, quantized)
                of_x = passed if of_x is None else of_x.add_(passed)
            if lora is None:
                continue
            # Products with few columns are bound by memory: narrow, and the wide one as rows, 2 to 5 times faster.
            of_low = (narrow @ lora.b.to(narrow.dtype)).mul_(lora.scale)  # (tokens, rank)
            of_parameters += [
                (of_low.T @ x).float(),
                (lows.pop(0).T @ narrow).T.float().mul_(lora.scale),
            ]
            if of_x is not None:
                of_x.addmm_(of_low.float(), lora.a)
        return (of_x, None, None, *of_parameters)


def _narrow(x: Tensor, weight: FrozenWeight) -> tuple[tuple[Tensor, Tensor] | None, Tensor]:
    """``x`` in 8 bits, where these are used, and in bfloat16, else in the weight's form."""
    if not weight.eight_bits:
        return None, x.to(weight.form)
    values, steps, narrow = quantize(x, copy=True)
    assert narrow is not None
    return (values, steps), narrow
