"""The workspace's folders: which there are, which one a file belongs to, and that the engine has them open.

Serves ``initialized`` and ``workspace/didChangeWorkspaceFolders``. Knows nothing of documents' texts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tailora.lsp import configuration
from tailora.lsp.text import path_of

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["Folders", "Place", "register"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document lies: its folder's root, and its path below it (``/`` as separator)."""

    root: Path | None = None
    relative: str | None = None


class Folders:
    """Workspace folders on this machine, by the path that the client uses; ``roots`` are the real paths."""

    def __init__(self) -> None:
        self._roots: dict[str, Path] = {}
        self._uris: dict[Path, str] = {}

    @property
    def uris(self) -> Mapping[Path, str]:
        """The client's name for each root."""
        return self._uris

    @property
    def roots(self) -> tuple[Path, ...]:
        """The roots, without duplicates, in the client's order."""
        return tuple(dict.fromkeys(self._roots.values()))

    def set(self, uris: list[str]) -> None:
        """Takes these folders instead of the ones before. Those that are not files here are left out."""
        paths = [os.path.normpath(path) for uri in uris if (path := path_of(uri))]
        # Not ``Path.resolve``, which raises where links lead in a circle (up to Python 3.12).
        roots = {path: Path(os.path.realpath(path)) for path in paths}
        for loop in [given for given, root in roots.items() if root.is_symlink()]:
            _log.warning("%s is a loop of symbolic links and is left out", loop)
            del roots[loop]
        self._roots = roots
        given = {os.path.normpath(path): uri for uri in uris if (path := path_of(uri))}
        self._uris = {root: given[path] for path, root in reversed(roots.items())}

    def by_uri(self, uri: str) -> Path | None:
        """The root that a folder's URI, or that of a file in it, stands for."""
        path = path_of(uri)
        return self.place(path).root if path else None

    def place(self, path: Path | None) -> Place:
        """The innermost folder that contains ``path``; without a path, the only folder there is, if so."""
        if path is None:
            return Place(self.roots[0]) if len(self.roots) == 1 else Place()
        wanted, best, length = os.path.normpath(path), Place(), -1
        for given, root in self._roots.items():
            for folder in {given, str(root)}:
                below = wanted == folder or wanted.startswith(folder.rstrip(os.sep) + os.sep)
                if below and len(folder) > length:
                    best, length = Place(root, Path(wanted).relative_to(folder).as_posix()), len(folder)
        return best


def register(server: TailoraServer) -> None:
    """Registers the handlers."""
    server.feature(types.INITIALIZED)(initialized)
    server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_workspace_folders)


async def initialized(ls: TailoraServer, params: types.InitializedParams) -> None:
    """Everything that may start once the client takes messages."""
    ls.start_logging_to_client()
    _sync(ls)
    configuration.apply(ls)
    await _register_configuration(ls)
    await configuration.pull(ls)


async def did_change_workspace_folders(
    ls: TailoraServer, params: types.DidChangeWorkspaceFoldersParams
) -> None:
    """Opens added folders on the engine and closes removed ones."""
    _sync(ls)
    configuration.apply(ls)
    await configuration.pull(ls)


def _sync(ls: TailoraServer) -> None:
    before = ls.folders.roots
    uris = [folder.uri for folder in ls.workspace.folders.values()]
    if not uris and ls.workspace.root_uri and not before:
        uris = [ls.workspace.root_uri]  # a client without workspace folders
    ls.folders.set(uris)
    for root in before:
        if root not in ls.folders.roots:
            ls.settings.forget_repository(root)
    ls.link.follow(ls.folders.roots)


async def _register_configuration(ls: TailoraServer) -> None:
    """Some clients tell of changed settings only if asked to."""
    workspace = ls.client_capabilities.workspace
    changes = workspace.did_change_configuration if workspace else None
    if changes is None or not changes.dynamic_registration:
        return
    options = types.DidChangeConfigurationRegistrationOptions(section="tailora")
    method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
    registration = types.Registration(id="tailora-configuration", method=method, register_options=options)
    try:
        await ls.client_register_capability_async(types.RegistrationParams(registrations=[registration]))
    except JsonRpcException as error:
        _log.warning("The client does not tell when settings change: %s", error)
