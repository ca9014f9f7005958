"""The engine computes on the cores that others leave free."""

from dataclasses import fields

import pytest

from tailora.engine import cores
from tailora.engine.cores import FreeCores
from tailora.engine.options import EngineOptions


class Machine:
    """``others`` cores are busy with something else; the engine uses one core itself."""

    def __init__(self) -> None:
        self.now = self.machine = self.own = 0.0
        self.changes: list[int] = []

    def passes(self, seconds: float, others: float) -> None:
        self.now += seconds
        self.machine += seconds * (1 + others)
        self.own += seconds

    def cores(self, *, most: int, cores: int) -> FreeCores:
        free = FreeCores(
            most,
            cores=cores,
            usage=lambda: (self.machine, self.own),
            set_threads=self.changes.append,
            clock=lambda: self.now,
        )
        free.adjust()
        return free


@pytest.mark.parametrize(
    "cores, most, others, threads",
    [(2, 2, 0.1, 2), (2, 2, 0.8, 1), (2, 2, 2.0, 1), (8, 8, 3.0, 5), (16, 8, 6.0, 8), (1, 1, 1.0, 1)],
)
def test_as_many_threads_as_cores_are_free(cores: int, most: int, others: float, threads: int) -> None:
    machine = Machine()
    free = machine.cores(most=most, cores=cores)
    machine.passes(0.2, others)
    free.adjust()
    assert free.threads == threads
    assert machine.changes == ([threads] if threads != most else [])


def test_all_cores_again_once_the_others_rest() -> None:
    machine = Machine()
    free = machine.cores(most=2, cores=2)
    machine.passes(0.1, 1.0)
    free.adjust()
    machine.passes(0.1, 0.0)
    free.adjust()
    assert machine.changes == [1, 2]


def test_what_happened_long_ago_or_just_now_changes_nothing() -> None:
    machine = Machine()
    free = machine.cores(most=2, cores=2)
    machine.passes(60, 1.0)
    free.adjust()
    machine.passes(0.05, 1.0)
    free.adjust()
    assert machine.changes == []


def test_a_training_worker_that_was_just_suspended_is_not_counted() -> None:
    """It runs no sooner than the shortest ``train_resume_s`` after the last request, and is suspended at the next."""
    resume = next(option for option in fields(EngineOptions) if option.name == "train_resume_s")
    assert resume.metadata["min"] >= cores._STALE_S
    machine = Machine()
    free = machine.cores(most=2, cores=2)
    machine.passes(resume.metadata["min"], 0.0)
    machine.passes(0.05, 2.0)
    free.adjust()
    machine.passes(0.1, 0.0)
    free.adjust()
    assert machine.changes == []


def test_a_measurement_begins_with_all_threads() -> None:
    machine = Machine()
    free = machine.cores(most=2, cores=2)
    machine.passes(0.1, 1.0)
    free.adjust()
    free.reset()
    assert machine.changes == [1, 2]
