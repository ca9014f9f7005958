"""Open documents: notes what is edited, reloads a repository's settings when they are saved.

Serves ``textDocument/didOpen``, ``didChange``, ``didSave`` and ``didClose``; the texts themselves are kept by
``text.Documents``, which pygls updates before these handlers run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.lsp import completion, configuration, suggest
from tailora.lsp.text import path_of
from tailora.options import REPOSITORY_FILE

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["register"]


def register(server: TailoraServer) -> None:
    """Registers the handlers."""
    server.feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    server.feature(types.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    server.feature(types.TEXT_DOCUMENT_DID_SAVE)(did_save)
    server.feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)


async def did_open(ls: TailoraServer, params: types.DidOpenTextDocumentParams) -> None:
    """A document was opened: the model is likely to be needed soon, and its beginning to be read."""
    ls.activate(params.text_document.uri)
    ls.link.warm_up()
    ls.later.start("opened", suggest.read_ahead(ls, params.text_document.uri))  # of several, the last one
    ls.clones.look(params.text_document.uri)


async def did_change(ls: TailoraServer, params: types.DidChangeTextDocumentParams) -> None:
    """A document was edited."""
    ls.activate(params.text_document.uri)
    path, document = path_of(params.text_document.uri), ls.workspace.opened(params.text_document.uri)
    change = params.content_changes[-1] if params.content_changes else None
    if path is None or document is None or not isinstance(change, types.TextDocumentContentChangePartial):
        return  # nothing that says where the edit was
    if len(document.source) <= ls.settings.for_root(None).completion.max_file_kb * 1024:
        offset = document.offset_at_position(change.range.start) + len(change.text)
        ls.recent.note(path, document.source, offset)


async def did_save(ls: TailoraServer, params: types.DidSaveTextDocumentParams) -> None:
    """A document was saved; if it is a repository's settings, they are read again."""
    ls.clones.look(params.text_document.uri)
    path = path_of(params.text_document.uri)
    if path is None or path.name != REPOSITORY_FILE:
        return
    place = ls.folders.place(path)
    if place.root is not None and place.relative == REPOSITORY_FILE:
        ls.settings.forget_repository(place.root)
        configuration.apply(ls)


async def did_close(ls: TailoraServer, params: types.DidCloseTextDocumentParams) -> None:
    """A document was closed: what is being computed for it is of no use."""
    for kind in ("", completion.KIND):
        ls.turns.drop(params.text_document.uri + kind)
        ls.later.drop(params.text_document.uri + kind)
        ls.flights.drop(params.text_document.uri + kind)
    ls.repairs.forget(params.text_document.uri)
    ls.clones.forget(params.text_document.uri)
    ls.outbox.send_soon()
