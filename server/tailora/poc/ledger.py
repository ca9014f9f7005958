"""How long each step of a proof of concept took, and of what repository, beside its runs: so that it can go on.

Knows nothing of what a step does. Invariant: a folder's times are of one repository, model and version of its files.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tailora.evaluation.methods.places import write_json
from tailora_adapters.errors import TailoraError

__all__ = ["FILE", "Ledger"]

FILE = "poc.json"
_FORMAT = 1
_EVERY_S = 5.0


@dataclass(slots=True)
class Ledger:
    """The times, in seconds."""

    folder: Path
    identity: dict[str, str]
    done: dict[str, float] = field(default_factory=dict)
    """Of finished steps, with what they took before they were interrupted."""
    begun: dict[str, float] = field(default_factory=dict)
    """Of steps that were interrupted."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, of finished steps that came to nothing."""
    _written: float = 0.0

    @classmethod
    def open(cls, folder: Path, identity: dict[str, str]) -> "Ledger":
        """What is in ``folder``, or a new one.

        Raises:
            TailoraError: it is of another repository, model or state of the files, of an older version, or damaged.
        """
        path = folder / FILE
        if not path.exists():
            return cls(folder, identity)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            version, before = found["format"], found["identity"]
            done, begun = (
                {str(name): float(seconds) for name, seconds in found[part].items()}
                for part in ("done", "begun")
            )
            failed = {str(name): str(why) for name, why in found["failed"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise TailoraError(
                f"{path} cannot be read ({error}): give another folder with --work, or delete it"
            ) from error
        if version != _FORMAT:
            raise TailoraError(
                f"{path} is of another version of Tailora, whose figures cannot be compared with these: "
                "give another folder with --work"
            )
        if before != identity:
            changed = sorted(name for name in identity if before.get(name) != identity[name])
            raise TailoraError(
                f"{folder} holds a proof of concept with another {' and '.join(changed) or 'identity'}: "
                "give another folder with --work"
            )
        return cls(folder, identity, done, begun, failed)

    @contextmanager
    def timing(self, step: str) -> Iterator["_Watch"]:
        """Counts the time of a step while the block runs; it is done if the block ends by itself."""
        watch = _Watch(self, step, self.begun.get(step, 0.0), time.monotonic())
        try:
            yield watch
        except BaseException:
            self.begun[step] = watch.seconds
            self.write()
            raise
        self.done[step] = watch.seconds
        self.begun.pop(step, None)
        self.write()

    def fail(self, step: str, why: str) -> None:
        """A step that is done came to nothing."""
        self.failed[step] = why
        self.write()

    def retry(self) -> None:
        """Steps that came to nothing are to be done again; what they took stays counted."""
        for step in self.failed:
            self.begun[step] = self.done.pop(step, 0.0)
        self.failed.clear()
        self.write()

    def spent(self) -> float:
        """Seconds so far."""
        return sum(self.done.values()) + sum(self.begun.values())

    def write(self) -> None:
        """At once, or not at all."""
        self._written = time.monotonic()
        write_json(
            self.folder / FILE,
            {
                "format": _FORMAT,
                "identity": self.identity,
                "done": self.done,
                "begun": self.begun,
                "failed": self.failed,
            },
        )

    def note(self, step: str, seconds: float) -> None:
        """What a step took so far, written now and then, so that a kill loses little of it."""
        self.begun[step] = seconds
        if time.monotonic() - self._written > _EVERY_S:
            self.write()


@dataclass(slots=True)
class _Watch:
    ledger: Ledger
    step: str
    before: float
    began: float

    @property
    def seconds(self) -> float:
        """Of the step, in all."""
        return self.before + time.monotonic() - self.began

    def tick(self) -> None:
        """The step is still at it."""
        self.ledger.note(self.step, self.seconds)
