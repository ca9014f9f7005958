"""The foundation adapters that ship with Tailora: a small generic LoRA for a packaged base model, so that it
fills holes and stops. Serves where a project has no adapter of its own; project adapters start from it.

Finding one imports neither torch nor peft. ``build`` trains it.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

from tailora_adapters.manifest import Manifest

__all__ = ["FoundationAdapter", "find"]


@dataclass(frozen=True, slots=True)
class FoundationAdapter:
    """A shipped adapter."""

    path: Path
    sha256: str
    """Of the weights."""
    manifest: Manifest


@functools.cache
def find(model: str) -> FoundationAdapter | None:
    """The foundation adapter of a base model, or None where none ships.

    Raises:
        AdapterCorrupt: the installation is damaged.
    """
    folder = Path(__file__).parent / model
    if not (folder / "manifest.json").is_file():
        return None
    manifest = Manifest.read(folder / "manifest.json")
    return FoundationAdapter(folder, manifest.weights_sha256, manifest)
