"""What training does to a project's adapters: the lock, a candidate, its promotion or rejection.

Private to ``store``: the part of ``ProjectStore`` that makes versions. Knows nothing of models, of the gate's rules or
of what users decide. Invariant: a version's folder appears complete or not at all, under a number that was never used.
"""

import contextlib
import dataclasses
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tailora_adapters import paths
from tailora_adapters._store_files import CONFIG, MANIFEST, WEIGHTS, inspect, sha256_of, sync, writing
from tailora_adapters._store_reading import Reading
from tailora_adapters._store_versions import AdapterVersion
from tailora_adapters.errors import AdapterCorrupt, StoreError, TrainingBusy
from tailora_adapters.manifest import GateResult, Manifest, encode

__all__ = ["Candidate", "Training"]

_log = logging.getLogger(__name__)

_REJECTED_WITH_WEIGHTS = 3


class Training(Reading):
    """See ``ProjectStore``."""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the project's training lock; reentrant within a thread, released by a kill.

        Raises:
            TrainingBusy: another process or thread holds it.
        """
        with writing(self.common):
            self._state.ensure()
            lock = FileLock(self.common / ".lock", timeout=0, is_singleton=True)
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

    def note_retrain_tried(self) -> None:
        """What ``ask_retrain`` asked for has had its say, in vain: the same again would come to the same."""
        with self._state.changing() as state:
            state.retrain_tried = state.retrain is not None

    def _write_gate(self, version: str, gate: GateResult | None) -> None:
        if gate is None:
            return
        path = self._path(version) / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))  # raw, so that unknown fields survive
            paths.write_json(path, content | {"gate": encode(gate)})
        except (ValueError, TypeError) as error:
            _log.warning("%s is damaged, so the gate's result is not in it: %s", path, error)

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


class Candidate:
    """A version in the making: ``adapter_model.safetensors`` and ``adapter_config.json`` go into ``path``."""

    def __init__(self, store: Training, path: Path) -> None:
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
