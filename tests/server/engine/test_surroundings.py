"""What others use, the battery, and clocks that jump."""

import logging
from dataclasses import dataclass

import psutil
import pytest

from tailora.engine import surroundings
from tailora.engine.machine import OtherWork
from tailora.engine.surroundings import Surroundings


@dataclass
class Clocks:
    """Both clocks, and a machine in which others use a constant share of the cores."""

    now: float = 100.0
    wall: float = 1_800_000_000.0
    used: float = 0.0

    def sleep(self, seconds: float, load: float = 0.0) -> None:
        self.now += seconds
        self.wall += seconds
        self.used += seconds * load

    def others(self) -> OtherWork:
        clocks = self

        class Scripted(OtherWork):
            def __init__(self) -> None:
                self._since = clocks.now, clocks.used

            def share(self) -> float:
                return (clocks.used - self._since[1]) / (clocks.now - self._since[0])

        return Scripted()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def around(clocks: Clocks) -> Surroundings:
    return Surroundings(lambda: clocks.now, lambda: clocks.wall, lambda: None, clocks.others)


def test_the_load_is_the_mean_of_the_last_minute(clocks: Clocks, around: Surroundings) -> None:
    assert around.look().load == 0.0
    for _ in range(12):
        clocks.sleep(5, load=1.0)
        around.look()
    assert around.look().load == pytest.approx(1.0)
    for _ in range(6):
        clocks.sleep(5)
        around.look()
    assert around.look().load == pytest.approx(0.5)
    for _ in range(6):
        clocks.sleep(5)
        around.look()
    assert around.look().load == pytest.approx(0.0)


def test_what_our_own_training_used_is_forgotten(clocks: Clocks, around: Surroundings) -> None:
    around.look()
    clocks.sleep(60, load=1.0)
    around.look()
    around.forget_load()
    assert around.look().load == 0.0
    clocks.sleep(30, load=0.2)
    assert around.look().load == pytest.approx(0.2)


def test_a_clock_that_jumps_is_logged_and_changes_nothing_else(
    clocks: Clocks, around: Surroundings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    around.look()
    clocks.wall += 30
    before = around.look()
    assert caplog.messages == []
    clocks.wall -= 7200
    assert around.look().now == before.now
    assert caplog.messages == ["the clock was set, or the machine slept: -7200 s beside the steady clock"]
    around.look()
    assert len(caplog.messages) == 1


@dataclass
class Battery:
    percent: float
    power_plugged: bool | None


@pytest.mark.parametrize(
    "battery, percent",
    [(None, None), (Battery(50, True), None), (Battery(50, None), None), (Battery(50, False), 50.0)],
)
def test_only_a_battery_in_use_counts(
    battery: Battery | None, percent: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery)
    assert surroundings.battery_percent() == percent
