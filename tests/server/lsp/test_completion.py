"""textDocument/completion, for clients that ask for the popup."""

import clients
import pytest
from lsprotocol import types

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_opt_in(start_editor, engine, uri):
    editor = await start_editor(clients.plain(), options={"completion": {"popup": True}})
    assert editor.result.capabilities.completion_provider is not None
    editor.open(uri, 'x = "😀" + tot\n')
    engine.script.chunks = ["al()\n"]
    position = types.Position(0, 14)  # utf-16
    params = types.CompletionParams(types.TextDocumentIdentifier(uri), position)
    answer = await editor.client.text_document_completion_async(params)
    assert answer.is_incomplete is True
    (item,) = answer.items
    replaced = types.Range(types.Position(0, 11), position)
    assert item.text_edit == types.TextEdit(replaced, "total()")
    assert item.label == "total()"
    assert item.filter_text == "total()"
    assert item.kind == types.CompletionItemKind.Text
    assert item.insert_text_format == types.InsertTextFormat.PlainText
