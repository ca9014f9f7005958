"""JSON-RPC as pygls speaks it, made strict where pygls is lenient.

Invariant, kept here for malformed messages and by the handlers for well-formed ones: **every request gets
exactly one answer.** A body that is no JSON, a request that is none, bad parameters, an unknown method, a
request before ``initialize`` or after ``shutdown``: each is answered with the error that the specification
names, and the server goes on. Knows nothing of completion.
"""

import json
import logging
from collections.abc import Generator
from typing import Any

import cattrs
from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import JsonRPCResponseMessage, LanguageServerProtocol, lsp_method

from tailora.lsp.text import Documents

__all__ = ["TailoraProtocol"]

_log = logging.getLogger(__name__)


class TailoraProtocol(LanguageServerProtocol):
    """Receives message bodies from ``stdio`` and hands well-formed messages to pygls."""

    exit_code = 1
    """What the process ends with: 0 only after ``shutdown`` and ``exit``."""
    exited = False
    _initializing = False
    _shutdown_asked = False

    def receive(self, body: bytes, *, retry: bool = False) -> bool:
        """Handles one body; false if it is no JSON. With ``retry`` nothing is answered in that case."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            if not retry:
                self._refuse(None, JsonRpcParseError(f"Not JSON: {error}"))
            return False
        if not isinstance(message, dict):
            self._refuse(None, JsonRpcInvalidRequest("A message is a JSON object"))
            return True
        try:
            self._dispatch(message)
        except Exception:  # noqa: BLE001 - the protocol boundary: no message may end the server
            _log.exception("A message could not be handled")
        return True

    def _dispatch(self, message: dict[str, Any]) -> None:
        ident, method = message.get("id"), message.get("method")
        usable = isinstance(ident, int | str) and not isinstance(ident, bool)
        if method is None and ("result" in message or "error" in message):
            if usable:
                self._receive_response(message)
            return
        is_request = "id" in message
        if (
            message.get("jsonrpc") != self.VERSION
            or not isinstance(method, str)
            or (is_request and not usable)
        ):
            problem = 'A request has "jsonrpc": "2.0", a method, and an id that is a number or a text'
            self._refuse(ident if usable else None, JsonRpcInvalidRequest(problem))
            return
        refusal = self._refusal(method)
        if refusal is not None:
            if is_request:
                self._refuse(ident, refusal)
            return
        self._initializing |= method == types.INITIALIZE
        try:
            structured = self._structure(message, method, is_request)
        except JsonRpcInvalidParams as error:
            self._initializing &= method != types.INITIALIZE
            if is_request:
                self._refuse(ident, error)
            else:
                _log.warning("Ignored %s: %s", method, error)
            return
        self.handle_message(structured)

    def _refusal(self, method: str) -> JsonRpcException | None:
        """Why a message with this method cannot be taken now, if so."""
        if method == types.EXIT:
            return None
        if self._shutdown:
            return JsonRpcInvalidRequest("The server is shutting down")
        if not self._initializing and method != types.INITIALIZE:
            return JsonRpcServerNotInitialized("The first request must be initialize")
        if self._initializing and method == types.INITIALIZE:
            return JsonRpcInvalidRequest("The server is initialized already")
        if method == types.CANCEL_REQUEST or method in self.fm.builtin_features or method in self.fm.features:
            return None
        if not method.startswith("$/"):
            _log.debug("Unknown method %r", method)
        unknown: JsonRpcException = JsonRpcMethodNotFound.of(method)
        return unknown

    def _structure(self, message: dict[str, Any], method: str, is_request: bool) -> Any:
        expected = self.get_message_type(method)
        try:
            if method in (types.TEXT_DOCUMENT_CODE_ACTION, types.CODE_ACTION_RESOLVE):
                _plain_messages(message.get("params"))
            if expected is None or is_request == (method in _NOTIFICATIONS):
                raise TypeError(f"{method} is {'no request' if is_request else 'a request and needs an id'}")
            return self._converter.structure(message, expected)
        except Exception as error:  # the protocol boundary: converters raise whatever they like
            raise JsonRpcInvalidParams(f"Invalid {method}: {_explain(error)}") from error

    def _receive_response(self, message: dict[str, Any]) -> None:
        """The client's answer to a request of ours. One that cannot be read fails that request."""
        ident = message["id"]
        result_type = self._result_types.pop(ident, None)
        if result_type is None and ident not in self._request_futures:
            _log.debug("An answer to an unknown request %r", ident)
            return
        try:
            if message.get("error") is not None:
                error = self._converter.structure(message["error"], types.ResponseError)
                self._handle_response(ident, None, error)
            else:
                answer = self._converter.structure(message, result_type or JsonRPCResponseMessage)
                self._handle_response(ident, answer.result)
        except Exception as error:  # noqa: BLE001 - the protocol boundary: converters raise whatever they like
            future = self._request_futures.pop(ident, None)
            if future is not None and not future.done():
                future.set_exception(
                    JsonRpcInvalidParams(f"The client's answer is invalid: {_explain(error)}")
                )

    def _refuse(self, ident: Any, error: JsonRpcException) -> None:
        _log.warning("%s (%d)", error.message, error.code)
        # As plain data: the converter leaves out an id of null, which JSON-RPC wants here.
        refusal = {"code": error.code, "message": error.message}
        self._send_data({"jsonrpc": self.VERSION, "id": ident, "error": refusal})

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Generator[Any, Any, types.InitializeResult]:
        """pygls's own, but for a workspace that reads nothing from disk and splits lines as LSP does."""
        steps = super().lsp_initialize(params)
        step = next(steps)  # runs up to the user's handler, which needs our workspace
        folders = list(self.workspace.folders.values())
        encoding = self.workspace.position_encoding
        self._workspace = Documents(
            self.workspace.root_uri, types.TextDocumentSyncKind.Incremental, folders, encoding
        )
        yield step
        try:
            next(steps)
        except StopIteration as end:
            result: types.InitializeResult = end.value
            return result
        raise AssertionError("pygls yields once in initialize")

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Generator[Any, Any, None]:
        """Cancels what runs (each is answered as cancelled), after the user's handler."""
        self._shutdown_asked = True
        if (handler := self.fm.features.get(types.SHUTDOWN)) is not None:
            yield handler, args, None
        current = self.msg_id
        # A copy: cancelling answers at once, which takes the entry out of the dictionary.
        for ident, future in list(self._request_futures.items()):
            if ident != current and not future.done():
                future.cancel()
        self._shutdown = True

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args: Any) -> None:  # type: ignore[override]  # ours ends the reading loop, not the process
        """Ends the reading loop."""
        self.exited = True
        self.exit_code = 0 if self._shutdown_asked else 1


_NOTIFICATIONS = frozenset(
    method for method, (message, *_) in types.METHOD_TO_TYPES.items() if "id" not in message.__annotations__
)


def _plain_messages(params: Any) -> None:
    """Messages of diagnostics as texts: they may be Markdown (LSP 3.18), of which lsprotocol does not know."""
    holder = params.get("context", params) if isinstance(params, dict) else None
    diagnostics = holder.get("diagnostics") if isinstance(holder, dict) else None
    for diagnostic in diagnostics if isinstance(diagnostics, list) else ():
        message = diagnostic.get("message") if isinstance(diagnostic, dict) else None
        if isinstance(message, dict) and isinstance(message.get("value"), str):
            diagnostic["message"] = message["value"]


def _explain(error: BaseException) -> str:
    try:
        reasons = cattrs.transform_error(error)
    except TypeError:
        reasons = []
    return "; ".join(reasons[:3]) if reasons else str(error)
