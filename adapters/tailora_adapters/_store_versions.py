"""One version of a project's adapter, from its folder and the project's state.

Private to ``store``; knows nothing of which version serves or of what is done with it.
"""

from dataclasses import dataclass
from pathlib import Path

from tailora_adapters._store_files import inspect
from tailora_adapters._store_state import State, Status
from tailora_adapters.manifest import Manifest

__all__ = ["IMPORTED", "AdapterVersion", "load"]

IMPORTED = "imported"
"""Key in the settings of a version's manifest: where an imported adapter came from."""


@dataclass(frozen=True, slots=True)
class AdapterVersion:
    """One version of a project's adapter."""

    version: str
    path: Path
    """Folder with the adapter in the standard PEFT format."""
    sha256: str
    """Of the weights, from the manifest; empty where that cannot be read."""
    manifest: Manifest | None
    """None only where it cannot be read (``status`` is ``corrupt`` then)."""
    status: Status
    problem: str | None = None
    """Why it is corrupt."""
    withdrawn: str | None = None
    """Why it was rolled back by itself."""


def load(path: Path, state: State) -> AdapterVersion:
    """The version in the folder ``path``, which is named by its number; never raises for a damaged one."""
    version = path.name
    manifest, problem = inspect(path)
    gate = manifest.gate if manifest else None
    status = state.statuses.get(version, "rejected" if gate and gate.decision == "rejected" else "candidate")
    if manifest and status == "rejected":
        problem = None  # its weights may have been dropped
    problem = state.problems.get(version, problem)
    if problem is not None:
        status = "corrupt"
    return AdapterVersion(
        version,
        path,
        manifest.weights_sha256 if manifest else "",
        manifest,
        status,
        problem,
        state.withdrawn.get(version),
    )
