"""Which representation is chosen from which times, and what of it is kept."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailora.engine import machine
from tailora.engine.machine import Measured, choose_representation, decide, kept_representation
from tailora_adapters.base.catalogue import Shape

CONFIG = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "num_hidden_layers": 24,
    "vocab_size": 151936,
}
USUAL = Measured(bfloat16=1.0, float32=3.0, eight=None, dense=(2.0,) * 8, packed=(1.0,) * 5 + (2.0,))
NO_BF16 = Measured(bfloat16=3.0, float32=1.0, eight=None, dense=(2.0,) * 8, packed=(1.0,) * 6)


class Meter:
    """Counts how often is measured."""

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        self.count = 0

    def __call__(self, _shape: Shape, _progress: Callable[[float, str], None]) -> Measured:
        self.count += 1
        return self.measured


def gains(*factors: float) -> Measured:
    """Packed weights so many times faster, on 1, 2, 3, 4, 6 and 8 tokens."""
    return Measured(1.0, 3.0, None, dense=factors, packed=(1.0,) * 6)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.OtherWork, "share", lambda self: 0.0)


def files(home: Path) -> list[Path]:
    return sorted((home / "cache" / "models" / ".machine").glob("*"))


def test_usual_machine() -> None:
    found = decide(USUAL)
    assert (found.dense, found.packed, found.few) == ("bfloat16", True, 6)
    assert found.usual


def test_without_bf16_prompts_are_read_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "processor_flags", lambda: frozenset({"avx2"}))
    found = decide(NO_BF16)
    assert (found.dense, found.packed) == ("float32", True)
    assert "no bf16 in this processor: prompts are read in float32" in found.found
    assert not found.usual


@pytest.mark.parametrize("float32,dense", [(0.95, "bfloat16"), (0.8, "float32")])
def test_a_difference_of_less_than_a_tenth_decides_nothing(float32: float, dense: str) -> None:
    assert decide(Measured(1.0, float32, None, (2.0,) * 8, (1.0,) * 6)).dense == dense


@pytest.mark.parametrize("eight,taken", [(0.5, True), (0.95, False), (None, False)])
def test_eight_bits_where_they_are_clearly_faster(eight: float | None, taken: bool) -> None:
    found = decide(Measured(1.0, 3.0, eight, (2.0,) * 8, (1.0,) * 6))
    assert (found.eight, found.dense, found.usual) == (taken, "bfloat16", True)
    assert ("prompts are read in 8 bits" in found.found) == taken


def test_eight_bits_where_nothing_else_is_fast_are_no_slow_machine() -> None:
    found = decide(Measured(3.0, 1.0, 0.5, (2.0,) * 8, (1.0,) * 6))
    assert found.eight
    assert found.usual


@pytest.mark.parametrize(
    "factors,few",
    [
        ((3, 3, 3, 3, 3, 1.05), 6),
        ((3, 3, 3, 3, 0.95, 0.5), 6),
        ((3, 3, 3, 3, 0.75, 0.7), 4),
        ((3, 3, 3, 3, 3, 2), 8),
        ((0.5,) * 6, 0),
    ],
)
def test_up_to_how_many_tokens_are_packed(factors: tuple[float, ...], few: int) -> None:
    found = decide(gains(*factors))
    assert (found.few, found.packed) == (few, few > 0)


NATIVE = (0.5, 0.5, 0.6, 0.7, 1.0, 1.2, 1.5, 2.5)


def test_compiled_code_where_it_is_faster() -> None:
    found = decide(Measured(1.0, 3.0, 0.5, (2.0,) * 8, (1.0,) * 6, NATIVE))
    assert (found.native, found.packed, found.few) == (True, True, 12)
    assert "up to 12 tokens at once in 5 bits by compiled code" in found.found


def test_compiled_code_that_is_slower_is_not_used() -> None:
    found = decide(Measured(1.0, 3.0, 0.5, (2.0,) * 8, (0.3,) * 6, NATIVE))
    assert (found.native, found.few) == (False, 8)
    assert "compiled code is slower" in found.found


def test_without_a_compiler_the_finding_says_what_would_help() -> None:
    found = decide(Measured(1.0, 3.0, 0.5, (2.0,) * 8, (1.0,) * 6, None, "no C compiler was found"))
    assert (found.native, found.packed, found.usual) == (False, True, True)
    assert "in 4 bits by torch (no C compiler was found)" in found.found


def test_no_kernel() -> None:
    found = decide(Measured(1.0, 3.0, None, dense=(2.0,) * 8, packed=None))
    assert (found.packed, found.few, found.usual) == (False, 0, False)
    assert "4-bit" in found.found


@pytest.mark.usefixtures("quiet")
def test_measured_once(home: Path) -> None:
    meter = Meter(NO_BF16)
    assert kept_representation(CONFIG) is None
    first = choose_representation(CONFIG, measure=meter)
    assert choose_representation(CONFIG, measure=meter) == first == kept_representation(CONFIG)
    assert meter.count == 1


@pytest.mark.usefixtures("quiet")
def test_another_shape_another_measurement(home: Path) -> None:
    meter = Meter(USUAL)
    choose_representation(CONFIG, measure=meter)
    choose_representation(CONFIG | {"hidden_size": 1792}, measure=meter)
    assert meter.count == 2


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("changed", ["name", "torch", "cores", "threads", "limits", "compiler"])
def test_another_machine_another_measurement(
    changed: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Meter(USUAL)
    choose_representation(CONFIG, measure=meter)
    if changed == "torch":
        monkeypatch.setattr(machine.importlib.metadata, "version", lambda _name: "99")
    elif changed == "cores":
        monkeypatch.setattr(machine, "cores", lambda: 999)
    elif changed == "limits":
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    elif changed == "compiler":
        monkeypatch.setattr(machine, "mark", lambda: "none")
    elif changed == "threads":
        assert kept_representation(CONFIG, threads=999) is None
        return
    else:
        monkeypatch.setattr(machine, "processor_name", lambda: "Other")
    choose_representation(CONFIG, measure=meter)
    assert meter.count == 2


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: "{",
        lambda content: "[]",
        lambda content: json.dumps({**content, "key": {"processor": "of another machine"}}),
        lambda content: json.dumps({**content, "representation": {"dense": "int3"}}),
        lambda content: json.dumps({**content, "representation": {**content["representation"], "few": 99}}),
    ],
)
def test_a_damaged_or_foreign_file_is_measured_again(spoil: Callable[[Any], str], home: Path) -> None:
    meter = Meter(USUAL)
    choose_representation(CONFIG, measure=meter)
    (path,) = files(home)
    path.write_text(spoil(json.loads(path.read_text())))
    assert kept_representation(CONFIG) is None
    assert choose_representation(CONFIG, measure=meter) == decide(USUAL)
    assert meter.count == 2
    assert kept_representation(CONFIG) == decide(USUAL)


def test_an_odd_finding_beside_other_work_is_not_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.OtherWork, "share", lambda self: 0.9)
    assert choose_representation(CONFIG, measure=Meter(NO_BF16)).dense == "float32"
    assert files(home) == []
    choose_representation(CONFIG, measure=Meter(USUAL))
    assert len(files(home)) == 1


@pytest.mark.usefixtures("quiet")
def test_an_unwritable_cache_stops_nothing(home: Path) -> None:
    home.write_text("a file where the folder would be")
    assert choose_representation(CONFIG, measure=Meter(USUAL)) == decide(USUAL)


@pytest.mark.usefixtures("quiet")
def test_progress_says_what_is_done_and_found(home: Path) -> None:
    told: list[tuple[float, str]] = []
    found = choose_representation(CONFIG, lambda done, text: told.append((done, text)), measure=Meter(USUAL))
    assert told[0] == (0.0, "measuring the processor (once)")
    assert told[-1] == (1.0, found.found)


def test_a_tiny_model_is_not_timed(home: Path) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 4}
    meter = Meter(NO_BF16)
    found = choose_representation(CONFIG | sizes, measure=meter)
    assert (found.dense, meter.count) == ("bfloat16", 0)


def test_share_of_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([(0.0, 0.0, 0.0), (6.0, 1.0, 10.0)])
    monkeypatch.setattr(machine.OtherWork, "_times", staticmethod(lambda: next(times)))
    monkeypatch.setattr(machine.psutil, "cpu_count", lambda: 2)
    assert machine.OtherWork().share() == pytest.approx(0.25)


def test_share_of_this_machine_is_a_share() -> None:
    assert 0.0 <= machine.OtherWork().share() <= 1.0
