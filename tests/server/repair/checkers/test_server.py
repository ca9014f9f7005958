"""A language server is started once, knows the project, answers about the text at hand, and ends."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tailora.demo.repository import copy_sources
from tailora.errors import CheckerFailed
from tailora.repair.checkers import Checker, compare, find
from tailora.repair.checkers.server import LanguageServer
from tailora.repair.checkers.typescript import TypeScript

Appears = Callable[[Path], Awaitable[None]]
Fake = Callable[[Path, str], Path]
Running = Callable[[], set[psutil.Process]]
UNDEFINED = {"ty": "unresolved-reference", "basedpyright": "reportUndefinedVariable"}
ARGUMENT = {"ty": "invalid-argument-type", "basedpyright": "reportArgumentType"}


def installed(name: str, root: Path) -> LanguageServer:
    (checker,) = (it for it in find(root, "python", trusted=True) if it.name == name)
    assert isinstance(checker, LanguageServer)
    return checker


@pytest.mark.parametrize("name", ["ty", "basedpyright"])
async def test_finds_and_confirms(root: Path, unchanged: Callable[[], bool], name: str) -> None:
    checker, path = installed(name, root), root / "use.py"
    try:
        before = await checker.check(path, 's = "é𝄞"; print(total)\n')
        pid = checker.pid
        assert pid is not None
        targets = [it for it in before if it.code == UNDEFINED[name]]
        assert [(it.line, it.column, it.end_column) for it in targets] == [(0, 16, 21)]
        mended = compare(before, await checker.check(path, 'total = 1\ns = "é𝄞"; print(total)\n'), targets)
        assert mended is not None
        assert mended.gone
        assert mended.new == ()
        worse = 'from shelf import count\n\ns = "é𝄞"; print(count(s))\n'
        other = compare(before, await checker.check(path, worse), targets)
        assert other is not None
        assert other.gone
        assert [(it.code, it.line) for it in other.new] == [(ARGUMENT[name], 2)]
        assert checker.pid == pid
    finally:
        await checker.close()
    assert not psutil.pid_exists(pid)
    assert unchanged()
    with pytest.raises(CheckerFailed, match="closed"):
        await checker.check(path, "")


@pytest.mark.parametrize("name", ["ty", "basedpyright"])
async def test_files_of_a_real_package_in_turn(tmp_path: Path, name: str) -> None:
    """Published, diagnostics of such a file come once and never again when it was closed in between."""
    root = copy_sources("typer", tmp_path)
    checker = installed(name, root)
    pid: int | None = None
    paths = [root / "src/typer" / it for it in ("_display.py", "_display.py", "params.py", "_display.py")]
    try:
        for place, path in enumerate(paths):
            text = path.read_text() + f"\nprint(unknown_{place})\n"
            found = [it for it in await checker.check(path, text) if it.code == UNDEFINED[name]]
            assert [it.line for it in found] == [text.count("\n") - 1]
            assert pid in (None, checker.pid)
            pid = checker.pid
    finally:
        await checker.close()


@pytest.mark.parametrize("name", ["ty", "basedpyright"])
async def test_hears_of_saved_files(root: Path, name: str) -> None:
    """A kept server must not judge by what another file was when it started."""
    checker, text = installed(name, root), "from shelf import count\n\nprint(count([]))\n"
    try:
        assert await checker.check(root / "new.py", text) == ()
        (root / "shelf.py").write_text("def count(books: int) -> int:\n    return books\n")
        assert [it.code for it in await checker.check(root / "new.py", text)] == [ARGUMENT[name]]
    finally:
        await checker.close()


async def test_crashed_is_started_anew(root: Path) -> None:
    checker = installed("ty", root)
    try:
        await checker.check(root / "use.py", "")
        assert checker.pid is not None
        old = psutil.Process(checker.pid)
        old.kill()
        assert [it.line for it in await checker.check(root / "use.py", "\nprint(total)\n")] == [1]
        assert checker.pid != old.pid
    finally:
        await checker.close()


async def test_several_at_a_time(root: Path) -> None:
    checker = installed("ty", root)
    try:
        texts = ["\n" * line + "print(total)\n" for line in range(8)]
        answers = await asyncio.gather(*(checker.check(root / "use.py", text) for text in texts))
        assert [[it.line for it in answer] for answer in answers] == [[line] for line in range(8)]
    finally:
        await checker.close()


SERVER = """
import json, sys
def receive():
    length = 0
    while (line := sys.stdin.buffer.readline()) not in (b"\\r\\n", b""):
        if line.startswith(b"Content-Length"):
            length = int(line.split(b":")[1])
    if not line:
        sys.exit()
    return json.loads(sys.stdin.buffer.read(length))
def send(**message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
    sys.stdout.buffer.flush()
def publish(item, message, **more):
    place = {"line": 0, "character": 0}
    send(method="textDocument/publishDiagnostics", params={"uri": item["uri"], **more, "diagnostics": [
        {"range": {"start": place, "end": place}, "message": message, "severity": 1}]})
def initialize():
    send(id=receive()["id"], result={"capabilities": {}})
"""
"""The beginning of a language server that publishes."""


async def test_takes_no_answer_to_another_text(root: Path, fake: Fake) -> None:
    program = (
        "initialize()\n"
        "while True:\n"
        "    message = receive()\n"
        "    if message.get('method') == 'textDocument/didOpen':\n"
        "        item = message['params']['textDocument']\n"
        "        publish(item, 'stale', version=item['version'] - 1)\n"
        "        send(method='$/strange')\n"
        "        send(id=5, method='strange/request', params={})\n"
        "        publish(item, item['text'], version=item['version'])\n"
        "    elif message.get('method') == 'textDocument/didClose':\n"
        "        publish(message['params']['textDocument'], 'closed')\n"
    )
    checker = fake_server(root, fake, SERVER + program)
    try:
        for text in ("one", "two", "three"):
            assert [it.message for it in await checker.check(root / "use.py", text)] == [text]
    finally:
        await checker.close()


def fake_server(root: Path, fake: Fake, program: str, seconds: float = 20.0) -> LanguageServer:
    executable = fake(root.parent / "server", program)
    return LanguageServer(
        "pyright", [executable, "--stdio"], root, frozenset({"python"}), trusted=True,
        seconds=seconds, first_seconds=seconds,
    )  # fmt: skip


def says(text: str) -> str:
    """A program that writes this and waits."""
    return f"import sys, time\nsys.stdout.write({text!r})\nsys.stdout.flush()\ntime.sleep(600)"


@pytest.mark.parametrize(
    "program,message",
    [
        ("import time; time.sleep(600)", "took longer"),
        (SERVER + "initialize()\nwhile True: receive()", "took longer"),
        ("raise SystemExit(1)", "ended before it answered, twice"),
        (SERVER + "initialize()\nsys.exit()", "ended before it answered, twice"),
        (says("Hello, world\n"), "cannot be read"),
        (says("Content-Length: 3\r\n\r\n{]["), "cannot be read"),
        (says("Content-Length: 999999999999\r\n\r\n"), "cannot be read"),
        ("while True: print('x' * 100000)", "cannot be read"),
        (
            SERVER + "initialize()\nsend(method='textDocument/publishDiagnostics', params=7)\nwhile True: receive()",
            "cannot be read",
        ),
        (SERVER + "send(id=receive()['id'], result={'capabilities': 7})\nwhile True: receive()", "cannot be read"),
    ],
)  # fmt: skip
async def test_one_that_fails(root: Path, fake: Fake, program: str, message: str, running: Running) -> None:
    checker = fake_server(root, fake, program, 2.0 if "longer" in message else 20.0)
    with pytest.raises(CheckerFailed, match=f"pyright.*{message}"):
        await checker.check(root / "use.py", "")
    assert checker.pid is None
    assert running() == set()


async def test_giving_up_while_it_starts_ends_it(
    root: Path, fake: Fake, appears: Appears, running: Running
) -> None:
    started = root.parent / "started"
    checker = fake_server(root, fake, f"import time; open({str(started)!r}, 'w'); time.sleep(600)")
    task = asyncio.create_task(checker.check(root / "use.py", ""))
    await appears(started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running() == set()


async def test_closing_ends_a_check(root: Path, fake: Fake, appears: Appears, running: Running) -> None:
    opened = root.parent / "opened"
    program = (
        SERVER + f"initialize()\nreceive(), receive()\nopen({str(opened)!r}, 'w')\nwhile True: receive()"
    )
    checker = fake_server(root, fake, program)
    task = asyncio.create_task(checker.check(root / "use.py", ""))
    await appears(opened)
    await checker.close()
    with pytest.raises(CheckerFailed):
        await task
    assert running() == set()


def framed(*messages: dict[str, object]) -> str:
    bodies = [json.dumps(message) + "\n" for message in messages]
    return "".join(f"Content-Length: {len(body)}\r\n\r\n{body}" for body in bodies)


TSSERVER = framed(
    {"seq": 0, "type": "event", "event": "projectLoadingStart", "body": {"projectName": "/p/tsconfig.json"}},
    {"type": "response", "command": "syntacticDiagnosticsSync", "request_seq": 1, "success": True, "body": []},
    {"type": "response", "command": "semanticDiagnosticsSync", "request_seq": 2, "success": True, "body": [
        {"start": {"line": 1, "offset": 46}, "end": {"line": 1, "offset": 47},
         "text": "Type 'string' is not assignable to type 'number'.", "code": 2322, "category": "error"},
    ]},
)  # fmt: skip
"""As version 5.9 answers."""


async def test_tsserver(root: Path, fake: Fake, running: Running) -> None:
    fake(
        root / "node_modules" / ".bin" / "tsserver",
        "import json, sys, time\nopened = json.loads(sys.stdin.readline())['arguments']\n"
        "assert opened['file'].endswith('a.ts') and 'number' in opened['fileContent']\n"
        f"sys.stdout.write({TSSERVER!r})\nsys.stdout.flush()\ntime.sleep(600)",
    )
    (checker,) = (it for it in find(root, "typescript", trusted=True) if it.name == "tsc")
    text = 'export const s: string = "é𝄞"; export const n: number = s;\n'
    found = await checker.check(root / "a.ts", text)
    assert [(it.source, it.code, it.line, it.column, it.end_column) for it in found] == [
        ("ts", "2322", 0, 44, 45)
    ]
    assert checker.reports("ts")
    assert running() == set()


@pytest.mark.parametrize(
    "program,message",
    [
        ("import time; time.sleep(600)", "took longer"),
        ("raise SystemExit(1)", "ended before it answered"),
        ("print('garbage')", "cannot be read"),
        (
            f"print({framed({'type': 'response', 'command': 'semanticDiagnosticsSync', 'success': False})!r})",
            "refuses",
        ),
    ],
)
async def test_tsserver_that_fails(root: Path, fake: Fake, program: str, message: str) -> None:
    executable = fake(root.parent / "tsserver", program)
    seconds = 1.0 if "sleep" in program else 20.0
    checker: Checker = TypeScript(executable, root, frozenset(), trusted=True, seconds=seconds)
    with pytest.raises(CheckerFailed, match=f"tsserver.*{message}"):
        await checker.check(root / "a.ts", "")
