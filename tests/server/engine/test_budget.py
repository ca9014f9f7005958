"""A day's budget, whatever the clock does."""

from datetime import UTC, datetime

from tailora.engine.budget import Budget

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def test_it_adds_up_and_begins_anew_at_midnight() -> None:
    budget = Budget().plus(100, NOON).plus(50, NOON + DAY / 2 - 1)
    assert budget.at(NOON + DAY / 2 - 1).seconds == 150
    assert budget.at(NOON + DAY / 2).seconds == 0


def test_a_clock_that_goes_back_over_midnight_gives_nothing_back() -> None:
    budget = Budget().plus(100, NOON)
    assert budget.at(NOON - DAY).seconds == 100
    back = budget.plus(1, NOON - DAY)
    assert back.at(NOON).seconds == 101
    assert back.at(NOON + DAY).seconds == 0


def test_a_clock_that_ran_years_ahead_costs_a_day_at_most() -> None:
    wrong = Budget().plus(3600, NOON + 4 * 365 * DAY)
    right = wrong.plus(0, NOON)
    assert right.at(NOON).seconds == 3600
    assert right.at(NOON + DAY).seconds == 0


def test_a_clock_that_is_set_back_and_forth_gives_no_second_budget() -> None:
    budget = Budget().plus(3600, NOON)
    for _ in range(10):
        budget = budget.plus(0, NOON + DAY)
        budget = budget.plus(0, NOON)
    budget = budget.plus(3600, NOON + DAY)
    for _ in range(10):
        budget = budget.plus(0, NOON).plus(0, NOON + DAY)
    assert budget.at(NOON + DAY).seconds == 3600
