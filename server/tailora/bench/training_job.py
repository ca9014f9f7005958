"""What both sides of ``time_to_loss`` are given, and what each gives back; as JSON between processes.

Knows nothing of how either side trains. Imports no model library: a side's memory is its own.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tailora_adapters.corpus.examples import FimExample
from tailora_adapters.corpus.sequences import TokenSequence

__all__ = ["SIDES", "Job", "Measurement", "Trained"]

SIDES = ("ours", "plain")

_NOWHERE = FimExample("", "", "", "", "", "", 0)
"""Tokens are all that is trained on and measured."""


@dataclass(frozen=True, slots=True)
class Job:
    """The same for both sides, but for ``learning_rate``, ``max_seconds`` and ``measurements``."""

    model: str
    train: dict[str, Any]
    """``TrainSettings``. The plain way takes the shape of the schedule, and no more, from it."""
    lora: dict[str, Any]
    """``LoraSettings`` of a new LoRA, where no foundation adapter ships."""
    lower_share: float
    """Ours alone: share of the layers, from below, that are not trained."""
    learning_rate: float
    measurements: int
    """Of the held-out loss along the run, beside the one before it."""
    seed: int
    training: tuple[TokenSequence, ...]
    held_out: tuple[TokenSequence, ...]

    def write(self, path: Path) -> None:
        """As JSON; of the sequences only the tokens."""
        value = {name: getattr(self, name) for name in self.__slots__}
        for name in ("training", "held_out"):
            value[name] = [(one.ids, one.start, one.tail, one.code) for one in value[name]]
        path.write_text(json.dumps(value), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Job":
        """What ``write`` wrote."""
        value = json.loads(path.read_text(encoding="utf-8"))
        for name in ("training", "held_out"):
            value[name] = tuple(
                TokenSequence(tuple(ids), start, tail, _NOWHERE, tuple(code))
                for ids, start, tail, code in value[name]
            )
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Measurement:
    """Held-out loss at one place of a run."""

    step: int
    seconds: float
    """Of training until then."""
    loss: float
    """Of the middles without their end tokens, nats a token."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One side's run."""

    measurements: tuple[Measurement, ...]
    """The first one before the first step."""
    steps: int
    seconds: float
    tokens: int
    """Positions trained on, padding not counted."""
    labels: int
    """Tokens that carried loss."""
    loading_s: float
    """From the start of the process until it could train."""
    peak_rss_mb: float
    """When training ended, before anything along the run was measured."""
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Trained":
        """What ``as_dict`` gave."""
        measurements = tuple(Measurement(**one) for one in value["measurements"])
        return cls(**value | {"measurements": measurements})
