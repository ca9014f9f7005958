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

__all__ = ["ALL_LINEAR", "Method", "Settings", "check_rank", "settings_of", "targets"]

ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

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
    """Whether a quantized base allows it."""
    served: bool = True
    resumes: bool = True
    """Whether training can go on from what was saved: not where a network was left out that computed it."""

    def configure(self, settings: Settings, shape: Shape, layers: Sequence[int]) -> "list[PeftConfig]":
        """What peft makes the adapter of, part by part.

        Raises:
            MethodError: the settings do not fit the model; says which.
        """
        return [part(settings, shape, layers) for part in self.parts]


def settings_of(method: Method, given: Mapping[str, Any]) -> Settings:
    """The method's defaults with what was ``given`` by name; texts are read as numbers or lists where these are wanted.

    Raises:
        MethodError: an unknown name, or a value of the wrong kind; says what there is.
    """
    fields = {
        field.name: getattr(method.defaults, field.name) for field in dataclasses.fields(method.defaults)
    }
    if unknown := sorted(set(given) - set(fields)):
        known = ", ".join(fields) or "none"
        raise MethodError(f"{method.name} has no setting '{unknown[0]}'; it has: {known}")
    return dataclasses.replace(
        method.defaults,
        **{name: _like(fields[name], value, f"{method.name}.{name}") for name, value in given.items()},
    )


def _like(default: Any, value: Any, name: str) -> Any:
    """``value`` of the kind that ``default`` is."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[str(value).lower()]
        if isinstance(default, tuple):
            parts = value.split(",") if isinstance(value, str) else list(value)
            return tuple(str(part).strip() for part in parts)
        if isinstance(default, int):
            if isinstance(value, bool) or int(value) != float(value):
                raise ValueError
            return int(value)
        if isinstance(default, float):
            if isinstance(value, bool) or not math.isfinite(float(value)):
                raise ValueError
            return float(value)
        if not isinstance(value, str):
            raise ValueError
        return value
    except (ValueError, TypeError, LookupError) as error:
        kind = {bool: "true or false", int: "a whole number", float: "a number", tuple: "a list of names"}
        wanted = kind.get(type(default), "text")
        raise MethodError(f"{name} must be {wanted}, not {value!r}") from error


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
