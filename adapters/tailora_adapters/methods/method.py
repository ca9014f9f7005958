"""What a PEFT method is to Tailora: a name, its settings, and how peft makes one of a base model.

Importing it, or a method, imports neither torch nor peft: the command line names methods and their settings.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tailora_adapters.base.catalogue import Shape
from tailora_adapters.errors import MethodError

if TYPE_CHECKING:
    from peft import PeftConfig

__all__ = [
    "ALL_LINEAR",
    "MOST_RANK",
    "Method",
    "Parameter",
    "Settings",
    "check_rank",
    "parameter",
    "parameters_of",
    "settings_of",
    "targets",
]

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

MOST_RANK = 128
"""Bounds hold for whoever sets them, a repository of someone else's too: no value may fill the memory."""

Settings = Any
"""One of the methods' dataclasses of numbers, texts, truth values and tuples of texts."""

Configure = Callable[[Settings, Shape, Sequence[int]], "PeftConfig"]
"""Gets the method's settings, the model's shape and the numbers of the layers that are trained."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method. ``floor`` says what becomes of the foundation adapter: it is ``continued``, as the start of training,
    or ``merged`` into the base model, and the method's own adapter begins above it."""

    name: str
    title: str
    source: str
    """The paper."""
    defaults: Settings
    parts: tuple[Configure, ...]
    """One; a hybrid has several, put on in this order."""
    learning_rate: float
    """For small data, and AdamW."""
    rates: tuple[float, ...]
    """To choose from, where there is time to choose."""
    floor: Literal["continued", "merged"] = "merged"
    whole: bool = False
    """All layers take part, because its tokens stand ahead of everything."""
    linear: bool = True
    """Whether what lies between the start and what was trained makes sense, too."""
    quantization: str | None = None
    """Of the base model in training; None: what suits the device."""
    quantized: bool = True
    """Whether a quantized base allows it; where it does not, the base is dense on GPUs, too, while it is trained."""
    served: bool = True
    resumes: bool = True
    """Whether training can go on from what was saved: not where a network was left out that computed it."""

    def configure(self, settings: Settings, shape: Shape, layers: Sequence[int]) -> "list[PeftConfig]":
        """What peft makes the adapter of, part by part.

        Raises:
            MethodError: the settings do not fit the model; says which.
        """
        return [part(settings, shape, layers) for part in self.parts]


def parameter(
    default: Any, *, low: float = 0, high: float = 0, choices: tuple[str, ...] = (), length: int = 0
) -> Any:
    """A field of a method's settings: numbers have bounds, texts ``choices`` or a ``length``, tuples ``choices``."""
    return dataclasses.field(
        default=default, metadata={"low": low, "high": high, "choices": choices, "length": length}
    )


@dataclass(frozen=True, slots=True)
class Parameter:
    """What one setting of a method may be."""

    name: str
    default: Any
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    length: int = 0
    """Most characters of a text without ``choices``."""

    @property
    def expected(self) -> str:
        """In words, with the bounds."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, tuple):
            return "a list with any of " + ", ".join(self.choices)
        if isinstance(self.default, str):
            if self.choices:
                return "one of " + ", ".join(self.choices)
            return f"a text of at most {self.length} characters"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def read(self, value: Any) -> Any:
        """``value`` in the default's type; texts are read as numbers or lists where these are wanted.

        Raises:
            ValueError: it is none that is ``expected``.
        """
        try:
            found = _like(self.default, value)
        except (TypeError, LookupError, OverflowError) as error:
            raise ValueError(str(error)) from error
        if isinstance(found, bool):
            return found
        if isinstance(found, tuple):
            fits = bool(found) and set(found) <= set(self.choices)
        elif isinstance(found, str):
            fits = found in self.choices if self.choices else len(found) <= self.length
        else:
            fits = self.low <= found <= self.high
        if not fits:
            raise ValueError(value)
        return found


def parameters_of(method: Method) -> dict[str, Parameter]:
    """All that can be chosen of a method, by name: its settings, and the learning rate."""
    rate = Parameter("learning_rate", method.learning_rate, low=1e-8, high=1.0)
    fields = dataclasses.fields(method.defaults)
    return {
        rate.name: rate,
        **{
            field.name: Parameter(field.name, getattr(method.defaults, field.name), **field.metadata)
            for field in fields
        },
    }


def settings_of(method: Method, given: Mapping[str, Any]) -> Settings:
    """The method's defaults with what was ``given`` by name.

    Raises:
        MethodError: an unknown name, or a value of the wrong kind or out of bounds; says what there is.
    """
    known = parameters_of(method)
    del known["learning_rate"]
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise MethodError(f"{method.name} has no setting '{name}'; it has: {', '.join(known) or 'none'}")
        try:
            values[name] = known[name].read(value)
        except ValueError as error:
            expected = known[name].expected
            raise MethodError(f"{method.name}.{name} must be {expected}, not {value!r}") from error
    return dataclasses.replace(method.defaults, **values)


def _like(default: Any, value: Any) -> Any:
    """``value`` of the kind that ``default`` is."""
    if isinstance(default, bool):
        return {"true": True, "false": False}[str(value).lower()]
    if isinstance(default, tuple):
        parts = value.split(",") if isinstance(value, str) else list(value)
        return tuple(dict.fromkeys(str(part).strip() for part in parts))
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError(value)
        return value
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise ValueError(value)
    if isinstance(default, float):
        return float(value)
    if int(value) != float(value):
        raise ValueError(value)
    return int(value)


def targets(names: Sequence[str], shape: Shape) -> list[str]:
    """Names of projections, as peft wants them.

    Raises:
        MethodError: the model has no such projection.
    """
    known = {name.partition(".")[2] for name in shape.projections}
    if unknown := [name for name in names if name not in known]:
        raise MethodError(f"the model has no projection '{unknown[0]}'; it has: {', '.join(sorted(known))}")
    if not names:
        raise MethodError("target_modules is empty: name at least one projection")
    return list(names)


def check_rank(rank: int, names: Sequence[str], shape: Shape) -> None:
    """Raises ``MethodError`` where ``rank`` is none that a matrix of the named projections can have."""
    least = min(min(size) for name, size in shape.projections.items() if name.partition(".")[2] in names)
    if not 1 <= rank <= least:
        raise MethodError(
            f"the rank is {rank}; 1 to {least} are possible for these projections of this model"
        )
