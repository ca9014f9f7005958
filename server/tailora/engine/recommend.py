"""The largest model that completes quickly enough on this machine, estimated from the times of synthetic layers.

Needs no model on disk. What was measured is kept (see ``machine``), the choice is computed from it each time, so that
another limit needs no new measurement. Imports torch only to measure. Knows nothing of how results are printed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from tailora.engine import machine
from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.catalogue import BaseModel, Shape

__all__ = [
    "CPU_LIMIT_MS",
    "GPU_LIMIT_MS",
    "JUMP_TOKENS",
    "LINE_TOKENS",
    "OVERHEAD_MS",
    "Calibration",
    "Estimate",
    "ModelTimes",
    "Recommendation",
    "auto_model",
    "calibrate",
    "calibration_key",
    "kept_calibration",
    "memory_needed_mb",
    "recommend",
    "time_models",
]

OVERHEAD_MS = 15.0
"""Of language server, socket and engine, for each suggestion: an allowance, not a measurement."""
TYPED_TOKENS = 4
"""Read for a suggestion while someone types: what changed since the last one, and the line's end."""
LINE_TOKENS = 10
"""Written for one line, its end counted: an allowance, about the mean of a line of code."""
SPECULATION_GAIN = 1.0
"""By how much guessing and checking shortens the writing: not counted on."""
JUMP_TOKENS = 608
"""Read after a jump to another place: a full prefix and suffix of ``base.prompt.PromptBudget``."""
GPU_LIMIT_MS = 300
CPU_LIMIT_MS = 800
_LEAST_LIMIT_MS = 20

_PACKED_BYTES = 0.625
"""Of a weight: 4 bits, and scale and zero in 2 bytes each for 32 of them."""
_NATIVE_BYTES = 0.75
"""5 bits, and as much."""
_NF4_BYTES = 0.52
"""Of a weight, with double quantization (Dettmers et al., arXiv 2305.14314)."""
_KV_TOKENS = 12_000
"""As many as the engine keeps."""
_PROCESS_MB = 350
"""Python and torch."""
_CUDA_MB = 1_000
"""The CUDA context, and what a forward pass holds."""

_METHOD = 3
"""Changes with what is timed: what was kept before is measured again."""
_SECONDS = 1.5
_BUDGET_S = 12.0
"""For all models; beside it come torch's import and the choice of the representation."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class ModelTimes:
    """Milliseconds: one layer on 64 tokens, on 1 and on 4, and the output matrix on one token."""

    many: float
    one: float
    four: float
    head: float
    measured: bool = True
    """False: scaled from the times of a smaller model."""

    def scaled(self, layer: float, head: float) -> "ModelTimes":
        """For a model whose layers and output matrix have so many times as many weights."""
        return ModelTimes(self.many * layer, self.one * layer, self.four * layer, self.head * head, False)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured here."""

    times: Mapping[str, ModelTimes]
    """By a model's name."""
    memory_mb: int
    """That was available, what a running engine holds counted as such."""
    gpu: str | None = None
    gpu_memory_mb: int = 0
    others: float = 0.0
    """The share of the cores, 0 to 1, that other processes used meanwhile."""
    eight: bool = False
    """Whether long inputs are computed from weights in 8 bits."""
    native: bool = False
    """Whether a few tokens are computed by compiled code."""

    @property
    def quiet(self) -> bool:
        """Whether the times can be relied on."""
        return self.others <= machine.BUSY


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model would do on this machine."""

    name: str
    parameters: str
    typed_ms: float
    """From a key to a line on screen, while someone types on."""
    jump_ms: float
    """The same at a place that was never read."""
    memory_mb: int
    """In all, on the GPU where there is one."""
    fits: bool
    reached: bool
    """Whether ``typed_ms`` is under the limit."""
    speedup_needed: float
    """How many times as fast a machine has to be for the limit; below 1 this one has room."""
    gb_per_s: float
    """Weights read in a second while tokens are written."""
    measured: bool

    @property
    def usable(self) -> bool:
        """Whether the model may be chosen."""
        return self.fits and self.reached


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The choice for a limit, and what it was made from."""

    name: str
    limit_ms: int
    estimates: tuple[Estimate, ...]
    """Smallest model first."""
    calibration: Calibration

    @property
    def chosen(self) -> Estimate:
        """The estimate of the chosen model; it is not ``usable`` where no model is."""
        return next(estimate for estimate in self.estimates if estimate.name == self.name)


def recommend(calibration: Calibration, latency_ms: int = 0) -> Recommendation:
    """The largest model that is fast enough and fits, else the smallest. ``latency_ms`` 0: by the machine."""
    limit = max(latency_ms, _LEAST_LIMIT_MS) if latency_ms else _default_limit(calibration)
    models = [model for model in catalogue.known() if model.name in calibration.times]
    estimates = tuple(_estimate(model, calibration, limit) for model in models)
    usable = [estimate for estimate in estimates if estimate.usable]
    return Recommendation((usable[-1] if usable else estimates[0]).name, limit, estimates, calibration)


def _default_limit(calibration: Calibration) -> int:
    return GPU_LIMIT_MS if calibration.gpu else CPU_LIMIT_MS


def _estimate(model: BaseModel, calibration: Calibration, limit_ms: int) -> Estimate:
    shape, times = model.shape, calibration.times[model.name]
    assert shape is not None, "only models with a shape are timed"
    step = shape.layers * times.one + times.head
    line = LINE_TOKENS * step / SPECULATION_GAIN
    typed = OVERHEAD_MS + shape.layers * times.four + times.head + line
    jump = OVERHEAD_MS + JUMP_TOKENS / 64 * shape.layers * times.many + times.head + line
    on_gpu = calibration.gpu is not None
    memory = memory_needed_mb(shape, gpu=on_gpu, eight=calibration.eight, native=calibration.native)
    weight_bytes = 2.0 if on_gpu else _NATIVE_BYTES if calibration.native else _PACKED_BYTES
    return Estimate(
        name=model.name,
        parameters=model.parameters,
        typed_ms=typed,
        jump_ms=jump,
        memory_mb=memory,
        fits=memory <= (calibration.gpu_memory_mb if on_gpu else calibration.memory_mb),
        reached=typed <= limit_ms,
        speedup_needed=(typed - OVERHEAD_MS) / (limit_ms - OVERHEAD_MS),
        gb_per_s=weight_bytes * (shape.layers * shape.layer_weights + shape.head_weights) / step / 1e6,
        measured=times.measured,
    )


def memory_needed_mb(shape: Shape, *, gpu: bool, eight: bool = False, native: bool = False) -> int:
    """What the engine holds: on a CPU dense layers (mapped), everything packed, and the KV cache; on a GPU layers in
    NF4, embedding and output matrix in bfloat16, and the KV cache."""
    layers, head = shape.layers * shape.layer_weights, shape.head_weights
    kv = _KV_TOKENS * shape.layers * shape.kv_heads * shape.head_width * 2 * 2
    if gpu:
        return round((layers * _NF4_BYTES + 2 * head * 2 + kv) / 2**20) + _CUDA_MB
    packed = _NATIVE_BYTES if native else _PACKED_BYTES
    # Of the embedding and the dense output matrix next to nothing is read.
    return round((layers * ((1 if eight else 2) + packed) + head * packed + kv) / 2**20) + _PROCESS_MB


def time_models(
    models: Sequence[BaseModel],
    measure: Callable[[Shape], ModelTimes],
    *,
    memory_mb: int,
    progress: Progress = lambda _done, _text: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, ModelTimes]:
    """Times of all ``models`` with a shape, smallest first. Those for which time or memory does not suffice are scaled
    from the one before."""
    end = clock() + _BUDGET_S
    result: dict[str, ModelTimes] = {}
    last: tuple[Shape, ModelTimes, float] | None = None
    for number, model in enumerate(models):
        if (shape := model.shape) is None:
            continue
        progress(number / len(models), f"timing layers of {model.name}")
        if last is not None:
            before, times, took = last
            layer, head = shape.layer_weights / before.layer_weights, shape.head_weights / before.head_weights
            scaled = times.scaled(layer, head)
            one_round = (scaled.many + scaled.one + scaled.four + scaled.head) / 1000
            half_of_memory = memory_mb << 19
            if clock() + took + 2 * one_round > end or _bytes_to_time(shape) > half_of_memory:
                result[model.name] = scaled
                continue
        began = clock()
        result[model.name] = times = measure(shape)
        last = shape, times, clock() - began
    return result


def _bytes_to_time(shape: Shape) -> float:
    """What the synthetic weights of one layer and the output matrix need."""
    return (2 + _NATIVE_BYTES) * shape.layer_weights + _NATIVE_BYTES * shape.head_weights


def calibrate(
    *,
    threads: int = 0,
    device: str = "auto",
    engine_mb: int = 0,
    progress: Progress = lambda _done, _text: None,
) -> Calibration:
    """Measures this machine, in about 15 seconds, and keeps the result unless others kept the cores busy.

    Args:
        threads: As the engine is to use; 0: torch's own number.
        device: The engine's setting.
        engine_mb: What a running engine holds of the memory.
        progress: Is told a fraction and a text.
    """
    import torch

    from tailora.engine.synthetic import time_model
    from tailora_adapters.base.device import find_gpu

    if threads:
        torch.set_num_threads(threads)
    gpu = find_gpu() if device == "auto" or device.startswith("cuda") else None
    others = machine.OtherWork()
    smallest = next(model.shape for model in catalogue.known() if model.shape is not None)
    if gpu is None:
        found = machine.representation_for(smallest, lambda done, text: progress(done * 0.2, text))
        form, few, place = "int8" if found.eight else found.dense, found.few, "cpu"
        native = found.native
    else:
        found, form, few, place, native = None, "bfloat16", 0, "cuda", False

    def measure(shape: Shape) -> ModelTimes:
        seconds = time_model(shape, dense=form, few=few, native=native, device=place, seconds=_SECONDS)
        many, one, four, head = (second * 1000 for second in seconds)
        return ModelTimes(many, one, four, head)

    memory_mb = (psutil.virtual_memory().available >> 20) + engine_mb
    times = time_models(
        catalogue.known(),
        measure,
        memory_mb=gpu.memory_mb if gpu else memory_mb,
        progress=lambda done, text: progress(0.2 + 0.8 * done, text),
    )
    calibration = Calibration(
        times,
        memory_mb,
        gpu.name if gpu else None,
        gpu.memory_mb if gpu else 0,
        others.share(),
        found is not None and found.eight,
        native,
    )
    if calibration.quiet:
        key = calibration_key(threads, device)
        machine.keep("calibration", key, {"calibration": asdict(calibration)})
    return calibration


def calibration_key(threads: int, device: str) -> dict[str, Any]:
    """What a calibration depends on."""
    shapes = {model.name: asdict(model.shape) for model in catalogue.known() if model.shape is not None}
    gpu_mb = None if device == "cpu" else catalogue.gpu_memory_mb()
    return {
        **machine.fingerprint(threads),
        "method": _METHOD,
        "device": device,
        "gpu_memory_mb": gpu_mb,
        "shapes": shapes,
    }


def kept_calibration(*, threads: int = 0, device: str = "auto") -> Calibration | None:
    """What ``calibrate`` kept for this machine; None before, or where it is damaged. Imports no torch."""
    content = machine.kept("calibration", calibration_key(threads, device))
    try:
        values = dict(content["calibration"]) if content else {}
        times = {str(name): ModelTimes(**entry) for name, entry in values.pop("times").items()}
        calibration = Calibration(times=times, **values)
        recommend(calibration)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
    return calibration


def auto_model(
    recommendation: Recommendation | None, is_ready: Callable[[BaseModel], bool] = cache.is_ready
) -> tuple[str, str | None]:
    """The model for ``model = "auto"``, and what to tell the user about it.

    A model that is not on disk is named, never waited for, as long as another one is there.
    """
    default = catalogue.default_name()
    if recommendation is None:
        told = f"'auto' is not decided, as this machine is not measured yet; using {default}"
        return default, f"{told}. `tailora model recommend` measures it"
    name = recommendation.name
    if is_ready(catalogue.find(name)):
        return name, None
    usable = (estimate.name for estimate in reversed(recommendation.estimates) if estimate.usable)
    instead = next((other for other in (*usable, default) if is_ready(catalogue.find(other))), None)
    if instead is None:
        return name, None  # the status says that it is missing, and how to fetch it
    return (
        instead,
        f"'auto' is {name} here, which is not on disk; using {instead}. `tailora model pull {name}`",
    )
