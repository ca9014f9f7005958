"""Tries a candidate, the cheapest question first: is it new, does it parse, do its names resolve, is the checker
content, do the tests pass.

A candidate that fails a question is out. One that was not asked what it should have been (no checker that can be run,
no test) is kept, but never called verified. Knows nothing of the model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tailora.repair.problem import Candidate, Problem
from tailora.repair.syntax import Syntax
from tailora_adapters.corpus.unresolved import unresolved

__all__ = ["Ask", "Trial", "Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a candidate."""

    holds: bool
    checks: tuple[str, ...] = ()
    """What was asked and answered well, in words for a title."""
    why: str = ""
    """Why it does not hold."""
    verified: bool = False
    notes: tuple[str, ...] = ()
    """What could not be asked."""
    tests_passed: int = 0
    doubted: bool = False
    """Whether somebody who did not complain before does now: it holds, and is not verified whatever others say."""


Ask = Callable[[Candidate], Awaitable[Verdict]]
"""One question. A verdict that holds without ``verified`` says that nothing was found out. A question that takes long
at first may have a coroutine ``prepare``."""


class Trial:
    """All questions to the candidates of one problem.

    Args:
        asks: Checkers first, tests last. Where there are several, a candidate is verified if all that could be asked
            are content and at least one could.
    """

    def __init__(self, problem: Problem, asks: Sequence[Ask] = ()) -> None:
        self._problem = problem
        self._asks = asks
        self._seen = {_plain(problem.text)}
        self._errors = Syntax(problem.text, problem.language).errors()
        self._unresolved = unresolved(problem.text) if problem.language == "python" else set()

    async def prepare(self) -> None:
        """Finds out what can be known before there are candidates."""
        for ask in self._asks:
            if (prepare := getattr(ask, "prepare", None)) is not None:
                await prepare()

    async def __call__(self, candidate: Candidate) -> Verdict:
        """What comes of ``candidate``. The same text is not tried twice."""
        plain = _plain(candidate.text)
        if plain in self._seen:
            return Verdict(False, why="is not new")
        self._seen.add(plain)
        syntax = Syntax(candidate.text, self._problem.language)
        if syntax.errors() > self._errors or (self._problem.findings == () and syntax.errors()):
            return Verdict(False, why="does not parse")
        checks = ["parses"] if syntax.known else []
        if self._problem.language == "python":
            missing = unresolved(candidate.text) - self._unresolved
            if missing:
                return Verdict(False, why=f"knows no {min(missing)}")
        verified, doubted, passed, notes = False, False, 0, list[str]()
        for ask in self._asks:
            verdict = await ask(candidate)
            if not verdict.holds:
                return verdict
            checks += [check for check in verdict.checks if check not in checks]
            notes += verdict.notes
            passed += verdict.tests_passed
            verified = verified or verdict.verified
            doubted = doubted or verdict.doubted
        return Verdict(
            True,
            tuple(checks),
            verified=verified and not doubted,
            notes=tuple(notes),
            tests_passed=passed,
            doubted=doubted,
        )


def _plain(text: str) -> str:
    """Without comments' lines, blank lines and the ends of lines: what else differs is no repair."""
    lines = (line.rstrip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith(("#", "//")))
