"""What happens when the base model is not on this machine: get it, ask whether to, or only say so.

Never blocks a request, and asks at most once in a session.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["ModelPrompt"]

_log = logging.getLogger(__name__)
_DOWNLOAD = "Download"


class ModelPrompt:
    """Remembers whether this session has asked."""

    def __init__(self, server: TailoraServer) -> None:
        self._server = server
        self._considered = False

    def consider(self, status: dict[str, Any]) -> None:
        """An engine status arrived: acts if it says for the first time that the model is missing."""
        model = status.get("model") or {}
        if self._considered or model.get("state") != "missing":
            return
        download = self._server.settings.for_root(None).model.download
        if download == "auto":
            self._considered = True
            self._server.spawn(self._server.link.client.pull(), "get the model")
        elif download == "ask":
            self._considered = True
            self._server.spawn(self._ask(str(model.get("name"))), "ask for the model")

    async def _ask(self, name: str) -> None:
        question = types.ShowMessageRequestParams(
            type=types.MessageType.Info,
            message=f"Tailora needs the model {name}, which is not on this machine yet. Download it now?",
            actions=[types.MessageActionItem(_DOWNLOAD), types.MessageActionItem("Not now")],
        )
        try:
            answer = await self._server.window_show_message_request_async(question)
        except JsonRpcException as error:
            _log.info("The client cannot ask: %s", error)
            return
        if answer is not None and answer.title == _DOWNLOAD:
            await self._server.link.client.pull()
