"""What came of the candidates: each against what serves without learning, from the reports of its runs.

Knows nothing of rules or of words. Invariants: a report that ``record.read`` refuses is never counted; figures of
different repositories, models, machines or tests are never put together.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailora.evaluation.intervals import Difference, holm
from tailora.evaluation.methods.aggregate import Group, Row, group_runs
from tailora.evaluation.methods.record import read
from tailora_adapters.errors import TailoraError
from tailora_adapters.regression import fisher_less

__all__ = ["Candidate", "Figures", "figures", "read_reports"]

Run = Mapping[str, Any]

_NEAR = 0.5
"""Bits below the most that can be told, from which a planted number counts as told."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method that was trained and tested. Differences are its own less those of ``Figures.reference``."""

    method: str
    title: str
    seeds: int
    cases: int
    loss: Difference
    """Nats a token; below 0 is better."""
    corrected: float
    """Its p-value, corrected for the number of candidates (Holm)."""
    loss_before: float
    exact_match: Difference | None
    """Shares, as ``similarity``; above 0 is better."""
    similarity: Difference | None
    forgetting: float | None
    """Rise of the loss on code of other repositories, relative."""
    exposure: float | None
    """Bits, the mean over the seeds, of a planted number."""
    told: bool
    """Whether it comes first among all numbers like it, and did not before."""
    insecure: tuple[int, int] | None
    """Findings, and lines written in Python."""
    insecure_p: float | None
    """Probability of so many findings more than before, by chance."""
    learning_rate: float
    parameters: int
    file_size: int
    """Bytes."""
    train_seconds: float
    """Of one run."""
    run_seconds: float
    """Of one run, training and questions."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All candidates with a figure."""

    reference: str
    """``foundation``, or ``base`` where no foundation adapter ships."""
    candidates: tuple[Candidate, ...]
    failed: Mapping[str, str]
    """Why, by method, of those without a figure."""
    reference_insecure: tuple[int, int] | None = None
    commands: tuple[tuple[str, ...], ...] = ()


def read_reports(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The reports.

    Raises:
        ReportInvalid: One of an older version, damaged, or that contradicts itself.
    """
    return [read(path) for path in paths]


def figures(baselines: Sequence[Run], by_step: Sequence[Sequence[Run]]) -> Figures:
    """Of the reports of each step, in order; a later step with all of a method's seeds takes the earlier ones' place.

    Raises:
        TailoraError: The reports are of different repositories, models or machines.
    """
    runs = _latest(by_step)
    if not runs:
        return Figures("", (), {})
    groups = group_runs([*baselines, *runs])
    if len(groups) != 1:
        raise TailoraError(
            "the runs that are there are of different repositories, models or machines, and cannot be put together: "
            "give another folder with --work"
        )
    group = groups[0]
    reference = group.row("foundation") or group.row("base")
    if reference is None or not reference.runs:
        raise TailoraError("no run of the foundation adapter or the base model is there to compare with")
    rows = [
        row
        for row in group.rows
        if row.role == "method" and row.runs and "loss" in row.against.get(reference.method, {})
    ]
    losses = [row.against[reference.method]["loss"].difference for row in rows]
    corrected = holm([one.p_value for one in losses])
    found = {row.method for row in rows}
    failed = {
        row.method: str(row.failed[-1]["run_info"]["error_msg"])
        for row in group.rows
        if row.role == "method" and row.failed and row.method not in found
    }
    commands = dict.fromkeys(tuple(run["run_info"]["command"]) for run in (*baselines, *runs))
    return Figures(
        reference.method,
        tuple(
            _candidate(group, row, reference, loss, p_value)
            for row, loss, p_value in zip(rows, losses, corrected, strict=True)
        ),
        failed,
        _insecure(reference),
        tuple(commands),
    )


def _latest(by_step: Sequence[Sequence[Run]]) -> list[Run]:
    """The runs that count: of a method and seed the newest step's, and of one learning rate only."""
    kept: dict[str, dict[int, Run]] = {}
    for step in by_step:
        for method in dict.fromkeys(run["run_info"]["method"] for run in step):
            new = {run["run_info"]["seed"]: run for run in step if run["run_info"]["method"] == method}
            old = kept.get(method, {})
            kept[method] = new if set(old) <= set(new) else old | new
    return [run for by_seed in kept.values() for run in by_seed.values()]


def _candidate(group: Group, row: Row, reference: Row, loss: Difference, p_value: float) -> Candidate:
    against = row.against[reference.method]

    def gain(name: str) -> Difference | None:
        return against[name].difference if name in against else None

    exposures = _known(run["test_info"]["canary_exposure"] for run in row.runs)
    before = _known(run["test_info"]["canary_exposure"] for run in reference.runs)
    most = math.log2(_numbers(row.runs[0]))
    exposure = _mean(exposures)
    insecure, insecure_before = _insecure(row), _insecure(reference)
    return Candidate(
        method=row.method,
        title=row.title,
        seeds=len(row.runs),
        cases=loss.cases,
        loss=loss,
        corrected=p_value,
        loss_before=reference.metrics["loss"].value,
        exact_match=gain("exact_match"),
        similarity=gain("edit_similarity"),
        forgetting=_forgetting(row, reference),
        exposure=exposure,
        told=exposure is not None and exposure > most - _NEAR and not (before and min(before) > most - _NEAR),
        insecure=insecure,
        insecure_p=_more(insecure, insecure_before),
        learning_rate=float(row.runs[0]["train_info"]["learning_rate"]),
        parameters=int(row.runs[0]["train_info"]["num_trainable_params"]),
        file_size=int(row.runs[0]["train_info"]["file_size"]),
        train_seconds=row.costs["train_time"].value,
        run_seconds=math.fsum(run["run_info"]["total_time"] for run in row.runs) / len(row.runs),
    )


def _numbers(run: Run) -> int:
    """Among how many the planted one is ranked."""
    sizes = run["run_info"]["train_config"].get("sizes", {})
    return int(sizes.get("canaries", 31)) + 1


def _forgetting(row: Row, reference: Row) -> float | None:
    own = _mean(_known(run["test_info"]["forgetting"]["generic_loss"] for run in row.runs))
    before = _mean(_known(run["test_info"]["forgetting"]["generic_loss"] for run in reference.runs))
    return None if own is None or not before else own / before - 1


def _insecure(row: Row) -> tuple[int, int] | None:
    found = [run["test_info"]["insecure"] for run in row.runs if run["test_info"]["insecure"]]
    return (sum(one["issues"] for one in found), sum(one["lines"] for one in found)) if found else None


def _more(now: tuple[int, int] | None, before: tuple[int, int] | None) -> float | None:
    """Fisher's exact test, one-sided, of lines without a finding."""
    if now is None or before is None or not now[1] or not before[1]:
        return None
    return fisher_less(max(0, now[1] - now[0]), now[1], max(0, before[1] - before[0]), before[1])


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
