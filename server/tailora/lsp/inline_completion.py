"""``textDocument/inlineCompletion``: ghost text, as one item with an explicit range, or null."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.lsp import suggest, whole_function
from tailora.lsp.acceptance import offered

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["register"]


def register(server: TailoraServer) -> None:
    """Registers the handler, with options: without them nothing is advertised. Statically: not every client
    knows dynamic registration."""
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(inline_completion)


async def inline_completion(
    ls: TailoraServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    """One item. Its range is on one line and its text begins with the text in that range, as VS Code demands:
    empty at the cursor, or that of the selected item of the completion menu. Asked for by command where a function is
    still to be written, it is the whole of it."""
    if params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked:
        whole = await whole_function.answer(ls, params.text_document.uri, params.position)
        if whole is not None:
            return types.InlineCompletionList([whole])
    suggestion = await suggest.answer(
        ls,
        suggest.Request(
            params.text_document.uri,
            params.position,
            manual=params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked,
            selected=params.context.selected_completion_info,
        ),
    )
    if suggestion is None:
        return None
    text = suggestion.lead + suggestion.text
    command = offered(ls, suggestion, suggestion.range, text)
    item = types.InlineCompletionItem(text, range=suggestion.range, command=command)
    return types.InlineCompletionList([item])
