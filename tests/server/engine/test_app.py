"""The routes, without a socket: formats, errors, bad input."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from engine_fakes import FakeGenerator, commit, no_adapter

from tailora.engine.app import Services, make_app
from tailora.engine.model import Model
from tailora.engine.options import EngineOptions
from tailora.engine.projects import Projects
from tailora.engine.schedule import Rules
from tailora.engine.scheduler import Scheduler
from tailora.engine.status import StatusHub
from tailora.errors import PromptTooLong
from tailora_adapters.errors import ModelCorrupt, ModelMissing, VersionUnknown
from tailora_adapters.store import Store


@dataclass
class Engine:
    generator: FakeGenerator
    scheduler: Scheduler
    model: Model
    projects: Projects
    http: httpx2.AsyncClient
    stopped: list[bool]


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[Engine]:
    generator, hub, stopped = FakeGenerator(), StatusHub(["engine.threads: bad"]), [False]
    scheduler = Scheduler(generator, no_adapter, hub.changed)
    fetched = lambda name, progress: Path(name)  # noqa: E731
    model = Model(EngineOptions(), generator, scheduler, hub.changed, fetch=fetched, is_ready=lambda _: True)
    projects = Projects("fake", Store(), Rules(), hub.changed)
    hub.model, hub.project = model.status, projects.status
    hub.requests = lambda: {"active": scheduler.active, "served": scheduler.served, "cancelled": 0}
    scheduler.start()
    projects.start()
    services = Services(scheduler, model, projects, hub, lambda: stopped.append(True))
    transport = httpx2.ASGITransport(make_app(services), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://engine") as http:
        yield Engine(generator, scheduler, model, projects, http, stopped)
    generator.step(1000)
    await projects.close_all()
    await scheduler.close()


async def complete(engine: Engine, **body: Any) -> httpx2.Response:
    return await engine.http.post("/v1/completions", json=body)


def error_of(response: httpx2.Response) -> tuple[int, str, str]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "code"}
    assert "Traceback" not in response.text
    return response.status_code, error["code"], error["message"]


async def test_health(engine: Engine) -> None:
    health = (await engine.http.get("/health")).json()
    assert (health["status"], health["protocol"]) == ("ok", 1)
    assert set(health) == {"status", "pid", "version", "protocol"}


async def test_a_plain_openai_request_is_answered_whole(engine: Engine) -> None:
    answer = (await complete(engine, model="gpt-3.5-turbo-instruct", prompt=["a b"], max_tokens=2)).json()
    assert answer["object"] == "text_completion"
    assert isinstance(answer["created"], int)
    assert answer["id"].startswith("cmpl-")
    assert answer["choices"] == [{"text": "w0 w1 ", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


async def test_a_stream_has_openais_form(engine: Engine) -> None:
    response = await complete(engine, prompt="a", max_tokens=3, stream=True)
    assert response.headers["content-type"] == "text/event-stream"
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    texts = [chunk["choices"][0]["text"] for chunk in chunks]
    assert "".join(texts) == "w0 w1 w2 "
    assert texts[0] == "w0 ", "the first word comes by itself, further ones may come together"
    *reasons, last = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert (set(reasons), last) == ({None}, "length")
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["object"] == "text_completion" for chunk in chunks)
    assert [chunk for chunk in chunks if "usage" in chunk] == chunks[-1:]
    assert set(chunks[-1]["tailora"]) == {
        "adapter",
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "queue_ms",
        "prefill_ms",
        "first_token_ms",
        "decode_ms",
        "drafted_tokens",
        "accepted_tokens",
    }
    assert "tailora" not in chunks[0]
    wanted = await complete(engine, prompt="a", max_tokens=3, stream=True, tailora={"stats": True})
    first = json.loads(wanted.text.split("\n\n")[0].removeprefix("data: "))
    assert first["tailora"]["prompt_tokens"] == chunks[-1]["tailora"]["prompt_tokens"]


async def test_tailoras_fields_reach_the_generator(engine: Engine) -> None:
    extra = {
        "document": "file:///a.py",
        "path": "a.py",
        "language": "python",
        "context": [{"path": "b.py", "text": "def b(): ..."}],
        "adapter": "none",
        "something_new": 1,
    }
    body = {"prompt": "p", "suffix": "s", "stop": "\n\n", "seed": 3, "temperature": 0.2, "top_p": 0.9}
    assert (await complete(engine, **body, tailora=extra)).status_code == 200
    request = engine.generator.requests[0]
    assert (request.prefix, request.suffix, request.stop, request.seed) == ("p", "s", ("\n\n",), 3)
    assert (request.document, request.path, request.language) == ("file:///a.py", "a.py", "python")
    assert [(snippet.path, snippet.text) for snippet in request.context] == [("b.py", "def b(): ...")]


async def test_half_a_character_does_not_break_a_request(engine: Engine) -> None:
    content = b'{"prompt": "a\\ud83d", "stop": "\\ude00", "tailora": {"document": "\\udcff"}}'
    assert (await engine.http.post("/v1/completions", content=content)).status_code == 200
    request = engine.generator.requests[0]
    assert (request.prefix, request.stop, request.document) == ("a?", ("?",), "?")
    opened = {"root": "/\udcff", "client": "c", "trusted": True, "learning": True}
    answer = await engine.http.post("/v1/projects/open", content=json.dumps(opened))
    assert answer.json()["project"]["state"] == "off"


async def test_a_superseded_request_says_so(engine: Engine) -> None:
    engine.generator.hold = True
    body = {"prompt": "p", "max_tokens": 2, "tailora": {"document": "d"}}
    first = asyncio.create_task(complete(engine, **body, stream=True))
    assert await asyncio.to_thread(engine.generator.at_step.acquire, timeout=20)
    second = asyncio.create_task(complete(engine, **body))
    chunk = json.loads((await first).text.split("\n\n")[0].removeprefix("data: "))
    assert chunk["choices"][0]["finish_reason"] == "superseded"
    engine.generator.step(10)
    assert (await second).json()["choices"][0]["finish_reason"] == "length"


BAD_BODIES: list[tuple[dict[str, Any], str]] = [
    ({}, "prompt is missing"),
    ({"prompt": 1}, "prompt must be"),
    ({"prompt": ["a", "b"]}, "prompt must be"),
    ({"prompt": [1, 2]}, "prompt must be"),
    ({"prompt": "p", "suffix": 1}, "suffix must be"),
    ({"prompt": "p", "max_tokens": -1}, "max_tokens must be"),
    ({"prompt": "p", "max_tokens": 1e9}, "max_tokens must be"),
    ({"prompt": "p", "max_tokens": True}, "max_tokens must be"),
    ({"prompt": "p", "temperature": "hot"}, "temperature must be"),
    ({"prompt": "p", "top_p": 2}, "top_p must be"),
    ({"prompt": "p", "seed": 1.5}, "seed must be"),
    ({"prompt": "p", "stop": [1]}, "stop must be"),
    ({"prompt": "p", "stop": ["x"] * 17}, "stop must be"),
    ({"prompt": "p", "stream": "yes"}, "stream must be"),
    ({"prompt": "p", "n": 2}, "n must be 1"),
    ({"prompt": "p", "echo": True}, "echo must be false"),
    ({"prompt": "p", "logprobs": 6}, "logprobs must be a whole number from 0 to 5"),
    ({"prompt": "p", "tailora": {"middle": 1}}, "tailora.middle must be"),
    ({"prompt": "p", "tailora": []}, "tailora must be an object"),
    ({"prompt": "p", "tailora": {"context": {}}}, "tailora.context must be"),
    ({"prompt": "p", "tailora": {"context": [{"path": "a"}]}}, "tailora.context[0].text is missing"),
    ({"prompt": "p", "tailora": {"document": 1}}, "tailora.document must be"),
    ({"prompt": "p", "tailora": {"suffix_tokens": 2000}}, "tailora.suffix_tokens must be"),
    ({"prompt": "p", "tailora": {"project": "relative"}}, "absolute path"),
    ({"prompt": "p", "tailora": {"adapter": "3"}}, "tailora.project"),
]


@pytest.mark.parametrize("adapter", ["serving", "repair", "docstring", "generation", "foundation", "none"])
async def test_without_a_project_any_general_adapter_may_be_wanted(engine: Engine, adapter: str) -> None:
    answer = await complete(engine, prompt="a", max_tokens=1, tailora={"adapter": adapter})
    assert answer.status_code == 200


async def test_a_repair_of_an_open_project_is_noted(engine: Engine, tmp_path: Path) -> None:
    root, loop = tmp_path / "project", tmp_path / "loop"
    root.mkdir()
    loop.symlink_to(loop)
    for path in (root, loop):  # not open: nothing to note, and no reason to refuse
        extra = {"project": str(path), "adapter": "repair"}
        assert (await complete(engine, prompt="a", max_tokens=1, tailora=extra)).status_code == 200
    body = {"root": str(root), "client": "c", "trusted": True, "learning": True}
    await engine.http.post("/v1/projects/open", json=body)
    agenda = engine.projects._projects[root.resolve()].agenda
    for adapter, asked in (("serving", False), ("foundation", False), ("repair", True)):
        extra = {"project": str(root), "adapter": adapter}
        assert (await complete(engine, prompt="a", max_tokens=1, tailora=extra)).status_code == 200
        assert agenda.repair_asked == asked


@pytest.mark.parametrize(
    "method, message",
    [
        ({"name": "magic"}, "there is no method 'magic'"),
        ({"name": "lora", "parameters": {"rank": 4096}}, "lora.rank must be a whole number from 1 to 128"),
        ({"name": "lora", "parameters": 5}, "method.parameters must be an object"),
        ({"parameters": {}}, "method.name is missing"),
        ("lora", "method must be an object"),
    ],
)
async def test_a_bad_method_is_named(engine: Engine, tmp_path: Path, method: Any, message: str) -> None:
    body = {"root": str(tmp_path), "client": "c", "trusted": False, "learning": False, "method": method}
    status, code, text = error_of(await engine.http.post("/v1/projects/open", json=body))
    assert (status, code) == (400, "bad_request")
    assert message in text
    assert engine.projects.open_count == 0


@pytest.mark.parametrize("body, message", BAD_BODIES)
async def test_a_bad_field_is_named(engine: Engine, body: dict[str, Any], message: str) -> None:
    status, code, text = error_of(await complete(engine, **body))
    assert (status, code) == (400, "bad_request")
    assert message in text
    assert engine.scheduler.active == 0


@pytest.mark.parametrize(
    "content, status",
    [
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"[" * 100_000, 400),
        (b"", 400),
        (b" " * (4 * 1024 * 1024 + 1), 413),
    ],
)
async def test_a_malformed_body_is_refused(engine: Engine, content: bytes, status: int) -> None:
    response = await engine.http.post("/v1/completions", content=content)
    assert error_of(response)[:2] == (status, "bad_request")
    assert (await engine.http.get("/health")).status_code == 200


@pytest.mark.parametrize("method, path, status", [("GET", "/nothing", 404), ("GET", "/v1/completions", 405)])
async def test_unknown_routes_answer_in_json(engine: Engine, method: str, path: str, status: int) -> None:
    assert error_of(await engine.http.request(method, path))[0] == status


@pytest.mark.parametrize(
    "error, status, code",
    [
        (PromptTooLong("too long"), 400, "prompt_too_long"),
        (VersionUnknown("no version 9"), 404, "version_unknown"),
        (ModelMissing("none"), 404, "model_missing"),
        (ModelCorrupt("bad hash"), 500, "model_corrupt"),
        (MemoryError(), 503, "out_of_memory"),
        (RuntimeError("a secret detail"), 500, "internal"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_has_a_status_and_a_code(
    engine: Engine, error: Exception, status: int, code: str, stream: bool
) -> None:
    engine.generator.errors["p"] = error
    got = error_of(await complete(engine, prompt="p", stream=stream))
    assert got[:2] == (status, code)
    assert "secret" not in got[2]


async def test_status_models_and_actions(engine: Engine, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    status = (await engine.http.get("/v1/status")).json()
    assert set(status) == {"engine", "model", "project", "requests"}
    assert status["project"] is None
    assert status["engine"]["problems"] == ["engine.threads: bad"]
    assert (await engine.http.get("/v1/models")).json()["data"][0]["id"] == "qwen2.5-coder-0.5b"
    body = {"root": str(root), "client": "c", "trusted": False, "learning": True}
    opened = (await engine.http.post("/v1/projects/open", json=body)).json()["project"]
    assert (opened["root"], opened["state"], opened["serving"]) == (str(root), "untrusted", None)
    for action in ("pause", "resume", "disable", "enable", "rollback"):
        response = await engine.http.post(f"/v1/projects/{action}", json={"root": str(root)})
        assert response.status_code == 200, response.text
    refused = await engine.http.post("/v1/projects/train", json={"root": str(root)})
    assert error_of(refused)[2] == "nothing is learned from a workspace that is not trusted"
    assert (await engine.http.post("/v1/projects/close", json=body)).json()["project"]["state"] == "off"


def told(version: str, count: int, accepted: int) -> list[dict[str, Any]]:
    """What a client tells of ``count`` suggestions."""
    events: list[dict[str, Any]] = []
    for number in range(count):
        ident = f"{version}-{number}"
        shown = {"event": "shown", "id": ident, "adapter": version, "language": "python", "multiline": False}
        events.append({**shown, "characters": 8, "at": time.time()})
        if number < accepted:
            events.append({"event": "accepted", "id": ident, "characters": 8})
            events.append({"event": "kept", "id": ident, "after_s": 30, "ratio": 1.0})
    return events


async def test_outcomes_roll_a_bad_version_back(engine: Engine, tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    store = Store().project(root)
    commit(store, 1, base="fake")
    commit(store, 2, base="fake")
    for version, count, accepted in (("1", 190, 61), ("2", 140, 12)):
        body = {"root": str(root), "events": told(version, count, accepted)}
        answer = await engine.http.post("/v1/projects/outcomes", json=body)
        assert answer.status_code == 200, answer.text
    status = answer.json()["project"]
    reason = "version 2 was rolled back by itself: 12 of 140 suggestions accepted, 61 of 190 with version 1 (p = 1e-07)"
    assert (status["serving"], status["withdrawn"]) == ("1", reason)
    assert status["message"].endswith(reason)
    commit(store, 3, base="fake")  # the next promotion
    status = (await engine.http.get("/v1/status", params={"project": str(root)})).json()["project"]
    assert (status["serving"], status["withdrawn"]) == ("3", None)


@pytest.mark.parametrize(
    "event, named",
    [
        ({"event": "seen", "id": "a"}, 'events[0].event must be one of "shown"'),
        ({"event": "accepted", "id": "a" * 65, "characters": 1}, "events[0].id must be at most 64"),
        ({"event": "kept", "id": "a", "after_s": 31, "ratio": 1}, "events[0].after_s must be 30 or 180"),
        ({"event": "kept", "id": "a", "after_s": 30, "ratio": 2}, "events[0].ratio must be a number"),
        ({"event": "shown", "id": "a", "adapter": "def f():"}, "events[0].adapter must be"),
        ({"event": "shown", "id": "a", "adapter": "3"}, "events[0].language is missing"),
    ],
)
async def test_a_bad_outcome_is_named(engine: Engine, home: Path, event: dict[str, Any], named: str) -> None:
    body = {"root": "/project", "events": [event]}
    status, code, message = error_of(await engine.http.post("/v1/projects/outcomes", json=body))
    assert (status, code) == (400, "bad_request")
    assert named in message
    assert not (home / "data").exists()


async def test_too_many_outcomes(engine: Engine) -> None:
    events = [{"event": "accepted", "id": "a", "characters": 1}] * 1001
    refused = await engine.http.post("/v1/projects/outcomes", json={"root": "/project", "events": events})
    assert error_of(refused)[2] == "events must be at most 1000, not 1001"


@pytest.mark.parametrize("root", ["relative", "", 5, None, "/a\0b"])
async def test_a_bad_root_is_named(engine: Engine, root: object) -> None:
    response = await engine.http.post("/v1/projects/pause", json={"root": root})
    status, code, message = error_of(response)
    assert (status, code) == (400, "bad_request")
    assert "root" in message


async def test_shutdown_and_pull_answer_at_once(engine: Engine) -> None:
    assert (await engine.http.post("/v1/model/pull")).status_code == 202
    assert (await engine.http.post("/v1/model/load")).status_code == 202
    assert (await engine.http.post("/v1/shutdown")).status_code == 202
    assert engine.stopped == [False, True]


async def test_no_request_is_tried_while_the_model_is_fetched(engine: Engine) -> None:
    engine.model._progress("qwen2.5-coder-0.5b", 0.43, "fetching part 3")
    status, code, message = error_of(await complete(engine, prompt="p"))
    assert (status, code) == (404, "model_missing")
    assert "43%" in message
    assert engine.generator.requests == []
