"""Weights in 5 bits as ``step.c`` reads them: groups of 32 along the input, asymmetric; 6 bits each with the scales.

Five bits, as most weights of the packaged model come from 5-bit groups of 32 and are kept exactly. Packed once into a
file beside the dense weights, then memory-mapped. Knows nothing of decoding.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tailora.engine.packing import fit, kept_tensors

__all__ = ["FIVE_FILE", "GROUP", "RECORD", "load_five", "pack_five", "unpack_five"]

FIVE_FILE = "packed-int5-1.safetensors"
"""The number changes with the form or the method of the quantization."""

GROUP = 32
OUTPUTS = 16
RECORD = 384
"""Bytes that hold 32 inputs of 16 outputs; see ``step.c``."""

_MOST = 31
_NARROWED = (1.0, 0.96, 0.92)
_ROWS = 1024


def pack_five(weight: Tensor) -> Tensor:
    """(out, in) -> uint8 (out / 16 rounded up, in / 32, RECORD); missing outputs are zeros."""
    out, width = weight.shape
    records = torch.empty((-(-out // OUTPUTS), width // GROUP, RECORD), dtype=torch.uint8)
    for begin in range(0, out, _ROWS):
        part = weight[begin : begin + _ROWS].float()
        if missing := -len(part) % OUTPUTS:
            part = torch.cat((part, torch.zeros((missing, width))))
        first = begin // OUTPUTS
        records[first : first + len(part) // OUTPUTS] = _records(part)
    return records


def _records(weight: Tensor) -> Tensor:
    blocks, groups = weight.shape[0] // OUTPUTS, weight.shape[1] // GROUP
    values = weight.view(-1, groups, GROUP)
    low, high = torch.aminmax(values, dim=-1, keepdim=True)
    middle, half = (low + high) / 2, (high - low) / 2
    extreme = torch.where(low.abs() > high.abs(), low, high)
    # The grids that llama.cpp's 5 and 4 bits lie on (Q5_0, Q4_K), then the range, narrowed.
    starts = [
        (extreme / -16, extreme),
        (half * 2 / 15, low),
        *((half * (2 * part / _MOST), middle - half * part) for part in _NARROWED),
    ]
    q, scale, zero = fit(values, starts, most=_MOST, dtype=torch.float16)
    result = torch.empty((blocks, groups, RECORD), dtype=torch.uint8)
    for at, numbers in ((0, scale), (32, zero)):
        rows = numbers.to(torch.float16).view(blocks, OUTPUTS, groups).transpose(1, 2).contiguous()
        result[..., at : at + 32] = rows.view(torch.uint8)
    # (block, group, four inputs, output and input)
    q = (
        q.to(torch.uint8)
        .view(blocks, OUTPUTS, groups, 8, 4)
        .permute(0, 2, 3, 1, 4)
        .reshape(blocks, groups, 8, 64)
    )
    low_bits = q & 15
    result[..., 64:320] = (low_bits[:, :, :4] | low_bits[:, :, 4:] << 4).flatten(2)
    fifth = (q >> 4).view(blocks, groups, 64, 8) << torch.arange(8, dtype=torch.uint8)
    result[..., 320:] = fifth.sum(-1).to(torch.uint8)
    return result


def unpack_five(records: Tensor) -> Tensor:
    """The weights that ``records`` stand for, (16 * blocks, in) float32."""
    blocks, groups, _ = records.shape
    scale, zero = (
        records[..., at : at + 32].contiguous().view(torch.float16).float()[:, :, None, :, None]
        for at in (0, 32)
    )  # (block, group, 1, output, 1)
    nibbles = records[..., 64:320].reshape(blocks, groups, 4, 64)
    fifth = records[..., 320:].reshape(blocks, groups, 64, 1) >> torch.arange(8, dtype=torch.uint8) & 1
    q = torch.cat((nibbles & 15, nibbles >> 4), dim=2) | fifth.reshape(blocks, groups, 8, 64) << 4
    values = q.view(blocks, groups, 8, OUTPUTS, 4).float() * scale + zero
    return values.permute(0, 3, 1, 2, 4).reshape(OUTPUTS * blocks, GROUP * groups)


def load_five(
    folder: Path,
    names: Sequence[str],
    dense: Callable[[str], Tensor],
    progress: Callable[[float], None] = lambda _: None,
) -> Mapping[str, Tensor]:
    """Records by name, from the cache or made now from ``dense(name)`` of shape (out, in)."""

    def make() -> dict[str, Tensor]:
        state = {}
        for number, name in enumerate(names):
            state[name] = pack_five(dense(name))
            progress((number + 1) / len(names))
        return state

    return kept_tensors(folder / FIVE_FILE, names, make)
