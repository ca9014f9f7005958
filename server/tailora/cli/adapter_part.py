"""Which of a repository's adapters a command is about: the one for completion, or for another purpose."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tailora.cli.project import project_store
from tailora_adapters.errors import VersionUnknown
from tailora_adapters.purposes import PurposeName, option
from tailora_adapters.store import ProjectStore

__all__ = ["Part", "PurposeOption", "RepairOption", "chosen_purpose", "project_part"]

PurposeOption = Annotated[
    PurposeName,
    typer.Option("--for", help="What the adapter is for: each purpose has versions of its own."),
]
RepairOption = Annotated[bool, typer.Option("--repair", help="The same as --for repair.")]


def chosen_purpose(purpose: PurposeName, repair: bool) -> PurposeName:
    """What the two options say together.

    Raises:
        BadParameter: two different things.
    """
    if repair and purpose not in ("completion", "repair"):
        raise typer.BadParameter(f"either --repair or --for {purpose}")
    return "repair" if repair else purpose


@dataclass(frozen=True, slots=True)
class Part:
    """The adapters of a project for one purpose."""

    project: ProjectStore
    """What all purposes have in common: whether they are disabled, and what is not to be learned."""
    purpose: PurposeName = "completion"

    @property
    def other(self) -> bool:
        """Whether it is for something else than completion."""
        return self.purpose != "completion"

    @property
    def store(self) -> ProjectStore:
        """Its versions."""
        return self.project.part(self.purpose)

    def name(self, version: str) -> str:
        """A version as messages call it."""
        return f"{self.purpose} version {version}" if self.other else f"version {version}"


def project_part(path: Path, purpose: PurposeName, repair: bool, *, learned: bool = False) -> Part:
    """The adapters for a purpose of the project that ``path`` is in.

    Raises:
        VersionUnknown: nothing was learned for another purpose than completion, though it has to be (``learned``).
    """
    part = Part(project_store(path), chosen_purpose(purpose, repair))
    if part.other and learned and not part.store.versions():
        maker = f"`tailora train {option(part.purpose)}` makes one"
        raise VersionUnknown(f"{part.store.root.name} has no {part.purpose} version yet: {maker}")
    return part
