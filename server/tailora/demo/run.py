"""The story of the demo: complete, learn, compare, complete again, roll back.

Everything goes through the language server, as in an editor. A home of its own under a temporary folder keeps it
apart from the user's engine and adapters; the base model is the user's.
"""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tailora.cli.model import pull_model
from tailora.demo.editor import Editor
from tailora.demo.repository import DEFAULT_PACKAGE, Spot, copy_package, find_spot
from tailora.engine.client import EngineClient
from tailora.environment import environment
from tailora_adapters import paths
from tailora_adapters.base.catalogue import DEFAULT_CPU
from tailora_adapters.base.fetch import is_ready
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.split import split
from tailora_adapters.store import Store

__all__ = ["run_demo"]

_TRAINING_LIMIT_S = 1_500


def run_demo(*, package: str, seconds: float, quiet: bool) -> dict[str, Any]:
    """Runs the demo and returns its figures.

    Raises:
        TailoraError: a step failed; says which.
    """
    say = _Teller(quiet)
    package = package or DEFAULT_PACKAGE
    if not is_ready(DEFAULT_CPU):
        say.step(f"Bringing the base model {DEFAULT_CPU} to this machine (once, about 500 MB)")
        pull_model(DEFAULT_CPU)
    with tempfile.TemporaryDirectory(prefix="tailora-demo-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        variables = {
            "TAILORA_HOME": str(home / "home"),
            "TAILORA_MODELS": str(paths.models_dir()),
            "TAILORA_ENGINE_MODEL": DEFAULT_CPU,
            "TAILORA_ENGINE_TRAIN_SECONDS": str(seconds),
            "TAILORA_ENGINE_QUIET_S": "86400",  # the demo says itself when to learn
        }
        with environment(variables):
            root = copy_package(package, home)
            spot = _held_out_spot(root)
            return asyncio.run(_story(say, root, spot, package, variables))


async def _story(
    say: "_Teller", root: Path, spot: Spot, package: str, variables: dict[str, str]
) -> dict[str, Any]:
    editor = Editor(variables)
    client = EngineClient(autostart=False)
    try:
        say.step(f"Opening {package}: a copy of its source, in a git repository of its own")
        began = time.perf_counter()
        await editor.open(root)
        await editor.wait(lambda status: status.get("model") is not None, "the engine's start", seconds=60)
        say.note(f"language server and engine up after {time.perf_counter() - began:.1f} s")

        say.step(f"Typing in {spot.path.relative_to(root)}, line {spot.line + 1}, as an editor would")
        editor.type_in(spot)
        before, first_ms = await _timed(editor, spot)
        say.code(spot, before, f"suggested after {first_ms:.0f} ms (the model was loaded in that time)")
        _, again_ms = await _timed(editor, spot)

        say.step("Learning this repository in the background (training, then the gate)")
        status = await _learn(editor, say)
        gate = status["project"]["last_gate"]
        say.gate(gate)
        after, _ = await _timed(editor, spot)
        say.code(
            spot, after, f"the same place, now with version {status['project']['serving'] or 'foundation'}"
        )

        say.step("Rolling back")
        await editor.command("tailora.rollBack")
        rolled_back, _ = await _timed(editor, spot)
        same = rolled_back == before
        say.note(
            "the foundation adapter serves again" + (", and suggests what it did before" if same else "")
        )
        version = Store().project(root).get(gate["version"]).manifest
        peak_engine = (await _engine_status(client))["engine"]["rss_mb"]
    finally:
        with contextlib.suppress(Exception):
            await editor.close()
        with contextlib.suppress(Exception):
            await client.ensure()
            await client.shutdown()
        await client.aclose()
    assert version is not None
    say.note(f"training took {version.cost.seconds:.0f} s and {version.cost.peak_rss_mb:.0f} MB at most")
    return {
        "package": package,
        "completion": {
            "text": before,
            "real": spot.real,
            "first_suggestion_ms": round(first_ms),
            "repeated_ms": round(again_ms),
            "after_training": after,
            "after_rollback": rolled_back,
        },
        "gate": gate,
        "adapter": {"version": gate["version"], "parent": version.parent},
        "train_seconds": version.cost.seconds,
        "tokens_per_second": version.cost.tokens_per_second,
        "peak_rss_mb": max(version.cost.peak_rss_mb, peak_engine),
        "engine_rss_mb": peak_engine,
    }


async def _learn(editor: Editor, say: "_Teller") -> dict[str, Any]:
    await editor.command("tailora.trainNow")
    shown = ""

    def done(status: dict[str, Any]) -> bool:
        nonlocal shown
        project = status.get("project") or {}
        head = str(project.get("message", "")).split(",")[0]
        if project.get("state") in ("training", "gating") and head != shown and not head.startswith("step"):
            shown = head
            say.note(head)
        return bool(project.get("last_gate"))

    return await editor.wait(done, "learning", seconds=_TRAINING_LIMIT_S)


async def _timed(editor: Editor, spot: Spot) -> tuple[str | None, float]:
    began = time.perf_counter()
    text = await editor.suggestion(spot)
    return text, (time.perf_counter() - began) * 1000


async def _engine_status(client: EngineClient) -> dict[str, Any]:
    await client.ensure()
    return await client.status(None)


def _held_out_spot(root: Path) -> Spot:
    """A place in a file that is held out, so that what is learned was not learned there."""
    held_out = split(read_learnable(root).selection.files, seed=1).held_out
    largest = max(held_out, key=lambda file: len(file.text))
    return find_spot(root, largest.path)


class _Teller:
    """Says what happens, to a person."""

    def __init__(self, quiet: bool) -> None:
        # With --json, stdout is the document's; the story goes to stderr all the same.
        self._console = Console(stderr=quiet, highlight=False, soft_wrap=True)
        self._began = time.perf_counter()
        self._number = 0

    def step(self, text: str) -> None:
        self._number += 1
        self._console.print(
            f"\n[bold]{self._number}. {text}[/bold]  [dim]{time.perf_counter() - self._began:.0f} s[/dim]"
        )

    def note(self, text: str) -> None:
        self._console.print(f"   {text}", markup=False)

    def code(self, spot: Spot, suggestion: str | None, remark: str) -> None:
        typed = spot.text.split("\n")[spot.line].lstrip()
        shown = (suggestion or "(nothing)").replace("\n", "\n     ")
        self._console.print(f"     {typed}", end="", markup=False)
        self._console.print(shown, style="reverse", markup=False)
        self.note(f"{remark}; what really stands there: {spot.real.strip()}")

    def gate(self, gate: dict[str, Any]) -> None:
        self._console.print("   held-out code of this repository     base     adapter")
        for name, label in (
            ("nll", "loss, nats a token"),
            ("exact_match", "holes filled exactly"),
            ("stop_rate", "stops at the end"),
        ):
            base, candidate = gate[f"base_{name}"], gate[f"candidate_{name}"]
            form = "{:.3f}" if name == "nll" else "{:.1%}"
            self._console.print(f"     {label:<32}  {form.format(base):>7}  {form.format(candidate):>8}")
        for check in gate["checks"]:
            self._console.print(
                f"     {'passed' if check['passed'] else 'FAILED'}  {check['message']}", markup=False
            )
        self._console.print(f"   {gate['decision']}: {gate['reason']}", markup=False)
