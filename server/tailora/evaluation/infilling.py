"""Single-line infilling: HumanEval problems with one line missing, pass@1 by their tests, greedy.

Source of the benchmark: Bavarian et al., "Efficient Training of Language Models to Fill in the Middle"
(arXiv 2207.14255). Each problem is answered by the bare base model, with the hole at the cursor, and with the
foundation adapter and the prompt that is served (``base.prompt``). Each answer is judged twice: with its first line
kept, and with nothing cut.
"""

import gzip
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailora.engine.generator import AdapterRef, GenerationRequest
from tailora.engine.torch_generator import TorchGenerator
from tailora.evaluation.sandbox import passes
from tailora_adapters import foundation
from tailora_adapters.base.device import Quantization
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.errors import TailoraError

__all__ = ["DATA_FILE", "Problem", "evaluate", "find_data", "read_problems"]

DATA_FILE = "HumanEval-SingleLineInfilling.jsonl.gz"

_MAX_TOKENS = 64
"""The longest missing line has fewer; a model that has not stopped by then fails uncut either way."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One hole with its test."""

    task_id: str
    prefix: str
    suffix: str
    test: str
    entry_point: str

    def program(self, middle: str) -> str:
        """The completed function with its test, ready to run."""
        return f"{self.prefix}{middle}{self.suffix}\n{self.test}\ncheck({self.entry_point})\n"


def find_data(given: Path | None) -> Path:
    """The benchmark's file: as given, from ``TAILORA_EVAL_DATA``, or in a ``data`` folder around here.

    Raises:
        TailoraError: it is nowhere.
    """
    here = Path.cwd()
    places = [given] if given else [Path(value) for value in [os.environ.get("TAILORA_EVAL_DATA")] if value]
    if not places:
        places = [
            here / "data",
            *sorted(here.glob("*/data")),
            here.parent / "data",
            *sorted(here.parent.glob("*/data")),
        ]
    for place in places:
        path = place / DATA_FILE if place.is_dir() else place
        if path.is_file():
            return path
    raise TailoraError(
        f"{DATA_FILE} was not found: fetch it from github.com/openai/human-eval-infilling "
        "and name its place by --data or TAILORA_EVAL_DATA"
    )


def read_problems(path: Path, every: int) -> list[Problem]:
    """Every ``every``-th problem, from the first."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [
        Problem(row["task_id"], row["prompt"], row["suffix"], row["test"], row["entry_point"])
        for row in rows[::every]
    ]


def evaluate(
    problems: Sequence[Problem],
    model: str,
    *,
    quantization: Quantization = "auto",
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """``{"base": {...}, "foundation": {...}}``, each with ``first_line`` and ``uncut`` (pass@1) and the mean time.

    Raises:
        TailoraError: there is no foundation adapter for the model.
    """
    shipped = foundation.find(model)
    if shipped is None:
        raise TailoraError(f"no foundation adapter ships for {model}")
    adapter = AdapterRef("foundation", shipped.path, shipped.sha256)
    bare = TorchGenerator(model, quantization=quantization, budget=PromptBudget(tail=0))
    generator = TorchGenerator(model, quantization=quantization)
    ways = {"base": (bare, None), "foundation": (generator, adapter)}
    for loaded in (bare, generator):  # the weights are mapped from the same files
        loaded.load(progress)
    tallies = {name: _Tally() for name in ways}
    for number, problem in enumerate(problems):
        for name, (answering, ref) in ways.items():
            tallies[name].add(problem, *_answer(answering, problem, ref))
        done = (number + 1) / len(problems)
        progress(done, "  ".join(f"{name} {tally.line()}" for name, tally in tallies.items()))
    return {
        "model": model,
        "quantization": generator.info()["quantization"],
        "problems": len(problems),
        **{name: tally.result() for name, tally in tallies.items()},
    }


def _answer(generator: TorchGenerator, problem: Problem, adapter: AdapterRef | None) -> tuple[str, float]:
    began = time.perf_counter()
    request = GenerationRequest(problem.prefix, problem.suffix, max_tokens=_MAX_TOKENS, adapter=adapter)
    text = "".join(step.text for step in generator.generate(request, lambda: False))
    return text, time.perf_counter() - began


class _Tally:
    """Counts of one way to answer."""

    def __init__(self) -> None:
        self._count = self._first_line = self._uncut = 0
        self._seconds = 0.0
        self._failed: list[str] = []

    def add(self, problem: Problem, text: str, seconds: float) -> None:
        first = passes(problem.program(text.split("\n", 1)[0] + "\n"))
        self._count += 1
        self._first_line += first
        self._uncut += passes(problem.program(text))
        self._seconds += seconds
        if not first:
            self._failed.append(problem.task_id)

    def line(self) -> str:
        return f"{self._first_line / self._count:.0%} first line, {self._uncut / self._count:.0%} uncut"

    def result(self) -> dict[str, Any]:
        return {
            "first_line": round(self._first_line / self._count, 4),
            "uncut": round(self._uncut / self._count, 4),
            "mean_seconds": round(self._seconds / self._count, 3),
            "failed_first_line": self._failed,
        }
