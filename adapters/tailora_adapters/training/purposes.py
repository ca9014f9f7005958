"""Every purpose that there is, by name: what a run is given to train for it. Knows nothing of models."""

from pathlib import Path

from tailora_adapters.docstrings.purpose import DOCSTRING
from tailora_adapters.generation.purpose import GENERATION
from tailora_adapters.purposes import PurposeName
from tailora_adapters.repair.purpose import repair_purpose
from tailora_adapters.training.purpose import COMPLETION, Purpose

__all__ = ["purpose_named"]


def purpose_named(name: PurposeName, root: Path) -> Purpose:
    """The purpose of that name, for the repository at ``root``."""
    known = {purpose.name: purpose for purpose in (COMPLETION, DOCSTRING, GENERATION)}
    return repair_purpose(root) if name == "repair" else known[name]
