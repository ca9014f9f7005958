"""The questions to candidates that need a tool: static checkers, and tests in the sandbox.

A checker that cannot be run says nothing for or against a candidate; only the one that published a diagnostic can say
that it is gone. Knows nothing of the model.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from tailora.errors import CheckerFailed
from tailora.repair.checkers import Checker, compare
from tailora.repair.problem import Candidate, Finding, Problem
from tailora.repair.validate import Ask, Verdict

__all__ = ["ask_checkers", "ask_tests", "relevant", "tests_pass"]

_TYPES = frozenset({"pyright", "basedpyright", "ty", "mypy", "tsc"})
_QUICK = frozenset({"ruff", "ty"})
_SLOW = frozenset({"mypy"})
"""Seconds for a check: asked only about what it said itself."""


def relevant(checkers: Sequence[Checker], source: str) -> list[Checker]:
    """Which of ``checkers`` are worth asking about a diagnostic of ``source``: the one that published it first, then
    the quick ones, and the quickest that knows types where that is none of these."""
    own = sorted(
        (checker for checker in checkers if checker.reports(source)),
        key=lambda checker: checker.name.lower() != source.lower(),
    )[:1]
    chosen = own + [checker for checker in checkers if checker.name in _QUICK and checker not in own]
    if not any(checker.name in _TYPES for checker in chosen):
        chosen += [checker for checker in checkers if checker.name in _TYPES and checker.name not in _SLOW][
            :1
        ]
    return chosen


def ask_checkers(problem: Problem, path: Path, checkers: Sequence[Checker]) -> list[Ask]:
    """One question for each checker: is what it had found gone, and nothing new there?

    ``path`` is where the file lies or would lie.
    """
    return [_Question(problem, path, checker) for checker in checkers]


class _Question:
    """Asks one checker."""

    def __init__(self, problem: Problem, path: Path, checker: Checker) -> None:
        self._problem = problem
        self._path = path
        self._checker = checker
        self._own = tuple(found for found in problem.findings if checker.reports(found.source))
        self._before: tuple[Finding, ...] | None = None
        self._failed: str | None = None

    async def prepare(self) -> None:
        """Asks about the file as it is."""
        if self._before is None and self._failed is None:
            try:
                self._before = await self._checker.check(self._path, self._problem.text, codes=self._codes)
            except CheckerFailed as error:
                self._failed = str(error)

    @property
    def _codes(self) -> list[str]:
        return sorted({found.code for found in self._own if found.code})

    async def __call__(self, candidate: Candidate) -> Verdict:
        """Holds without ``verified`` where nothing can be said."""
        await self.prepare()
        if self._failed is not None or self._before is None:
            return Verdict(True, notes=(self._failed or "",))
        try:
            after = await self._checker.check(self._path, candidate.text, codes=self._codes)
        except CheckerFailed as error:
            self._failed = str(error)
            return Verdict(True, notes=(self._failed,))
        compared = compare(self._before, after, self._own)
        name = self._checker.name
        if compared is None:
            self._failed = f"{name} does not find the diagnostic in this file"
            return Verdict(True, notes=(self._failed,))
        if not compared.gone:
            return Verdict(False, why=f"{name} still reports it")
        if compared.new:
            said = f"{name} reports {compared.new[0].message}"
            if self._own or not self._problem.findings:
                return Verdict(False, why=said)
            # What it says now may have been hidden by the fault: it is told, and stands against "verified".
            return Verdict(True, notes=(said,), doubted=True)
        if self._own:
            return Verdict(True, ("diagnostic cleared",), verified=True)
        if not self._problem.findings:
            return Verdict(True, ("no new diagnostics",))
        return Verdict(True, ("types check",) if name in _TYPES else ())


def ask_tests(run: Callable[[str], Awaitable[tuple[int, int, str]]]) -> Ask:
    """Runs tests on a candidate. ``run`` takes the file's text and gives how many passed, how many did not, and what
    the first that did not said."""

    async def ask(candidate: Candidate) -> Verdict:
        passed, failed, said = await run(candidate.text)
        if failed or not passed:
            return Verdict(False, why=said or "no test ran")
        return Verdict(True, (tests_pass(passed),), verified=True, tests_passed=passed)

    return ask


def tests_pass(count: int) -> str:
    """That so many tests pass, in words for a title."""
    return "test passes" if count == 1 else f"{count} tests pass"
