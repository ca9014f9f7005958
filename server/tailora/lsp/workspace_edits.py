"""Changes of lines as the ``WorkspaceEdit`` that a client takes. Knows nothing of where the changes come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.lsp.text import plain_lines, units
from tailora.repair.edits import TextChange

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["workspace_edit"]


def workspace_edit(
    ls: TailoraServer, uri: str, version: int | None, source: str, changes: Sequence[TextChange]
) -> types.WorkspaceEdit:
    """The edit of a document that has ``version`` (None: a file that is not open) and the text ``source``.

    Lines that come in end as those of ``source`` do.
    """
    newline = "\r\n" if "\r\n" in source else "\n"
    lines, encoding = plain_lines(source).split("\n"), ls.workspace.position_encoding

    def at(line: int, column: int) -> types.Position:
        return types.Position(line, units(lines[line][:column], encoding))

    edits = [
        types.TextEdit(
            types.Range(at(change.line, change.column), at(change.end_line, change.end_column)),
            change.new.replace("\n", newline),
        )
        for change in changes
    ]
    workspace = ls.client_capabilities.workspace
    if workspace is not None and workspace.workspace_edit and workspace.workspace_edit.document_changes:
        document = types.OptionalVersionedTextDocumentIdentifier(uri=uri, version=version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(document, edits)])
    return types.WorkspaceEdit(changes={uri: edits})
