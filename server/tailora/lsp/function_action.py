"""Code actions that write into a function: offered where the cursor is, computed when chosen.

Knows nothing of what is written: a feature says what it offers and how it writes. Invariants: nothing is computed
before it is asked for; and an edit that no longer fits is withdrawn, with a message.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.errors import EngineError
from tailora.infill import EngineFiller
from tailora.lsp.actions import WITHDRAWN, can_resolve, edit_of, snapshot_of, sorry, tags, wanted
from tailora.lsp.repairs import Snapshot
from tailora.lsp.text import path_of
from tailora.lsp.works import Report, Stopped
from tailora_adapters.corpus.functions import SUPPORTED
from tailora_adapters.corpus.secrets import is_secret_file

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer
    from tailora.options import Options

__all__ = ["Make", "filler_of", "offered_at", "resolved"]

_log = logging.getLogger(__name__)

Make = Callable[[Snapshot, Path, int, Report], Awaitable[str | None]]
"""The whole text with what was written for the function at a line; None where nothing came that holds."""


def offered_at(
    ls: TailoraServer,
    params: types.CodeActionParams,
    *,
    feature: str,
    kind: str,
    enabled: Callable[[Options], bool],
    title: Callable[[Snapshot, int], str | None],
) -> list[types.CodeAction]:
    """The action for the cursor's line, if ``title`` has one for it; none where it is not ``enabled``, or where the
    editor asks by itself, as at every move of the cursor."""
    uri, line = params.text_document.uri, params.range.start.line
    path = path_of(uri)
    if path is None or not can_resolve(ls) or is_secret_file(path.name):
        return []
    invoked = params.context.trigger_kind == types.CodeActionTriggerKind.Invoked
    if not invoked or not wanted(params.context.only, kind) or params.range.start != params.range.end:
        return []
    snapshot, options = snapshot_of(ls, uri), ls.settings.for_root(ls.folders.place(path).root)
    if snapshot is None or snapshot.language not in SUPPORTED or not enabled(options):
        return []
    if len(snapshot.text) > options.completion.max_file_kb * 1024 or (said := title(snapshot, line)) is None:
        return []
    ls.repairs.keep(snapshot)
    data = {"feature": feature, "uri": uri, "version": snapshot.version, "line": line}
    return [types.CodeAction(said, kind=kind, data=data, tags=tags(ls))]


async def resolved(
    ls: TailoraServer, action: types.CodeAction, *, doing: str, nothing: str, make: Make
) -> types.CodeAction:
    """The action with its edit; without one, a message says why."""
    data = action.data
    assert isinstance(data, dict)
    uri = str(data["uri"])
    snapshot, path = ls.repairs.snapshot(uri, data.get("version")), path_of(uri)
    if snapshot is None or path is None:
        return sorry(ls, action, "the file has changed since; ask again")
    kept, there = snapshot, path

    async def work(report: Report) -> str | None:
        await ls.link.ensure()
        return await make(kept, there, int(data["line"]), report)

    try:
        text = await ls.works.run(uri, f"{doing} in {path.name}", work)
    except Stopped:
        return action
    except EngineError as error:
        return sorry(ls, action, str(error))
    except Exception as error:  # noqa: BLE001 - the protocol boundary: every request gets its answer
        _log.exception("%s failed", doing)
        return sorry(ls, action, f"internal error ({type(error).__name__}); see the log")
    if text is None:
        return sorry(ls, action, nothing)
    action.edit = edit_of(ls, snapshot, text)
    return action if action.edit is not None else sorry(ls, action, WITHDRAWN)


def filler_of(ls: TailoraServer, path: Path, language: str, task: str) -> EngineFiller:
    """The engine for a task, with the adapter that the settings let it have."""
    place = ls.folders.place(path)
    chosen = ls.settings.for_root(place.root).completion.adapter
    adapter = task if chosen == "serving" else chosen
    return EngineFiller(ls.link.client, place.root, place.relative or path.name, language, adapter)
