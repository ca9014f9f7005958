"""Versioned adapters on disk: a folder for every project, a folder for every version, one state file.

Knows the standard PEFT file names and the safetensors header, nothing of torch, training or serving.
Invariants: ``state.json`` alone says which version serves and is replaced atomically, so a promotion is one
rename; a version's folder appears complete or not at all; version numbers are never used twice. A kill at any
moment loses at most the candidate in training.

    PROJECT/project.json         which folder the adapters belong to
            state.json           what serves, what served before, the status of every version
            forgotten.json       what is not to be learned
            training.checkpoint  where a run that was cut short goes on from
            versions/N/          adapter_model.safetensors, adapter_config.json, manifest.json
            outcomes.sqlite      what became of the suggestions of each version
            clones.sqlite        which functions repeat each other
            changed.json, schedule.json  the engine's: what waits to be learned, and when
            repair/, docstring/, generation/
                                 the adapters for these: state.json, versions, checkpoint as above
            .tmp-*               a candidate in training, or what is being deleted
"""

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tailora_adapters import _store_identity, paths
from tailora_adapters._store_files import CONFIG, MANIFEST, WEIGHTS, writing
from tailora_adapters._store_state import State, StateFile, Status
from tailora_adapters._store_training import Candidate, Training
from tailora_adapters._store_versions import IMPORTED, AdapterVersion
from tailora_adapters.errors import StoreError, StoreUnwritable
from tailora_adapters.manifest import BaseInfo
from tailora_adapters.purposes import PARTS, PurposeName

__all__ = [
    "CHECKPOINT",
    "FORGOTTEN",
    "IMPORTED",
    "AdapterVersion",
    "Candidate",
    "ProjectStore",
    "Status",
    "Store",
]

_log = logging.getLogger(__name__)

FORGOTTEN = "forgotten.json"
"""In a project's folder: what the user had forgotten (``forget``); ``delete_all`` leaves it."""

CHECKPOINT = "training.checkpoint"
"""In a project's folder: parameters in training, which no longer are wanted when a file of theirs is forgotten."""

_KEPT = (_store_identity.RECORD, "state.json", FORGOTTEN, ".lock", ".state.lock")
_REJECTED_KEPT = 20


class Store:
    """All projects' adapters. Nothing is created on disk before something is written."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = paths.projects_dir() if home is None else home
        self._projects: dict[Path, tuple[_store_identity.Found, ProjectStore]] = {}

    def project(self, root: Path) -> "ProjectStore":
        """The adapters of the repository at ``root``, whether or not there are any yet.

        Cheap enough for every request: the same object, after four ``stat`` calls, while nothing changes. That a
        repository was moved is written down; else nothing is.
        """
        root = root.resolve()
        known = self._projects.get(root)
        if known is not None and known[0].fresh():
            return known[1]
        found = _store_identity.look(self.home, root)
        if found.moved:
            found = _store_identity.settle(self.home, found)
        if known is None or (known[0].directory, known[0].refusal) != (found.directory, found.refusal):
            project = ProjectStore(root, found.directory, claim=self._claim, refusal=found.refusal)
        else:
            project = known[1]
        self._projects[root] = found, project
        return project

    def knows(self, root: Path) -> bool:
        """Whether something is stored for the repository at ``root``. Writes nothing."""
        return _store_identity.look(self.home, root.resolve()).record is not None

    def projects(self) -> list["ProjectStore"]:
        """Every project that something was written for, by root; unreadable or others' ones are logged and left out."""
        try:
            directories = [path for path in self.home.iterdir() if path.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self.home} cannot be read: {error}") from error
        found: list[ProjectStore] = []
        for record in filter(None, map(_store_identity.read_record, directories)):
            if record.refusal:
                _log.warning("%s", record.refusal)
            else:
                found.append(ProjectStore(record.root, record.directory))
        return sorted(found, key=lambda project: project.root)

    def _claim(self, project: "ProjectStore") -> None:
        known = self._projects.get(project.root)
        if known is None or known[1] is not project or not (known[0].claimed and known[0].fresh()):
            found = _store_identity.claim(self.home, project.root, project.directory)
            self._projects[project.root] = found, project


class ProjectStore(Training):
    """The adapters of one project: what ``Reading`` and ``Training`` say of them, and what the user decides here.

    Safe to use from several threads and processes at once. Methods that write raise ``StoreUnwritable`` where
    the disk is full or read-only, and then nothing was changed.
    """

    def __init__(
        self,
        root: Path,
        directory: Path,
        *,
        claim: Callable[["ProjectStore"], None] = lambda project: None,
        refusal: str | None = None,
        common: Path | None = None,
    ) -> None:
        """``claim`` makes ``directory`` the project's own before anything is written to it."""
        super().__init__(root, directory, StateFile(root, directory, lambda: claim(self), refusal), common)
        self._parts: dict[str, ProjectStore] = {}

    @property
    def repair(self) -> "ProjectStore":
        """The adapters of this project that are for repair."""
        return self.part("repair")

    def part(self, purpose: PurposeName) -> "ProjectStore":
        """The adapters of this project for a purpose: versions of their own, under the same training lock and with the
        same list of what is not to be learned. For completion, the project itself."""
        if purpose == "completion":
            return self
        if purpose not in self._parts:

            def claim(store: "ProjectStore") -> None:
                self.claim()
                store.directory.mkdir(mode=0o700, exist_ok=True)

            self._parts[purpose] = ProjectStore(
                self.root,
                self.directory / PARTS[purpose].name,
                claim=claim,
                refusal=self.refusal,
                common=self.common,
            )
        return self._parts[purpose]

    def parts(self) -> dict[PurposeName, "ProjectStore"]:
        """The parts for other purposes than completion in which something is stored, by purpose."""
        found = {purpose: self.part(purpose) for purpose in PARTS}
        return {purpose: part for purpose, part in found.items() if part.directory.exists()}

    def claim(self) -> None:
        """Makes ``directory`` the project's own, for what others keep in it.

        Raises:
            OSError: it cannot be written.
            StoreError: it is another user's, or another repository is at ``root`` by now.
        """
        self._state.ensure()

    # What the user decides

    def use(self, version: str) -> AdapterVersion:
        """Serves a version that the user picked, after checking its full hash.

        Raises:
            VersionUnknown: there is none of that number.
            AdapterCorrupt: its files are damaged.
            StoreError: the gate rejected it, or it was imported and the gate has not judged it.
        """
        found = self.get(version)
        manifest = found.manifest
        if manifest and manifest.gate is None and IMPORTED in manifest.settings:
            raise StoreError(
                f"version {version} was imported and never judged: delete it, and import it again"
            )
        if found.status == "rejected":
            gate = found.manifest.gate if found.manifest else None
            raise StoreError(
                f"version {version} was rejected and cannot be used" + (f": {gate.reason}" if gate else "")
            )
        self.verify(version)
        return self.promote(version)

    def rollback(self, base: BaseInfo | None = None) -> AdapterVersion | None:
        """Chooses what served before the present version; None means the foundation adapter. Repeatable.

        With ``base``, as in ``serving``, what serves with that model is stepped back from.
        """
        served = self._newest(self._state.read(), base) if base else None
        with self._state.changing() as state:
            if served and served.version != state.serving and served.version in state.history:
                state.mark(served.version, "retired")  # out of what a model may fall back on
            elif served or base is None:
                state.step_back(self._problem)
            version = state.serving
        if base:
            return self.chosen(base)
        return None if version is None else self.get(version)

    def withdraw(self, version: str, reason: str, base: BaseInfo | None = None) -> bool:
        """Steps back from ``version`` and never by itself to it again; false if it does not serve any more.

        ``reason`` is for a person. A user may still pick the version by ``use``. ``base`` is as in ``rollback``.
        """
        served = self._newest(self._state.read(), base) if base else None
        with self._state.changing() as state:
            if state.serving == version:
                state.withdrawn[version] = reason
                state.step_back(self._problem)
            elif served and served.version == version and version in state.history:
                state.withdrawn[version] = reason
                state.mark(version, "retired")
            else:
                return False
        return True

    @property
    def disabled(self) -> bool:
        """Whether the user turned this project's adapters off."""
        return self._state.read().disabled

    def disable(self) -> None:
        """Serves the foundation adapter until ``enable``."""
        with self._state.changing() as state:
            state.disabled = True

    def enable(self) -> None:
        """Serves the project's adapter again."""
        with self._state.changing() as state:
            state.disabled = False

    @property
    def paused(self) -> bool:
        """Whether the user paused training."""
        return self._state.read().paused

    def set_paused(self, paused: bool) -> None:
        """Pauses or resumes training; what serves stays."""
        with self._state.changing() as state:
            state.paused = paused

    @property
    def retrain(self) -> str | None:
        """Why the next training has to begin from the foundation again; None where it need not."""
        return self._state.read().retrain

    @property
    def retrain_tried(self) -> bool:
        """Whether a training that ``retrain`` asks for has had its say since, and was not promoted."""
        state = self._state.read()
        return state.retrain is not None and state.retrain_tried

    def ask_retrain(self, reason: str) -> None:
        """Has the next training, and each one until one is promoted, begin from the foundation again."""
        with self._state.changing() as state:
            state.retrain, state.retrain_tried = reason, False

    def delete(self, *versions: str) -> None:
        """Deletes versions, all or none; where one of them serves, what served before takes over first.

        Raises:
            VersionUnknown: there is none of that number.
        """
        for version in versions:
            self._require(version)
        self._delete(lambda state: list(versions))

    def delete_all(self) -> None:
        """Deletes everything that was learned from this project.

        Only the number of the next version and what is not to be learned are kept.

        Raises:
            TrainingBusy: a training run would bring a version back.
        """
        if not self.directory.exists():
            return
        with self.lock():
            self._delete(lambda state: self._state.existing())
            with self._state.changing() as state:
                state.clear()
            with writing(self.directory):
                for path in self.directory.iterdir():
                    if path.name in _KEPT:
                        continue
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)  # the engine replaces its own at any time

    def prune(self, keep: int = 5) -> list[str]:
        """Deletes old versions and returns their numbers, oldest first.

        Kept are the one that serves, the one before it, the newest ``keep`` others, and some rejected ones.
        """

        def choose(state: State) -> list[str]:
            needed = {state.serving, *state.history[-1:]}
            newest = [version for version in reversed(self._state.existing()) if version not in needed]
            rejected = [version for version in newest if state.statuses.get(version) == "rejected"]
            others = [version for version in newest if state.statuses.get(version) != "rejected"]
            return sorted(others[max(keep, 0) :] + rejected[_REJECTED_KEPT:], key=int)

        return self._delete(choose)

    def export(self, version: str, target: Path) -> None:
        """Copies a version's three files into the new or empty folder ``target``, after a full check.

        Raises:
            VersionUnknown, AdapterCorrupt: as in ``verify``.
            StoreError: ``target`` exists and is not an empty folder.
            StoreUnwritable: ``target`` cannot be made or written.
        """
        self.verify(version)
        try:
            if target.exists() and not (target.is_dir() and not any(target.iterdir())):
                raise StoreError(f"{target} exists and is not an empty folder: choose another one")
            target.mkdir(parents=True, exist_ok=True)
            for name in (WEIGHTS, CONFIG, MANIFEST):
                shutil.copyfile(self._path(version) / name, target / name)
        except OSError as error:  # the user's own folder: not the advice that is meant for the store
            raise StoreUnwritable(
                f"{target} cannot be written: {error.strerror}; choose another folder"
            ) from error

    # Internals

    def _delete(self, choose: Callable[[State], list[str]]) -> list[str]:
        moved: dict[str, Path] = {}
        try:
            with self._state.changing() as state:
                for version in choose(state):
                    state.forget(version, self._problem)
                    trash = Path(tempfile.mkdtemp(prefix=".tmp-deleted-", dir=self.directory))
                    self._path(version).rename(trash / version)
                    moved[version] = trash
        except BaseException:
            for version, trash in moved.items():
                with contextlib.suppress(OSError):
                    (trash / version).rename(self._path(version))
            raise
        finally:
            for trash in moved.values():
                shutil.rmtree(trash, ignore_errors=True)
        return list(moved)
