import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tailora.bench.peer import LlamaVim, figures_of
from tailora.bench.places import Document
from tailora.bench.player import Screen


class Server:
    """Answers ``/infill`` with ``contents`` in turn, each after ``delay_s``."""

    def __init__(self, *contents: str, delay_s: float = 0.3) -> None:
        self.contents = list(contents)
        self.delay_s = delay_s
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.at_once = 0
        self.failing = False

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        import json

        assert request.url.path == "/infill"
        self.at_once += 1
        assert self.at_once == 1, "one request at a time"
        self.bodies.append(json.loads(request.content))
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.delay_s)
        self.at_once -= 1
        if self.failing:
            return httpx2.Response(500)
        content = self.contents.pop(0) if self.contents else ""
        return httpx2.Response(
            200, json={"content": content, "timings/prompt_n": 5, "timings/prompt_ms": 10.0}
        )

    @property
    def prompts(self) -> list[str]:
        return [body["prompt"] for body in self.bodies]


class Window:
    """One document with one line that is typed."""

    def __init__(self, client: LlamaVim, document: Document) -> None:
        self.client = client
        self.document = document

    def at(self, line: str) -> Screen:
        text = f"top\n{line}\nbottom\n"
        screen = Screen(asyncio.get_running_loop().time)
        self.client.ask(self.document, text, len("top\n") + len(line), screen)
        return screen


Run = Callable[..., None]


@pytest.fixture
def session(in_no_time: Callable[..., Any], document: Document) -> Run:
    """Runs ``story(window)`` against a server, in virtual time."""

    def run(server: Server, story: Callable[[Window], Any]) -> None:
        async def work() -> None:
            transport = httpx2.MockTransport(server)
            async with httpx2.AsyncClient(transport=transport, base_url="http://peer") as http:
                client = LlamaVim(http)
                await story(Window(client, document))
                await client.aclose()

        in_no_time(work())

    return run


def test_a_result_is_shown_and_followed_by_a_speculative_request(session: Run) -> None:
    server = Server("turn value", "\nnext line")

    async def story(window: Window) -> None:
        screen = window.at("re")
        await asyncio.sleep(0.35)
        assert (screen.text, screen.cached) == ("turn value", False)
        assert screen.first_s == pytest.approx(0.3)
        assert screen.figures is not None
        await asyncio.sleep(1.0)
        assert server.prompts == ["re", "return value"]
        assert [body["t_max_predict_ms"] for body in server.bodies] == [250, 1000]
        # As in the plugin, the job still counts as running while its result is handled: 100 ms more.
        assert server.times == pytest.approx([0.0, 0.4])
        accepted = window.at("return value")
        assert (accepted.text, accepted.cached) == ("\nnext line", True)

    session(server, story)


def test_a_key_during_a_request_waits_for_it_and_is_tried_again(session: Run) -> None:
    server = Server("nonsense", "lete")

    async def story(window: Window) -> None:
        window.at("c")
        await asyncio.sleep(0.15)
        window.at("co")
        await asyncio.sleep(0.05)
        screen = window.at("comp")
        await asyncio.sleep(0.15)  # the first is over at 0.3; tries at 0.3 (from 0.2) and so on
        assert screen.answered_s is None
        await asyncio.sleep(0.5)
        assert screen.text == "lete"
        assert server.prompts[:2] == ["c", "comp"]

    session(server, story)


def test_what_was_typed_through_meanwhile_is_shown_when_the_result_comes(session: Run) -> None:
    server = Server("omplete it")

    async def story(window: Window) -> None:
        window.at("c")
        await asyncio.sleep(0.2)
        screen = window.at("com")
        await asyncio.sleep(0.15)
        assert (screen.text, screen.cached) == ("plete it", False)
        assert window.at("comp").text == "lete it"  # from the cache, at once

    session(server, story)


def test_a_result_that_does_not_fit_any_more_is_not_shown(session: Run) -> None:
    server = Server("omplete it", "")

    async def story(window: Window) -> None:
        window.at("c")
        await asyncio.sleep(0.2)
        screen = window.at("cx")
        await asyncio.sleep(0.15)
        assert screen.answered_s is None

    session(server, story)


def test_nothing_is_asked_twice(session: Run) -> None:
    server = Server("", "")

    async def story(window: Window) -> None:
        first = window.at("x")
        await asyncio.sleep(0.5)
        assert (first.text, first.reason) == (None, "the result adds nothing")
        asked = len(server.bodies)
        window.at("x")
        await asyncio.sleep(0.5)
        assert len(server.bodies) == asked

    session(server, story)


def test_nothing_is_shown_after_the_person_left(session: Run) -> None:
    server = Server("turn")

    async def story(window: Window) -> None:
        screen = window.at("re")
        window.client.leave()
        await asyncio.sleep(1.0)
        assert screen.answered_s is None
        assert len(server.bodies) == 1

    session(server, story)


def test_much_text_behind_the_cursor_asks_nothing(session: Run) -> None:
    server = Server("x")

    async def story(window: Window) -> None:
        text = "top\ncall(argument, another)\n"
        window.client.ask(window.document, text, len("top\ncall("), Screen(asyncio.get_running_loop().time))
        await asyncio.sleep(0.5)
        assert not server.bodies

    session(server, story)


def test_an_error_of_the_server_ends_the_job(session: Run, caplog: pytest.LogCaptureFixture) -> None:
    server = Server("turn")
    server.failing = True

    async def story(window: Window) -> None:
        window.at("re")
        await asyncio.sleep(0.5)
        server.failing = False
        screen = window.at("ret")
        await asyncio.sleep(0.5)
        assert screen.text == "turn"

    session(server, story)
    assert "500" in caplog.text


def test_timings_in_our_terms_nested_or_flat() -> None:
    flat = {
        "timings/prompt_n": 5,
        "timings/prompt_ms": 100,
        "timings/predicted_n": 4,
        "timings/predicted_ms": 80,
    }
    nested = {
        "timings": {"prompt_n": 5, "prompt_ms": 100, "predicted_n": 4, "predicted_ms": 80, "cache_n": 15}
    }
    assert figures_of(flat)["first_token_ms"] == 120
    assert figures_of(nested) | {"prompt_tokens": 20, "cached_tokens": 15} == figures_of(nested)
    assert figures_of(nested)["completion_tokens"] == 4
