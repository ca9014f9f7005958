"""Energy is an estimate that nobody has to have, and that never costs a training."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tailora_adapters.training.energy import measured_energy


class Tracker:
    """Stands for codecarbon's."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.calls: list[str] = []
        self.final_emissions_data = SimpleNamespace(energy_consumed=0.0123456)
        made.append(self)

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> float:
        self.calls.append("stop")
        return 0.0


made: list[Tracker] = []


def test_watt_hours() -> None:
    with measured_energy(Tracker) as energy:
        assert made[-1].calls == ["start"]
        assert energy.watt_hours is None
    assert made[-1].calls == ["start", "stop"]
    assert energy.watt_hours == 12.346


def test_nothing_leaves_the_machine() -> None:
    with measured_energy(Tracker):
        pass
    settings = made[-1].settings
    assert settings["output_methods"] == []
    assert settings["emissions_endpoint"] is None
    assert settings["electricitymaps_api_token"] == ""
    assert settings["allow_multiple_runs"] is True
    assert settings["log_level"] == "critical"


@pytest.mark.parametrize("fault", ["make", "start", "stop"])
def test_a_fault_is_no_fault_of_the_training(fault: str) -> None:
    class Broken(Tracker):
        def __init__(self, **settings: Any) -> None:
            if fault == "make":
                raise OSError("no counters")
            super().__init__(**settings)

        def start(self) -> None:
            if fault == "start":
                raise RuntimeError

        def stop(self) -> float:
            raise KeyError("stop")

    with measured_energy(Broken) as energy:
        pass
    assert energy.watt_hours is None


def test_a_failed_training_is_still_measured_and_still_fails() -> None:
    with pytest.raises(ZeroDivisionError), measured_energy(Tracker) as energy:
        raise ZeroDivisionError
    assert energy.watt_hours == 12.346


def test_without_codecarbon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with measured_energy() as energy:
        pass
    assert energy.watt_hours is None


def test_it_is_loaded_only_where_energy_is_measured() -> None:
    code = (
        "import sys, tailora_adapters.training.energy; assert not {'codecarbon', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
