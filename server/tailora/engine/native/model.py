"""``step.c`` from Python: a model's tensors as C sees them, an adapter's, and one pass over a few tokens.

Knows nothing of files, prompts or of what the machine is best at.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tailora.engine.native.build import library
from tailora.engine.native.weights import GROUP, OUTPUTS
from tailora_adapters.base.catalogue import Shape

__all__ = [
    "GROUPS",
    "MOST_TOKENS",
    "NativeAdapter",
    "NativeChange",
    "NativeLayer",
    "NativeModel",
    "NativeVariant",
    "spans_of",
    "suits",
]

MOST_TOKENS = 16
"""At once. Behind about so many, matrix products for long inputs are faster."""

GROUPS = ("qkv", "o", "gate_up", "down")

_Pointer = ctypes.c_void_p


class _Layer(ctypes.Structure):
    _fields_ = [(name, _Pointer) for name in ("norm_in", "norm_post", "bias", *GROUPS)]


class _Model(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_int32)
            for name in ("layers", "heads", "kv_heads", "width", "hidden", "inner", "vocabulary")
        ),
        ("root_eps", ctypes.c_float),
        *((name, _Pointer) for name in ("layer", "norm", "cosine", "sine", "head")),
    ]


class _Change(ctypes.Structure):
    _fields_ = [
        ("ranks", ctypes.c_int64),
        *((name, _Pointer) for name in ("a", "b", "spans", "gain")),
        ("narrow", ctypes.c_int64),
        *((name, _Pointer) for name in ("narrow_down", "narrow_up", "down_bias", "up_bias")),
    ]


class _Call(ctypes.Structure):
    _fields_ = [
        *((name, _Pointer) for name in ("model", "lora", "x", "keys", "values")),
        ("capacity", ctypes.c_int64),
        ("logits", _Pointer),
        *((name, ctypes.c_int32) for name in ("count", "start", "wanted", "threads")),
    ]


@dataclass(frozen=True, slots=True)
class NativeLayer:
    """A layer's tensors: norms (hidden,) that hold the root of the width, float32; records (see ``weights``)."""

    norm_in: Tensor
    norm_post: Tensor
    bias: Tensor | None  # (q + k + v outputs,)
    records: Mapping[str, Tensor]  # by GROUPS


@dataclass(frozen=True, slots=True)
class NativeChange:
    """What an adapter does to the product of one group."""

    pair: tuple[Tensor, Tensor] | None = None
    """Of a LoRA: A (ranks, in) and B (ranks, out), the scale in B."""
    gain: Tensor | None = None  # (out,)
    narrow: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
    """Of a bottleneck behind ``o`` or ``down``: (width, hidden), (width,), (width, hidden), (hidden,): down, its bias,
    up transposed, its bias."""


@dataclass(frozen=True, slots=True)
class NativeVariant:
    """A model's tables with other norms or biases, and the tensors that they point to."""

    model: _Model
    kept: list[Any]


class NativeAdapter:
    """An adapter's tensors, by layer number and group. ``variant``: of the model, where there is one for it."""

    def __init__(
        self,
        layers: int,
        changes: Mapping[tuple[int, str], NativeChange],
        variant: NativeVariant | None = None,
    ) -> None:
        self.variant = variant
        self._table = (_Change * (len(GROUPS) * layers))()
        self._kept: list[Tensor] = []
        for (layer, group), change in changes.items():
            entry = self._table[len(GROUPS) * layer + GROUPS.index(group)]
            if change.pair is not None:
                a, b = change.pair
                spans, dense = spans_of(b)
                entry.ranks, entry.a, entry.b = len(a), self._rows(a), self._rows(dense)
                entry.spans = self._keep(spans)
            if change.gain is not None:
                entry.gain = self._keep(change.gain.float())
            if change.narrow is not None:
                down, down_bias, up, up_bias = change.narrow
                entry.narrow = len(down)
                entry.narrow_down, entry.narrow_up = self._rows(down), self._blocks(up)
                entry.down_bias, entry.up_bias = self._keep(down_bias.float()), self._keep(up_bias.float())

    def _rows(self, tensor: Tensor) -> int:
        return self._keep(tensor.to(torch.bfloat16))

    def _blocks(self, tensor: Tensor) -> int:
        """(ranks, out) as the code reads it: (out / OUTPUTS, ranks, OUTPUTS)."""
        return self._keep(tensor.to(torch.bfloat16).view(len(tensor), -1, OUTPUTS).transpose(0, 1))

    def _keep(self, tensor: Tensor) -> int:
        self._kept.append(tensor.contiguous())
        return self._kept[-1].data_ptr()

    @property
    def address(self) -> int:
        """Of the table."""
        return ctypes.addressof(self._table)


def spans_of(b: Tensor) -> tuple[Tensor, Tensor]:
    """B (ranks, out) without what is 0 because projections that share an input have ranks of their own.

    Returns, of each block of ``OUTPUTS`` columns, the first rank that is not 0, the one behind the last, and how many
    rows of the second come before it, (out / OUTPUTS, 3); and those ranks of all blocks, (rows, OUTPUTS).
    """
    blocks = b.view(len(b), -1, OUTPUTS).transpose(0, 1)  # (blocks, ranks, OUTPUTS)
    used = (blocks != 0).any(dim=2)
    some, ranks = used.any(dim=1), torch.arange(len(b))
    first = used.int().argmax(dim=1) * some
    behind = (len(b) - used.flip(1).int().argmax(dim=1)) * some
    counts = behind - first
    within = (ranks >= first[:, None]) & (ranks < behind[:, None])
    return torch.stack((first, behind, counts.cumsum(0) - counts), dim=1).int(), blocks[within]


def suits(shape: Shape) -> bool:
    """Whether the code can compute a model of this shape."""
    attention = shape.heads * shape.head_width
    return (
        all(size % GROUP == 0 for size in (shape.hidden, shape.intermediate, attention))
        and shape.head_width % OUTPUTS == 0
        and shape.heads % shape.kv_heads == 0
    )


class NativeModel:
    """A model, or some of its layers. One thread at a time.

    Args:
        shape: Of the model; the number of layers is that of ``layers``.
        cosine: And ``sine``: (positions, head width); the first half of ``sine`` carries the minus sign.
        norm: Before the output matrix.
        head: Records of the output matrix.

    Raises:
        NativeUnavailable: see ``build.library``.
    """

    def __init__(
        self,
        shape: Shape,
        layers: Sequence[NativeLayer],
        *,
        root_eps: float,
        cosine: Tensor,
        sine: Tensor,
        norm: Tensor,
        head: Tensor,
    ) -> None:
        self._run = library().tailora_step
        self._vocabulary = shape.vocabulary
        self._shape, self._root_eps, self._shared = shape, root_eps, (cosine, sine, head)
        self._whole, self._end = self.variant(layers, norm), self.variant((), norm)

    def variant(self, layers: Sequence[NativeLayer], norm: Tensor) -> NativeVariant:
        """The same model with other norms and biases, for an adapter."""
        shape, kept = self._shape, []

        def pointer(tensor: Tensor) -> int:
            if tensor.dtype != torch.uint8:
                tensor = tensor.float()
            kept.append(tensor.contiguous())
            return int(kept[-1].data_ptr())

        table = (_Layer * len(layers))()
        for number, layer in enumerate(layers):
            table[number] = _Layer(
                pointer(layer.norm_in),
                pointer(layer.norm_post),
                None if layer.bias is None else pointer(layer.bias),
                *(pointer(layer.records[group]) for group in GROUPS),
            )
        model = _Model(
            len(layers),
            shape.heads,
            shape.kv_heads,
            shape.head_width,
            shape.hidden,
            shape.intermediate,
            shape.vocabulary,
            self._root_eps,
            ctypes.cast(table, _Pointer),
            *(pointer(tensor) for tensor in (norm, *self._shared)),
        )
        return NativeVariant(model, [*kept, table])

    def step(
        self, x: Tensor, keys: Tensor, values: Tensor, start: int, adapter: NativeAdapter | None, wanted: int
    ) -> Tensor:
        """Computes ``x`` (tokens, hidden) behind ``start`` others; writes into ``keys`` and ``values``, (layers, kv
        heads, capacity, width), bfloat16.

        Returns logits of the last ``wanted`` tokens, (wanted, vocabulary) float32. A token's are the same, bit for
        bit, however many come with it.
        """
        assert keys.is_contiguous()
        assert values.is_contiguous()
        place = (keys.data_ptr(), values.data_ptr(), keys.shape[2])
        variant = self._whole if adapter is None or adapter.variant is None else adapter.variant
        return self._call(variant, x, place, start, adapter, wanted)

    def logits(self, x: Tensor, norm: Tensor | None = None) -> Tensor:
        """(tokens, hidden) behind the last layer -> (tokens, vocabulary) float32; ``norm`` in place of the model's."""
        end = self._end if norm is None else self.variant((), norm)
        return self._call(end, x, (0, 0, 0), 0, None, len(x))

    def _call(
        self,
        variant: NativeVariant,
        x: Tensor,
        place: tuple[int, int, int],
        start: int,
        adapter: NativeAdapter | None,
        wanted: int,
    ) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)  # is overwritten
        logits = torch.empty((wanted, self._vocabulary))
        call: Any = _Call(
            ctypes.addressof(variant.model),
            adapter.address if adapter is not None else None,
            x.data_ptr(),
            *place,
            logits.data_ptr(),
            len(x),
            start,
            wanted,
            torch.get_num_threads(),
        )
        if self._run(ctypes.addressof(call)):
            raise MemoryError("no memory is left to compute a token")
        return logits
