"""No price is not the same as free; nothing is reckoned from nonsense."""

import math
from typing import Any

import pytest

from tailora.poc.costs import DEFAULTS, Inputs, Prices, reckon
from tailora_adapters.errors import TailoraError

ALL = {"kwh", "hardware", "gpu_hour", "seat"}


def inputs(prices: Prices, **others: Any) -> Inputs:
    return Inputs("EUR", prices, users=10, watts=100.0, hours=160.0, months=30, **others)


def test_sums() -> None:
    found = reckon(inputs(Prices(0.5, 1_500.0, 2.0, 20.0)), 3_600.0, 90.0)
    assert found.watt_hours == pytest.approx(100)
    assert found.here.amount == pytest.approx(0.05)
    assert found.own.amount == pytest.approx(10 * (16 * 0.5 + 50))
    assert found.cloud.amount == pytest.approx(3_200)
    assert found.seats.amount == pytest.approx(200)
    assert found.retraining_hours == pytest.approx(4 * 20 * 90 / 3_600)
    assert found.keeps_up


def test_users_who_share_a_machine_train_on_it_in_turn() -> None:
    found = reckon(inputs(Prices(0.5), users_per_machine=4, retrainings=20), 60.0, 600.0)
    assert found.machines == 3
    assert found.retraining_hours == pytest.approx(4 * 20 * 20 * 600 / 3_600)
    assert found.keeps_up is False


def test_a_price_of_zero_is_in_no_sum_and_the_sum_says_so() -> None:
    found = reckon(inputs(Prices(kwh=0.5)), 3_600.0, None)
    assert found.own.amount == pytest.approx(80)
    assert found.own.lacks == ("hardware",)
    assert (found.cloud.amount, found.cloud.lacks) == (None, ("gpu_hour",))
    assert (found.seats.amount, found.seats.lacks) == (None, ("seat",))
    nothing = reckon(inputs(Prices()), 3_600.0, None)
    assert nothing.here.amount is None
    assert nothing.own.amount is None


@pytest.mark.parametrize(
    "given, dearer",
    [
        (ALL, True),
        ({"gpu_hour", "seat"}, True),
        ({"kwh", "hardware"}, None),
        ({"seat"}, None),
        (set(), None),
    ],
)
def test_nothing_is_decided_by_assumed_prices(given: set[str], dearer: bool | None) -> None:
    found = reckon(inputs(DEFAULTS["EUR"]), 60.0, None)
    assert found.dearer_than_seats(given) is dearer


def test_what_lacks_a_price_is_not_compared() -> None:
    assert reckon(inputs(Prices(kwh=0.5, seat=1.0)), 60.0, None).dearer_than_seats(ALL) is None
    assert reckon(inputs(Prices(0.5, 1_500.0, 2.0, 100.0)), 60.0, None).dearer_than_seats(ALL) is False


@pytest.mark.parametrize("price", [-0.01, math.nan, math.inf])
def test_prices_below_zero_are_refused(price: float) -> None:
    with pytest.raises(TailoraError, match="'seat' is 0"):
        Prices(seat=price)


@pytest.mark.parametrize(
    "others", [{"users": 0}, {"months": 0}, {"watts": 0.0}, {"hours": 800.0}, {"retrainings": -1.0}]
)
def test_numbers_that_make_no_sense_are_refused(others: dict[str, Any]) -> None:
    with pytest.raises(TailoraError, match=next(iter(others))):
        Inputs("EUR", Prices(), **others)
