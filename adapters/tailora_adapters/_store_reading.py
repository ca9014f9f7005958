"""What there is of a project's adapters, and which version serves.

Private to ``store``: the part of ``ProjectStore`` that asks. It changes nothing but the mark of a version that it finds
damaged. Knows nothing of training, and nothing of what users decide.
"""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from tailora_adapters._store_files import WEIGHTS, Stamp, file_stamp, inspect, sha256_of
from tailora_adapters._store_state import State, StateFile
from tailora_adapters._store_versions import AdapterVersion, load
from tailora_adapters.errors import AdapterCorrupt, StoreUnwritable, VersionUnknown
from tailora_adapters.manifest import BaseInfo
from tailora_adapters.outcomes import Outcomes

__all__ = ["Reading"]

_log = logging.getLogger(__name__)


class Reading:
    """See ``ProjectStore``."""

    def __init__(self, root: Path, directory: Path, state: StateFile, common: Path | None = None) -> None:
        self.root = root
        self.directory = directory
        self.common = common or directory
        """The project's folder in the store; for what is kept once, whatever its adapters are for."""
        self._state = state
        self._served: tuple[object, AdapterVersion | None] | None = None

    @property
    def id(self) -> str:
        """Name of the project's folder in the store."""
        return self.common.name

    @property
    def refusal(self) -> str | None:
        """Why nothing in the project's folder may be used, if so: it is another user's."""
        return self._state.refusal

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

    def chosen(self, base: BaseInfo | None = None) -> AdapterVersion | None:
        """As ``serving``, and where the adapters are disabled, what serves once they no longer are."""
        return self._newest(self._state.read(), base)

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

    @property
    def outcomes(self) -> Outcomes:
        """What became of the suggestions of each version."""
        self._state.admit()
        return Outcomes(self.directory / "outcomes.sqlite", self._state.ensure)

    def before(self, base: BaseInfo | None = None) -> list[str]:
        """The versions that steps back lead to, one after another, and then to the foundation adapter. ``base`` as in
        ``serving``."""
        state = self._state.read()
        sound = [found.version for found in self._line(state, base) if found.problem is None]
        return sound if state.serving is None else sound[1:]

    # Internals

    def _path(self, version: str) -> Path:
        return self.directory / "versions" / version

    def _require(self, version: str) -> None:
        existing = self._state.existing()
        if version not in existing:  # also keeps anything but a number out of paths
            known = f"there are {', '.join(existing)}" if existing else "there are none yet"
            kind = "adapter" if self.directory == self.common else self.directory.name
            raise VersionUnknown(f"{self.root.name} has no {kind} version {version!r}: {known}")

    def _problem(self, version: str) -> str | None:
        return inspect(self._path(version))[1]

    def _load(self, version: str, state: State) -> AdapterVersion:
        return load(self._path(version), state)

    def _choose(self, base: BaseInfo | None) -> AdapterVersion | None:
        state = self._state.read()
        return None if state.disabled else self._newest(state, base)

    def _line(self, state: State, base: BaseInfo | None) -> Iterator[AdapterVersion]:
        """What serves and what a step back may lead to, newest first: damaged ones too, but none of another base."""
        before = [version for version in reversed(state.history) if version not in state.withdrawn]
        for version in filter(None, (state.serving, *before)):
            found = self._load(version, state)
            foreign = base and found.manifest and not found.manifest.base.fits(base)
            if found.problem is not None or not foreign:
                yield found

    def _newest(self, state: State, base: BaseInfo | None) -> AdapterVersion | None:
        """The sound version that serves on ``base``, or served last."""
        if state.serving is None:
            return None
        bad: dict[str, str] = {}
        chosen = None
        for found in self._line(state, base):
            if found.problem is None:
                chosen = dataclasses.replace(found, status="serving")
                break
            bad[found.version] = found.problem
            _log.warning("%s: adapter version %s cannot serve: %s", self.root, found.version, found.problem)
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


def _weights_stamp(version: AdapterVersion | None) -> Stamp | None:
    return None if version is None else file_stamp(version.path / WEIGHTS)
