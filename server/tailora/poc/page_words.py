"""A result's figures as words of a language: what texts are filled with. Knows no elements."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailora.evaluation.intervals import Difference
from tailora.poc.candidates import Candidate
from tailora.poc.costs import Sum
from tailora.poc.decide import LEVEL, MARGIN, NEEDED_SEEDS
from tailora.poc.result import Result
from tailora.poc.texts import Texts, Writing

__all__ = ["NUMBERS", "Words"]

NUMBERS = 32
"""Among how many a planted number is ranked."""


@dataclass(frozen=True, slots=True)
class Words:
    """A result in a language."""

    result: Result
    texts: Texts
    write: Writing

    def filling(self, one: Candidate | None = None) -> dict[str, str]:
        """What stands for the names in braces; those about a candidate where one is given."""
        measured, write, texts = self.result.measured, self.write, self.texts
        inputs, costs = self.result.inputs, self.result.costs
        chosen = self.result.decision.chosen
        hours = costs.retraining_hours
        told = {
            "repository": measured.name,
            "files": write.number(measured.files),
            "commits": write.number(measured.commits),
            "secrets": write.number(measured.secrets),
            "licence": measured.licence,
            "margin": write.shares(MARGIN, 0),
            "level": f"{LEVEL:g}",
            "needed": str(NEEDED_SEEDS),
            "minutes": f"{self.result.minutes:g}",
            "total": write.time(costs.seconds),
            "users": write.number(inputs.users),
            "months": str(inputs.months),
            "hours": f"{inputs.hours:g}",
            "watts": f"{inputs.watts:g}",
            "machines": write.number(costs.machines),
            "numbers": str(NUMBERS),
            "retraining": texts.not_measured_value if hours is None else write.time(3_600 * hours),
            "own": self.amount(costs.own),
        }
        one = one or (chosen.candidate if chosen else None)
        return {**told, **(self.of(one) if one else {})}

    def of(self, one: Candidate) -> Mapping[str, str]:
        """What is told of a candidate."""
        write, texts = self.write, self.texts
        before = one.loss_before
        change = [value / before for value in (one.loss.value, one.loss.low, one.loss.high)]
        low, high = sorted(-end for end in change[1:])
        exact, similar = self._points(one.exact_match), self._points(one.similarity)
        return {
            "method": self.method(one.method),
            "rate": f"{one.learning_rate:g}",
            "seeds": str(one.seeds),
            "cases": write.number(one.cases),
            "loss_before": write.number(before, 3),
            "loss_after": write.number(before + one.loss.value, 3),
            "loss_by": write.shares(-change[0]),
            "loss_low": write.number(100 * low, 1),
            "loss_high": write.shares(high),
            "loss_change": write.shares(change[0], sign=True),
            "loss_change_low": write.signed(change[1]),
            "loss_change_high": write.shares(change[2], sign=True),
            "p": write.number(one.corrected, 3),
            "exact": exact[0],
            "exact_low": exact[1],
            "exact_high": exact[2],
            "similar": similar[0],
            "similar_low": similar[1],
            "similar_high": similar[2],
            "forgetting": self.forgetting(one),
            "insecure": self.insecure(one.insecure),
            "told": texts.told if one.told else texts.not_told,
            "planted": self.planted(one),
            "run_time": write.time(one.run_seconds),
        }

    def method(self, name: str) -> str:
        """A candidate's name."""
        return self.texts.methods[name][0] if name in self.texts.methods else name

    def forgetting(self, one: Candidate) -> str:
        """Its loss on code of other repositories."""
        missing = self.texts.not_measured_value
        return missing if one.forgetting is None else self.write.shares(one.forgetting, sign=True)

    def planted(self, one: Candidate) -> str:
        """How well a planted number is told."""
        missing = self.texts.not_measured_value
        return missing if one.exposure is None else self.write.number(one.exposure, 1) + self.write.bit

    def insecure(self, found: tuple[int, int] | None) -> str:
        """Findings of lines."""
        if found is None:
            return self.texts.not_measured_value
        issues, lines = map(self.write.number, found)
        return self.texts.insecure_value.format(issues=issues, lines=lines)

    def amount(self, found: Sum, share: float = 1.0) -> str:
        """An amount, or that there is no price."""
        if found.amount is None:
            return self.texts.no_price
        return self.write.money(found.amount * share, self.result.inputs.currency)

    def lacks(self, found: Sum) -> str:
        """Which prices an amount lacks; empty where it lacks none or is none."""
        if found.amount is None or not found.lacks:
            return ""
        return self.texts.lacks.format(
            names=self.write.items([self.texts.inputs[one] for one in found.lacks])
        )

    def _points(self, found: Difference | None) -> tuple[str, str, str]:
        if found is None:
            return (self.texts.not_measured_value,) * 3
        write = self.write
        return write.in_points(found.value), write.signed(found.low), write.in_points(found.high)
