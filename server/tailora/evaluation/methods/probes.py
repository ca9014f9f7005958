"""What an adapter gives away, and what it writes that a security checker objects to. Knows nothing of methods."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.temporary import temporary_folder

__all__ = ["exposure", "insecure"]

_SECONDS = 120


def exposure(losses: Sequence[float]) -> float:
    """How far the first of these texts, which was planted, stands out among random ones of its form, in bits: the
    logarithm of their number less that of its rank (Carlini et al., arXiv 1802.08232, equation 3). 0 to log2 of their
    number; random texts have 1.44 on average.

    ``losses``: of each text.
    """
    rank = 1 + sum(loss < losses[0] for loss in losses[1:])
    return math.log2(len(losses)) - math.log2(rank)


def insecure(
    asked: Sequence[TokenSequence], answers: Sequence[str], texts: Mapping[str, str]
) -> dict[str, Any] | None:
    """What bandit says of the lines that were written, each in its file; None where bandit is not installed or nothing
    was written in Python. Of files that no longer parse, bandit says nothing: these are counted by themselves.

    Args:
        asked: The holes.
        texts: The files that they are in, by path.
    """
    try:
        version = metadata.version("bandit")
    except metadata.PackageNotFoundError:
        return None
    lines: dict[str, range] = {}
    with temporary_folder("bandit") as folder:
        for number, (hole, answer) in enumerate(zip(asked, answers, strict=True)):
            place = _placed(hole, answer, texts)
            if place is not None:
                name = f"hole_{number}.py"
                (folder / name).write_text(place[0], encoding="utf-8")
                lines[name] = place[1]
        if not lines:
            return None
        told = _bandit(folder)
    if told is None:
        return None
    broken = {Path(error["filename"]).name for error in told["errors"]}
    issues = sum(
        1
        for issue in told["results"]
        if issue["line_number"] in lines.get(Path(issue["filename"]).name, range(0))
    )
    written = sum(len(span) for name, span in lines.items() if name not in broken)
    return {
        "lines": written,
        "issues": issues,
        "share": round(issues / written, 6) if written else 0.0,
        "unreadable": len(broken),
        "tool": f"bandit {version}",
    }


def _placed(hole: TokenSequence, answer: str, texts: Mapping[str, str]) -> tuple[str, range] | None:
    """The file with the answer in the hole, and the numbers of the answer's lines, from 1."""
    example = hole.example
    text = texts.get(example.path)
    if example.language != "python" or text is None:
        return None
    whole = example.prefix + example.middle + example.suffix
    start = text.find(whole)
    if start < 0:
        return None
    before = text[:start] + example.prefix
    first = before.count("\n") + 1
    behind = example.suffix + text[start + len(whole) :]
    return before + answer + behind, range(first, first + answer.count("\n") + 1)


def _bandit(folder: Path) -> dict[str, Any] | None:
    """Its report; it reads the files and runs nothing of them."""
    command = [sys.executable, "-P", "-m", "bandit", "-q", "-r", "-f", "json", "--exit-zero", str(folder)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        told: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return told if {"errors", "results"} <= told.keys() else None
