"""Brings Zed's requests for edit predictions to Tailora's engine: ``python editors/zed/bridge.py --project FOLDER``.

Zed wants an address and a key that stay, and writes what stands before and behind the cursor into one prompt with the
markers of a model. The engine's address is another one each time it starts, mostly that of a Unix socket, and it takes
markers in a prompt for plain text, as they may stand in a file. What comes back is tidied as for other editors.
Invariants: only this machine is listened to, nothing is answered without the key, and nothing is kept.
"""

import argparse
import json
import os
import re
import secrets
import socket
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tailora.completion.postprocess import clean
from tailora.completion.snapshot import Snapshot
from tailora.engine.client import EngineClient
from tailora.errors import EngineError, EngineRefused

KEY = "ZED_OPEN_AI_COMPATIBLE_EDIT_PREDICTION_API_KEY"
"""Zed reads its key from this variable, too."""
_PORT = 8723
_PROMPT = re.compile(r"<\|fim_prefix\|>(.*?)<\|fim_suffix\|>(.*)<\|fim_middle\|>", re.DOTALL)
_BODY_LIMIT = 4 * 1024 * 1024


class Bridge:
    """The one route.

    Args:
        key: What Zed has to send.
        project: The repository whose adapter answers; None: the foundation adapter.
    """

    def __init__(self, key: str, project: Path | None) -> None:
        self._expected = f"Bearer {key}".encode()
        self._project = str(project) if project else None
        self._engine = EngineClient()
        self.app = Starlette(routes=[Route("/v1/completions", self._complete, methods=["POST"])])

    async def _complete(self, request: Request) -> Response:
        given = request.headers.get("authorization", "").encode()
        if not secrets.compare_digest(given, self._expected):
            return _error(401, f"the key is not that of the bridge ({KEY})")
        if int(request.headers.get("content-length", 0)) > _BODY_LIMIT:
            return _error(413, "the request is too long")
        try:
            body = json.loads(await request.body())
            prefix, suffix = _parts(body)
        except ValueError as error:
            return _error(400, f"not what Zed sends with prompt_format qwen: {error}")
        # One document for all of Zed: a newer request ends the older ones, which Zed no longer waits for.
        own = {"project": self._project, "document": "zed"}
        asked = {**body, "prompt": prefix, "suffix": suffix, "stream": False, "tailora": own}
        try:
            answer = await self._engine.post("/v1/completions", asked)
        except EngineRefused as error:
            return _error(503, str(error))
        except EngineError as error:
            return _error(502, str(error))
        for choice in answer["choices"]:
            choice["text"] = _tidied(choice["text"], choice["finish_reason"], prefix, suffix)
        return JSONResponse(answer)


def _parts(body: Any) -> tuple[str, str]:
    """What stands before and behind the cursor.

    Raises:
        ValueError: there are no markers around the prompt.
    """
    prompt = body.get("prompt") if isinstance(body, dict) else None
    found = _PROMPT.fullmatch(prompt) if isinstance(prompt, str) else None
    if found is None:
        raise ValueError("the prompt has no <|fim_prefix|>, <|fim_suffix|> and <|fim_middle|>")
    return found[1], found[2]


def _tidied(text: str, ending: str, prefix: str, suffix: str) -> str:
    """The text without what repeats the code behind the cursor; empty where nothing is left to show."""
    if ending == "superseded":
        return ""
    snapshot = Snapshot("zed:", None, "plaintext", None, prefix + suffix, len(prefix))
    return clean(text, snapshot, kept_stop_reason=ending) or ""


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "bridge", "code": None}}, status)


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description="Tailora's engine for Zed's edit predictions.")
    parser.add_argument("--port", type=int, default=_PORT, help="on 127.0.0.1; 0: any (default: %(default)s)")
    parser.add_argument("--project", type=Path, help="the repository whose adapter answers")
    arguments = parser.parse_args()
    key = os.environ.get(KEY, "")
    if len(key) < 16:
        parser.error(f"set {KEY} to a secret of 16 characters or more, here and for Zed")
    project = arguments.project.resolve() if arguments.project else None
    listener = socket.create_server(("127.0.0.1", arguments.port))
    print(f"api_url http://127.0.0.1:{listener.getsockname()[1]}/v1/completions", flush=True)
    config = uvicorn.Config(Bridge(key, project).app, log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
