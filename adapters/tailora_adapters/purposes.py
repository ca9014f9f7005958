"""What a project's adapters are for: names and words. Knows nothing of how they are trained or stored.

The adapter for completion lies in the project's own folder of the store; each other purpose has a part of it, with
versions of its own.
"""

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["PARTS", "PURPOSES", "Part", "PurposeName", "option"]

PurposeName = Literal["completion", "repair", "docstring", "generation"]

PURPOSES: tuple[PurposeName, ...] = get_args(PurposeName)


@dataclass(frozen=True, slots=True)
class Part:
    """A purpose beside completion."""

    name: PurposeName
    """In requests to the engine, on the command line, and as the folder of its versions."""
    used: str
    """What is done with it, for messages: "repairs are made"."""
    otherwise: Literal["serving", "none"] = "serving"
    """What answers where a project has none: what serves its completion, or the bare base model."""


PARTS: dict[PurposeName, Part] = {
    part.name: part
    for part in (
        Part("repair", "repairs are made"),
        # The foundation adapter, from which all others go on, was made to stop early: it leaves parameters out, and the
        # bare model writes docstrings that are nearer to the authors' (docs/docstrings.md).
        Part("docstring", "docstrings are written", otherwise="none"),
        Part("generation", "functions are written"),
    )
}
"""By name."""


def option(name: PurposeName) -> str:
    """What names a purpose on the command line; empty for completion."""
    if name == "completion":
        return ""
    return "--repair" if name == "repair" else f"--for {name}"
