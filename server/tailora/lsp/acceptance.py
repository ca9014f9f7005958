"""``tailora.accepted``: tells ``outcomes`` what was shown, and what editors say was accepted.

The command that an item carries; editors run it once they have inserted the item. Knows nothing of what is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsprotocol import types

from tailora.lsp.outcomes import COMMAND, Offer

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer
    from tailora.lsp.suggest import Suggestion

__all__ = ["offered", "register"]


def register(server: TailoraServer) -> None:
    """Registers the command."""

    async def accepted(*arguments: Any) -> None:
        if arguments and isinstance(arguments[0], str):
            server.outcomes.accepted(arguments[0])

    server.command(COMMAND)(accepted)


def offered(ls: TailoraServer, suggestion: Suggestion, at: types.Range, text: str) -> types.Command | None:
    """The command of the item that puts ``text`` in place of ``at``; None if what becomes of it is not counted.

    It is not where the settings say so, outside of all folders, and where the document has changed meanwhile: then the
    editor drops the item.
    """
    snapshot, root = suggestion.snapshot, suggestion.place.root
    document = ls.workspace.opened(snapshot.uri)
    if root is None or suggestion.adapter is None or document is None or document.version != snapshot.version:
        return None
    if not ls.settings.for_root(root).outcomes.enabled:
        return None
    offer = Offer(
        root=root,
        language=snapshot.language,
        adapter=suggestion.adapter,
        text=text,
        origin=document.offset_at_position(at.start),
        end=document.offset_at_position(at.end),
    )
    ident = ls.outcomes.shown(snapshot.uri, offer)
    return None if ident is None else types.Command("Tailora: accepted", COMMAND, arguments=[ident])
