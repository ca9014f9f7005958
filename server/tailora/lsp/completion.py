"""``textDocument/completion``: the suggestion as one menu item, for clients without inline completion.

Registered only where ``completion.popup`` asks for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.lsp import suggest
from tailora.lsp.acceptance import offered
from tailora.lsp.text import units

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["KIND", "register"]

KIND = "#popup"
_WORD = re.compile(r"\w*\Z")
_LABEL_CHARS = 80


def register(server: TailoraServer) -> None:
    """Registers the handler."""
    server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())(completion)


async def completion(ls: TailoraServer, params: types.CompletionParams) -> types.CompletionList:
    """One item, sorted last, or none. Incomplete, so that the client asks again after the next character."""
    # Clients that ask while the user types say Invoked for the first character of a word: nothing is manual.
    request = suggest.Request(params.text_document.uri, params.position, kind=KIND)
    suggestion = await suggest.answer(ls, request)
    items = [] if suggestion is None else [_item(ls, suggestion)]
    return types.CompletionList(is_incomplete=True, items=items)


def _item(ls: TailoraServer, suggestion: suggest.Suggestion) -> types.CompletionItem:
    # Clients match items against the word before the cursor, so the item replaces that word too.
    match = _WORD.search(suggestion.snapshot.line_prefix)
    word = match[0] if match else ""
    cursor = suggestion.range.start
    width = units(word, ls.workspace.position_encoding)
    replaced = types.Range(types.Position(cursor.line, cursor.character - width), cursor)
    new_text = word + suggestion.text
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
        text_edit=types.TextEdit(replaced, new_text),
        command=offered(ls, suggestion, replaced, new_text),
    )
