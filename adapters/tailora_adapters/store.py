"""Versioned adapters on disk: a folder for every project, a folder for every version, one state file.

Knows the standard PEFT file names and the safetensors header, nothing of torch, training or serving.
Invariants: ``state.json`` alone says which version serves and is replaced atomically, so a promotion is one
rename; a version's folder appears complete or not at all; version numbers are never used twice. A kill at any
moment loses at most the candidate in training.

    PROJECT/project.json         which folder the adapters belong to
            state.json           what serves, what served before, the status of every version
            forgotten.json       what is not to be learned
            versions/N/          adapter_model.safetensors, adapter_config.json, manifest.json
            .tmp-*               a candidate in training, or what is being deleted
"""

import contextlib
import dataclasses
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tailora_adapters import _store_identity, paths
from tailora_adapters._store_files import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    file_stamp,
    inspect,
    sha256_of,
    sync,
    writing,
)
from tailora_adapters._store_state import State, StateFile, Status
from tailora_adapters._store_versions import IMPORTED, AdapterVersion, load
from tailora_adapters.errors import AdapterCorrupt, StoreError, StoreUnwritable, TrainingBusy, VersionUnknown
from tailora_adapters.manifest import BaseInfo, GateResult, Manifest, encode

__all__ = ["FORGOTTEN", "IMPORTED", "AdapterVersion", "Candidate", "ProjectStore", "Status", "Store"]

_log = logging.getLogger(__name__)

FORGOTTEN = "forgotten.json"
"""In a project's folder: what the user had forgotten (``forget``); ``delete_all`` leaves it."""

_KEPT = (_store_identity.RECORD, "state.json", FORGOTTEN, ".lock", ".state.lock")
_REJECTED_WITH_WEIGHTS = 3
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


class ProjectStore:
    """The adapters of one project.

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
    ) -> None:
        """``claim`` makes ``directory`` the project's own before anything is written to it."""
        self.root = root
        self.directory = directory
        self._state = StateFile(root, directory, lambda: claim(self), refusal)
        self._served: tuple[object, AdapterVersion | None] | None = None

    @property
    def id(self) -> str:
        """Name of the project's folder in the store."""
        return self.directory.name

    # What there is

    def versions(self) -> list[AdapterVersion]:
        """Every version, oldest first."""
        state = self._state.read()
        return [self._load(version, state) for version in self._state.existing()]

    def get(self, version: str) -> AdapterVersion:
        """One version.

        Raises:
            VersionUnknown: there is none of that number.
        """
        self._require(version)
        return self._load(version, self._state.read())

    def serving(self, base: BaseInfo | None = None) -> AdapterVersion | None:
        """The version to serve, or None for the foundation adapter (nothing promoted, or disabled).

        With ``base``, the loaded model, only versions that were trained on it serve: the newest of those that serve
        or served before. A damaged version is marked, logged and skipped for the one that served before it.
        Cheap enough for every request: two ``stat`` calls while nothing changes.
        """
        state = file_stamp(self._state.path)  # before reading, so that a change meanwhile is seen next time
        served = self._served
        if served is not None and served[0] == (state, _weights_stamp(served[1]), base):
            return served[1]
        version = self._choose(base)
        self._served = ((state, _weights_stamp(version), base), version)
        return version

    def state_mtime(self) -> int:
        """When the state last changed, in nanoseconds; differs after every change. 0 without a state."""
        stamp = file_stamp(self._state.path)
        return stamp[0] if stamp else 0

    def verify(self, version: str) -> None:
        """Checks the files and the weights' full hash; a damaged version is marked as corrupt.

        Raises:
            AdapterCorrupt: says what is wrong.
            VersionUnknown: there is none of that number.
        """
        self._require(version)
        path = self._path(version)
        manifest, problem = inspect(path)
        if manifest and problem is None and sha256_of(path / WEIGHTS) != manifest.weights_sha256:
            problem = "the weights do not match their hash"
        if problem is not None:
            if self.get(version).status != "rejected":  # those may have lost their weights on purpose
                self._record_corrupt({version: problem})
            raise AdapterCorrupt(f"version {version} of {self.root.name}: {problem}")

    # New versions

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the project's training lock; reentrant within a thread, released by a kill.

        Raises:
            TrainingBusy: another process or thread holds it.
        """
        with writing(self.directory):
            self._state.ensure()
            lock = FileLock(self.directory / ".lock", timeout=0, is_singleton=True)
            try:
                lock.acquire()
            except Timeout:
                raise TrainingBusy(
                    f"another process is training {self.root}: wait until it is done, or stop it"
                ) from None
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def candidate(self) -> Iterator["Candidate"]:
        """A new folder for a candidate's files, under the training lock; gone afterwards unless committed.

        Raises:
            TrainingBusy: as in ``lock``.
        """
        with self.lock():
            with writing(self.directory):
                for stale in self.directory.glob(".tmp-*"):
                    shutil.rmtree(stale, ignore_errors=True)
                path = Path(tempfile.mkdtemp(prefix=".tmp-", dir=self.directory))
            try:
                yield Candidate(self, path)
            finally:
                shutil.rmtree(path, ignore_errors=True)

    def promote(self, version: str, gate: GateResult | None = None, *, full: bool = False) -> AdapterVersion:
        """Serves ``version`` from now on; ``gate``, if given, replaces the result in its manifest.

        ``full`` says that its training began from the foundation and honoured what is to be forgotten: that fulfils
        ``ask_retrain``.

        Raises:
            VersionUnknown: there is none of that number.
            AdapterCorrupt: its files are damaged; nothing was changed.
        """
        self._require(version)
        if problem := self._problem(version):
            raise AdapterCorrupt(f"version {version} of {self.root.name} cannot serve: {problem}")
        with self._state.changing() as state:
            self._write_gate(version, gate)
            state.switch(version)
            if full:
                state.retrain = None
        return self.get(version)

    def reject(self, version: str, gate: GateResult | None = None) -> AdapterVersion:
        """Marks ``version`` as not to be served. Of rejected versions only the newest few keep their weights.

        Raises:
            VersionUnknown: there is none of that number.
        """
        self._require(version)
        with self._state.changing() as state:
            self._write_gate(version, gate)
            if state.serving == version:
                state.step_back(self._problem)
            state.mark(version, "rejected")
            rejected = [other for other in self._state.existing() if state.statuses.get(other) == "rejected"]
        with writing(self.directory):
            for other in rejected[:-_REJECTED_WITH_WEIGHTS]:
                (self._path(other) / WEIGHTS).unlink(missing_ok=True)
        return self.get(version)

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
        """Serves what served before the present version; None means the foundation adapter. Repeatable.

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
            return self.serving(base)
        return None if version is None else self.get(version)

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

    def ask_retrain(self, reason: str) -> None:
        """Has the next training, and each one until one is promoted, begin from the foundation again."""
        with self._state.changing() as state:
            state.retrain = reason

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
                        path.unlink()

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
        """
        self.verify(version)
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise StoreError(f"{target} exists and is not an empty folder: choose another one")
        with writing(target):
            target.mkdir(parents=True, exist_ok=True)
            for name in (WEIGHTS, CONFIG, MANIFEST):
                shutil.copyfile(self._path(version) / name, target / name)

    # Internals

    def _path(self, version: str) -> Path:
        return self.directory / "versions" / version

    def _require(self, version: str) -> None:
        existing = self._state.existing()
        if version not in existing:  # also keeps anything but a number out of paths
            known = f"there are {', '.join(existing)}" if existing else "there are none yet"
            raise VersionUnknown(f"{self.root.name} has no adapter version {version!r}: {known}")

    def _problem(self, version: str) -> str | None:
        return inspect(self._path(version))[1]

    def _load(self, version: str, state: State) -> AdapterVersion:
        return load(self._path(version), state)

    def _choose(self, base: BaseInfo | None) -> AdapterVersion | None:
        state = self._state.read()
        return None if state.disabled else self._newest(state, base)

    def _newest(self, state: State, base: BaseInfo | None) -> AdapterVersion | None:
        """The sound version that serves on ``base``, or served last."""
        if state.serving is None:
            return None
        bad: dict[str, str] = {}
        chosen = None
        for version in (state.serving, *reversed(state.history)):
            found = self._load(version, state)
            if found.problem is None and base and found.manifest and not found.manifest.base.fits(base):
                continue
            if found.problem is None:
                chosen = dataclasses.replace(found, status="serving")
                break
            bad[version] = found.problem
            _log.warning("%s: adapter version %s cannot serve: %s", self.root, version, found.problem)
        if bad:
            instead = f"version {chosen.version}" if chosen else "the foundation adapter"
            _log.warning("%s: %s serves instead", self.root, instead)
            self._record_corrupt(bad)
        return chosen

    def _record_corrupt(self, bad: dict[str, str]) -> None:
        """Marks versions as corrupt; a store that cannot be written is still served from."""
        try:
            with self._state.changing() as state:
                for version, problem in bad.items():
                    state.problems[version] = problem
                    state.mark(version, "corrupt", keep_serving=True)
                if state.serving in bad:
                    state.step_back(self._problem)
        except StoreUnwritable as error:
            _log.warning("%s: damaged adapter not recorded: %s", self.root, error)

    def _write_gate(self, version: str, gate: GateResult | None) -> None:
        if gate is None:
            return
        path = self._path(version) / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))  # raw, so that unknown fields survive
            paths.write_json(path, content | {"gate": encode(gate)})
        except (ValueError, TypeError) as error:
            _log.warning("%s is damaged, so the gate's result is not in it: %s", path, error)

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

    def _commit(self, path: Path, manifest: Manifest) -> AdapterVersion:
        with self._state.changing() as state:
            version = str(state.next)
            manifest = dataclasses.replace(
                manifest, version=version, weights_sha256=sha256_of(path / WEIGHTS)
            )
            (path / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
            if problem := inspect(path)[1]:
                raise AdapterCorrupt(f"the candidate cannot be stored: {problem}")
            for extra in path.iterdir():
                if extra.name not in (WEIGHTS, CONFIG, MANIFEST):
                    shutil.rmtree(extra) if extra.is_dir() else extra.unlink()
            sync(path)
            state.next = int(version) + 1
            state.mark(version, "candidate")
        # After the state: a kill in between wastes a number and never leaves a version whose number is free.
        with writing(self.directory):
            self._path(version).parent.mkdir(mode=0o700, exist_ok=True)
            path.rename(self._path(version))
            sync(self._path(version).parent, files=False)
        return self.get(version)


def _weights_stamp(version: AdapterVersion | None) -> tuple[int, int, int] | None:
    return None if version is None else file_stamp(version.path / WEIGHTS)


class Candidate:
    """A version in the making: ``adapter_model.safetensors`` and ``adapter_config.json`` go into ``path``."""

    def __init__(self, store: ProjectStore, path: Path) -> None:
        self._store = store
        self._committed = False
        self.path = path

    def commit(self, manifest: Manifest) -> AdapterVersion:
        """Makes it a version with the next number; ``version`` and ``weights_sha256`` are filled in.

        Raises:
            AdapterCorrupt: the files are missing or incomplete; no number was used.
            StoreError: it was committed already.
        """
        if self._committed:
            raise StoreError("the candidate was committed already")
        version = self._store._commit(self.path, manifest)
        self._committed = True
        return version
