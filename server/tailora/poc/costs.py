"""What a proof of concept cost here, and what each month would cost: on one's own hardware, in a cloud, or as seats.

Pure. Every price is an input; the defaults are assumptions, set on ``DEFAULTS_SET``, and nobody's price list.
Invariant: a price of 0 means that none was given: it is in no sum, and the sum says that it lacks it.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import date

from tailora_adapters.errors import TailoraError

__all__ = ["DEFAULTS", "DEFAULTS_SET", "Costs", "Inputs", "Prices", "Sum", "reckon"]

DEFAULTS_SET = date(2026, 11, 27)
"""When the default prices were set."""


_MONTH = 744.0
"""Hours."""


@dataclass(frozen=True, slots=True)
class Prices:
    """In one currency; 0: not given."""

    kwh: float = 0.0
    """Of a kilowatt hour."""
    hardware: float = 0.0
    """Of a computer."""
    gpu_hour: float = 0.0
    """Of an hour of a rented computer with a GPU."""
    seat: float = 0.0
    """Of a hosted assistant, a user and month."""

    def __post_init__(self) -> None:
        """Raises ``TailoraError`` for a price below 0 or none at all."""
        for one in fields(self):
            value = getattr(self, one.name)
            if not math.isfinite(value) or value < 0:
                raise TailoraError(f"the price '{one.name}' is 0 (not given) or more, not {value:g}")


DEFAULTS: Mapping[str, Prices] = {
    "EUR": Prices(0.30, 1_500.0, 1.00, 20.0),
    "USD": Prices(0.18, 1_600.0, 1.10, 20.0),
    "JPY": Prices(31.0, 240_000.0, 160.0, 3_000.0),
}
"""By currency; for another one all prices have to be given."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the costs are reckoned from, beside the prices."""

    currency: str
    prices: Prices
    users: int = 10
    users_per_machine: int = 1
    """Tailora runs where its user works."""
    watts: float = 65.0
    """That a computer takes under load."""
    months: int = 36
    """That a computer is used."""
    hours: float = 160.0
    """That it is on, a month."""
    retrainings: float = 4.0
    """Of each user, a day."""
    days: int = 20
    """Of work, a month."""
    given: frozenset[str] = field(default_factory=frozenset)
    """Names of the prices that are no defaults."""

    def __post_init__(self) -> None:
        """Raises ``TailoraError`` for numbers that nothing can be reckoned from."""
        for name in ("users", "users_per_machine", "months", "days"):
            if getattr(self, name) < 1:
                raise TailoraError(f"{name.replace('_', ' ')}: at least 1, not {getattr(self, name)}")
        for name, least in (("watts", 1.0), ("hours", 1.0), ("retrainings", 0.0)):
            value = getattr(self, name)
            if not math.isfinite(value) or value < least:
                raise TailoraError(f"{name}: {least:g} or more, not {value:g}")
        if self.hours > _MONTH:
            raise TailoraError(f"hours: a month has {_MONTH:g} at most, not {self.hours:g}")


@dataclass(frozen=True, slots=True)
class Sum:
    """An amount, and the names of the prices that it lacks; no amount where nothing that is in it has a price."""

    amount: float | None
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Costs:
    """Amounts in the currency of the inputs."""

    seconds: float
    """Of the proof of concept."""
    watt_hours: float
    """Of it, estimated from the power that was given."""
    here: Sum
    machines: int
    own: Sum
    """A month."""
    cloud: Sum
    """A month."""
    seats: Sum
    """A month."""
    retraining_hours: float | None
    """Of a machine and month; None where nothing was trained."""
    keeps_up: bool | None
    """Whether a machine is on for so long; None where that is not known."""

    def dearer_than_seats(self, given: Collection[str]) -> bool | None:
        """Whether the cheaper of own hardware and cloud costs more than seats; None where it cannot be told.

        Args:
            given: Names of the prices that are no assumptions: by these alone nothing is decided.
        """
        ways = ((self.own, {"kwh", "hardware"}), (self.cloud, {"gpu_hour"}))
        known = [
            found.amount
            for found, needed in ways
            if found.amount is not None and not found.lacks and needed <= set(given)
        ]
        if not known or self.seats.amount is None or "seat" not in given:
            return None
        return min(known) > self.seats.amount


def reckon(inputs: Inputs, seconds: float, retraining: float | None) -> Costs:
    """From the seconds of the proof of concept, and those of training and testing one adapter."""
    prices = inputs.prices
    machines = math.ceil(inputs.users / inputs.users_per_machine)
    kwh = inputs.watts / 1_000
    watt_hours = inputs.watts * seconds / 3_600
    hours = None
    if retraining is not None:
        hours = inputs.users_per_machine * inputs.retrainings * inputs.days * retraining / 3_600
    return Costs(
        seconds=seconds,
        watt_hours=watt_hours,
        here=_sum(kwh=(prices.kwh, watt_hours / 1_000)),
        machines=machines,
        own=_sum(
            kwh=(prices.kwh, machines * inputs.hours * kwh),
            hardware=(prices.hardware, machines / inputs.months),
        ),
        cloud=_sum(gpu_hour=(prices.gpu_hour, machines * inputs.hours)),
        seats=_sum(seat=(prices.seat, float(inputs.users))),
        retraining_hours=hours,
        keeps_up=None if hours is None else hours <= inputs.hours,
    )


def _sum(**parts: tuple[float, float]) -> Sum:
    """Of prices, each with how often it is paid."""
    priced = [price * times for price, times in parts.values() if price]
    return Sum(
        sum(priced) if priced else None, tuple(name for name, (price, _) in parts.items() if not price)
    )
