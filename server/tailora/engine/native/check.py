"""Whether the compiled code computes what it should on this processor: two layers of random weights, against torch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tailora.engine.native.model import NativeAdapter, NativeChange, NativeLayer, NativeModel
from tailora.engine.native.weights import pack_five, unpack_five
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.base.compiled import NativeUnavailable

__all__ = ["missing"]

_SHAPE = Shape(hidden=64, intermediate=96, heads=4, kv_heads=2, head_width=16, layers=2, vocabulary=40)
_TOKENS = 11
_Narrow = tuple[Tensor, Tensor, Tensor, Tensor]
_TOLERANCE = 0.03
"""Of the largest logit: inputs are rounded to 8 bits, keys and values to bfloat16."""


def missing() -> str | None:
    """Why the code cannot be used here; None where it can.

    Tokens come one by one and all at once, and must be the same, bit for bit.
    """
    generator = torch.Generator().manual_seed(1)

    def random(*size: int) -> Tensor:
        return torch.randn(size, generator=generator).mul_(size[-1] ** -0.5)

    layers = [
        NativeLayer(
            torch.ones(64) * 8,
            torch.ones(64) * 8,
            random(128),
            {name: pack_five(random(*size)) for name, size in _SHAPE.matrices.items()},
        )
        for _ in range(_SHAPE.layers)
    ]
    head, norm, angles = pack_five(random(40, 64)), torch.ones(64) * 8, random(_TOKENS, 8) * 3
    cosine, sine = torch.cat((angles, angles), -1).cos(), torch.cat((-angles, angles), -1).sin()
    pairs = {
        (number, name): (random(4, width), random(4, out))
        for number in range(_SHAPE.layers)
        for name, (out, width) in _SHAPE.matrices.items()
    }
    try:
        model = NativeModel(_SHAPE, layers, root_eps=0.008, cosine=cosine, sine=sine, norm=norm, head=head)
    except NativeUnavailable as reason:
        return str(reason)
    gains = {
        (number, name): 1 + random(_SHAPE.matrices[name][0]) for number, name in ((0, "qkv"), (1, "gate_up"))
    }
    narrows = {(0, "o"): _narrow(random), (1, "down"): _narrow(random)}
    adapter = NativeAdapter(
        _SHAPE.layers,
        {place: NativeChange(pair, gains.get(place), narrows.get(place)) for place, pair in pairs.items()},
    )
    x = random(_TOKENS, 64) * 8
    expected = _reference(x, layers, pairs, gains, narrows, cosine, sine, norm, head)

    def read(count: int) -> Tensor:
        keys, values = torch.zeros((2, 2, 2, 64, 16), dtype=torch.bfloat16)
        return torch.cat(
            [
                model.step(x[at : at + count], keys, values, at, adapter, min(count, _TOKENS - at))
                for at in range(0, _TOKENS, count)
            ]
        )

    found = read(_TOKENS)
    if not (found - expected).abs().max() <= _TOLERANCE * expected.abs().max():  # also where one is nan
        return "the compiled code computes wrongly on this processor"
    if not all(torch.equal(found, read(count)) for count in (1, 4)):
        return "the compiled code's results depend on how many tokens it is given"
    return None


def _narrow(random: Callable[..., Tensor]) -> _Narrow:
    return random(3, _SHAPE.hidden), random(3), random(3, _SHAPE.hidden), random(_SHAPE.hidden)


def _reference(
    x: Tensor,
    layers: list[NativeLayer],
    pairs: dict[tuple[int, str], tuple[Tensor, Tensor]],
    gains: dict[tuple[int, str], Tensor],
    narrows: dict[tuple[int, str], _Narrow],
    cosine: Tensor,
    sine: Tensor,
    norm: Tensor,
    head: Tensor,
) -> Tensor:
    def product(number: int, name: str, h: Tensor) -> Tensor:
        a, b = pairs[number, name]
        y = F.linear(h, unpack_five(layers[number].records[name])) * gains.get((number, name), torch.ones(()))
        y = y + h @ a.T @ b
        if (number, name) in narrows:
            down, down_bias, up, up_bias = narrows[number, name]
            y = y + F.gelu(y @ down.T + down_bias, approximate="tanh") @ up + up_bias
        return y

    def rotated(h: Tensor) -> Tensor:
        return h * cosine[:, None] + h.roll(8, -1) * sine[:, None]

    for number, layer in enumerate(layers):
        h = product(number, "qkv", F.rms_norm(x, (64,), layer.norm_in / 8))
        assert layer.bias is not None
        q, k, v = torch.split((h + layer.bias).view(_TOKENS, 8, 16), [4, 2, 2], dim=1)
        q, k, v = rotated(q).transpose(0, 1), rotated(k).transpose(0, 1), v.transpose(0, 1)
        attended = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=True)
        x = x + product(number, "o", attended[0].transpose(0, 1).reshape(_TOKENS, 64))
        gate, up = torch.split(
            product(number, "gate_up", F.rms_norm(x, (64,), layer.norm_post / 8)), 96, dim=-1
        )
        x = x + product(number, "down", F.silu(gate) * up)
    return F.linear(F.rms_norm(x, (64,), norm / 8), unpack_five(head))[:, : _SHAPE.vocabulary]
