"""What became of suggestions in this repository so far. Reads the store; knows nothing of how it is shown."""

from dataclasses import dataclass
from pathlib import Path

from tailora_adapters.errors import StoreError
from tailora_adapters.store import Store

__all__ = ["Usage", "Used", "usage"]

FOUNDATION = "foundation"
_NONE = "none"


@dataclass(frozen=True, slots=True)
class Used:
    """Suggestions of one kind."""

    shown: int
    accepted: int
    characters: int
    """That were accepted."""

    @property
    def per_suggestion(self) -> float:
        """Accepted characters for each suggestion that was shown."""
        return self.characters / self.shown


@dataclass(frozen=True, slots=True)
class Usage:
    """None where no suggestion was counted."""

    before: Used | None
    """Of the foundation adapter or the bare model."""
    learned: Used | None
    """Of the repository's own adapters."""
    training_seconds: float | None
    """Mean of the training runs of this repository that were kept; None without any."""


def usage(root: Path) -> Usage:
    """Of the repository at ``root``; empty where nothing can be read."""
    try:
        store = Store()
        if not store.knows(root):
            return Usage(None, None, None)
        project = store.project(root)
        counted = project.outcomes.characters()
        seconds = [one.manifest.cost.seconds for one in project.versions() if one.manifest]
    except (StoreError, OSError):
        return Usage(None, None, None)
    sides: dict[bool, list[Used]] = {True: [], False: []}
    for version, figures in counted.items():
        sides[version not in (FOUNDATION, _NONE)].append(Used(*figures))
    return Usage(
        _together(sides[False]),
        _together(sides[True]),
        sum(seconds) / len(seconds) if seconds else None,
    )


def _together(parts: list[Used]) -> Used | None:
    shown = sum(one.shown for one in parts)
    if not shown:
        return None
    return Used(shown, sum(one.accepted for one in parts), sum(one.characters for one in parts))
