"""A failing test as a problem: which lines its run makes suspect, and whether a candidate has it pass.

All tests of its file are run once, to see which lines failing and passing ones execute. A candidate must have the
failing ones pass, and may not have another one fail, nor one of a file that imports what was changed. Everything
happens in a copy. Only for trusted workspaces whose user asked for it. Knows nothing of the model or of LSP.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tailora.errors import RepairError
from tailora.repair.problem import Problem, Repair
from tailora.repair.questions import ask_tests, tests_pass
from tailora.repair.scratch import ScratchCopy
from tailora.repair.spectrum import affected, is_test_file, suspect_files, suspicion
from tailora.repair.syntax import Syntax
from tailora.repair.tests import TestRun, in_thread, run_tests
from tailora.repair.validate import Ask
from tailora.sandbox import Limits
from tailora_adapters import languages

__all__ = ["FailingTest", "last_line", "look_at"]

_MOST_FILES = 3
_LEAST_S, _SLOWER = 5.0, 4.0
"""A run with a candidate may take so many seconds, and so many times as long as the first run."""
_MOST_OTHERS = 20
_TEST = re.compile(r"\s*(?:async\s+)?def test")


@dataclass(frozen=True, slots=True)
class FailingTest:
    """What a run of the tests showed."""

    failing: tuple[str, ...]
    """Nodes that fail."""
    passing: tuple[str, ...]
    """Nodes of the same files that pass."""
    problems: tuple[Problem, ...]
    """The files that the failing tests executed, the most suspect first. Of tests themselves only what is in no
    test function, and only where nothing else ran."""
    said: str
    """The end of what the first of them said."""
    copy: ScratchCopy
    python: Path
    limits: Limits
    """Of a run of other tests."""
    again: Limits
    """Of a run of the same tests with a candidate."""

    def ask(self, problem: Problem) -> Ask:
        """Whether a candidate for ``problem`` has all of them pass, in the copy."""
        path = problem.path.as_posix()

        async def run(text: str) -> tuple[int, int, str]:
            self.copy.put(path, text)
            try:
                done = await run_tests(
                    self.copy,
                    [*self.failing, *self.passing],
                    python=self.python,
                    limits=self.again,
                    watch=[path],
                )
            finally:
                self.copy.put(path, problem.text)  # not what is on disk: the user may not have saved it yet
            wanted = {*self.failing, *self.passing}
            wrong = [node for node in wanted if done.results.get(node) != "passed"]
            if wrong:
                first = wrong[0]
                return 0, len(wrong), last_line(done.failures.get(first, f"{first} did not run"))
            if not done.ran_changed_files:
                return 0, 1, f"the tests did not run {path} from the copy"
            return len(wanted), 0, ""

        return ask_tests(run)

    async def sparing_others(self, problem: Problem, repairs: Sequence[Repair]) -> list[Repair]:
        """Those of ``repairs`` with which the tests of other files that import the repaired one pass as before."""
        path = problem.path.as_posix()
        own = {node.partition("::")[0] for node in (*self.failing, *self.passing)}
        concerned = await in_thread(lambda _cancelled: affected(self.copy, path))
        files = [file for file in concerned if file not in own][:_MOST_OTHERS]
        if not files or not repairs:
            return list(repairs)
        before = _passed(await self._run(files))
        kept: list[Repair] = []
        for repair in repairs:
            self.copy.put(path, repair.candidate.text)
            try:
                after = _passed(await self._run(files))
            finally:
                self.copy.put(path, problem.text)
            if before <= after:
                passed = repair.tests_passed + len(before)
                checks = tuple(
                    tests_pass(passed) if check == tests_pass(repair.tests_passed) else check
                    for check in repair.checks
                )
                kept.append(replace(repair, checks=checks, tests_passed=passed))
        return kept

    async def _run(self, files: Sequence[str]) -> TestRun:
        return await run_tests(self.copy, files, python=self.python, limits=self.limits)


async def look_at(
    copy: ScratchCopy, nodes: Sequence[str], *, python: Path, limits: Limits = Limits()
) -> FailingTest:
    """Runs the files of ``nodes`` in a copy, and finds out what to repair.

    Raises:
        RepairError: none of the nodes fails, or nothing of the project was executed.
    """
    files = list(dict.fromkeys(node.partition("::")[0] for node in nodes))
    done = await run_tests(copy, files, python=python, limits=limits, spectrum=True)
    failing = [
        node
        for node, result in done.results.items()
        if result in ("failed", "error") and any(_meant(node, wanted) for wanted in nodes)
    ]
    if not failing:
        raise RepairError(_why_none_fails(nodes, done))
    passing = [node for node, result in done.results.items() if result == "passed"]
    paths = suspect_files(done, failing)
    said = tuple(filter(None, [last_line(done.failures.get(failing[0], ""))]))
    program = [path for path in paths if not is_test_file(path)] or paths
    problems = [
        replace(problem, said=said)
        for path in program[:_MOST_FILES]
        if (problem := _problem(copy, path, done)) is not None
    ]
    if not problems:
        executed = "nothing of the project but tests, which are not rewritten" if paths else "nothing"
        raise RepairError(f"{failing[0]} fails and executes {executed}: {''.join(said)}")
    shorter = limits
    if done.outcome.ended == "exit":  # what takes far longer than all of them did is an endless loop
        shorter = replace(limits, seconds=min(limits.seconds, _LEAST_S + _SLOWER * done.outcome.seconds))
    return FailingTest(
        tuple(failing),
        tuple(passing),
        tuple(problems),
        done.failures.get(failing[0], ""),
        copy,
        python,
        limits,
        shorter,
    )


def _passed(done: TestRun) -> set[str]:
    return {node for node, result in done.results.items() if result == "passed"}


def _meant(node: str, wanted: str) -> bool:
    return node == wanted or node.startswith((wanted + "::", wanted + "["))


def _why_none_fails(nodes: Sequence[str], done: TestRun) -> str:
    what = ", ".join(nodes)
    if not done.results:
        return f"{what}: no test ran ({done.outcome.why}): {last_line(done.outcome.output)}"
    known = any(_meant(node, wanted) for node in done.results for wanted in nodes)
    return f"{what} passes: there is nothing to repair" if known else f"{what}: there is no such test"


def _problem(copy: ScratchCopy, path: str, done: TestRun) -> Problem | None:
    language = languages.by_path(path)
    try:
        text = (copy.root / path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    if language is None:
        return None
    suspects = suspicion(done, path, text.count("\n") + 1)
    if is_test_file(path):
        suspects = _outside_tests(Syntax(text, language.id), suspects)
        if not any(suspects):
            return None
    return Problem(PurePosixPath(path), text, language.id, suspects=suspects)


def _outside_tests(syntax: Syntax, suspects: Sequence[float]) -> tuple[float, ...]:
    """Without the lines of test functions: one that was rewritten until it passes says nothing."""
    tests = [span for span in syntax.functions() if _TEST.match(syntax.lines[span.first])]
    return tuple(0.0 if any(line in span for span in tests) else value for line, value in enumerate(suspects))


def last_line(text: str) -> str:
    """The line that says most: the first of the last ones that pytest marks with ``E`` (those after it are details),
    else the last one."""
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [number for number, line in enumerate(lines) if line.startswith("E ")]
    while len(marked) > 1 and marked[-2] == marked[-1] - 1:
        marked.pop()
    return lines[marked[-1]][1:].strip() if marked else (lines or [""])[-1].strip()
