"""``textDocument/codeAction`` and ``codeAction/resolve``: one handler for each, which asks every feature that has some.

Invariant: an action is resolved by the feature that offered it, by the name in its data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from tailora.lsp import code_action, docstring_action, generation_action

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["register"]

_OTHERS = {docstring_action.NAME: docstring_action, generation_action.NAME: generation_action}


def register(server: TailoraServer) -> None:
    """Registers the handlers."""
    kinds = [types.CodeActionKind.QuickFix, code_action.REWRITE, code_action.FIX_ALL]
    options = types.CodeActionOptions(
        code_action_kinds=[*kinds, docstring_action.KIND, generation_action.KIND], resolve_provider=True
    )
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)(_code_action)
    server.feature(types.CODE_ACTION_RESOLVE)(_resolve)


async def _code_action(ls: TailoraServer, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    """The actions of all features, those of repair first."""
    found = await code_action.offered(ls, params) or []
    for feature in _OTHERS.values():
        found += feature.offered(ls, params)
    return found or None


async def _resolve(ls: TailoraServer, action: types.CodeAction) -> types.CodeAction:
    """The action with its edit."""
    data = action.data
    if not isinstance(data, dict) or "uri" not in data:
        return action
    feature = _OTHERS.get(str(data.get("feature")))
    return await (code_action.resolve if feature is None else feature.resolve)(ls, action)
