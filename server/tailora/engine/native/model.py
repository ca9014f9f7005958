"""``step.c`` from Python: a model's tensors as C sees them, a LoRA's, and one pass over a few tokens.

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

__all__ = ["GROUPS", "MOST_TOKENS", "NativeLayer", "NativeLora", "NativeModel", "suits"]

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


class _Lora(ctypes.Structure):
    _fields_ = [("ranks", ctypes.c_int64), ("a", _Pointer), ("b", _Pointer)]


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


class NativeLora:
    """A LoRA's tensors: by layer number and group, A (ranks, in) and B (ranks, out), the scale in B."""

    def __init__(self, layers: int, pairs: Mapping[tuple[int, str], tuple[Tensor, Tensor]]) -> None:
        self._table = (_Lora * (len(GROUPS) * layers))()
        self._kept: list[Tensor] = []
        for (layer, group), (a, b) in pairs.items():
            a = a.to(torch.bfloat16).contiguous()
            b = b.to(torch.bfloat16).view(len(b), -1, OUTPUTS).transpose(0, 1).contiguous()
            self._kept += (a, b)
            self._table[len(GROUPS) * layer + GROUPS.index(group)] = _Lora(len(a), a.data_ptr(), b.data_ptr())

    @property
    def address(self) -> int:
        """Of the table."""
        return ctypes.addressof(self._table)


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
        self._kept: list[Tensor] = []
        table = (_Layer * len(layers))()
        for number, layer in enumerate(layers):
            table[number] = _Layer(
                self._pointer(layer.norm_in),
                self._pointer(layer.norm_post),
                None if layer.bias is None else self._pointer(layer.bias),
                *(self._pointer(layer.records[group]) for group in GROUPS),
            )

        def model(count: int) -> _Model:
            return _Model(
                count,
                shape.heads,
                shape.kv_heads,
                shape.head_width,
                shape.hidden,
                shape.intermediate,
                shape.vocabulary,
                root_eps,
                ctypes.cast(table, _Pointer),
                *(self._pointer(tensor) for tensor in (norm, cosine, sine, head)),
            )

        self._table = table
        self._whole, self._end = model(len(layers)), model(0)

    def _pointer(self, tensor: Tensor) -> int:
        if tensor.dtype != torch.uint8:
            tensor = tensor.float()
        tensor = tensor.contiguous()
        self._kept.append(tensor)
        return tensor.data_ptr()

    def step(
        self, x: Tensor, keys: Tensor, values: Tensor, start: int, lora: NativeLora | None, wanted: int
    ) -> Tensor:
        """Computes ``x`` (tokens, hidden) behind ``start`` others; writes into ``keys`` and ``values``, (layers, kv
        heads, capacity, width), bfloat16.

        Returns logits of the last ``wanted`` tokens, (wanted, vocabulary) float32. A token's are the same, bit for
        bit, however many come with it.
        """
        assert keys.is_contiguous()
        assert values.is_contiguous()
        place = (keys.data_ptr(), values.data_ptr(), keys.shape[2])
        return self._call(self._whole, x, place, start, lora, wanted)

    def logits(self, x: Tensor) -> Tensor:
        """(tokens, hidden) behind the last layer -> (tokens, vocabulary) float32."""
        return self._call(self._end, x, (0, 0, 0), 0, None, len(x))

    def _call(
        self,
        model: _Model,
        x: Tensor,
        place: tuple[int, int, int],
        start: int,
        lora: NativeLora | None,
        wanted: int,
    ) -> Tensor:
        x = x.clone(memory_format=torch.contiguous_format)  # is overwritten
        logits = torch.empty((wanted, self._vocabulary))
        call: Any = _Call(
            ctypes.addressof(model),
            lora.address if lora is not None else None,
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
