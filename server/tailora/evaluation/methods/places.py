"""Where a comparison keeps what: results for people, and beside them what lets it go on where it was.

Invariant: a file that is there is complete. Knows nothing of what is in the documents.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Places", "read_json", "write_json"]

_STATE = "state.json"
_WORK = ".work"


@dataclass(frozen=True, slots=True)
class Places:
    """One comparison's folder."""

    folder: Path
    command: tuple[str, ...] = ()
    """That makes the same again."""
    begun: int = 0
    """How often it was begun before."""

    def note(self) -> None:
        """For the processes that do the work."""
        write_json(self.folder / _WORK / _STATE, {"command": list(self.command), "begun": self.begun})

    @classmethod
    def open(cls, folder: Path) -> "Places":
        """As ``note`` left it."""
        state = read_json(folder / _WORK / _STATE) or {"command": [], "begun": 0}
        return cls(folder, tuple(state["command"]), state["begun"])

    def result(self, task: str, method: str, seed: int) -> Path:
        """A run's document."""
        return self.folder / f"{task}-{method}-seed-{seed}.json"

    def attempt(self, task: str, method: str, rate: float) -> Path:
        """What came of one learning rate."""
        return self._work(task, method) / f"rate-{rate:g}.json"

    def unfinished(self, task: str, method: str, seed: int) -> Path:
        """A run's document before all is known."""
        return self._work(task, method) / f"seed-{seed}.json"

    def adapter(self, task: str, method: str, *, keep: bool) -> Path:
        """Of the best run with the first seed; or of any other, overwritten by the next."""
        return self._work(task, method) / ("adapter" if keep else "other-adapter")

    def clean(self, task: str, method: str) -> None:
        """What is no longer needed once the results are there."""
        shutil.rmtree(self._work(task, method), ignore_errors=True)

    def _work(self, task: str, method: str) -> Path:
        return self.folder / _WORK / task / method


def read_json(path: Path) -> Any:
    """The document; None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """At once, or not at all.

    Raises:
        ValueError: a number is not finite.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(
        json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    temporary.replace(path)
