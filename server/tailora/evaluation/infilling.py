"""Single-line infilling: HumanEval problems with one line missing, pass@1 by their tests, greedy.

Source of the benchmark: Bavarian et al., "Efficient Training of Language Models to Fill in the Middle"
(arXiv 2207.14255). Each problem is answered by the bare base model, with the hole at the cursor, and with the
foundation adapter and the prompt that is served (``base.prompt``); if wanted also by the latter in 16 bits, and by
llama.cpp's server. Each answer is judged twice: with its first line kept, and with nothing cut.
"""

import asyncio
import gzip
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tailora.bench.peer_server import PeerServer
from tailora.engine.generator import AdapterRef, GenerationRequest
from tailora.engine.torch_generator import TorchGenerator
from tailora.sandbox import passes
from tailora_adapters import foundation
from tailora_adapters.base.cache import hash_file
from tailora_adapters.base.device import Quantization
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.errors import TailoraError
from tailora_adapters.training.save import WEIGHTS_FILE

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
    middle: str = ""
    """The missing line, as the benchmark has it."""

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
        Problem(
            row["task_id"],
            row["prompt"],
            row["suffix"],
            row["test"],
            row["entry_point"],
            row["canonical_solution"],
        )
        for row in rows[::every]
    ]


def evaluate(
    problems: Sequence[Problem],
    model: str,
    *,
    quantization: Quantization = "auto",
    also_16_bits: bool = False,
    peer: Path | None = None,
    adapter: Path | None = None,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """``{"base": {...}, "foundation": {...}}``, each with ``first_line`` and ``uncut`` (pass@1) and the mean time; of a
    model for which no adapter ships, ``base`` alone.

    Args:
        also_16_bits: Adds ``foundation_16_bits``.
        peer: llama.cpp's GGUF file: adds ``llama.cpp``, asked by ``/infill``.
        adapter: Folder of an adapter: adds ``adapter``, and leaves out ``base``.

    Raises:
        TailoraError: llama.cpp's server does not start.
    """
    ways: dict[str, tuple[TorchGenerator, AdapterRef | None]] = {}
    if adapter is None:
        ways["base"] = TorchGenerator(model, quantization=quantization, budget=PromptBudget(tail=0)), None
    shipped = foundation.find(model)
    served = TorchGenerator(model, quantization=quantization)
    if shipped is not None:
        general = AdapterRef("foundation", shipped.path, shipped.sha256)
        ways["foundation"] = served, general
        if also_16_bits:
            ways["foundation_16_bits"] = TorchGenerator(model, quantization="none"), general
    if adapter is not None:
        ways["adapter"] = served, AdapterRef("adapter", adapter, hash_file(adapter / WEIGHTS_FILE))
    for loaded in dict.fromkeys(generator for generator, _ in ways.values()):
        loaded.load(progress)  # the weights are mapped from the same files
    tallies = {name: _Tally() for name in ways}
    for number, problem in enumerate(problems):
        for name, (answering, ref) in ways.items():
            tallies[name].add(problem, *_answer(answering, problem, ref))
        done = (number + 1) / len(problems)
        progress(done, "  ".join(f"{name} {tally.line()}" for name, tally in tallies.items()))
    if peer is not None:
        tallies["llama.cpp"] = _Tally()
        for problem, answer in zip(problems, asyncio.run(_ask_peer(peer, problems, progress)), strict=True):
            tallies["llama.cpp"].add(problem, *answer)
    return {
        "model": model,
        "quantization": next(iter(ways.values()))[0].info()["quantization"],
        "problems": len(problems),
        **{name: tally.result() for name, tally in tallies.items()},
    }


def _answer(generator: TorchGenerator, problem: Problem, adapter: AdapterRef | None) -> tuple[str, float]:
    began = time.perf_counter()
    request = GenerationRequest(problem.prefix, problem.suffix, max_tokens=_MAX_TOKENS, adapter=adapter)
    text = "".join(step.text for step in generator.generate(request, lambda: False))
    return text, time.perf_counter() - began


async def _ask_peer(
    model: Path, problems: Sequence[Problem], progress: Callable[[float, str], None]
) -> list[tuple[str, float]]:
    answers = []
    async with PeerServer(model) as server, httpx2.AsyncClient(base_url=server.address, timeout=120) as http:
        for number, problem in enumerate(problems):
            began = time.perf_counter()
            body = {
                "input_prefix": problem.prefix,
                "input_suffix": problem.suffix,
                "prompt": "",
                "n_predict": _MAX_TOKENS,
                "samplers": ["top_k"],
                "top_k": 1,
                "stream": False,
            }
            answer = await http.post("/infill", json=body)
            answer.raise_for_status()
            answers.append((answer.json()["content"], time.perf_counter() - began))
            progress((number + 1) / len(problems), "llama.cpp")
    return answers


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
