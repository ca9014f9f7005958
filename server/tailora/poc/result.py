"""A proof of concept as a whole, for the page and for programs. Knows nothing of words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from tailora.poc.costs import DEFAULTS_SET, Costs, Inputs, Sum, reckon
from tailora.poc.decide import Decision, decide
from tailora.poc.measure import Measured
from tailora.poc.stages import Tried
from tailora.poc.usage import Usage

__all__ = ["Result", "conclude"]


@dataclass(frozen=True, slots=True)
class Result:
    """All that is known."""

    measured: Measured
    tried: Tried | None
    """None where the repository is too small."""
    decision: Decision
    inputs: Inputs
    costs: Costs
    retraining_measured: bool
    """Whether the time of a training is of real ones, not of those that were tried."""
    usage: Usage
    minutes: float
    work: Path
    command: tuple[str, ...]
    day: date

    def as_dict(self) -> dict[str, Any]:
        """One JSON document: the decision with its numbers. Differences are less what serves without learning."""
        decision, chosen = self.decision, self.decision.chosen
        return {
            "decision": decision.verdict.value,
            "against": [rule.value for rule in decision.against],
            "method": chosen.candidate.method if chosen else None,
            "learning_rate": chosen.candidate.learning_rate if chosen else None,
            "reference": self.tried.figures.reference or None if self.tried else None,
            "candidates": [
                {
                    **asdict(one.candidate),
                    "verdict": one.verdict.value,
                    "against": [rule.value for rule in one.against],
                }
                for one in decision.judged
            ],
            "failed": dict(self.tried.failed) if self.tried else {},
            "not_tried": [one.step.name for one in self.tried.skipped] if self.tried else [],
            "repository": asdict(self.measured),
            "usage": asdict(self.usage),
            "costs": {
                "currency": self.inputs.currency,
                "seconds": round(self.costs.seconds, 1),
                "watt_hours_estimated": round(self.costs.watt_hours, 2),
                "here": _sum(self.costs.here),
                "month_own": _sum(self.costs.own),
                "month_cloud": _sum(self.costs.cloud),
                "month_seats": _sum(self.costs.seats),
                "retraining_hours": self.costs.retraining_hours,
                "inputs": {
                    **{name: value for name, value in asdict(self.inputs).items() if name != "given"},
                    "given": sorted(self.inputs.given),
                    "defaults_set": DEFAULTS_SET.isoformat(),
                },
            },
            "day": self.day.isoformat(),
        }


def conclude(
    measured: Measured,
    tried: Tried | None,
    inputs: Inputs,
    usage: Usage,
    *,
    minutes: float,
    work: Path,
    command: tuple[str, ...],
    day: date,
) -> Result:
    """Costs and decision."""
    candidates = tried.figures.candidates if tried else ()
    failed = len(tried.failed) if tried else 0

    def made(retraining: float | None) -> tuple[Costs, Decision]:
        costs = reckon(inputs, sum(tried.seconds.values()) if tried else 0.0, retraining)
        decision = decide(
            candidates,
            too_small=bool(measured.too_small),
            failed=failed,
            dearer=costs.dearer_than_seats(inputs.given),
            keeps_up=costs.keeps_up,
        )
        return costs, decision

    costs, decision = made(usage.training_seconds)
    if usage.training_seconds is None and decision.chosen:
        costs, decision = made(decision.chosen.candidate.run_seconds)
    return Result(
        measured,
        tried,
        decision,
        inputs,
        costs,
        usage.training_seconds is not None,
        usage,
        minutes,
        work,
        command,
        day,
    )


def _sum(found: Sum) -> Mapping[str, Any]:
    return {"amount": found.amount, "lacks": list(found.lacks)}
