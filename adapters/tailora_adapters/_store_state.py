"""``state.json`` of a project: what serves, what served before, and how it is changed.

Private to ``store``; knows nothing of adapters' files. Invariant: a change reads, modifies and writes under a
short lock between processes, the file is replaced atomically, and its modification time differs afterwards.
"""

import contextlib
import dataclasses
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock, Timeout

from tailora_adapters import paths
from tailora_adapters._store_files import Stamp, file_stamp, writing
from tailora_adapters.errors import StoreError, StoreUnwritable

__all__ = ["State", "StateFile", "Status"]

_log = logging.getLogger(__name__)

Status = Literal["candidate", "serving", "retired", "rejected", "corrupt"]

_HISTORY = 50
_LOCK_SECONDS = 10.0


@dataclass(slots=True)
class State:
    """``state.json``: what serves and what served before it (oldest first)."""

    next: int = 1
    serving: str | None = None
    history: list[str] = field(default_factory=list)
    statuses: dict[str, Status] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, str] = field(default_factory=dict)
    """Why a version was rolled back by itself; such a version is never stepped back to."""
    disabled: bool = False
    paused: bool = False
    retrain: str | None = None
    """Why the next training has to begin from the foundation again, or None."""
    retrain_tried: bool = False
    """Whether such a training has had its say since, in vain."""

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps({"schema": 1} | dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "State":
        """Reads the file's text; unknown fields are ignored.

        Raises:
            ValueError, TypeError, AttributeError: damaged.
        """
        value: dict[str, Any] = json.loads(text)
        serving = value.get("serving")
        return cls(
            next=int(value["next"]) if "next" in value else 1,
            serving=None if serving is None else str(serving),
            history=[str(version) for version in value.get("history", [])],
            statuses={
                str(key): status
                for key, status in value.get("statuses", {}).items()
                if status in get_args(Status)
            },
            problems={str(key): str(problem) for key, problem in value.get("problems", {}).items()},
            withdrawn={str(key): str(reason) for key, reason in value.get("withdrawn", {}).items()},
            disabled=bool(value.get("disabled", False)),
            paused=bool(value.get("paused", False)),
            retrain=None if value.get("retrain") is None else str(value["retrain"]),
            retrain_tried=bool(value.get("retrain_tried", False)),
        )

    def mark(self, version: str, status: Status, *, keep_serving: bool = False) -> None:
        """Sets a version's status and takes it out of what served before."""
        self.statuses[version] = status
        self.history = [other for other in self.history if other != version]
        if status != "corrupt":
            self.problems.pop(version, None)
        if self.serving == version and not keep_serving:
            self.serving = None

    def switch(self, version: str) -> None:
        """Serves ``version``; what served until now is retired."""
        previous = self.serving
        self.mark(version, "serving", keep_serving=True)
        if previous is not None and previous != version:
            self.statuses[previous] = "retired"
            self.history = [*(other for other in self.history if other != previous), previous][-_HISTORY:]
        self.serving = version

    def step_back(self, problem_of_version: Callable[[str], str | None]) -> None:
        """Serves the newest sound version that served before; None if there is none."""
        if self.serving is not None and self.statuses.get(self.serving) != "corrupt":
            self.statuses[self.serving] = "retired"
        self.serving = None
        while self.history:
            version = self.history.pop()
            if version in self.withdrawn:
                continue
            problem = self.problems.get(version) or problem_of_version(version)
            if problem is None:
                self.serving = version
                self.statuses[version] = "serving"
                return
            self.statuses[version] = "corrupt"
            self.problems[version] = problem

    def forget(self, version: str, problem_of_version: Callable[[str], str | None]) -> None:
        """Removes every trace of a version; where it serves, what served before takes over."""
        self.history = [other for other in self.history if other != version]
        if self.serving == version:
            self.step_back(problem_of_version)
        self.statuses.pop(version, None)
        self.problems.pop(version, None)
        self.withdrawn.pop(version, None)

    def clear(self) -> None:
        """Forgets all versions; the next number, and what the user switched off, stay."""
        self.serving = None
        self.history = []
        self.statuses = {}
        self.problems = {}
        self.withdrawn = {}
        self.retrain = None


class StateFile:
    """Reads and changes the state of the project whose folder in the store is ``directory``.

    ``claim`` is called before anything is written, and makes that folder; ``refusal`` says why the project must
    not be used at all, which every method raises as ``StoreError``.
    """

    def __init__(
        self, root: Path, directory: Path, claim: Callable[[], None], refusal: str | None = None
    ) -> None:
        self.root = root
        self.directory = directory
        self._claim = claim
        self.refusal = refusal
        self.path = directory / "state.json"

    def existing(self) -> list[str]:
        """The versions that have a folder, in numeric order."""
        self.admit()
        try:
            names = [path.name for path in (self.directory / "versions").iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted((name for name in names if re.fullmatch(r"[1-9][0-9]*", name)), key=int)

    def ensure(self) -> None:
        """Creates the project's folder and ``project.json`` if need be.

        Raises:
            OSError: they cannot be written.
            StoreError: the project is not to be used.
        """
        self.admit()
        self._claim()

    def read(self) -> State:
        """The present state; where it cannot be read, a new project's, so that the foundation serves."""
        self.admit()
        try:
            return self._read()
        except OSError as error:
            _log.warning("%s cannot be read, the foundation adapter serves: %s", self.path, error)
            return State()

    @contextlib.contextmanager
    def changing(self) -> Iterator[State]:
        """Gives the state to change, and writes it at the end; nothing is written if the body raises.

        Raises:
            StoreUnwritable: disk full, read-only, or another process held the lock for too long.
        """
        with writing(self.directory):
            self.ensure()
            lock = FileLock(self.directory / ".state.lock", timeout=_LOCK_SECONDS)
            try:
                lock.acquire()
            except Timeout:
                raise StoreUnwritable(f"another process keeps {self.path} locked: try again") from None
            try:
                before = file_stamp(self.path)
                state = self._read()
                state.next = max([state.next, *(int(version) + 1 for version in self.existing())])
                text = state.to_json()
                yield state
                if state.to_json() != text or before is None:
                    self._write(state, before)
            finally:
                lock.release()

    def admit(self) -> None:
        """Raises ``StoreError`` where the project must not be used."""
        if self.refusal is not None:
            raise StoreError(self.refusal)

    def _read(self) -> State:
        try:
            return State.from_json(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return State()
        except (ValueError, TypeError, AttributeError) as error:
            _log.warning("%s is damaged, the foundation adapter serves: %s", self.path, error)
            return State()

    def _write(self, state: State, before: Stamp | None) -> None:
        paths.write_atomic(self.path, state.to_json().encode())
        after = file_stamp(self.path)
        if before and after and after[0] <= before[0]:  # file systems' clocks tick every few milliseconds
            os.utime(self.path, ns=(after[0], before[0] + 1))
