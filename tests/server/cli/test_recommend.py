"""``tailora model recommend``: what it prints for which measurement. Nothing is measured here."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailora.engine import recommend as recommending
from tailora.engine.recommend import Calibration, ModelTimes
from tailora_adapters.base import cache, catalogue

SMALL, MIDDLE, LARGE = (model.name for model in catalogue.known())
HERE = Calibration(
    {
        SMALL: ModelTimes(8.0, 1.0, 1.2, 5.0),
        MIDDLE: ModelTimes(20.0, 3.0, 4.0, 10.0),
        LARGE: ModelTimes(90.0, 9.0, 12.0, 20.0, measured=False),
    },
    memory_mb=10_000,
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Calibration]:
    """What ``calibrate`` finds: to be changed by a test."""
    found = [HERE]

    def calibrate(*, progress: Any, **_: Any) -> Calibration:
        progress(0.0, "timing layers")
        return found[0]

    monkeypatch.setattr(recommending, "calibrate", calibrate)
    return found


def test_json(tailora: Any, measured: list[Calibration]) -> None:
    result = tailora("model", "recommend", "--json")
    found = result.json
    assert (found["recommended"], found["reached"], found["limit_ms"]) == (SMALL, True, 800)
    assert found["used"] == SMALL
    small, middle, large = found["models"]
    assert small["typed_ms"] == pytest.approx(15 + 24 * 1.2 + 5 + 10 * 29)
    assert set(small) == {
        "name",
        "parameters",
        "typed_ms",
        "jump_ms",
        "memory_mb",
        "fits",
        "reached",
        "speedup_needed",
        "gb_per_s",
        "gb_per_s_needed",
        "measured",
        "ready",
        "times",
    }
    assert (middle["reached"], middle["fits"], middle["measured"]) == (False, True, True)
    assert (large["reached"], large["fits"], large["measured"]) == (False, False, False)
    assert middle["speedup_needed"] > 1 > small["speedup_needed"]
    assert set(found["machine"]) == {
        "processor",
        "cores",
        "memory_mb",
        "gpu",
        "gpu_memory_mb",
        "others",
        "quiet",
    }
    assert "timing layers" in result.err


def test_for_people(tailora: Any, measured: list[Calibration]) -> None:
    shown = tailora("model", "recommend").out
    assert f"recommended: {SMALL}" in shown
    assert f"tailora model pull {SMALL}" in shown
    assert f"{MIDDLE} needs a machine 1.4 times as fast" in shown
    assert "scaled from a smaller model" in shown
    assert "too little memory" in shown


def test_a_given_limit(tailora: Any, measured: list[Calibration]) -> None:
    shown = tailora("model", "recommend", "--latency", "1500").out
    assert f"recommended: {MIDDLE}" in shown
    assert f"{MIDDLE} is within reach of machines 1.4 times slower" in shown
    assert 'model = "auto"' in shown
    assert tailora("model", "recommend", "--latency", "1").code == 2


def test_the_limit_of_the_settings(tailora: Any, home: Path, measured: list[Calibration]) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text("[engine]\nlatency_ms = 1500\n")
    assert tailora("model", "recommend", "--json").json["limit_ms"] == 1500


def test_none_is_fast_enough(tailora: Any, measured: list[Calibration]) -> None:
    assert not tailora("model", "recommend", "--latency", "100", "--json").json["reached"]
    assert f"no model is fast enough here; {SMALL}" in tailora("model", "recommend", "--latency", "100").out


def test_nothing_fits(tailora: Any, measured: list[Calibration]) -> None:
    measured[0] = replace(HERE, memory_mb=100)
    assert "no model fits into memory" in tailora("model", "recommend").out


def test_a_busy_machine(tailora: Any, measured: list[Calibration]) -> None:
    measured[0] = replace(HERE, others=0.6)
    result = tailora("model", "recommend", "--json")
    assert result.json["machine"]["quiet"] is False
    assert "60%" in result.err


def test_a_gpu(tailora: Any, measured: list[Calibration]) -> None:
    measured[0] = replace(HERE, gpu="A GPU", gpu_memory_mb=24_000)
    shown = tailora("model", "recommend").out
    assert "A GPU with 23.4 GB" in shown
    assert "within 300 ms" in shown


def test_a_model_that_is_here(tailora: Any, home: Path, measured: list[Calibration]) -> None:
    small = catalogue.find(SMALL)
    cache.write_record(cache.folder_of(small), cache.Record(cache.FORMAT, SMALL, "", None, "", {}))
    assert [model["ready"] for model in tailora("model", "recommend", "--json").json["models"]] == [
        True,
        False,
        False,
    ]
    assert "tailora model pull" not in tailora("model", "recommend").out
