"""What is shown first."""

from pathlib import PurePath

import pytest

from tailora.repair.problem import Candidate, Problem, Repair
from tailora.repair.rank import changed_words, ranked
from tailora_adapters.repair.hole import Span

TEXT = 'def f(items):\n    return f"total {total(itms):.2f}"\n'
SMALL = TEXT.replace("itms", "items")
LARGE = 'def f(items):\n    return "Total"\n'


def repair(text: str, *, verified: bool = True, tests: int = 0, round: int = 1) -> Repair:
    return Repair(Candidate(Span(1, 2), (), text, round), (), verified, tests)


def first(*pairs: tuple[Repair, float]) -> Repair:
    repairs, changes = zip(*pairs, strict=True)
    return ranked(repairs, changes, Problem(PurePath("a.py"), TEXT, "python"))[0]


def test_the_smaller_edit_unless_the_other_one_is_far_likelier() -> None:
    small, large = repair(SMALL), repair(LARGE)
    assert first((large, -12.0), (small, -9.0)) is small
    assert first((large, -40.0), (small, -9.0)) is large


def test_tests_and_verification_come_before() -> None:
    assert first((repair(SMALL), -9.0), (best := repair(LARGE, tests=2), 50.0)) is best
    assert first((repair(SMALL, verified=False), -9.0), (best := repair(LARGE), 50.0)) is best
    assert first((repair(SMALL), -9.0), (best := repair(LARGE, round=0), 50.0)) is best


@pytest.mark.parametrize(
    "before,after,count",
    [
        (TEXT, TEXT, 0),
        (TEXT, SMALL, 2),
        ("a + b", "a - b", 2),
        ("a\nb\nc", "a\nc", 1),
        ("a", "a\nb = 1", 3),
        ("x = f(a,  b)", "x = f(a, b)", 0),
    ],
)
def test_changed_words(before: str, after: str, count: int) -> None:
    assert changed_words(before, after) == count
