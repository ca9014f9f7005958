"""What the tests of the real model share: homes with an engine of their own, windows, holes in real code, adapters.

Everything waits on notifications and events; the patience only bounds tests that fail. Invariant: whatever a home
started has ended when ``Home.end`` returns, and nothing else was touched.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clients
import psutil
import pytest
import torch
import watchdog
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from tailora.engine.client import EngineClient
from tailora_adapters import foundation
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, GateResult, Manifest
from tailora_adapters.methods import LORA, Method
from tailora_adapters.methods.attached import put_on
from tailora_adapters.store import ProjectStore, Store
from tailora_adapters.training.save import config_text

__all__ = [
    "ENGINE",
    "MODEL",
    "PATIENCE_S",
    "SERVER",
    "SETTINGS",
    "WORKER",
    "Hole",
    "Home",
    "Window",
    "add_version",
    "answer",
    "copy_package",
    "copy_utilities",
    "cut",
    "lora",
    "of_method",
    "ready",
]

MODEL = "qwen2.5-coder-0.5b"
# -W instead of an environment variable: the engine is not ours to run with warnings as errors (it imports torch).
SERVER = (sys.executable, "-W", "error", "-m", "tailora.lsp.server")
ENGINE, WORKER = "tailora.engine", "tailora_adapters.training.worker"
"""Module names by which the processes of a home are told apart."""
PATIENCE_S = 540.0
"""Only bounds tests that fail; a busy machine, or one without AVX-512, takes minutes for a training run."""
SETTINGS: Mapping[str, Any] = {"completion": {"deadline_ms": 60_000, "context_chars": 0, "max_tokens": 24}}
"""No deadline that a busy machine could miss; short prompts and answers."""


class Home:
    """A ``TAILORA_HOME`` of its own, and the processes that run in it."""

    def __init__(self, path: Path, models: Path, **engine: object) -> None:
        self.path = path
        self.models = models
        settings = {f"TAILORA_ENGINE_{name.upper()}": str(value) for name, value in engine.items()}
        self.env = {**os.environ, "TAILORA_HOME": str(path), "TAILORA_MODELS": str(models), **settings}

    def processes(self, module: str) -> list[psutil.Process]:
        """The living processes of this home that run ``module``."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                mine = process.environ().get("TAILORA_HOME") == str(self.path)
                if mine and module in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def engine(self) -> psutil.Process:
        """The engine: exactly one."""
        (process,) = self.processes(ENGINE)
        return process

    def end(self) -> None:
        """Ends the engine and whatever else runs in this home."""
        for module in (ENGINE, WORKER, "tailora.lsp.server"):
            for process in self.processes(module):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                    process.wait()

    def store(self, root: Path) -> ProjectStore:
        """The adapters of a project."""
        return Store(self.path / "data" / "projects").project(root)

    async def window(
        self, *folders: Path, settings: Mapping[str, Any] = SETTINGS, up: bool = True
    ) -> "Window":
        """An editor with ``folders`` open, on a server that starts an engine if none runs.

        ``up``: wait until an engine answers.
        """
        window = Window(self.path, command=SERVER, env=self.env, patience_s=PATIENCE_S)
        await window.start(clients.vscode(), list(folders), settings)
        if up:
            await window.status(lambda told: told.model is not None)
        return window

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[EngineClient]:
        """A client of the running engine."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TAILORA_HOME", str(self.path))
            client = EngineClient(autostart=False)
            try:
                yield client
            finally:
                await client.aclose()

    async def until(self, condition: Callable[[Any], Any], project: Path | None = None) -> Any:
        """The first engine status that fulfils ``condition``."""
        async with (
            asyncio.timeout(PATIENCE_S),
            self.client() as client,
            # Its own client id, so that the end of this stream closes nobody's project.
            contextlib.aclosing(client.events(project, client="an onlooker")) as events,
        ):
            async for status in events:
                if condition(status):
                    return status
        raise AssertionError("the engine ended")


@dataclass(frozen=True, slots=True)
class Hole:
    """A document with something missing at a cursor."""

    uri: str
    text: str
    line: int
    character: int
    missing: str


def cut(path: Path, before: str, missing: str) -> Hole:
    """The file at ``path`` without ``missing`` behind the first ``before``; the file itself stays whole."""
    text = path.read_text(encoding="utf-8")
    offset = text.index(before + missing) + len(before)
    line, character = text[:offset].count("\n"), offset - (text.rfind("\n", 0, offset) + 1)
    return Hole(path.as_uri(), text[:offset] + text[offset + len(missing) :], line, character, missing)


class Window(clients.Editor):
    """An editor that can be asked at holes."""

    def show(self, hole: Hole) -> None:
        """Opens the document."""
        self.open(hole.uri, hole.text)

    async def suggestion(self, hole: Hole, *, manual: bool = True) -> str | None:
        """The suggested text, None for null. Manual requests never come from the typed-through cache."""
        item = await self.ask(hole.uri, hole.line, hole.character, manual=manual)
        if item is None:
            return None
        assert item.range is not None
        assert item.range.start.line == item.range.end.line == hole.line
        assert isinstance(item.insert_text, str)
        return item.insert_text

    async def do(self, command: str, *arguments: Any) -> None:
        """Runs a command, which must work."""
        answer = await self.command(command, *arguments)
        assert answer["ok"], answer["message"]

    async def refusal(self, command: str, *arguments: Any) -> str:
        """The message of a command that is refused."""
        answer = await self.command(command, *arguments)
        assert not answer["ok"], answer["message"]
        return str(answer["message"])

    async def learning(self, state: str, text: str = "") -> Any:
        """The newest status, as soon as the project's state is ``state`` and its message contains ``text``."""
        return await self.status(
            lambda told: told.project and told.project.state == state and text in told.project.message
        )


def ready(told: Any) -> bool:
    """Whether a ``tailora/status`` says that the model is loaded and nothing else goes on."""
    return told.state == "ready" and told.model is not None and told.model.state == "ready"


def _git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def _commit_all(root: Path) -> None:
    _git(root, "init", "--quiet")
    _git(root, "add", ".")
    _git(root, "commit", "--quiet", "--message", "Import")


def copy_package(root: Path) -> Path:
    """The source of watchdog, which is installed anyway, as a git repository at ``root``."""
    ignore = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(Path(watchdog.__file__).parent, root / "watchdog", ignore=ignore)
    _commit_all(root)
    return root


def copy_utilities(root: Path) -> Path:
    """A tiny git repository: just enough code for a training run."""
    root.mkdir(parents=True)
    folder = Path(watchdog.__file__).parent / "utils"
    for name in ("delayed_queue", "echo", "event_debouncer", "patterns", "bricks", "platform"):
        shutil.copy(folder / f"{name}.py", root)
    _commit_all(root)
    return root


def lora(models: Path, seed: int, *, strength: float = 0.15, width: int = 0) -> dict[str, torch.Tensor]:
    """A random LoRA on every output projection of the attention: rank 4, clearly felt, not yet babbling.

    ``width``: of a hidden state, where it is not to be the base model's.
    """
    config = json.loads((models / MODEL / "config.json").read_text(encoding="utf-8"))
    width = width or int(config["hidden_size"])
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for layer in range(int(config["num_hidden_layers"])):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        state[f"{name}.lora_A.weight"] = torch.randn((4, width), generator=generator) * width**-0.5
        state[f"{name}.lora_B.weight"] = torch.randn((width, 4), generator=generator) * strength
    return state


def of_method(models: Path, method: Method) -> tuple[dict[str, torch.Tensor], str]:
    """A random adapter of a method, clearly felt, and its configuration: tensors of the form that training leaves."""
    config = AutoConfig.from_pretrained(models / MODEL)
    layers = config.num_hidden_layers
    with torch.device("meta"):
        base = AutoModelForCausalLM.from_config(config)
    adapter = put_on(base, method, method.defaults, range(0 if method.whole else layers // 2, layers))
    generator = torch.Generator().manual_seed(1)
    state = {}
    for name, tensor in adapter.tensors().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        # Gains and lengths lie around 1; the rest around 0.
        state[name] = 1 + 0.3 * drawn if tensor.dim() == 1 or 1 in tensor.shape else 0.1 * drawn
    return state, config_text(adapter)


def add_version(
    home: Home,
    root: Path,
    state: Mapping[str, torch.Tensor],
    config: str | None = None,
    method: Method = LORA,
) -> str:
    """Makes an adapter (a LoRA, as ``lora`` draws it) the serving version of a project, as a training run would;
    returns its number."""
    floor = foundation.find(MODEL)
    record = json.loads((home.models / MODEL / "record.json").read_text(encoding="utf-8"))
    manifest = Manifest(
        base=BaseInfo(MODEL, record["source_sha256"], record["tokenizer_sha256"]),
        seed=0,
        data=DataInfo(examples=0, tokens=0, held_out_examples=0),
        cost=Cost(seconds=0.0, peak_rss_mb=0.0, tokens_per_second=0.0),
        gate=GateResult("promoted", "made by a test"),
        method=method.name,
        below=floor.sha256 if floor and method.floor == "merged" else None,
    )
    config = config or json.dumps(
        {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": 4,
            "lora_alpha": 4,
            "bias": "none",
            "target_modules": ["o_proj"],
        }
    )
    store = home.store(root)
    with store.candidate() as candidate:
        save_file(dict(state), candidate.path / "adapter_model.safetensors", metadata={"format": "pt"})
        (candidate.path / "adapter_config.json").write_text(config, encoding="utf-8")
        version = candidate.commit(manifest).version
    store.promote(version)
    return version


async def answer(
    home: Home, root: Path, hole: Hole, adapter: str = "serving", **more: Any
) -> tuple[str, Any]:
    """The engine's own answer, not post-processed: the text, and the last chunk's ``tailora``, with the ``likelihoods``
    of the text's tokens where ``more`` of the request asks for them (``logprobs=0``)."""
    lines = hole.text.splitlines(keepends=True)
    offset = sum(map(len, lines[: hole.line])) + hole.character
    body = {
        "prompt": hole.text[:offset],
        "suffix": hole.text[offset:],
        "max_tokens": 16,
        "tailora": {"project": str(root), "document": "engine", "adapter": adapter},
        **more,
    }
    text, last, likelihoods = "", {}, []
    async with home.client() as client, contextlib.aclosing(client.complete(body)) as chunks:
        async for chunk in chunks:
            text += chunk["choices"][0]["text"]
            likelihoods += (chunk["choices"][0]["logprobs"] or {}).get("token_logprobs", [])
            last = chunk
    return text, last["tailora"] | {"likelihoods": likelihoods}
