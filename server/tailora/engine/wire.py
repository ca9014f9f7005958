"""The engine API's vocabulary: errors as JSON, and fields read from a request body with a message for each
fault.

Knows nothing of routes. A client never sees a stack trace: what is not an error with a message fit to show
becomes ``internal``, and the log has the rest.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from tailora.engine.scheduler import OutOfMemory
from tailora.errors import EngineRefused, PromptTooLong
from tailora_adapters.errors import ModelCorrupt, ModelError, ModelMissing, TailoraError, VersionUnknown

__all__ = ["BadRequest", "Fields", "describe", "error_response", "read_fields", "well_formed"]

_log = logging.getLogger(__name__)

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes."""
_PATIENCE = 16 * BODY_LIMIT

_ABSENT: Any = object()


class BadRequest(TailoraError):
    """A request that cannot be understood; the message names the field."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def describe(error: BaseException) -> tuple[int, dict[str, Any]]:
    """HTTP status and error object for ``error``."""
    kinds: list[tuple[type[BaseException], int, str]] = [
        (BadRequest, 400, "bad_request"),
        (PromptTooLong, 400, "prompt_too_long"),
        (VersionUnknown, 404, "version_unknown"),
        (ModelMissing, 404, "model_missing"),
        (ModelCorrupt, 500, "model_corrupt"),
        (ModelError, 503, "model_loading_failed"),
        (OutOfMemory, 503, "out_of_memory"),
        (EngineRefused, 503, "internal"),
        (TailoraError, 500, "internal"),
    ]
    for kind, status, code in kinds:
        if isinstance(error, kind):
            status = error.status if isinstance(error, BadRequest) else status
            code = error.code if isinstance(error, EngineRefused) else code
            return status, _error(str(error), code, status)
    return 500, _error("an internal error; the engine's log says more", "internal", 500)


def _error(message: str, code: str, status: int) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "code": code}}


def error_response(error: BaseException) -> JSONResponse:
    """``error`` as a response; logged if it is not one of ours."""
    if not isinstance(error, TailoraError):
        _log.error("a request failed", exc_info=error)
    status, body = describe(error)
    return JSONResponse(body, status)


def well_formed(text: str) -> str:
    """``text`` without lone surrogates, which JSON can hold and UTF-8 cannot: an editor may cut a pair in two."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


class Fields:
    """A JSON object from a client. Each method returns one field or raises ``BadRequest`` that names it."""

    def __init__(self, values: Mapping[str, Any], where: str = "") -> None:
        self._values = values
        self._where = where

    def name(self, key: str) -> str:
        """The field's full name, for messages."""
        return f"{self._where}.{key}" if self._where else key

    def raw(self, key: str) -> Any:
        """The value as it came; None if it is absent."""
        return self._values.get(key)

    def wrong(self, key: str, expected: str) -> BadRequest:
        """The error for a field that is not ``expected``."""
        value = self._values.get(key)
        if key not in self._values:
            return BadRequest(f"{self.name(key)} is missing: it must be {expected}")
        shown = json.dumps(value)
        return BadRequest(
            f"{self.name(key)} must be {expected}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
        )

    def text(self, key: str, default: Any = _ABSENT) -> Any:
        """A string; ``default`` if it is absent or null."""
        value = self._values.get(key)
        if value is None and default is not _ABSENT:
            return default
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return well_formed(value)

    def flag(self, key: str, default: Any = _ABSENT) -> Any:
        """A boolean."""
        value = self._values.get(key)
        if value is None and default is not _ABSENT:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def integer(self, key: str, default: Any, low: int, high: int) -> Any:
        """A whole number within bounds."""
        value = self._values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A number within bounds."""
        value = self._values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.wrong(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def object(self, key: str) -> "Fields":
        """An object; an empty one if it is absent."""
        value = self._values.get(key)
        if value is None:
            return Fields({}, self.name(key))
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Fields(value, self.name(key))

    def objects(self, key: str) -> list["Fields"]:
        """A list of objects; an empty one if it is absent."""
        value = self._values.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, "a list of objects")
        return [Fields(item, f"{self.name(key)}[{index}]") for index, item in enumerate(value)]


async def read_fields(request: Request) -> Fields:
    """The request's body; an empty object for an empty body.

    Raises:
        BadRequest: too long, not JSON, not an object.
    """
    body, length = bytearray(), 0
    async for part in request.stream():
        length += len(part)
        if length > _PATIENCE:
            break
        # Read on without keeping it: most clients listen for an answer only when they have sent everything.
        if length <= BODY_LIMIT:
            body += part
    if length > BODY_LIMIT:
        raise BadRequest(f"the request body is longer than {BODY_LIMIT // 1024 // 1024} MB", 413)
    if not body.strip():
        return Fields({})
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the request body is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise BadRequest("the request body must be a JSON object")
    return Fields(values)
