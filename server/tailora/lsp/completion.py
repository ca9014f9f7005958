"""``textDocument/completion``: the suggestion as one menu item, for clients without inline completion.

Registered only where ``completion.popup`` asks for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.lsp import suggest

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["register"]

_WORD = re.compile(r"\w*\Z")
_LABEL_CHARS = 80


def register(server: TailoraServer) -> None:
    """Registers the handler."""
    server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())(completion)


async def completion(ls: TailoraServer, params: types.CompletionParams) -> types.CompletionList | None:
    """One item, sorted last. Incomplete, so that the client asks again after the next character."""
    trigger = params.context.trigger_kind if params.context else types.CompletionTriggerKind.Invoked
    # Clients that ask on every character send Invoked for the first of a word: all count as automatic.
    retrigger = trigger == types.CompletionTriggerKind.TriggerForIncompleteCompletions
    query = suggest.ask(ls, params.text_document.uri, params.position, manual=False)
    text = await suggest.answer(ls, query, kind="#popup")
    if text is None or isinstance(query, str):
        return types.CompletionList(is_incomplete=True, items=[]) if retrigger else None
    return types.CompletionList(is_incomplete=True, items=[_item(ls, query, text)])


def _item(ls: TailoraServer, query: suggest.Query, text: str) -> types.CompletionItem:
    # Clients match items against the word before the cursor, so the item replaces that word too.
    match = _WORD.search(query.snapshot.line_prefix)
    word = match[0] if match else ""
    width = ls.workspace.position_codec.client_num_units(word)
    cursor = query.range.start
    start = types.Position(cursor.line, cursor.character - width)
    new_text = word + text
    label = new_text.strip().split("\n", 1)[0].strip()
    return types.CompletionItem(
        label=label if len(label) <= _LABEL_CHARS else label[: _LABEL_CHARS - 1] + "…",
        kind=types.CompletionItemKind.Text,
        detail="Tailora",
        sort_text="\uffff",
        filter_text=new_text.split("\n", 1)[0],
        insert_text_format=types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs,
        documentation=new_text if "\n" in new_text else None,
        text_edit=types.TextEdit(types.Range(start, cursor), new_text),
    )
