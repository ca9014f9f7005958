"""What chance leaves open: known cases, and nothing where there is nothing."""

import pytest

from tailora.evaluation.statistics import paired, paired_rates


def test_the_same_answers_differ_by_nothing() -> None:
    found = paired([1, 0, 1, 1], [1, 0, 1, 1])
    assert found.difference == 0
    assert found.interval95 == (0, 0)
    assert found.p_value == 1


def test_a_difference_that_every_question_has_is_no_chance() -> None:
    found = paired([0.5 + 0.01 * n for n in range(20)], [0.4 + 0.01 * n for n in range(20)])
    assert found.difference == pytest.approx(0.1)
    assert found.interval95[0] == pytest.approx(0.1)
    assert found.p_value < 0.001


def test_few_questions_of_which_one_differs_leave_it_open() -> None:
    found = paired([1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0])
    assert found.interval95[0] == 0
    assert found.p_value > 0.5


def test_long_answers_count_by_their_tokens() -> None:
    found = paired_rates([10.0, 1.0], [12.0, 1.0], [9, 1])
    assert found.difference == pytest.approx(-0.2)


def test_it_is_the_same_every_time() -> None:
    ours, theirs = [0.1, 0.9, 0.4, 0.6, 0.2], [0.2, 0.5, 0.5, 0.1, 0.3]
    assert paired(ours, theirs) == paired(ours, theirs)


@pytest.mark.parametrize("ours, theirs", [([], []), ([1.0], [1.0, 2.0])])
def test_other_questions_are_not_compared(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        paired(ours, theirs)
