"""A candidate is out at the first question that it fails, and what was not asked is never called verified."""

from pathlib import PurePath

import pytest

from tailora.repair.problem import Candidate, Finding, Problem, Span
from tailora.repair.validate import Trial, Verdict

TEXT = "import os\n\n\ndef f(a):\n    return b\n"
FINDING = Finding("Ruff", "F821", "Undefined name `b`", 4, 11, 4, 12)


def candidate(text: str) -> Candidate:
    return Candidate(Span(4, 5), (), text)


def problem(text: str = TEXT, *findings: Finding, language: str = "python") -> Problem:
    return Problem(PurePath("a.py"), text, language, findings)


async def yes(_: Candidate) -> Verdict:
    return Verdict(True, ("diagnostic cleared",), verified=True)


async def no(_: Candidate) -> Verdict:
    return Verdict(False, why="still there")


async def nothing_known(_: Candidate) -> Verdict:
    return Verdict(True, notes=("ruff is not installed",))


async def never(_: Candidate) -> Verdict:
    raise AssertionError("a dearer question after a failed one")


@pytest.mark.parametrize(
    "text,why",
    [
        (TEXT, "is not new"),
        (TEXT.replace("return b", "return b  "), "is not new"),
        (TEXT.replace("    return b", "    # return a\n    return b"), "is not new"),
        (TEXT.replace("return b", "return (b"), "does not parse"),
        (TEXT.replace("return b", "return c"), "knows no c"),
    ],
)
async def test_cheap_questions_come_first(text: str, why: str) -> None:
    verdict = await Trial(problem(TEXT, FINDING), [never])(candidate(text))
    assert not verdict.holds
    assert verdict.why == why


async def test_verified_by_whoever_can_say() -> None:
    fixed = TEXT.replace("return b", "return a")
    verdict = await Trial(problem(TEXT, FINDING), [yes, nothing_known])(candidate(fixed))
    assert verdict == Verdict(
        True, ("parses", "diagnostic cleared"), verified=True, notes=("ruff is not installed",)
    )
    verdict = await Trial(problem(TEXT, FINDING), [nothing_known])(candidate(fixed))
    assert verdict.holds
    assert not verdict.verified
    assert verdict.checks == ("parses",)
    verdict = await Trial(problem(TEXT, FINDING), [yes, no, never])(candidate(fixed))
    assert verdict == Verdict(False, why="still there")


async def test_the_same_text_is_tried_once() -> None:
    trial = Trial(problem(TEXT, FINDING), [yes])
    fixed = candidate(TEXT.replace("return b", "return a"))
    assert (await trial(fixed)).holds
    assert (await trial(fixed)).why == "is not new"


async def test_errors_that_were_there_are_no_reason() -> None:
    broken = "def g(:\n    pass\n\n\ndef f(a):\n    return b\n"
    verdict = await Trial(problem(broken, FINDING), [yes])(candidate(broken.replace("return b", "return a")))
    assert verdict.holds


async def test_no_grammar_no_claim() -> None:
    verdict = await Trial(problem("a\n", FINDING, language="haskell"))(candidate("b\n"))
    assert verdict == Verdict(True)
