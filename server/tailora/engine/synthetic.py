"""Random weights of a model's shape, to time what the lean decoder does with them where there is no such model.

Knows nothing of models' names, of files or of what the times decide. Weights that lie in the processor's cache would
look faster than those of a whole model: every run therefore takes the next of several copies of a layer.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Literal

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor

from tailora.engine.native import check
from tailora.engine.native.model import NativeLayer, NativeModel, suits
from tailora.engine.native.weights import pack_five
from tailora.engine.packing import GROUP, Packed, dequantize, quantize
from tailora.engine.widened import widened_linear
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.base.eight_bits import EightBits

__all__ = ["KEYS", "Form", "SyntheticModel", "fastest", "native_is_missing", "packed_is_right", "time_model"]

Form = Literal["bfloat16", "float32", "int8", "packed", "native"]
"""How weights are multiplied: as stored; widened on the fly; in 8 bits; in 4 bits; in 5 bits by compiled code."""

_Weights = dict[str, Tensor] | dict[str, Packed] | dict[str, EightBits]

KEYS = 608
"""Tokens that attention looks back at: a prompt's prefix and suffix (``base.prompt.PromptBudget``)."""

_COPIES_BYTES = 256 << 20
"""Of each representation, at most: several times the last-level cache of most processors."""
_BLOCK = 1 << 20
_TOLERANCE = 0.02
"""Of the largest value: bfloat16 keeps 8 bits."""


def fastest(
    runs: Sequence[Callable[[], object]], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Each run's least seconds. They take turns, so that a disturbance meets all of them; each runs at least once, and
    again until ``seconds`` have passed in all."""
    least = [math.inf] * len(runs)
    end = clock() + seconds
    while True:
        for number, run in enumerate(runs):
            began = clock()
            run()
            least[number] = min(least[number], clock() - began)
        if clock() >= end:
            return least


def packed_is_right(width: int) -> bool:
    """Whether torch's 4-bit kernel is there and computes what the packed weights stand for, inputs ``width`` wide."""
    generator = torch.Generator().manual_seed(1)
    q, scales = quantize(torch.randn((128, width), generator=generator) * width**-0.5)
    weight = dequantize(q, scales)
    try:
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q, 1)
        if packed.shape != (128, width // 2) or packed.dtype != torch.uint8:
            return False  # another form than the one whose speed would be measured
        for tokens in (1, 4, 8):
            x = torch.randn((tokens, width), generator=generator).to(torch.bfloat16)
            y = torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, GROUP, scales).float()
            expected = F.linear(x.float(), weight)
            if not (y - expected).abs().max() <= _TOLERANCE * expected.abs().max():  # also where y is nan
                return False
    except (AttributeError, NotImplementedError, RuntimeError):  # no such operator, or not for this processor
        return False
    return True


def native_is_missing(shape: Shape) -> str | None:
    """Why compiled code cannot compute a model of this shape here; None where it can."""
    return check.missing() if suits(shape) else "compiled code does not know the model's sizes"


class SyntheticModel:
    """Layers and an output matrix of ``shape``. One thread at a time.

    Args:
        shape: Of the model.
        device: ``cpu`` or ``cuda``; packed weights are for the CPU.
        packed: Whether there are packed weights.
        native: Whether there are those of compiled code.
        eight: Whether there are weights in 8 bits.
        head: Whether there is an output matrix.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        device: str = "cpu",
        packed: bool = True,
        native: bool = False,
        eight: bool = False,
        head: bool = True,
    ) -> None:
        self._shape = shape
        self._device = device
        # A measurement must not press a machine that is short of memory.
        most = (
            _COPIES_BYTES if device != "cpu" else min(_COPIES_BYTES, psutil.virtual_memory().available // 8)
        )
        sizes = shape.matrices.items()
        self._dense = [
            {name: self._weight(*size) for name, size in sizes}
            for _ in range(_copies(shape, 2 * shape.layer_weights, most))
        ]
        self._packed = [
            {name: _packed_weight(*size) for name, size in sizes}
            for _ in range(_copies(shape, shape.layer_weights * 5 // 8, most) if packed else 0)
        ]
        self._eight = [
            {name: _eight_weight(*size) for name, size in sizes}
            for _ in range(_copies(shape, shape.layer_weights, most) if eight else 0)
        ]
        self._head: Tensor | Packed | None = None
        if head and not native:
            make = _packed_weight if packed else self._weight
            self._head = make(shape.vocabulary, shape.hidden)
        self._native: list[NativeModel] = []
        if native:
            self._make_native(head, most)
        self._norm = torch.ones(shape.hidden, device=device)
        keys = (shape.kv_heads, KEYS, shape.head_width)
        self._k, self._v = (torch.randn(keys).to(device, torch.bfloat16) for _ in range(2))

    def _make_native(self, head: bool, most: int) -> None:
        shape = self._shape
        norm, turns = torch.ones(shape.hidden), torch.ones((KEYS, shape.head_width))
        last = _five_weight(shape.vocabulary if head else 16, shape.hidden)
        for _ in range(_copies(shape, shape.layer_weights * 3 // 4, most)):
            records = {name: _five_weight(*size) for name, size in shape.matrices.items()}
            self._native.append(
                NativeModel(
                    shape,
                    [NativeLayer(norm, norm, None, records)],
                    root_eps=0.03,
                    cosine=turns,
                    sine=turns,
                    norm=norm,
                    head=last,
                )
            )

    def layer(self, tokens: int, form: Form) -> Callable[[], None]:
        """A run of one layer on ``tokens`` tokens (at most ``KEYS``)."""
        if form == "native":
            return self._native_layer(tokens)
        kept: dict[Form, Sequence[_Weights]] = {"packed": self._packed, "int8": self._eight}
        copies = itertools.cycle(kept.get(form, self._dense))
        x = torch.randn((tokens, self._shape.hidden)).to(self._device)

        @torch.inference_mode()
        def run() -> None:
            self._forward(x, next(copies), form)
            self._wait()

        return run

    def _native_layer(self, tokens: int) -> Callable[[], None]:
        copies = itertools.cycle(self._native)
        x, k, v = torch.randn((tokens, self._shape.hidden)), self._k[None], self._v[None]

        def run() -> None:
            next(copies).step(x, k, v, KEYS - tokens, None, 0)

        return run

    def head(self) -> Callable[[], None]:
        """A run of the output matrix on one token."""
        if self._native:
            model, last = self._native[0], torch.randn((1, self._shape.hidden))

            def run_native() -> None:
                model.logits(last)

            return run_native
        head = self._head
        assert head is not None
        x = torch.randn((1, self._shape.hidden)).to(self._device, torch.bfloat16)

        @torch.inference_mode()
        def run() -> None:
            _linear(x, head, "bfloat16")
            self._wait()

        return run

    def _forward(self, x: Tensor, weights: _Weights, form: Form) -> None:
        """(tokens, hidden); what ``LeanDecoder`` does in a layer, without positions and adapters."""
        shape = self._shape
        h = F.rms_norm(x, (shape.hidden,), self._norm).to(torch.bfloat16)
        q = _linear(h, weights["qkv"], form)[:, : shape.heads * shape.head_width].to(torch.bfloat16)
        x = x + _linear(self._attend(q), weights["o"], form)
        h = F.rms_norm(x, (shape.hidden,), self._norm).to(torch.bfloat16)
        gate, up = torch.split(_linear(h, weights["gate_up"], form), shape.intermediate, dim=-1)
        x = x + _linear(F.silu(gate).mul_(up), weights["down"], form)

    def _attend(self, q: Tensor) -> Tensor:
        """(tokens, heads * width) -> the same, every query over all keys."""
        shape, tokens = self._shape, q.shape[0]
        if tokens > 8:
            heads = q.view(tokens, shape.heads, -1).transpose(0, 1)[None]
            out = F.scaled_dot_product_attention(heads, self._k[None], self._v[None], enable_gqa=True)
            return out[0].transpose(0, 1).reshape(tokens, -1)
        grouped = q.view(tokens, shape.kv_heads, -1, shape.head_width).transpose(0, 1)
        grouped = grouped.reshape(shape.kv_heads, -1, shape.head_width)
        scores = (grouped @ self._k.transpose(1, 2)).float()  # (kv heads, tokens * group, KEYS)
        weighted = scores.softmax(-1).to(torch.bfloat16) @ self._v
        return weighted.view(shape.kv_heads, tokens, -1).transpose(0, 1).reshape(tokens, -1)

    def _weight(self, out: int, width: int) -> Tensor:
        block = (torch.randn(_BLOCK) * width**-0.5).to(torch.bfloat16)
        return _fill(block, out * width).view(out, width).to(self._device)

    def _wait(self) -> None:
        if self._device != "cpu":
            torch.cuda.synchronize()


def time_model(
    shape: Shape, *, dense: Form, few: int, native: bool, device: str, seconds: float
) -> list[float]:
    """Least seconds of one layer on 64 tokens, on 1 and on 4, and of the output matrix on one token.

    Takes about ``seconds`` beside the making of the weights. Up to ``few`` tokens are computed by packed weights
    (``native``: by compiled code), more by dense ones in the form ``dense``.
    """
    native = native and suits(shape)
    model = SyntheticModel(
        shape, device=device, packed=few > 0 and not native, native=native, eight=dense == "int8"
    )
    short: Form = "native" if native else "packed"
    forms: dict[int, Form] = {count: short if count <= few else dense for count in (64, 1, 4)}
    return fastest([*(model.layer(count, form) for count, form in forms.items()), model.head()], seconds)


def _copies(shape: Shape, size: int, most: int) -> int:
    """How many layers of ``size`` bytes to hold: no more than the model has."""
    return max(1, min(shape.layers, most // size))


def _linear(x: Tensor, weight: Tensor | Packed | EightBits, form: Form) -> Tensor:
    if isinstance(weight, EightBits):
        return weight.multiply(x.float())
    if isinstance(weight, tuple):
        product: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, weight[0], GROUP, weight[1])
        return product
    if form == "float32":
        return widened_linear(x.float(), weight)
    return F.linear(x, weight)


def _packed_weight(out: int, width: int) -> Packed:
    """Any bytes are a packed weight, so that nothing needs to be quantized."""
    block = torch.randint(0, 256, (_BLOCK,), dtype=torch.uint8)
    scales = torch.full((width // GROUP, out, 2), 0.1 * width**-0.5, dtype=torch.bfloat16)
    return _fill(block, out * width // 2).view(out, width // 2), scales


def _eight_weight(out: int, width: int) -> EightBits:
    block = torch.randint(-127, 128, (_BLOCK,), dtype=torch.int8)
    return EightBits.of(_fill(block, out * width).view(out, width), torch.full((out,), width**-0.5 / 127))


def _five_weight(out: int, width: int) -> Tensor:
    block = pack_five(torch.randn((64, width)) * width**-0.5)  # quantizing takes long
    blocks = -(-out // 16)
    return _fill(block.flatten(), blocks * block[0].numel()).view(blocks, *block.shape[1:])


def _fill(block: Tensor, count: int) -> Tensor:
    """``block`` again and again, ``count`` numbers: much faster than as many random ones."""
    return block.repeat(-(-count // len(block)))[:count]
