"""Settings in force: the files and the editor's values laid over each other, for every workspace folder.

Serves ``workspace/didChangeConfiguration``. Knows nothing of what the settings do. Invariant: there are
always valid settings, and every bad one was named once, in a message to the user.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tailora.lsp import code_lens
from tailora.options import REPOSITORY_FILE, USER_FILE, Options, load, merge
from tailora_adapters.paths import config_dir

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["Settings", "apply", "pull", "register"]

_log = logging.getLogger(__name__)
_SECTION = "tailora"


class Settings:
    """The layers, and what comes out of them for each folder (None: outside of all folders)."""

    def __init__(self) -> None:
        self._user: Mapping[str, Any] = {}
        self._repositories: dict[Path, Mapping[str, Any]] = {}
        self._initial: Mapping[str, Any] = {}
        self._later: dict[Path | None, Mapping[str, Any]] = {}
        """By folder; None: of all."""
        self._trusted: set[Path] = set()
        self._problems: dict[object, list[str]] = {}
        """By what they are in: a file, a set of values, or the layers together."""
        self._named: set[str] = set()
        self._merged: dict[Path | None, Options] = {}

    def for_root(self, root: Path | None) -> Options:
        """The settings for documents in ``root``."""
        if root not in self._merged:
            if root is not None and root not in self._repositories:
                self._repositories[root] = self._load(root / REPOSITORY_FILE)
            repository = self._repositories[root] if root is not None else {}
            client = _overlay(self._initial, self._later.get(None, {}))
            if root is not None:
                client = _overlay(client, self._later.get(root, {}))
            options, errors = merge(self._user, repository, client)
            if root in self._trusted:
                options = replace(options, learning=replace(options.learning, trusted=True))
            self._problems[root] = [str(error) for error in errors]
            self._merged[root] = options
        return self._merged[root]

    def load_user(self) -> None:
        """Reads the user's file (again)."""
        self._user = self._load(config_dir() / USER_FILE)
        self._merged.clear()

    def forget_repository(self, root: Path) -> None:
        """The repository's file has changed or the folder is closed: it is read when it is needed next."""
        self._repositories.pop(root, None)
        self._merged.pop(root, None)
        self._problems.pop(root, None)
        self._problems.pop(root / REPOSITORY_FILE, None)

    def set_initial(self, values: Any) -> None:
        """What came with ``initialize``."""
        self._initial = self._table("initial", values)
        self._merged.clear()

    def set_later(self, values: Any, folders: Mapping[Path, Any] | None = None) -> None:
        """What came with ``workspace/didChangeConfiguration``: it replaces what came that way before.

        ``folders``: the values of single ones, which go before.
        """
        self._later = {None: self._table("later", values)}
        for root, table in (folders or {}).items():
            self._later[root] = self._table(f"later {root}", table)
        self._merged.clear()

    def trust(self, root: Path) -> None:
        """Takes ``root`` as trusted for this session, by the user's own command."""
        self._trusted.add(root)
        self._merged.pop(root, None)

    def take_problems(self) -> list[str]:
        """What is wrong with the settings now and was not wrong when this was called last."""
        current = dict.fromkeys(problem for problems in self._problems.values() for problem in problems)
        fresh = [problem for problem in current if problem not in self._named]
        self._named = set(current)
        return fresh

    def _load(self, path: Path) -> Mapping[str, Any]:
        values, errors = load(path)
        self._problems[path] = [str(error) for error in errors]
        return values

    def _table(self, name: str, values: Any) -> Mapping[str, Any]:
        usable = values is None or isinstance(values, Mapping)
        self._problems[name] = [] if usable else [str(error) for error in merge({}, {}, values)[1]]
        return values if usable and values else {}


def _overlay(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        under = result.pop(key, None)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        result[key] = _overlay(under, value) if both else value if value is not None else under
    return result


def register(server: TailoraServer) -> None:
    """Registers the handler."""
    server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)


async def did_change_configuration(ls: TailoraServer, params: types.DidChangeConfigurationParams) -> None:
    """Takes the values that were sent; asks for them where the client only says that there are new ones."""
    values: Any = params.settings
    folders: Mapping[Path, Any] = {}
    if isinstance(values, Mapping) and _SECTION in values:
        values = values[_SECTION]
    elif not values:
        values, folders = await _ask(ls)
    ls.settings.load_user()
    ls.settings.set_later(values, folders)
    apply(ls)


async def pull(ls: TailoraServer) -> None:
    """Takes the client's values where it tells those of single folders only when it is asked."""
    if len(ls.folders.roots) > 1:
        ls.settings.set_later(*await _ask(ls))
        apply(ls)


async def _ask(ls: TailoraServer) -> tuple[Any, Mapping[Path, Any]]:
    """The client's values: of all folders, and of each."""
    workspace = ls.client_capabilities.workspace
    if workspace is None or not workspace.configuration:
        return None, {}
    places = ls.folders.uris
    items = [types.ConfigurationItem(scope_uri=uri, section=_SECTION) for uri in (None, *places.values())]
    try:
        answer = await ls.workspace_configuration_async(types.ConfigurationParams(items=items))
    except JsonRpcException as error:
        _log.warning("The client does not tell its settings: %s", error)
        return None, {}
    if len(answer) != len(items):
        return (answer[0] if answer else None), {}
    return answer[0], dict(zip(places, answer[1:], strict=True))


def apply(ls: TailoraServer) -> None:
    """Lets everything follow the settings as they are now, and names what is wrong with them."""
    for root in (None, *ls.folders.roots):
        ls.settings.for_root(root)
    problems = ls.settings.take_problems()
    if problems:
        text = "Tailora settings: " + "; ".join(problems)
        ls.window_show_message(types.ShowMessageParams(type=types.MessageType.Warning, message=text))
    ls.link.settings_changed()
    ls.board.publish()
    ls.clones.settings_changed()
    ls.spawn(code_lens.refresh(ls), "refresh the code lenses")
