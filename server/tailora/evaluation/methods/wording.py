"""How figures of a comparison are written: units, signs, intervals, names. Knows nothing of pages or reports' files.

A number is never parted from its unit or sign at the end of a line.
"""

import math

from tailora.evaluation.intervals import Difference, Mean
from tailora.evaluation.methods.aggregate import Group

__all__ = [
    "compact", "count", "difference", "interval", "is_share", "megabytes", "metric_name", "money", "p_value",
    "seconds", "share", "signed", "task_name", "value",
]  # fmt: skip

_TASKS = {
    "completion": "Completion",
    "repair": "Repair",
    "docstring": "Docstrings",
    "clones": "Clones",
    "generation": "Generation",
}
_METRICS = {"chrf": "chrF", "bleu4": "BLEU-4", "f1": "F1"}
_NATS = ("loss", "perplexity", "bits", "seconds", "time")


def task_name(task: str) -> str:
    """Of a task, as a heading."""
    return _TASKS.get(task, task)


def metric_name(name: str) -> str:
    """Of a metric."""
    return _METRICS.get(name, name.replace("_", " "))


def is_share(group: Group, name: str) -> bool:
    """Whether a metric is a share from 0 to 1, which is written in percent."""
    values = [row.metrics[name].value for row in group.rows if name in row.metrics]
    return not any(part in name for part in _NATS) and all(0 <= one <= 1 for one in values)


def value(number: float, in_percent: bool) -> str:
    """A metric."""
    return f"{100 * number:.1f}\u00a0%" if in_percent else f"{number:.3f}"


def interval(mean: Mean, in_percent: bool) -> str:
    """The 95 % interval of a mean; empty where there is none."""
    if mean.low is None or mean.high is None:
        return ""
    factor, digits = (100, 1) if in_percent else (1, 3)
    return (
        f"{_signed_zero(factor * mean.low, digits)}\u00a0to\u00a0{_signed_zero(factor * mean.high, digits)}"
    )


def difference(found: Difference, in_percent: bool) -> tuple[str, str]:
    """A difference and its interval, both with signs; points where the metric is in percent."""
    factor, digits = (100, 1) if in_percent else (1, 3)
    numbers = [_signed(factor * one, digits) for one in (found.value, found.low, found.high)]
    return numbers[0], f"{numbers[1]}\u00a0to\u00a0{numbers[2]}"


def p_value(number: float) -> str:
    """A probability."""
    if number < 0.001:
        return "p\u00a0<\u00a00.001"
    return f"p\u00a0=\u00a0{number:.{3 if number < 0.1 else 2}f}"


def count(number: float) -> str:
    """A whole number."""
    return f"{number:,.0f}"


def compact(number: float) -> str:
    """A number as a label of an axis: 20k, 1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * (1 - 1e-9):
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def signed(number: float) -> str:
    """A number as a label of an axis of differences: +2, 0, -1."""
    return f"{number:+g}".replace("-", "\u2212") if number else "0"


def megabytes(number: float) -> str:
    """Bytes: kB, MB or GB, each a thousand of the smaller."""
    if number >= 1e9:
        return f"{number / 1e9:.2f}\u00a0GB"
    if number >= 1e6:
        return f"{number / 1e6:.1f}\u00a0MB"
    return f"{number / 1e3:.1f}\u00a0kB" if number else "0"


def seconds(number: float) -> str:
    """A time: s, from ten minutes on min."""
    if number >= 600:
        return f"{number / 60:,.0f}\u00a0min"
    return f"{number:.0f}\u00a0s" if number >= 10 else f"{number:.1f}\u00a0s"


def share(number: float, signed: bool = False) -> str:
    """A share in percent, with three digits that say something."""
    percent = 100 * number
    digits = 1 if abs(percent) >= 1 or not percent else min(4, 1 - math.floor(math.log10(abs(percent))))
    return f"{_signed(percent, digits) if signed else f'{percent:.{digits}f}'}\u00a0%"


def money(number: float, currency: str) -> str:
    """An amount, with at least two digits that say something."""
    digits = 2 if number >= 0.1 or not number else min(8, 1 - math.floor(math.log10(number)))
    return f"{number:,.{digits}f}\u00a0{currency}"


def _signed(number: float, digits: int) -> str:
    text = f"{number:+.{digits}f}".replace("-", "\u2212")
    return text.replace("+", "").replace("\u2212", "") if not round(number, digits) else text


def _signed_zero(number: float, digits: int) -> str:
    """A number whose minus is one, and which is no -0."""
    return f"{round(number, digits) + 0.0:.{digits}f}".replace("-", "\u2212")
