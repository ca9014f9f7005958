"""Which of a repository's two adapters a command is about: the one for completion, or the one for repair."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tailora.cli.project import project_store
from tailora_adapters.errors import VersionUnknown
from tailora_adapters.store import ProjectStore

__all__ = ["Part", "RepairOption", "project_part"]

RepairOption = Annotated[
    bool,
    typer.Option(
        "--repair", help="The adapter for repair (`tailora train --repair`), not that for completion."
    ),
]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the two adapters of a project."""

    project: ProjectStore
    """What both have in common: whether they are disabled, and what is not to be learned."""
    repair: bool = False

    @property
    def store(self) -> ProjectStore:
        """Its versions."""
        return self.project.repair if self.repair else self.project

    def name(self, version: str) -> str:
        """A version as messages call it."""
        return f"repair version {version}" if self.repair else f"version {version}"


def project_part(path: Path, repair: bool, *, learned: bool = False) -> Part:
    """The adapter for completion, or for repair, of the project that ``path`` is in.

    Raises:
        VersionUnknown: nothing was learned for repair, though it has to be (``learned``).
    """
    part = Part(project_store(path), repair)
    if repair and learned and not part.store.versions():
        raise VersionUnknown(
            f"{part.store.root.name} has no repair version yet: `tailora train --repair` makes one"
        )
    return part
