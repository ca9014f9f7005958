"""Which model is named for which times, memory and limit; what ``auto`` does with it."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from tailora.engine import machine
from tailora.engine import recommend as recommending
from tailora.engine.recommend import (
    JUMP_TOKENS,
    LINE_TOKENS,
    OVERHEAD_MS,
    Calibration,
    ModelTimes,
    auto_model,
    calibration_key,
    kept_calibration,
    memory_needed_mb,
    recommend,
    time_models,
)
from tailora_adapters.base import catalogue
from tailora_adapters.base.catalogue import BaseModel, Shape
from tailora_adapters.base.prompt import PromptBudget

SMALL, MIDDLE, LARGE = (model.name for model in catalogue.known())
PLENTY = 1 << 20


def taking(typed_ms: float) -> ModelTimes:
    """Times with which a typed suggestion of the model takes so long: all of it in the output matrix."""
    return ModelTimes(many=1.0, one=0.0, four=0.0, head=(typed_ms - OVERHEAD_MS) / (LINE_TOKENS + 1))


def calibration(small: float, middle: float, large: float, **changes: Any) -> Calibration:
    wanted = {SMALL: small, MIDDLE: middle, LARGE: large}
    times = {name: taking(typed_ms) for name, typed_ms in wanted.items()}
    return replace(Calibration(times, memory_mb=PLENTY), **changes)


def test_the_largest_under_the_limit() -> None:
    found = recommend(calibration(200, 500, 3000))
    assert (found.name, found.limit_ms, found.chosen.usable) == (MIDDLE, 800, True)
    assert [estimate.reached for estimate in found.estimates] == [True, True, False]
    assert found.estimates[2].speedup_needed == pytest.approx((3000 - OVERHEAD_MS) / (800 - OVERHEAD_MS))


@pytest.mark.parametrize("latency_ms,name", [(3001, LARGE), (2999, MIDDLE), (501, MIDDLE), (499, SMALL)])
def test_at_the_limit(latency_ms: int, name: str) -> None:
    assert recommend(calibration(200, 500, 3000), latency_ms).name == name


def test_none_is_fast_enough_the_smallest_is_named() -> None:
    found = recommend(calibration(900, 2000, 9000))
    assert (found.name, found.chosen.reached) == (SMALL, False)


def test_too_little_memory() -> None:
    shape = catalogue.find(MIDDLE).shape
    assert shape is not None
    needed = memory_needed_mb(shape, gpu=False)
    assert recommend(calibration(200, 500, 3000, memory_mb=needed)).name == MIDDLE
    found = recommend(calibration(200, 500, 3000, memory_mb=needed - 1))
    assert (found.name, found.estimates[1].fits, found.estimates[1].reached) == (SMALL, False, True)


def test_with_a_gpu_its_memory_and_a_shorter_limit_hold() -> None:
    with_gpu = calibration(50, 100, 250, memory_mb=1, gpu="A GPU", gpu_memory_mb=12_288)
    found = recommend(with_gpu)
    assert (found.name, found.limit_ms) == (LARGE, 300)
    assert recommend(replace(with_gpu, gpu_memory_mb=6_000)).name == MIDDLE


def test_what_an_estimate_is_made_of() -> None:
    shape = catalogue.find(SMALL).shape
    assert shape is not None
    times = {SMALL: ModelTimes(many=8.0, one=1.0, four=2.0, head=5.0)}
    (estimate,) = recommend(Calibration(times, PLENTY)).estimates
    line = LINE_TOKENS * (24 * 1.0 + 5.0)
    assert estimate.typed_ms == pytest.approx(OVERHEAD_MS + 24 * 2.0 + 5.0 + line)
    assert estimate.jump_ms == pytest.approx(OVERHEAD_MS + JUMP_TOKENS / 64 * 24 * 8.0 + 5.0 + line)
    packed = 0.625 * (24 * shape.layer_weights + shape.head_weights)
    assert estimate.gb_per_s == pytest.approx(packed / 29e-3 / 1e9)


def test_memory_agrees_with_the_catalogue() -> None:
    for model in catalogue.known():
        assert model.shape is not None
        assert memory_needed_mb(model.shape, gpu=False) == pytest.approx(model.memory_mb, rel=0.2)


def test_a_jump_reads_a_full_prompt() -> None:
    budget = PromptBudget()
    assert budget.prefix + budget.suffix == JUMP_TOKENS


class Bench:
    """A measurement that takes ``seconds`` by its own clock."""

    def __init__(self, seconds: float, many: float = 4.0) -> None:
        self.now = 0.0
        self.seconds = seconds
        self.times = ModelTimes(many, 1.0, 2.0, 3.0)
        self.shapes: list[Shape] = []

    def clock(self) -> float:
        return self.now

    def measure(self, shape: Shape) -> ModelTimes:
        self.now += self.seconds
        self.shapes.append(shape)
        return self.times


def test_all_models_are_measured() -> None:
    bench = Bench(2.0)
    times = time_models(catalogue.known(), bench.measure, memory_mb=PLENTY, clock=bench.clock)
    assert list(times) == [SMALL, MIDDLE, LARGE]
    assert all(entry.measured for entry in times.values())


@pytest.mark.parametrize(
    "bench,memory_mb",
    [(Bench(11.0), PLENTY), (Bench(2.0), 200), (Bench(2.0, many=9e3), PLENTY)],
)
def test_without_time_or_memory_for_it_a_larger_model_is_scaled(bench: Bench, memory_mb: int) -> None:
    times = time_models(catalogue.known(), bench.measure, memory_mb=memory_mb, clock=bench.clock)
    assert [entry.measured for entry in times.values()] == [True, False, False]
    small, large = catalogue.find(SMALL).shape, catalogue.find(LARGE).shape
    assert small is not None
    assert large is not None
    layer = large.layer_weights / small.layer_weights
    assert times[LARGE].one == pytest.approx(bench.times.one * layer)
    assert times[LARGE].head == pytest.approx(bench.times.head * large.head_weights / small.head_weights)
    assert not recommend(Calibration(times, PLENTY)).estimates[2].measured


@pytest.fixture
def fake_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """``calibrate`` without its seconds of measuring."""
    from tailora.engine import synthetic

    monkeypatch.setattr(synthetic, "time_model", lambda shape, **_: [shape.hidden / 1e6] * 4)
    monkeypatch.setattr(
        machine,
        "representation_for",
        lambda _shape, _progress: machine.Representation("bfloat16", False, True, 6, "as usual"),
    )


@pytest.mark.usefixtures("home", "fake_times")
def test_calibrated_once_for_every_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.OtherWork, "share", lambda self: 0.0)
    assert kept_calibration() is None
    told: list[float] = []
    found = recommending.calibrate(engine_mb=1 << 20, progress=lambda done, _text: told.append(done))
    assert found.times[SMALL] == ModelTimes(0.896, 0.896, 0.896, 0.896)
    assert found.memory_mb > 1 << 20  # what the engine holds is counted as available
    assert told == sorted(told)
    assert kept_calibration() == found
    assert kept_calibration(threads=999) is None
    assert kept_calibration(device="cuda:7") is None


@pytest.mark.usefixtures("home", "fake_times")
def test_beside_other_work_it_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.OtherWork, "share", lambda self: 0.6)
    assert not recommending.calibrate().quiet
    assert kept_calibration() is None


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: {**content, "times": {}},
        lambda content: {**content, "times": {SMALL: {"many": 1}}},
        lambda content: {**content, "times": {SMALL: asdict(taking(1)) | {"one": "x"}}},
        lambda content: {**content, "memory_mb": None},
        lambda content: {**content, "unknown": 1},
        lambda content: [],
    ],
)
def test_a_damaged_calibration_is_none(spoil: Callable[[Any], Any]) -> None:
    content = asdict(calibration(1, 2, 3))
    machine.keep("calibration", calibration_key(0, "auto"), {"calibration": spoil(content)})
    assert kept_calibration() is None
    machine.keep("calibration", calibration_key(0, "auto"), {"calibration": content})
    assert kept_calibration() == calibration(1, 2, 3)


@pytest.mark.usefixtures("home")
def test_another_gpu_needs_another_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    machine.keep("calibration", calibration_key(0, "auto"), {"calibration": asdict(calibration(1, 2, 3))})
    monkeypatch.setattr(catalogue, "gpu_memory_mb", lambda: 24_000)
    assert kept_calibration() is None


def ready(*names: str) -> Callable[[BaseModel], bool]:
    return lambda model: model.name in names


def test_auto_takes_what_is_recommended_and_here() -> None:
    assert auto_model(recommend(calibration(200, 500, 3000)), ready(SMALL, MIDDLE)) == (MIDDLE, None)


def test_auto_never_switches_to_a_model_that_is_not_here() -> None:
    name, told = auto_model(recommend(calibration(200, 500, 3000)), ready(SMALL))
    assert name == SMALL
    assert told is not None
    assert f"tailora model pull {MIDDLE}" in told


def test_auto_takes_the_largest_usable_one_that_is_here() -> None:
    name, told = auto_model(recommend(calibration(200, 500, 700)), ready(SMALL, MIDDLE))
    assert (name, f"tailora model pull {LARGE}" in str(told)) == (MIDDLE, True)


def test_auto_with_nothing_here_names_what_to_fetch() -> None:
    assert auto_model(recommend(calibration(200, 500, 3000)), ready()) == (MIDDLE, None)


def test_auto_before_a_measurement() -> None:
    name, told = auto_model(None, ready())
    assert name == catalogue.default_name()
    assert "tailora model recommend" in str(told)


def test_reading_what_was_kept_imports_no_torch() -> None:
    code = (
        "import sys; from tailora.engine.options import read_options;"
        "print(read_options({'TAILORA_ENGINE_MODEL': 'auto'})[0].model, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"
