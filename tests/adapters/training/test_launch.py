"""What the command line asks a worker for, and what it makes of the answer."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.errors import TrainingFailed
from tailora_adapters.manifest import Check
from tailora_adapters.training.launch import gate_of, judge_in_worker, train_in_worker

ECHO = """#!{python}
import json, sys
print(json.dumps({{"event": "progress", "stage": "gating", "fraction": 0.5, "message": "half"}}))
print(json.dumps({{"event": "done", "decision": "rejected", "version": "2", "reason": sys.argv[1:], "gate": None}}))
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers answer with their own arguments."""
    program = tmp_path / "python"
    program.write_text(ECHO.format(python=sys.executable))
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))


def test_a_full_training(asked: None, tmp_path: Path) -> None:
    plain = train_in_worker(tmp_path, "m")["reason"]
    assert plain[:3] == ["-P", "-m", "tailora_adapters.training.worker"]
    assert "--full" not in plain
    full = train_in_worker(tmp_path, "m", full=True, seconds=3.0, seed=7)["reason"]
    assert full[-5:] == ["--seed", "7", "--seconds", "3.0", "--full"]


def test_judging(asked: None, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    done = judge_in_worker(tmp_path, "m", "4", progress=lambda *step: seen.append(step))
    follow = ["--parent-pid", str(os.getpid())]  # else a worker goes on when the one who asked is killed
    assert done["reason"][3:] == [*follow, "--root", str(tmp_path), "--model", "m", "--judge", "4"]
    assert seen == [(0.5, "gating: half")]
    assert judge_in_worker(tmp_path, "m", "4", purpose="docstring")["reason"][-4:] == [
        "--judge",
        "4",
        "--for",
        "docstring",
    ]


def test_what_the_gate_said() -> None:
    check = {"name": "loss", "passed": True, "value": 1.0, "limit": None, "message": "lower"}
    gate = {
        "version": "2",
        "decision": "promoted",
        "reason": "r",
        "checks": [check],
        "base_nll": 2,
        "held_out": 64.0,
    }
    result = gate_of(
        {"event": "done", "decision": "promoted", "version": "2", "reason": "better", "gate": gate}
    )
    assert (result.decision, result.reason) == ("promoted", "better")
    assert result.checks == (Check("loss", True, 1.0, None, "lower"),)
    assert result.figures == {"base_nll": 2.0, "held_out": 64.0}


@pytest.mark.parametrize(
    "done, message",
    [
        ({"decision": "failed", "reason": "out of memory", "gate": None}, "out of memory"),
        ({"decision": "too_little_data", "reason": "3 more", "gate": None}, "3 more"),
        ({"decision": "promoted", "reason": "no figures", "gate": None}, "no figures"),
        ({"decision": "promoted", "reason": "r", "gate": {"checks": [{"name": 1}]}}, "cannot be read"),
        ({"decision": "promoted", "reason": "r", "gate": {}}, "cannot be read"),
        ({}, "cannot be read"),
    ],
)
def test_no_word_from_the_gate(done: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingFailed, match=message):
        gate_of(done)
