"""Weights in 4 bits for decoding on CPUs: groups of 32 along the input, asymmetric, as torch's int4 kernel reads them.

A weight is ``(q - 8) * scale + zero`` with q in 0..15. Packed once into ``packed-int4.safetensors`` beside the
dense weights, then memory-mapped. Knows nothing of decoding.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

__all__ = ["GROUP", "PACKED_FILE", "Packed", "dequantize", "fit", "kept_tensors", "load_packed", "quantize"]

GROUP = 32
PACKED_FILE = "packed-int4-2.safetensors"
"""The number changes with the form or the method of the quantization."""

Packed = tuple[Tensor, Tensor]
"""Packed weight as torch's kernel wants it, and (in / 32, out, 2) scales and zeros."""

_SHRINKS = (1.0, 0.93, 0.86, 0.8)
_BLOCK = 1 << 18
_REFITS = 3
_LEAST_SCALE = 1e-7
"""Of a group that is all one value; the least that a half can hold is near."""
_log = logging.getLogger(__name__)


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) -> int32 values 0..15 of the same shape and (in / 32, out, 2) bfloat16 scales and zeros.

    Every group takes the best of several narrowed ranges, fitted; see ``fit``.
    """
    rows = max(1, _BLOCK // weight.shape[1])  # blocks that stay in the processor's cache
    parts = [_quantize_rows(weight[begin : begin + rows]) for begin in range(0, weight.shape[0], rows)]
    return torch.cat([q for q, _ in parts]), torch.cat([scales for _, scales in parts], dim=1).contiguous()


def _quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    out, width = weight.shape
    groups = weight.float().reshape(out, width // GROUP, GROUP)
    low, high = torch.aminmax(groups, dim=-1, keepdim=True)
    middle, half = (low + high) / 2, (high - low) / 2
    starts = [(half * (shrink * 2 / 15), middle - half * shrink) for shrink in _SHRINKS]
    q, scale, zero = fit(groups, starts, most=15, middle=8, dtype=torch.bfloat16)
    pairs = torch.cat((scale, zero), dim=-1).transpose(0, 1).to(torch.bfloat16)
    return q.to(torch.int32).reshape(out, width), pairs


def fit(
    groups: Tensor,
    starts: Sequence[tuple[Tensor, Tensor]],
    *,
    most: int,
    dtype: torch.dtype,
    middle: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Values, scales and zeros with the least squared error: ``(q - middle) * scale + zero``, q in 0..``most``.

    Of the ``starts``, pairs of a scale and of what value 0 is to stand for, every group takes the best; scale and zero
    are then fitted to the values by least squares, and the values to them, in turns. Scales and zeros are what
    ``dtype`` can hold.

    Args:
        groups: (..., group), float32.
        starts: (..., 1) each.

    Returns values of the same shape, scales and zeros (..., 1), all float32.
    """

    def values(scale: Tensor, zero: Tensor) -> Tensor:
        return groups.sub(zero).div_(scale).add_(middle).round_().clamp_(0, most)

    best = torch.full_like(starts[0][0], torch.inf)
    best_scale, best_zero = starts[0]
    for turn in range(len(starts) + _REFITS):
        if turn < len(starts):
            scale, first = starts[turn]
            zero = first + middle * scale
        else:
            scale, zero = _least_squares(groups, values(best_scale, best_zero).sub_(middle))
        scale = scale.to(dtype).float()
        scale = torch.where(scale.abs() < _LEAST_SCALE, _LEAST_SCALE, scale).to(dtype).float()
        zero = zero.to(dtype).float()
        error = values(scale, zero).sub_(middle).mul_(scale).add_(zero).sub_(groups)
        error = error.square_().sum(-1, keepdim=True)
        better = error < best
        best = torch.where(better, error, best)
        best_scale = torch.where(better, scale, best_scale)
        best_zero = torch.where(better, zero, best_zero)
    return values(best_scale, best_zero), best_scale, best_zero


def _least_squares(groups: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """The scale and zero that fit ``q * scale + zero`` best to every group, (…, 1) each."""
    q_mean, mean = q.mean(-1, keepdim=True), groups.mean(-1, keepdim=True)
    spread = (q - q_mean).square().sum(-1, keepdim=True).clamp(min=1e-8)
    scale = ((q - q_mean) * (groups - mean)).sum(-1, keepdim=True) / spread
    return scale, mean - scale * q_mean


def dequantize(q: Tensor, scales: Tensor) -> Tensor:
    """The weights that ``quantize`` stands for, (out, in) float32."""
    out, width = q.shape
    pairs = scales.transpose(0, 1).float()  # (out, groups, 2)
    groups = q.reshape(out, width // GROUP, GROUP).float()
    return ((groups - 8) * pairs[..., :1] + pairs[..., 1:]).reshape(out, width)


def load_packed(
    folder: Path,
    names: Sequence[str],
    dense: Callable[[str], Tensor],
    progress: Callable[[float], None] = lambda _: None,
) -> Mapping[str, Packed]:
    """Packed weights by name, from the cache or made now from ``dense(name)`` of shape (out, in)."""

    def make() -> dict[str, Tensor]:
        state = {}
        for number, name in enumerate(names):
            q, scales = quantize(dense(name))
            state[f"{name}.q"] = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q, 1)
            state[f"{name}.s"] = scales
            progress((number + 1) / len(names))
        return state

    state = kept_tensors(folder / PACKED_FILE, [f"{name}.{part}" for name in names for part in "qs"], make)
    return {name: (state[f"{name}.q"], state[f"{name}.s"]) for name in names}


def kept_tensors(
    path: Path, names: Sequence[str], make: Callable[[], dict[str, Tensor]]
) -> Mapping[str, Tensor]:
    """The tensors in ``path``, memory-mapped; where one of ``names`` is not there, all of them from ``make``.

    Where the file cannot be written, they are made again at the next load; that is logged.
    """
    try:
        state = load_file(path)
        if all(name in state for name in names):
            return state
    except (OSError, SafetensorError):
        pass
    state = make()
    temporary = path.with_suffix(f".{os.getpid()}")
    try:
        save_file(state, temporary)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        _log.warning(
            "packed weights cannot be kept in %s (%s): the next start packs them again", path.parent, error
        )
    return state
