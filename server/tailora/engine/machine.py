"""What this machine is, and which representation of the weights is fastest on it: measured once, kept in the cache.

A measurement is kept in a file named by all that it depends on (processor, its flags, cores, torch, shape), so that a
home shared by several machines keeps one for each; a file that is damaged or names another machine is measured again.
Imports torch only to measure. Knows nothing of models' names and of what a user wants.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from tailora.engine.native.build import mark
from tailora_adapters.base.catalogue import Shape
from tailora_adapters.base.processor import cores, processor_flags, processor_name
from tailora_adapters.paths import models_dir, write_json

__all__ = [
    "BUSY",
    "COUNTS",
    "Measured",
    "OtherWork",
    "Representation",
    "choose_representation",
    "decide",
    "fingerprint",
    "keep",
    "kept",
    "kept_representation",
    "representation_for",
]

_log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]

COUNTS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Numbers of tokens that packed weights are tried on: all of them by compiled code, up to ``_MOST_TORCH`` by torch."""
_MOST_TORCH = 8
_USUAL_FEW = 6
_CLEAR = 1.1
"""A measurement that differs by less than this factor decides nothing."""
_SLOWER = 1.25
"""Packed weights serve as many tokens as they are at most by this factor slower for: guesses need a few at once."""
_METHOD = 3
"""Changes with what is timed: what was kept before is measured again."""
_SECONDS = (0.8, 1.2)
"""For many tokens and for few, beside the making of the weights."""
_LEAST_WEIGHTS = 1 << 20
"""Of a layer. Smaller ones are a matter of dispatch, not of representation."""
BUSY = 0.25
"""With a larger share of the cores at other work, an unusual finding is not kept."""
_ISA_LIMITS = ("ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA")
"""With these a user keeps torch from instruction sets that the processor has."""


@dataclass(frozen=True, slots=True)
class Representation:
    """How a model's weights are multiplied fastest on this machine."""

    dense: Literal["bfloat16", "float32"]
    """For long inputs. The weights stay in bfloat16; ``float32``: a layer's are widened when it is computed."""
    eight: bool
    """Whether long inputs are computed from weights in 8 bits instead, where the user did not ask for 16."""
    packed: bool
    """Whether a few tokens are computed from packed weights."""
    few: int
    """Up to so many tokens that is faster; 0 where it never is."""
    found: str
    """What was found, in one sentence."""
    native: bool = False
    """Whether compiled code does it, from weights in 5 bits, instead of torch's kernel from 4."""

    @property
    def usual(self) -> bool:
        """Whether both representations serve as they were meant to. If not, completions are slow: see ``found``."""
        return (self.eight or self.dense == "bfloat16") and self.packed


@dataclass(frozen=True, slots=True)
class Measured:
    """Least seconds that one layer took."""

    bfloat16: float
    """On 64 tokens."""
    float32: float
    """On 64 tokens, the widening of the weights counted."""
    eight: float | None
    """On 64 tokens, in 8 bits; None where the product is not there or computes wrongly."""
    dense: tuple[float, ...]
    """On each of ``COUNTS`` tokens, in the fastest of the three."""
    packed: tuple[float, ...] | None
    """On those up to 8, in 4 bits; None where torch's kernel is not there or computes wrongly."""
    native: tuple[float, ...] | None = None
    """On all of them, in 5 bits by compiled code; None where it is not there."""
    missing: str = ""
    """Why it is not there."""


Measure = Callable[[Shape, Progress], Measured]


def choose_representation(
    config: Mapping[str, Any],
    progress: Progress = lambda _done, _text: None,
    *,
    measure: Measure | None = None,
) -> Representation:
    """The representation for a model with this ``config.json`` on this machine, with torch's present number of threads.

    Kept from an earlier call where there was one; else measured now, which takes up to 3 seconds but on very slow
    processors. ``measure`` is for tests.

    Raises:
        KeyError: the configuration lacks a size.
    """
    return representation_for(Shape.from_config(config), progress, measure=measure)


def representation_for(
    shape: Shape, progress: Progress = lambda _done, _text: None, *, measure: Measure | None = None
) -> Representation:
    """``choose_representation`` for a model of this shape."""
    import torch

    key = _representation_key(shape, torch.get_num_threads())
    found = _read_representation(key)
    if found is not None:
        return found
    if shape.layer_weights < _LEAST_WEIGHTS:
        return _untimed(shape)
    progress(0.0, "measuring the processor (once)")
    others = OtherWork()
    measured = (measure or _measure)(shape, progress)
    representation = decide(measured)
    busy = others.share() > BUSY
    if representation.usual or not busy:
        keep("representation", key, {"representation": asdict(representation), "seconds": asdict(measured)})
    _log.info("%s%s", representation.found, " (measured beside other work)" if busy else "")
    progress(1.0, representation.found)
    return representation


def kept_representation(config: Mapping[str, Any], threads: int = 0) -> Representation | None:
    """What ``choose_representation`` found earlier for so many threads (0: torch's own number); None before.

    Raises:
        KeyError: the configuration lacks a size.
    """
    import torch

    key = _representation_key(Shape.from_config(config), threads or torch.get_num_threads())
    return _read_representation(key)


def _untimed(shape: Shape) -> Representation:
    """For a model so small that it stays in the processor's cache, where times say nothing."""
    from tailora.engine.synthetic import native_is_missing, packed_is_right

    if native_is_missing(shape) is None:
        return Representation(
            "bfloat16", False, True, COUNTS[-1], "the model is too small for a measurement", True
        )
    if packed_is_right(shape.hidden):
        return Representation("bfloat16", False, True, _USUAL_FEW, "the model is too small for a measurement")
    return Representation("bfloat16", False, False, 0, "torch has no right 4-bit product for this processor")


def decide(measured: Measured) -> Representation:
    """The faster representation; the usual one where the difference is less than 10 %."""
    slower = measured.bfloat16 / measured.float32
    dense: Literal["bfloat16", "float32"] = "float32" if slower > _CLEAR else "bfloat16"
    eight = measured.eight is not None and min(measured.bfloat16, measured.float32) > _CLEAR * measured.eight
    if eight:
        words = "prompts are read in 8 bits"
    elif dense == "bfloat16":
        words = "prompts are read in bfloat16"
    elif {"avx512_bf16", "amx_bf16", "bf16"} & processor_flags():
        words = f"bf16 is {slower:.1f} times slower than float32 here: prompts are read in float32"
    else:
        words = "no bf16 in this processor: prompts are read in float32"
    few, native, told = _few(measured)
    return Representation(dense, eight, few > 0, few, f"{words}, {told}", native)


def _few(measured: Measured) -> tuple[int, bool, str]:
    """Up to how many tokens packed weights are faster, whether by compiled code, and that in words."""
    packed, native = measured.packed, measured.native
    if native is not None and (packed is None or native[0] < packed[0]):
        if few := _up_to(measured.dense, native):
            return few, True, f"up to {few} tokens at once in 5 bits by compiled code"
        missing = "compiled code is slower"
    else:
        missing = measured.missing or "compiled code is slower"
    if packed is None:
        return 0, False, "and single tokens too, as torch has no right 4-bit product for this processor"
    if few := _up_to(measured.dense, packed):
        return few, False, f"up to {few} tokens at once in 4 bits by torch ({missing})"
    slower = packed[0] / measured.dense[0]
    return 0, False, f"and single tokens too, as 4 bits are {slower:.1f} times slower here"


def _up_to(dense: tuple[float, ...], packed: tuple[float, ...]) -> int:
    few = 0
    for count, slow, fast in zip(COUNTS, dense, packed, strict=False):
        if slow / fast < (1 / _SLOWER if count <= _USUAL_FEW else _CLEAR):
            break
        few = count
    return few


def _measure(shape: Shape, progress: Progress) -> Measured:
    from tailora.engine.synthetic import Form, SyntheticModel, fastest, native_is_missing, packed_is_right
    from tailora_adapters.base import eight_bits

    right, missing = packed_is_right(shape.hidden), native_is_missing(shape)
    forms: list[Form] = ["bfloat16", "float32"]
    if eight_bits.is_right(shape.hidden):
        forms.append("int8")
    model = SyntheticModel(shape, packed=right, native=missing is None, eight="int8" in forms, head=False)
    many = dict(zip(forms, fastest([model.layer(64, form) for form in forms], _SECONDS[0]), strict=True))
    progress(0.5, "measuring the processor (once)")
    least: Form = min(forms, key=many.__getitem__)
    tried: list[tuple[Form, int]] = [(least, count) for count in COUNTS]
    if right:
        tried += (("packed", count) for count in COUNTS if count <= _MOST_TORCH)
    if missing is None:
        tried += (("native", count) for count in COUNTS)
    seconds = fastest([model.layer(count, form) for form, count in tried], _SECONDS[1])
    few: dict[Form, list[float]] = {}
    for (form, _), second in zip(tried, seconds, strict=True):
        few.setdefault(form, []).append(second)
    return Measured(
        many["bfloat16"],
        many["float32"],
        many.get("int8"),
        tuple(few[least]),
        tuple(few["packed"]) if right else None,
        tuple(few["native"]) if missing is None else None,
        missing or "",
    )


def _representation_key(shape: Shape, threads: int) -> dict[str, Any]:
    return {**fingerprint(threads), "shape": asdict(shape), "method": _METHOD}


def _read_representation(key: dict[str, Any]) -> Representation | None:
    content = kept("representation", key)
    try:
        found = Representation(**content["representation"]) if content else None
    except (KeyError, TypeError):
        return None
    if found is not None and found.dense in ("bfloat16", "float32") and found.few in (0, *COUNTS):
        return found
    return None


def fingerprint(threads: int) -> dict[str, Any]:
    """What measurements of speed depend on, as JSON. Imports no torch."""
    return {
        "processor": processor_name(),
        "flags": sorted(processor_flags()),
        "cores": cores(),
        "threads": threads,
        "torch": importlib.metadata.version("torch"),
        "limits": {name: os.environ.get(name) for name in _ISA_LIMITS},
        "native": mark(),
    }


def _file(kind: str, key: dict[str, Any]) -> Path:
    mark = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    # Beside the models, so that whoever shares these shares what was measured, too.
    return models_dir() / ".machine" / f"{kind}-{mark}.json"


def kept(kind: str, key: dict[str, Any]) -> dict[str, Any] | None:
    """What ``keep`` wrote for this ``key``; None where nothing whole is there."""
    try:
        content = json.loads(_file(kind, key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    return content


def keep(kind: str, key: dict[str, Any], content: dict[str, Any]) -> None:
    """Writes a measurement to the cache. Where that is not possible it is made again next time; that is logged."""
    try:
        write_json(_file(kind, key), {"key": key, **content})
    except OSError as error:
        _log.warning("the measurement of this machine cannot be kept: %s", error)


class OtherWork:
    """How much of the processor others use while something is measured: since the object was made."""

    def __init__(self) -> None:
        self._before = self._times()

    def share(self) -> float:
        """Between 0 and 1, of all cores."""
        busy, own, now = (after - before for after, before in zip(self._times(), self._before, strict=True))
        return min(1.0, max(0.0, (busy - own) / max(1e-6, now * (psutil.cpu_count() or 1))))

    @staticmethod
    def _times() -> tuple[float, float, float]:
        """CPU seconds that all used, and that this process used; seconds."""
        machine, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        # On Linux a guest's time is counted as the user's too.
        guests = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
        return sum(machine) - guests - idle, own.user + own.system, time.monotonic()
