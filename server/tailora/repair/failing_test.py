"""A failing test as a problem: which lines its run makes suspect, and whether a candidate has it pass.

All tests of its file are run once, to see which lines failing and passing ones execute; a candidate must have the
failing ones pass and may not have another one fail. Everything happens in a copy. Only for trusted workspaces whose
user asked for it. Knows nothing of the model or of LSP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tailora.errors import RepairError
from tailora.repair.problem import Problem
from tailora.repair.questions import ask_tests
from tailora.repair.scratch import ScratchCopy
from tailora.repair.spectrum import is_test_file, suspect_files, suspicion
from tailora.repair.tests import TestRun, run_tests
from tailora.repair.validate import Ask
from tailora.sandbox import Limits
from tailora_adapters import languages

__all__ = ["FailingTest", "last_line", "look_at"]

_MOST_FILES = 3


@dataclass(frozen=True, slots=True)
class FailingTest:
    """What a run of the tests showed."""

    failing: tuple[str, ...]
    """Nodes that fail."""
    passing: tuple[str, ...]
    """Nodes of the same files that pass."""
    problems: tuple[Problem, ...]
    """The files that the failing tests executed, the most suspect first; never a test where anything else ran."""
    said: str
    """The end of what the first of them said."""
    copy: ScratchCopy
    python: Path
    limits: Limits

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
                    limits=self.limits,
                    watch=[path],
                )
            finally:
                self.copy.restore(path)
            wanted = {*self.failing, *self.passing}
            wrong = [node for node in wanted if done.results.get(node) != "passed"]
            if wrong:
                first = wrong[0]
                return 0, len(wrong), last_line(done.failures.get(first, f"{first} did not run"))
            if not done.ran_changed_files:
                return 0, 1, f"the tests did not run {path} from the copy"
            return len(wanted), 0, ""

        return ask_tests(run)


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
    program = [path for path in paths if not is_test_file(path)] or paths
    problems = [
        problem for path in program[:_MOST_FILES] if (problem := _problem(copy, path, done)) is not None
    ]
    if not problems:
        said = done.failures.get(failing[0], "")
        raise RepairError(f"{failing[0]} fails before anything of the project is executed: {last_line(said)}")
    return FailingTest(
        tuple(failing),
        tuple(passing),
        tuple(problems),
        done.failures.get(failing[0], ""),
        copy,
        python,
        limits,
    )


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
    return Problem(PurePosixPath(path), text, language.id, suspects=suspects)


def last_line(text: str) -> str:
    """The line that says most: pytest's last one that begins with ``E``, else the last one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or lines or [""])[-1]
