"""What Zed sends for edit predictions, to the real engine over TCP and by the bridge that ships. Zed itself is not run.

The request and what is read of the answer are those of ``crates/edit_prediction`` (``open_ai_compatible.rs``,
``fim.rs``) in Zed's repository.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from real_model import PATIENCE_S, Home
from recorded import apart

from tailora.engine.client import EngineClient
from tailora.engine.endpoint import Endpoint

pytestmark = [pytest.mark.editors, pytest.mark.model, pytest.mark.timeout(600)]

_FOLDER = Path(__file__).parents[3] / "editors" / "zed"
_KEY = "a key of this test alone"
PREFIX = "def area(width, height):\n    return width * "
SUFFIX = "\n\n\ndef perimeter(width, height):\n    return 2 * (width + height)\n"
STOPS = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]
OLDER_STOPS = [
    *(
        "<|endoftext|>",
        "<|file_separator|>",
        "<|fim_pad|>",
        "<|fim_prefix|>",
        "<|fim_middle|>",
        "<|fim_suffix|>",
    ),
    *("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<PRE>", "<SUF>", "<MID>", "[PREFIX]", "[SUFFIX]"),
]
"""What Zed sent for every prompt format until it kept to OpenAI's limit of four."""


def request(stops: list[str]) -> dict[str, Any]:
    """A request as Zed makes it with the settings that ship; it leaves out what it does not set."""
    settings = json.loads((_FOLDER / "settings.json").read_text(encoding="utf-8"))["edit_predictions"]
    own = settings[settings["provider"]]
    assert own["prompt_format"] == "qwen"
    prompt = f"<|fim_prefix|>{PREFIX}<|fim_suffix|>{SUFFIX}<|fim_middle|>"
    return {"model": own["model"], "prompt": prompt, "max_tokens": own["max_output_tokens"], "stop": stops}


def understood(answer: httpx2.Response) -> dict[str, Any]:
    """The answer, once all of it is there that Zed reads, of the types that it expects."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert all(isinstance(body[name], str) for name in ("id", "object", "model"))
    assert isinstance(body["created"], int)
    (choice,) = body["choices"]
    assert isinstance(choice["text"], str)
    assert isinstance(choice["finish_reason"], str)
    usage = body["usage"]
    assert all(
        isinstance(usage[name], int) for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    return body


def post(url: str, key: str | None, body: Any) -> httpx2.Response:
    """The answer to a request with this key."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.post(url, json=body, headers=headers, timeout=PATIENCE_S, trust_env=False)


@pytest.fixture(scope="module")
def tcp_home(make_home) -> Home:
    """A home whose engine listens on loopback TCP."""
    return make_home(tcp=True)


@pytest.fixture(scope="module")
def engine(tcp_home: Home) -> Endpoint:
    """Where the engine is; it runs."""

    async def start() -> Endpoint | None:
        client = EngineClient()
        await client.ensure()
        found = client.endpoint
        await client.aclose()
        return found

    with pytest.MonkeyPatch.context() as patch:
        for name, value in tcp_home.env.items():
            patch.setenv(name, value)
        found = apart(start())
    assert found is not None
    assert found.token
    return found


@pytest.fixture(scope="module")
def bridge(tcp_home: Home) -> Iterator[str]:
    """The URL of a bridge that runs."""
    environment = {**tcp_home.env, "ZED_OPEN_AI_COMPATIBLE_EDIT_PREDICTION_API_KEY": _KEY}
    command = [sys.executable, "-W", "error", str(_FOLDER / "bridge.py"), "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().strip().partition(" ")
        assert name == "api_url"
        yield url
        process.terminate()
        assert process.wait(60) in (0, -15)


def test_the_engine_wants_its_token(engine):
    url = f"http://{engine.host}:{engine.port}/v1/completions"
    refused = post(url, None, request(STOPS))
    assert refused.status_code == 401
    assert "token" in refused.json()["error"]["message"]
    understood(post(url, engine.token, request(STOPS)))


@pytest.mark.parametrize("stops", [STOPS, OLDER_STOPS])
def test_the_bridge_fills_the_hole(engine, bridge, stops):
    body = understood(post(bridge, _KEY, request(stops)))
    plain = {"model": "tailora", "prompt": PREFIX, "suffix": SUFFIX, "max_tokens": 64}
    direct = understood(post(f"http://{engine.host}:{engine.port}/v1/completions", engine.token, plain))
    assert body["usage"]["prompt_tokens"] == direct["usage"]["prompt_tokens"]
    assert body["choices"][0]["finish_reason"] == "stop"
    text = body["choices"][0]["text"]
    assert text.strip()
    assert text == text.rstrip(), "a line end is there already"
    assert "<|" not in text


@pytest.mark.parametrize(
    "key,body,status",
    [
        ("another key", request(STOPS), 401),
        (_KEY, {**request(STOPS), "prompt": "def area("}, 400),
        (_KEY, {"model": "tailora"}, 400),
        (_KEY, [], 400),
    ],
)
def test_what_the_bridge_refuses(bridge, key, body, status):
    answer = post(bridge, key, body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_bridge_needs_a_key():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZED_")}
    done = subprocess.run(
        [sys.executable, str(_FOLDER / "bridge.py")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "ZED_OPEN_AI_COMPATIBLE_EDIT_PREDICTION_API_KEY" in done.stderr


def test_the_settings_name_the_bridge():
    source = (_FOLDER / "bridge.py").read_text(encoding="utf-8")
    settings = json.loads((_FOLDER / "settings.json").read_text(encoding="utf-8"))["edit_predictions"]
    port = int(settings["open_ai_compatible_api"]["api_url"].removeprefix("http://127.0.0.1:").split("/")[0])
    assert f"_PORT = {port}\n" in source
