"""Which adapter a request gets: the project's serving version, else the foundation adapter, else none. For a repair, a
docstring or a whole function, the project's adapter for that comes first; for a docstring nothing else does.

Reads the store at every request, so that a promotion, a rollback or a deletion by any process holds from the
next keystroke on, and so does a repository that was moved, or another one in its place. Invariant: no version of
another base model is ever given out. Knows nothing of requests. Called on the generation thread.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tailora.engine.generator import AdapterRef
from tailora_adapters.base.cache import base_info
from tailora_adapters.errors import AdapterCorrupt, StoreError
from tailora_adapters.manifest import BaseInfo
from tailora_adapters.purposes import PARTS
from tailora_adapters.store import AdapterVersion, ProjectStore, Store

__all__ = ["Foundation", "Serving", "default_foundation"]


_log = logging.getLogger(__name__)


class Foundation(Protocol):
    """The generic adapter that is shipped for a base model."""

    @property
    def path(self) -> Path:
        """Folder of the adapter."""

    @property
    def sha256(self) -> str:
        """Of its weights."""


def default_foundation(model: str) -> Foundation | None:
    """``tailora_adapters.foundation.find``, imported at the first use."""
    from tailora_adapters.foundation import find

    return find(model)


class Serving:
    """Resolves adapters for one base model; see ``scheduler.ResolveAdapter``."""

    def __init__(
        self,
        model: str,
        store: Store,
        find_foundation: Callable[[str], Foundation | None] = default_foundation,
        find_base: Callable[[str], BaseInfo] = base_info,
    ) -> None:
        self._model = model
        self._store = store
        self._find_foundation = find_foundation
        self._find_base = find_base
        self._verified: set[str] = set()

    def __call__(self, project: str | None, wanted: str, *, broken: frozenset[str]) -> AdapterRef | None:
        """The adapter for a request.

        Raises:
            VersionUnknown: ``wanted`` is a version that the project does not have.
            AdapterCorrupt: ``wanted`` is a version that cannot be read.
        """
        if wanted == "none":
            return None
        part = next((part for name, part in PARTS.items() if name == wanted), None)
        plain = part is not None and part.otherwise == "none"
        root = Path(os.path.realpath(project)) if project is not None else None
        # A path that is still a link is a loop of links: no folder, so no adapters.
        if wanted == "foundation" or root is None or root.is_symlink():
            return None if plain else self._foundation(broken)
        store = self._store.project(root)
        if part is None and wanted != "serving":
            return self._exactly(store, wanted, broken)
        version = None
        try:
            if part is not None and not store.disabled:
                version = self._serving_version(store.part(part.name), broken)
                if version is not None:
                    return AdapterRef(f"{part.name} {version.version}", version.path, version.sha256)
            if not plain:
                version = self._serving_version(store, broken)
        except (StoreError, OSError) as error:
            _log.warning("%s: the adapters cannot be read: %s", store.root, error)
        if version is not None:
            return _reference(version)
        return None if plain else self._foundation(broken)

    def _serving_version(self, store: ProjectStore, broken: frozenset[str]) -> AdapterVersion | None:
        base = self._find_base(self._model)
        version = store.serving(base)
        if version is not None and version.sha256 in broken and version.sha256 not in self._verified:
            # Once a version: the full hash tells whether its files are damaged; the store then steps back.
            self._verified.add(version.sha256)
            with contextlib.suppress(AdapterCorrupt):
                store.verify(version.version)
            version = store.serving(base)
        return None if version is None or version.sha256 in broken else version

    def _exactly(self, store: ProjectStore, wanted: str, broken: frozenset[str]) -> AdapterRef:
        version = store.get(wanted)
        if version.manifest is not None and not version.manifest.base.fits(self._find_base(self._model)):
            raise AdapterCorrupt(
                f"version {wanted} of {store.root.name} belongs to another base model, {version.manifest.base.name}"
            )
        if version.problem is not None or version.sha256 in broken:
            raise AdapterCorrupt(
                f"version {wanted} of {store.root.name} cannot be read: {version.problem or 'damaged'}"
            )
        return _reference(version)

    def _foundation(self, broken: frozenset[str]) -> AdapterRef | None:
        try:
            found = self._find_foundation(self._model)
        except AdapterCorrupt as error:
            _log.warning("the foundation adapter cannot be used: %s", error)
            found = None
            self._find_foundation = lambda _model: None  # said once
        if found is None or found.sha256 in broken:
            return None
        return AdapterRef("foundation", found.path, found.sha256)


def _reference(version: AdapterVersion) -> AdapterRef:
    return AdapterRef(version.version, version.path, version.sha256)
