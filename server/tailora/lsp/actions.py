"""What the code actions of every feature have in common. Knows nothing of what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.lsp.repairs import Snapshot
from tailora.lsp.text import plain_lines
from tailora.lsp.workspace_edits import workspace_edit
from tailora.repair.edits import rebased

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["WITHDRAWN", "can_resolve", "edit_of", "names", "snapshot_of", "sorry", "tags", "wanted"]

WITHDRAWN = "the lines were changed or the file was closed meanwhile, so nothing was changed"


def snapshot_of(ls: TailoraServer, uri: str) -> Snapshot | None:
    """The document as it is now; None if it is not open or too large."""
    document = ls.workspace.opened(uri)
    if document is None or document.oversize:
        return None
    return Snapshot(uri, document.version, plain_lines(document.source), document.language_id or "plaintext")


def edit_of(ls: TailoraServer, snapshot: Snapshot, text: str) -> types.WorkspaceEdit | None:
    """The edit that brings the document, as it is now, what ``text`` brings to the snapshot; None if it cannot."""
    document = ls.workspace.opened(snapshot.uri)
    if document is None or document.oversize:
        return None
    changes = rebased(snapshot.text, text, plain_lines(document.source))
    if changes is None:
        return None
    return workspace_edit(ls, snapshot.uri, document.version, document.source, changes)


def can_resolve(ls: TailoraServer) -> bool:
    """Whether the client asks for the edit of an action that was chosen: none is known before."""
    text = ls.client_capabilities.text_document
    able = text.code_action if text is not None else None
    if able is None or not able.data_support or able.resolve_support is None:
        return False
    return able.code_action_literal_support is not None and "edit" in able.resolve_support.properties


def wanted(only: Sequence[types.CodeActionKind | str] | None, kind: str) -> bool:
    """Whether a request that asks for ``only`` these kinds wants ``kind``."""
    if not only:
        return True
    return any(kind == name or kind.startswith(name + ".") or not name for name in names(only))


def names(only: Sequence[types.CodeActionKind | str] | None) -> list[str]:
    """The kinds as text."""
    return [str(getattr(wanted, "value", wanted)) for wanted in only or ()]


def tags(ls: TailoraServer) -> list[types.CodeActionTag] | None:
    """That a model wrote it, where the client knows that tag."""
    text = ls.client_capabilities.text_document
    support = text.code_action.tag_support if text is not None and text.code_action is not None else None
    if support is not None and types.CodeActionTag.LlmGenerated in support.value_set:
        return [types.CodeActionTag.LlmGenerated]
    return None


def sorry(ls: TailoraServer, action: types.CodeAction, why: str) -> types.CodeAction:
    """The action, with a message to the user."""
    ls.window_show_message(types.ShowMessageParams(type=types.MessageType.Info, message=f"Tailora: {why}"))
    return action
