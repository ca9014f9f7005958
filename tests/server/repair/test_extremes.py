"""Functions of 2,000 lines, text of which nothing parses, ranges that are nowhere: an answer, a bounded question."""

from pathlib import PurePath

import pytest

from tailora.repair.pipeline import Settings, repair
from tailora.repair.problem import Candidate, Finding, Problem
from tailora.repair.propose import Fill, Score
from tailora.repair.validate import Trial, Verdict

LONG = (
    "def long(value):\n"
    + "".join(f"    value += {number}\n" for number in range(2_000))
    + "    return valeu\n"
)
BROKEN = "def ((((:\n  ]]] %% 'never closed\n\tif } else {{ \nclass\n" * 20


class Writes:
    """A model that always writes the same, and keeps what it was asked."""

    async def taught(self) -> bool:
        return False

    def __init__(self, text: str) -> None:
        self.text = text
        self.judged: list[str] = []

    async def fill(self, hole, **_more):
        return Fill(self.text, finished=True)

    async def judge(self, prefix, middle, suffix):
        self.judged.append(middle)
        return tuple(Score(line, -0.5) for line in middle.splitlines(keepends=True))


async def cleared(candidate: Candidate) -> Verdict:
    """A checker that wants ``value`` returned."""
    if "return value\n" in candidate.text:
        return Verdict(True, ("diagnostic cleared",), verified=True)
    return Verdict(False, why="it still reports it")


def problem(text: str, line: int, message: str = "Undefined name `valeu`") -> Problem:
    return Problem(PurePath("a.py"), text, "python", (Finding("Ruff", "F821", message, line, 11, line, 16),))


async def test_a_function_of_two_thousand_lines() -> None:
    one, model = problem(LONG, 2_001), Writes("return value")
    report = await repair(one, model, Trial(one, [cleared]), Settings(candidates=4))
    assert report.repairs[0].verified
    assert report.repairs[0].candidate.text == LONG.replace("valeu", "value")
    assert all(text.count("\n") <= 125 for text in model.judged)


@pytest.mark.parametrize("line", [0, 1, 79])
async def test_nothing_that_parses(line: int) -> None:
    one = problem(BROKEN, line, "Expected an expression")
    report = await repair(one, Writes("pass"), Trial(one), Settings(candidates=4))
    assert report.attempts
    assert not any(found.verified for found in report.repairs)


@pytest.mark.parametrize("line", [-5, 10_000])
async def test_a_range_that_is_nowhere(line: int) -> None:
    text = "def f(value):\n    return valeu\n"
    one = problem(text, line)
    report = await repair(one, Writes("return value"), Trial(one, [cleared]), Settings(candidates=4))
    assert all(found.candidate.text != text for found in report.repairs)


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", "x"])
async def test_hardly_any_text(text: str) -> None:
    one = problem(text, 0)
    report = await repair(one, Writes("pass"), Trial(one), Settings(candidates=3))
    assert not any(found.verified for found in report.repairs)


async def test_one_endless_line() -> None:
    text = "x = [" + "1, " * 200_000 + "]\n"
    one, model = problem(text, 0), Writes("x = []")
    report = await repair(one, model, Trial(one), Settings(candidates=2))
    assert report.attempts
