"""What a comparison of methods is asked to do, written down in its folder so that it can go on where it was.

Knows nothing of how methods are trained.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tailora_adapters import foundation
from tailora_adapters.errors import MethodError, TailoraError
from tailora_adapters.methods import method_named, settings_of

__all__ = ["BASELINES", "Cell", "Comparison", "Prices", "Sizes", "cells_of"]

BASELINES = {
    "base": "base model, without snippets of other files",
    "base-context": "base model",
    "foundation": "foundation adapter",
}
"""Ways to answer that are not trained here; with the same prompts as the methods but for the first."""

_SETTINGS_FILE = ".work/comparison.json"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the data; the same for every method and every seed."""

    tokens: int = 3_072
    """Of training, for each run."""
    max_prompt: int = 160
    """Tokens."""
    validation: int = 12
    """Holes, to choose the learning rate by."""
    test: int = 24
    generic: int = 8
    canaries: int = 31
    """Random texts that the planted one is ranked among."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What the costs are reckoned from."""

    currency: str = "EUR"
    kwh: float = 0.30
    """Of a kilowatt hour."""
    hour: float = 0.0
    """Of an hour of the machine, electricity apart; 0: it is one's own."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that decides about the figures."""

    root: Path
    model: str
    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    baselines: tuple[str, ...] = tuple(BASELINES)
    seeds: tuple[int, ...] = (1, 2, 3)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The methods' own, by method."""
    rates: tuple[float, ...] = ()
    """The grid of learning rates for all methods; empty: each method's own."""
    sizes: Sizes = Sizes()
    prices: Prices = Prices()
    data_seed: int = 1
    """Of the split and of the holes."""
    latency_repeats: int = 5
    """0: how fast what was trained serves is not measured."""

    def __post_init__(self) -> None:
        """Raises ``MethodError`` for methods or settings that there are not, ``TailoraError`` for the rest."""
        for name in self.methods:
            settings_of(method_named(name), self.settings.get(name, {}))
        if unknown := sorted(set(self.settings) - set(self.methods)):
            raise MethodError(f"settings are given for '{unknown[0]}', which is not among the methods")
        if unknown := sorted(set(self.baselines) - set(BASELINES)):
            raise TailoraError(f"there is no baseline '{unknown[0]}'; there are: {', '.join(BASELINES)}")
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise TailoraError("give each seed once, and at least one")
        if min(self.prices.kwh, self.prices.hour) < 0:
            raise TailoraError("a price is 0 or more")
        if any(not 0 < rate < 1 for rate in self.rates):
            raise TailoraError("a learning rate lies between 0 and 1")

    def grid(self, method: str) -> tuple[float, ...]:
        """The learning rates to choose from."""
        return self.rates or method_named(method).rates

    @property
    def asked(self) -> tuple[str, ...]:
        """The baselines that there are for this model, in their order."""
        known = [name for name in BASELINES if name in self.baselines]
        return tuple(name for name in known if name != "foundation" or foundation.find(self.model))

    @property
    def identity(self) -> str:
        """Of all that decides about the figures: another comparison does not go on in the same folder."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {**asdict(self), "root": str(self.root)}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Comparison":
        """From what ``as_dict`` gave."""
        lists = ("methods", "tasks", "baselines", "seeds", "rates")
        return cls(
            **{
                **values,
                **{name: tuple(values[name]) for name in lists},
                "root": Path(values["root"]),
                "sizes": Sizes(**values["sizes"]),
                "prices": Prices(**values["prices"]),
            }
        )

    def write(self, folder: Path) -> int:
        """Notes in ``folder`` that it belongs to this comparison; how often one was begun there before.

        Raises:
            TailoraError: it belongs to another one.
        """
        path = folder / _SETTINGS_FILE
        begun = 0
        if path.exists():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))
                same, begun = before["identity"] == self.identity, int(before["begun"])
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise TailoraError(
                    f"{path} cannot be read ({error}): choose another --out, or delete it"
                ) from error
            if not same:
                raise TailoraError(
                    f"{folder} holds another comparison (other methods, sizes, seeds or repository): "
                    "choose another --out, or delete it"
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        document = {"identity": self.identity, "begun": begun + 1, "comparison": self.as_dict()}
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
        return begun

    @classmethod
    def read(cls, folder: Path) -> "Comparison":
        """What ``write`` noted."""
        return cls.of(json.loads((folder / _SETTINGS_FILE).read_text(encoding="utf-8"))["comparison"])


@dataclass(frozen=True, slots=True)
class Cell:
    """What one process does: one method, or all baselines, for one task."""

    task: str
    method: str | None
    """None: the baselines."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.task}, {self.method or 'baselines'}"


def cells_of(comparison: Comparison) -> Sequence[Cell]:
    """Baselines first: the methods are compared with them."""
    return [
        Cell(task, method)
        for task in comparison.tasks
        for method in ((None, *comparison.methods) if comparison.asked else comparison.methods)
    ]
