"""What stands between a training step's products: norms, rotary positions, SwiGLU, quantizing. As autograd functions.

Compiled (``fused.c``), each is one pass over memory; without a compiler torch's operators compute the same in three to
eight. Knows nothing of layers or of models.
"""

import ctypes
import functools
import logging
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tailora_adapters.base import eight_bits
from tailora_adapters.base.compiled import NativeUnavailable, library

__all__ = ["norm", "quantize", "rotate", "swiglu"]

_log = logging.getLogger(__name__)

_FLAGS = (
    "-fopenmp",
    # -ffast-math but for its start-up code, which would round subnormal numbers to zero in the whole process.
    "-fassociative-math",
    "-fno-signed-zeros",
    "-fno-trapping-math",
    "-freciprocal-math",
    "-ffinite-math-only",
)


@functools.cache
def _compiled() -> ctypes.CDLL | None:
    try:
        return library(Path(__file__).with_name("fused.c"), *_FLAGS)
    except NativeUnavailable as error:
        _log.info("training takes longer than it could: %s", error)
        return None


def _at(tensor: Tensor | None) -> ctypes.c_void_p:
    assert tensor is None or tensor.is_contiguous()
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def quantize(x: Tensor, *, copy: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """(tokens, in) float32 -> values and steps of ``eight_bits.quantize_inputs``; with ``copy``, ``x`` in bfloat16."""
    compiled = _compiled()
    if compiled is None:
        return *eight_bits.quantize_inputs(x), x.bfloat16() if copy else None
    x = x.contiguous()
    values = torch.empty_like(x, dtype=torch.uint8)
    steps = x.new_empty((len(x), 1))
    narrow = torch.empty_like(x, dtype=torch.bfloat16) if copy else None
    rows, width = (ctypes.c_int64(size) for size in x.shape)
    compiled.tailora_quantize(_at(x), rows, width, _at(values), _at(steps), _at(narrow))
    return values, steps, narrow


def norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root mean square norm (Zhang and Sennrich, arXiv 1910.07467) with a frozen weight. x (tokens, hidden)."""
    y: Tensor = _Norm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return y


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        compiled, x = _compiled(), x.contiguous()
        if compiled is None:
            inverse = x.square().mean(-1, keepdim=True).add_(epsilon).rsqrt_()
            y = (x * inverse).mul_(weight)
        else:
            inverse, y = x.new_empty((len(x), 1)), torch.empty_like(x)
            rows, width = (ctypes.c_int64(size) for size in x.shape)
            compiled.tailora_norm(
                _at(x), _at(weight), rows, width, ctypes.c_float(epsilon), _at(y), _at(inverse)
            )
        ctx.save_for_backward(x, weight, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, weight, inverse = ctx.saved_tensors
        compiled, gradient = _compiled(), gradients[0].contiguous()
        if compiled is None:
            inner = gradient * weight
            mean = (inner * x).mean(-1, keepdim=True)
            return inner.sub_(x * (mean * inverse.square())).mul_(inverse), None, None
        of_x = torch.empty_like(x)
        rows, width = (ctypes.c_int64(size) for size in x.shape)
        compiled.tailora_norm_backward(
            _at(gradient), _at(x), _at(weight), _at(inverse), rows, width, _at(of_x)
        )
        return of_x, None, None


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up (Shazeer, arXiv 2002.05202), (tokens, inner) each; keeps both in bfloat16 only."""
    y: Tensor = _SwiGlu.apply(gate, up)  # type: ignore[no-untyped-call]
    return y


class _SwiGlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        compiled = _compiled()
        if compiled is None:
            ctx.save_for_backward(gate.bfloat16(), up.bfloat16())
            return F.silu(gate).mul_(up)
        gate, up = gate.contiguous(), up.contiguous()
        y = torch.empty_like(gate)
        kept = torch.empty_like(gate, dtype=torch.bfloat16), torch.empty_like(up, dtype=torch.bfloat16)
        count = ctypes.c_int64(gate.numel())
        compiled.tailora_swiglu(_at(gate), _at(up), count, _at(y), _at(kept[0]), _at(kept[1]))
        ctx.save_for_backward(*kept)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        kept_gate, kept_up = ctx.saved_tensors
        compiled, gradient = _compiled(), gradients[0].contiguous()
        if compiled is None:
            gate, up = kept_gate.float(), kept_up.float()
            sigmoid = gate.sigmoid()
            silu = gate * sigmoid
            # d silu / d gate = sigmoid + silu (1 - sigmoid)
            return gradient * up * (sigmoid + silu * (1 - sigmoid)), gradient * silu
        of_gate, of_up = torch.empty_like(gradient), torch.empty_like(gradient)
        compiled.tailora_swiglu_backward(
            _at(gradient),
            _at(kept_gate),
            _at(kept_up),
            ctypes.c_int64(gradient.numel()),
            _at(of_gate),
            _at(of_up),
        )
        return of_gate, of_up


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions (Su et al., arXiv 2104.09864), halves layout. x (tokens, heads, width), the others
    (tokens, width / 2)."""
    y: Tensor = _Rotate.apply(x, cosine, sine)  # type: ignore[no-untyped-call]
    return y


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _turn(x, cosine, sine, 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cosine, sine = ctx.saved_tensors
        return _turn(gradients[0], cosine, sine, -1.0), None, None


def _turn(x: Tensor, cosine: Tensor, sine: Tensor, sign: float) -> Tensor:
    compiled = _compiled()
    if compiled is None:
        a, b = x.chunk(2, dim=-1)
        cos, sin = cosine[:, None], sine[:, None] * sign
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    x = x.contiguous()
    y = torch.empty_like(x)
    tokens, heads, half = (ctypes.c_int64(size) for size in (len(x), x.shape[1], x.shape[2] // 2))
    compiled.tailora_rotate(_at(x), _at(cosine), _at(sine), tokens, heads, half, ctypes.c_float(sign), _at(y))
    return y
