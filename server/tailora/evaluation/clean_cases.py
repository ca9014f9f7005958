"""Functions that are right, with tests: one for each HumanEval problem, as cases that there is nothing to repair in.

First those of HumanEvalFix as it is published, then those of the infilling benchmark whose problems are not among them.
Each is a ``Case`` whose target is its answer; ``test`` is what a user would see of the tests, ``hidden_test`` all of
them. Knows nothing of how a case is asked about.
"""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tailora.evaluation.infilling import Problem, read_problems
from tailora.evaluation.repair_suite import NO_PLUGINS, Case, from_humanevalfix

__all__ = ["EXAMPLES", "clean_cases"]

EXAMPLES = "test_examples.py"
"""The file of the tests that are seen."""
_SEEN = 3
"""Assertions of the infilling benchmark's tests that are seen; HumanEvalFix has about as many examples."""


def clean_cases(humanevalfix: Path | None, infilling: Path | None) -> list[Case]:
    """One case for each problem, by HumanEval's numbers. Nothing of them is run.

    Raises:
        TailoraError: HumanEvalFix cannot be read.
    """
    found: dict[str, Case] = {}
    if humanevalfix is not None:
        for case in from_humanevalfix(humanevalfix):
            found[case.id.split("/")[1]] = _mended(case)
    if infilling is not None:
        for problem in read_problems(infilling, 1):
            number = problem.task_id.split("/")[2]
            if number not in found:
                found[number] = _filled(problem)
    return list(found.values())


def _mended(case: Case) -> Case:
    """A case of HumanEvalFix with its answer in the place of the bug."""
    assert case.answer is not None
    return replace(case, files={**case.files, case.target: case.answer}, kind=None)


def _filled(problem: Problem) -> Case:
    """The first hole of a problem of the infilling benchmark, filled as it was."""
    text = problem.prefix + problem.middle + problem.suffix
    every = f"from solution import *\n{problem.test}\ncheck({problem.entry_point})\n"
    return Case(
        problem.task_id.rpartition("/")[0],
        {"solution.py": text, EXAMPLES: _seen(problem), **NO_PLUGINS},
        "solution.py",
        test=f"python -m pytest -q {EXAMPLES}",
        hidden_test="python test_hidden.py",
        hidden_files={"test_hidden.py": every},
        answer=text,
    )


def _seen(problem: Problem) -> str:
    """The first assertions, each as a test; where none stands alone, all as one test."""
    tests = [
        f"def test_example_{number}():\n    {ast.unparse(assertion)}\n"
        for number, assertion in enumerate(_assertions(problem.test), 1)
    ][:_SEEN]
    head = f"from solution import *\nfrom solution import {problem.entry_point}\n"
    if not tests:
        return f"{head}\n{problem.test}\n\n\ndef test_examples():\n    check({problem.entry_point})\n"
    return "\n\n".join([f"{head}\ncandidate = {problem.entry_point}\n", *tests])


def _assertions(test: str) -> Iterator[ast.Assert]:
    """Those of ``check(candidate)`` that stand by themselves and say something of the candidate."""
    for function in ast.parse(test).body:
        if isinstance(function, ast.FunctionDef) and function.name == "check":
            for statement in function.body:
                if isinstance(statement, ast.Assert) and "candidate" in ast.unparse(statement.test):
                    yield statement
