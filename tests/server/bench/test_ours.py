import asyncio
from typing import Any

import pytest

from tailora.bench.ours import LanguageServer, position_of
from tailora.bench.places import Document
from tailora.bench.player import Edit, Screen


class FakeRpc:
    """Records what is sent; answers are given by the test."""

    def __init__(self, notified: Any) -> None:
        self.notified = notified
        self.sent: list[tuple[str, Any]] = []
        self.answers: list[Any] = []

    def notify(self, method: str, params: Any) -> None:
        self.sent.append((method, params))

    def ask(self, method: str, params: Any, answered: Any) -> int:
        self.sent.append((method, params))
        self.answers.append(answered)
        return len(self.answers)


@pytest.fixture
def rpc(monkeypatch: pytest.MonkeyPatch) -> list[FakeRpc]:
    made: list[FakeRpc] = []

    def make(notified: Any) -> FakeRpc:
        made.append(FakeRpc(notified))
        return made[-1]

    monkeypatch.setattr("tailora.bench.ours.Rpc", make)
    return made


CURSOR = {"line": 0, "character": 7}
ITEM = {"insertText": "value", "range": {"start": CURSOR, "end": CURSOR}}


def test_positions_are_in_utf16_units() -> None:
    assert position_of("ab\ncd", 4) == {"line": 1, "character": 1}
    assert position_of("é\U0001f600x", 2) == {"line": 0, "character": 3}
    assert position_of("", 0) == {"line": 0, "character": 0}


def test_an_answer_is_shown_with_what_the_server_tells_of_it(
    rpc: list[FakeRpc], document: Document, in_no_time: Any
) -> None:
    async def story() -> None:
        server = LanguageServer()
        screen = Screen(asyncio.get_running_loop().time)
        server.open(document, "return ")
        server.ask(document, "return ", 7, screen)
        await asyncio.sleep(0.1)
        stats = {"prompt_tokens": 9}
        rpc[0].notified("tailora/suggestion", {"cached": True, "reason": None, "stats": stats})
        rpc[0].answers[0]({"result": {"items": [ITEM]}})
        assert (screen.text, screen.cached, screen.figures) == ("value", True, stats)
        assert [method for method, _ in rpc[0].sent] == [
            "textDocument/didOpen",
            "textDocument/inlineCompletion",
        ]

    in_no_time(story())


def test_what_stands_before_the_cursor_in_an_item_is_no_ghost_text(
    rpc: list[FakeRpc], document: Document, in_no_time: Any
) -> None:
    async def story() -> None:
        server = LanguageServer()
        screen = Screen(asyncio.get_running_loop().time)
        server.ask(document, "return ", 7, screen)
        await asyncio.sleep(0.1)
        whole = {"start": {"line": 0, "character": 0}, "end": CURSOR}
        item = {"insertText": "return value", "range": whole}
        rpc[0].answers[0]({"result": {"items": [item]}})
        assert screen.text == "value"

    in_no_time(story())


def test_every_request_cancels_the_one_before_and_its_answer_is_lost(
    rpc: list[FakeRpc], document: Document, in_no_time: Any
) -> None:
    async def story() -> None:
        server = LanguageServer()
        server.open(document, "")
        screens = [Screen(asyncio.get_running_loop().time) for _ in range(3)]
        for number, screen in enumerate(screens):
            before, after = "x" * number, "x" * (number + 1)
            server.edit(document, Edit(number, number, "x", before, after))
            server.ask(document, after, number + 1, screen)
            await asyncio.sleep(0.1)
        rpc[0].notified("tailora/suggestion", {"cached": False, "reason": "overtaken", "stats": None})
        rpc[0].answers[0]({"error": {"code": -32800, "message": "cancelled"}})
        rpc[0].answers[2]({"result": None})
        assert [screen.answered_s is not None for screen in screens] == [False, False, True]
        assert screens[2].reason is None
        methods = [method for method, _ in rpc[0].sent[1:]]
        change, cancel, ask = "textDocument/didChange", "$/cancelRequest", "textDocument/inlineCompletion"
        assert methods == [change, ask, change, cancel, ask, change, cancel, ask]
        changes = [params for method, params in rpc[0].sent if method == "textDocument/didChange"]
        assert [change["textDocument"]["version"] for change in changes] == [2, 3, 4]

    in_no_time(story())


def test_a_key_right_behind_another_asks_once(
    rpc: list[FakeRpc], document: Document, in_no_time: Any
) -> None:
    async def story() -> None:
        server = LanguageServer()
        for cursor in (1, 2):
            server.ask(document, "xx", cursor, Screen(asyncio.get_running_loop().time))
        await asyncio.sleep(0.1)
        (sent,) = rpc[0].sent
        assert sent[1]["position"] == {"line": 0, "character": 2}

    in_no_time(story())
