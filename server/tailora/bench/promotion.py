"""``tailora bench promotion``: from saving a changed file to a promoted adapter that has seen it.

A copy of an installed package, with the ends of some files cut off, is opened by the real language server and learned.
Then each end is saved back, as if it had been written just now, and the schedule does the rest with its defaults. The
pause that it keeps between two runs does not count: it is set to nothing. Knows nothing of how figures are shown.
"""

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tailora.bench.home import bench_home, end_engine, require_model
from tailora.bench.host import describe_host
from tailora.bench.latency import Progress
from tailora.demo.editor import Editor
from tailora.demo.repository import DEFAULT_PACKAGE, copy_package
from tailora.engine.options import EngineOptions
from tailora.environment import environment
from tailora.scratch_commits import commit_all
from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.corpus.split import split
from tailora_adapters.errors import TailoraError
from tailora_adapters.manifest import Manifest
from tailora_adapters.store import Store

__all__ = ["End", "Plan", "cut_ends", "measure"]

_TIMEOUT_S = 1_800.0
_START_TIMEOUT_S = 120.0
_LEAST_LINES = 30
"""Of an end: fewer bring too little that is new for a run."""
_TOP_LEVEL = re.compile(r"^(?:@|def |class |async def )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    model: str
    package: str = DEFAULT_PACKAGE
    saves: int = 3
    seed: int = 1
    """Of the split into what is learned and what is held out."""


@dataclass(frozen=True, slots=True)
class End:
    """A file and what it is to contain once its end is there."""

    path: str
    whole: str
    lines: int
    """Of the end."""


def measure(plan: Plan, progress: Progress, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Measures what the plan says.

    Args:
        say: Told what is about to happen, once.

    Raises:
        TailoraError: something is missing or failed; says what.
    """
    require_model(plan.model)
    with bench_home(plan.model) as folder, environment({"TAILORA_ENGINE_MIN_GAP_S": "0"}):
        root = copy_package(plan.package, folder)
        ends = cut_ends(root, plan.saves, plan.seed)
        commit_all(root, "without their ends")
        say(f"{plan.package} is learned, then the ends of {len(ends)} files are saved; about 4 min each")
        return asyncio.run(_measure(plan, root, ends, progress))


def cut_ends(root: Path, count: int, seed: int) -> list[End]:
    """Cuts off the ends of the largest files that are not held out, behind their middles and before a definition.

    Raises:
        TailoraError: there are too few such files.
    """
    found = []
    for file in split(read_learnable(root).selection.files, seed=seed).train:
        middle = _TOP_LEVEL.search(file.text, len(file.text) // 2)
        if middle is not None:
            rest = file.text[middle.start() :]
            found.append((End(file.path, file.text, rest.count("\n")), middle.start()))
    found = sorted(
        (entry for entry in found if entry[0].lines >= _LEAST_LINES), key=lambda entry: -entry[0].lines
    )[:count]
    if len(found) < count:
        raise TailoraError(f"only {len(found)} files have an end to save: name a larger package by --package")
    for end, cut in found:
        (root / end.path).write_text(end.whole[:cut], encoding="utf-8")
    return [end for end, _ in found]


async def _measure(plan: Plan, root: Path, ends: list[End], progress: Progress) -> dict[str, Any]:
    editor = Editor({})
    try:
        progress(0.0, f"learning {plan.package}")
        await editor.open(root)
        await editor.wait(_is_idle, "the engine's start", seconds=_START_TIMEOUT_S)
        await editor.command("tailora.trainNow")
        first = await _verdict(editor, None)
        rows = []
        for number, end in enumerate(ends):
            progress((number + 1) / (len(ends) + 1), f"learning the end of {end.path}")
            status = await editor.wait(_is_idle, "the end of a run", seconds=_START_TIMEOUT_S)
            before = status["project"]["last_gate"]["version"]
            saved = time.monotonic()
            (root / end.path).write_text(end.whole, encoding="utf-8")
            gate = await _verdict(editor, before)
            seconds = round(time.monotonic() - saved, 1)
            manifest = _manifest(root, gate)
            seen = {"file": end.path, "lines": end.lines, "has_seen_it": _has_seen(manifest, end)}
            rows.append({**seen, "seconds": seconds, **_run(gate, manifest)})
    finally:
        with contextlib.suppress(Exception):
            await editor.close()
        await end_engine()
    promoted = [row["seconds"] for row in rows if row["decision"] == "promoted" and row["has_seen_it"]]
    return {
        "promoted_s": round(median(promoted), 1) if promoted else None,
        "spread": [min(promoted), max(promoted)] if promoted else None,
        "promoted": len(promoted),
        "saves": rows,
        "first": _run(first, _manifest(root, first)),
        "quiet_s": EngineOptions().quiet_s,
        "package": plan.package,
        "machine": describe_host(plan.model),
    }


def _manifest(root: Path, gate: dict[str, Any]) -> Manifest:
    manifest = Store().project(root).get(gate["version"]).manifest
    assert manifest is not None
    return manifest


def _run(gate: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    return {
        "version": gate["version"],
        "decision": gate["decision"],
        "reason": gate["reason"],
        "worker_s": manifest.cost.seconds,
        "examples": manifest.data.examples,
    }


def _has_seen(manifest: Manifest, end: End) -> bool:
    """Whether it was trained on examples of the file as it was saved."""
    wanted = hashlib.sha256(end.whole.encode()).hexdigest()
    return any(
        file.path == end.path and file.sha256 == wanted and file.examples for file in manifest.data.files
    )


def _is_idle(status: dict[str, Any]) -> bool:
    return bool((status.get("project") or {}).get("state") == "idle")


async def _verdict(editor: Editor, before: str | None) -> dict[str, Any]:
    """The gate's next word."""
    failures = ("training failed", "too little to learn")

    def judged(status: dict[str, Any]) -> bool:
        project = status.get("project") or {}
        gate = project.get("last_gate")
        return bool(gate and gate["version"] != before) or any(
            text in str(project.get("message", "")) for text in failures
        )

    status = await editor.wait(judged, "learning", seconds=_TIMEOUT_S)
    gate = status["project"].get("last_gate")
    if not gate or gate["version"] == before:
        raise TailoraError(status["project"]["message"])
    return dict(gate)
