"""The training process speaks the worker protocol, whatever happens to it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.importing import import_adapter
from tailora_adapters.store import CHECKPOINT, Store
from tailora_adapters.training.launch import train_in_worker


@pytest.fixture
def environment(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this process, which workers inherit."""
    monkeypatch.setenv("TAILORA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def work(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and events."""
    command = [sys.executable, "-m", "tailora_adapters.training.worker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_protocol(environment: None, tiny: Any, repository: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.txt"
    changed.write_text("book.py\nshelf.py\n")
    code, events = work(
        *("--root", str(repository), "--model", tiny.name, "--seconds", "1"),
        *("--changed-file-list", str(changed), "--parent-pid", str(os.getpid())),
    )
    assert code == 0
    *progress, done = events
    assert done["event"] == "done"
    assert done["decision"] in ("promoted", "rejected")
    assert done["version"] == "1"
    assert done["gate"]["version"] == "1"
    assert {"base_nll", "candidate_nll", "checks"} <= set(done["gate"])
    assert {event["event"] for event in progress} == {"progress"}
    stages = list(dict.fromkeys(event["stage"] for event in progress))
    assert stages == ["selecting", "loading", "preparing", "training", "gating"]
    fractions = [event["fraction"] for event in progress]
    assert fractions == sorted(fractions), "a bar that goes back"
    assert all(0 <= event["fraction"] <= 1 for event in progress)
    assert Store().project(repository).get("1").status == (
        "serving" if done["decision"] == "promoted" else "rejected"
    )


def test_unknown_model(environment: None, repository: Path) -> None:
    code, events = work("--root", str(repository), "--model", "no-such-model")
    assert code == 1
    assert events[-1]["decision"] == "failed"
    assert "there is no base model 'no-such-model'" in events[-1]["reason"]
    assert [event["event"] for event in events].count("done") == 1


def test_ends_with_its_parent(environment: None, tiny: Any, repository: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    code, events = work("--root", str(repository), "--model", tiny.name, "--parent-pid", str(gone.pid))
    assert code == 3
    assert all(event["event"] != "done" for event in events)
    assert Store().project(repository).versions() == []


EAGER = """
import sys
from tailora_adapters.training import loop, worker
loop._CHECKPOINT_EVERY_S = 0
sys.exit(worker.main())
"""
"""The worker, but that it keeps where it is after every step."""


def steps(events: list[dict[str, Any]]) -> list[int]:
    return [
        int(event["message"].split()[1].rstrip(",")) for event in events if event.get("stage") == "training"
    ]


def test_killed_in_training_it_goes_on(environment: None, tiny: Any, repository: Path) -> None:
    command = [sys.executable, "-c", EAGER, "--root", str(repository), "--model", tiny.name]
    done = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if found := steps([json.loads(line)]):
                done = found[0]
            if done >= 2:
                break
        first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    project = Store().project(repository)
    assert project.versions() == []
    assert (project.directory / CHECKPOINT).exists()
    again = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert steps(events)[0] > done
    assert events[-1]["decision"] in ("promoted", "rejected")
    assert project.get("1").manifest is not None
    assert not (project.directory / CHECKPOINT).exists()
    assert not list(project.directory.glob(".t*"))


def test_judging_a_version(environment: None, tiny: Any, repository: Path, make_lora: Any) -> None:
    project = Store().project(repository)
    import_adapter(project, make_lora(1), tiny.name, claimed=True)
    code, events = work("--root", str(repository), "--model", tiny.name, "--judge", "1")
    assert code == 0
    done = events[-1]
    assert (done["event"], done["version"], done["gate"]["version"]) == ("done", "1", "1")
    # A random model may well be better with a random adapter than without.
    assert done["decision"] in ("promoted", "rejected")
    assert "loss against base" in {check["name"] for check in done["gate"]["checks"]}
    assert "training" not in {event.get("stage") for event in events}
    assert project.get("1").status == "candidate", "who asks decides"


def test_dead_worker_is_a_failed_run(
    environment: None, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    done = train_in_worker(repository, "tiny")
    assert done["decision"] == "failed"
    assert "code 1" in done["reason"]
