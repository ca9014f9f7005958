"""Which scale is chosen, and what is asked for that."""

from typing import Any

import pytest

from tailora_adapters.training.evaluate import Scores
from tailora_adapters.training.scale import Choice, choose


def scores(nll: float) -> Scores:
    return Scores((nll,), (1,), (False,), (False,))


class Asked:
    """An exam whose answers at each scale are known."""

    def __init__(self, held_out: dict[float, float], generic: dict[float, float]) -> None:
        self.held_out, self.generic_losses = held_out, generic
        self.scale = 0.0
        self.log: list[tuple[str, float]] = []

    def put(self, scale: float) -> None:
        self.scale = scale

    def sample(self, _decoder: object) -> float:
        self.log.append(("held out", self.scale))
        return self.held_out[self.scale]

    def generic(self, _decoder: object) -> Scores | None:
        self.log.append(("generic", self.scale))
        return scores(self.generic_losses[self.scale]) if self.generic_losses else None

    def choose(self, *scales: float, base: float | None = 1.0) -> Choice:
        unused: Any = None
        exam: Any = self
        floor = None if base is None else scores(base)
        return choose(exam, unused, self.put, scales, base=floor, margin=0.02)


def test_the_scale_of_the_least_loss_is_left_in_the_model() -> None:
    asked = Asked({1.0: 1.2, 0.6: 1.0}, {1.0: 1.01, 0.6: 1.0})
    assert asked.choose(1.0, 0.6).scale == 0.6
    assert asked.scale == 0.6


def test_what_forgets_nothing_is_not_asked_twice() -> None:
    asked = Asked({1.0: 1.0, 0.6: 1.2}, {1.0: 1.01})
    choice = asked.choose(1.0, 0.6)
    assert choice == Choice(1.0, scores(1.01))
    assert asked.log == [("generic", 1.0), ("held out", 1.0), ("held out", 0.6)]


def test_a_scale_that_forgets_is_not_taken() -> None:
    asked = Asked({1.0: 1.0, 0.6: 1.2}, {1.0: 1.5, 0.6: 1.0})
    assert asked.choose(1.0, 0.6) == Choice(0.6, scores(1.0))


def test_where_all_forget_the_one_that_forgets_least_is_taken() -> None:
    asked = Asked({1.0: 1.0, 0.6: 1.2}, {1.0: 1.5, 0.6: 1.2})
    assert asked.choose(1.0, 0.6).scale == 0.6


@pytest.mark.parametrize("base", [1.0, None])
def test_a_machine_without_generic_code(base: float | None) -> None:
    asked = Asked({1.0: 1.0, 0.6: 1.2}, {})
    assert asked.choose(1.0, 0.6, base=base) == Choice(1.0, None)


def test_a_single_scale_is_taken_unasked() -> None:
    asked = Asked({}, {})
    assert asked.choose(0.3) == Choice(0.3)
    assert (asked.scale, asked.log) == (0.3, [])
