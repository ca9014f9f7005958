"""A language server with no model behind it: it says what a test tells it to, and tells what it was sent.

Run as a program on stdio, with what it plays in the environment variable ``FAKE_SERVER`` as JSON. The notification
``fake/play`` changes what it plays, ``fake/send`` has it send a message, ``fake/heard`` answers with all it received.

Plays ``suggest``: texts; where what stands before the cursor ends with the beginning of one, its rest is suggested.
``back``: the range of a suggestion begins so many characters before the cursor. ``hold``: suggestions are not answered
until they are cancelled or this is off. ``crlf``: they have such line ends. ``answers``: of commands, by name.
``actions``, ``resolved``, ``lenses``: the answers to these requests. ``resolve_after_s``: how long an action takes.
``encoding``: the client's units. ``old``: it knows few commands. ``die``: the exit code with which it ends at once.
"""

import json
import os
import sys
import threading
from typing import Any

PLAYED: dict[str, Any] = json.loads(os.environ.get("FAKE_SERVER") or "{}")
HEARD: list[dict[str, Any]] = []
HELD: dict[int | str, dict[str, Any]] = {}
TEXTS: dict[str, str] = {}
LOCK = threading.Lock()
COMMANDS = ["tailora.accepted", "tailora.repairTest", "tailora.trainNow", "tailora.trustWorkspace"]
LATER = [
    "tailora.adapters",
    "tailora.deleteAdapters",
    "tailora.doctor",
    "tailora.here",
    "tailora.learned",
    "tailora.log",
    "tailora.pauseLearning",
    "tailora.restartEngine",
    "tailora.status",
    "tailora.useVersion",
]


def send(message: dict[str, Any]) -> None:
    """Writes one message."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with LOCK:
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        sys.stdout.buffer.flush()


def read() -> dict[str, Any] | None:
    """The next message; None at the end."""
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length)) if length else None


def encoding() -> str:
    """Python's name of a codec with the client's units; how long one is goes with it."""
    return {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[PLAYED.get("encoding", "utf-16")]


def unit() -> int:
    return {"utf-8": 1, "utf-16-le": 2, "utf-32-le": 4}[encoding()]


def index(text: str, position: dict[str, int]) -> int:
    """Where in ``text`` a position is. Lines end with LF or CRLF."""
    lines = text.split("\n")
    line = lines[position["line"]] if position["line"] < len(lines) else ""
    start = sum(len(before) + 1 for before in lines[: position["line"]])
    return min(
        start + len(line.encode(encoding())[: position["character"] * unit()].decode(encoding())), len(text)
    )


def units(text: str) -> int:
    return len(text.encode(encoding())) // unit()


def suggestions(params: dict[str, Any]) -> dict[str, Any] | None:
    """Of every text that was begun, the rest."""
    position = params["position"]
    text = TEXTS[params["textDocument"]["uri"]]
    before = text[: index(text, position)].replace("\r", "")
    items = []
    for whole in PLAYED.get("suggest", []):
        begun = next((n for n in range(len(whole) - 1, 0, -1) if before.endswith(whole[:n])), 0)
        if not begun:
            continue
        back = PLAYED.get("back", 0)
        start = {
            "line": position["line"],
            "character": position["character"] - units(whole[begun - back : begun]),
        }
        command = {"title": "accepted", "command": "tailora.accepted", "arguments": [whole]}
        text_of_item = whole[begun - back :]
        if PLAYED.get("crlf"):
            text_of_item = text_of_item.replace("\n", "\r\n")
        items.append(
            {"insertText": text_of_item, "range": {"start": start, "end": position}, "command": command}
        )
    return {"items": items} if items else None


def answer(method: str, params: dict[str, Any]) -> Any:
    """The result of a request."""
    match method:
        case "initialize":
            return {
                "capabilities": {
                    "positionEncoding": PLAYED.get("encoding", "utf-16"),
                    "textDocumentSync": {"openClose": True, "change": 2},
                    "inlineCompletionProvider": {},
                    "codeActionProvider": {"resolveProvider": True},
                    "codeLensProvider": {},
                    "executeCommandProvider": {
                        "commands": COMMANDS if PLAYED.get("old") else COMMANDS + LATER
                    },
                }
            }
        case "textDocument/inlineCompletion":
            return suggestions(params)
        case "textDocument/codeAction":
            return PLAYED.get("actions")
        case "textDocument/codeLens":
            return PLAYED.get("lenses")
        case "workspace/executeCommand":
            answers = PLAYED.get("answers", {})
            return answers.get(params["command"], {"ok": True, "message": f"{params['command']} done"})
        case "fake/heard":
            return [message for message in HEARD if message.get("method") != "fake/heard"]
    return None


def respond(message: dict[str, Any]) -> None:
    send({"id": message["id"], "result": answer(message["method"], message.get("params") or {})})


def request(message: dict[str, Any]) -> None:
    """Answers, now or later."""
    method = message["method"]
    if method == "textDocument/inlineCompletion" and PLAYED.get("hold"):
        HELD[message["id"]] = message
    elif method == "codeAction/resolve":
        resolved = {**message["params"], **PLAYED.get("resolved", {})}
        delay = PLAYED.get("resolve_after_s", 0)
        threading.Timer(delay, send, [{"id": message["id"], "result": resolved}]).start()
    else:
        respond(message)


def notification(method: str, params: dict[str, Any]) -> None:
    """Takes what the client tells."""
    match method:
        case "textDocument/didOpen":
            TEXTS[params["textDocument"]["uri"]] = params["textDocument"]["text"]
        case "textDocument/didChange":
            uri = params["textDocument"]["uri"]
            for change in params["contentChanges"]:
                text = TEXTS[uri]
                start, end = (index(text, change["range"][edge]) for edge in ("start", "end"))
                TEXTS[uri] = text[:start] + change["text"] + text[end:]
        case "$/cancelRequest":
            if params["id"] in HELD:
                del HELD[params["id"]]
                send({"id": params["id"], "error": {"code": -32800, "message": "cancelled"}})
        case "fake/play":
            PLAYED.update(params)
            if not PLAYED.get("hold"):
                while HELD:
                    respond(HELD.popitem()[1])
            if "die" in params:
                os._exit(params["die"])
        case "fake/send":
            send(params)


def main() -> None:
    if "die" in PLAYED:
        sys.exit(PLAYED["die"])
    while message := read():
        HEARD.append(message)
        if message.get("method") == "exit":
            return
        if "method" not in message:
            continue  # an answer
        if "id" in message:
            request(message)
        else:
            notification(message["method"], message.get("params") or {})


if __name__ == "__main__":
    main()
