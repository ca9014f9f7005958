"""A small repository, cells that run in this process, and results that were made up."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tailora.evaluation.intervals import Difference
from tailora.evaluation.methods.comparison import Sizes
from tailora.poc.candidates import Candidate, Figures
from tailora.poc.costs import DEFAULTS, Inputs
from tailora.poc.measure import Machine, Measured, measure
from tailora.poc.plan import steps_for
from tailora.poc.result import Result, conclude
from tailora.poc.stages import Skipped, Tried, run
from tailora.poc.usage import Usage, Used

SIZES = Sizes(tokens=1_200, max_prompt=80, validation=12, test=12, generic=2, canaries=7)
NO_USAGE = Usage(None, None, None)


@pytest.fixture
def sizes() -> Sizes:
    """Small ones."""
    return SIZES


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, write_library: Callable[[Path], Path]) -> Path:
    """Twelve files, not to be written to."""
    return write_library(tmp_path_factory.mktemp("poc") / "library")


@dataclass(frozen=True)
class Made:
    """A proof of concept for which the time was enough for one candidate."""

    measured: Measured
    tried: Tried
    work: Path
    begun: list[str]
    told: list[tuple[float, str]]


@pytest.fixture(scope="session")
def made(
    tiny_model: Any,
    repository: Path,
    tmp_path_factory: pytest.TempPathFactory,
    in_this_process: Callable[[pytest.MonkeyPatch], list[str]],
) -> Made:
    """Made once, not to be written to."""
    work, told = tmp_path_factory.mktemp("made") / "work", list[tuple[float, str]]()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TAILORA_MODELS", str(tiny_model.models))
        begun = in_this_process(monkeypatch)
        measured = measure(repository, tiny_model.name, SIZES)
        tried = run(
            repository, measured, work, 1e-6, ["tailora", "poc"], lambda *one: told.append(one), SIZES
        )
    return Made(measured, tried, work, begun, told)


@pytest.fixture
def work(made: Made, tmp_path: Path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(made.work, tmp_path / "work"))


def difference(value: float, low: float, high: float) -> Difference:
    return Difference(value, low, high, 0.001, 3, 24)


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    """One that meets all rules, with what is changed."""

    def make(**changes: Any) -> Candidate:
        values: dict[str, Any] = {
            "method": "lora",
            "title": "LoRA",
            "seeds": 3,
            "cases": 24,
            "loss": difference(-0.32, -0.48, -0.16),
            "corrected": 0.001,
            "loss_before": 1.6,
            "exact_match": difference(0.1, 0.02, 0.2),
            "similarity": difference(0.1, -0.01, 0.2),
            "forgetting": -0.01,
            "exposure": 1.2,
            "told": False,
            "insecure": (0, 40),
            "insecure_p": 1.0,
            "learning_rate": 6e-4,
            "parameters": 2_199_552,
            "file_size": 8_841_928,
            "train_seconds": 30.0,
            "run_seconds": 95.0,
        }
        return Candidate(**(values | changes))

    return make


@pytest.fixture
def result(candidate: Callable[..., Candidate]) -> Callable[..., Result]:
    """Of made-up figures."""

    def make(
        *candidates: Candidate,
        inputs: Inputs | None = None,
        too_small: str = "",
        name: str = "starlette",
        usage: Usage = NO_USAGE,
        failed: dict[str, str] | None = None,
        skipped: bool = True,
    ) -> Result:
        machine = Machine("AMD EPYC 9R14", 2, 24_000_000_000, "")
        left_out = {"language unknown": 41, "secret": 1, "over the limit of 5,000 files": 3}
        parts = {} if too_small else {"train": 24, "validation": 4, "test": 6}
        measured = Measured(
            name, 34, 7_421, 68_210, {"python": 30, "cpp": 4}, left_out, 1, 187, parts, too_small,
            "qwen2.5-coder-0.5b", "Apache-2.0", True, machine, "0" * 64,
        )  # fmt: skip
        steps = steps_for()
        tried = Tried(
            Figures("foundation", candidates, {}),
            {"baselines": 275.0, "lora": 122.0},
            tuple(Skipped(step, 150.0) for step in steps[2:]) if skipped else (),
            failed or {},
        )
        return conclude(
            measured,
            None if too_small else tried,
            inputs or Inputs("EUR", DEFAULTS["EUR"]),
            usage,
            minutes=30.0,
            work=Path("out/poc"),
            command=("tailora", "poc", name),
            day=date(2026, 11, 27),
        )

    return make


@pytest.fixture
def some_usage() -> Usage:
    """Of both kinds."""
    return Usage(Used(812, 203, 6_011), Used(640, 211, 7_324), 260.0)
