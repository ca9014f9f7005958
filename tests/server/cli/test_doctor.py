"""``tailora doctor`` finds what is wrong, says what to do, and never fails itself."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from tailora import __version__
from tailora.cli import doctor as doctor_module
from tailora.engine import endpoint
from tailora.engine.machine import Representation
from tailora_adapters.base.catalogue import BaseModel
from tailora_adapters.store import Store


def findings(result: Any, check: str) -> list[dict[str, str]]:
    return [finding for finding in result.json if finding["check"] == check]


@pytest.fixture
def doctor(tailora: Any) -> Any:
    return lambda *arguments: tailora("doctor", "--json", *arguments)


@pytest.fixture
def with_model(home: Path, tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORA_ENGINE_MODEL", tiny.name)


def test_missing_model(doctor: Any) -> None:
    result = doctor()
    assert result.code == 1
    (found,) = [f for f in findings(result, "model") if f["level"] == "problem"]
    assert "tailora model pull" in found["advice"]


def test_model_that_is_there(doctor: Any, with_model: None) -> None:
    found = findings(doctor("--full"), "model")
    assert found[0]["level"] == "ok"
    assert found[1]["level"] == "warning"  # nothing ships for it


def test_unknown_model(doctor: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORA_ENGINE_MODEL", "no-such-model")
    result = doctor()
    assert result.code == 1
    assert "engine.model" in findings(result, "model")[0]["advice"]


def test_bad_setting(doctor: Any, home: Path, with_model: None) -> None:
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.toml").write_text("[engine]\nthreads = 'many'\n")
    (found,) = findings(doctor(), "settings")
    assert found["level"] == "problem"
    assert "engine.threads" in found["message"]
    assert "config.toml" in found["advice"]


def test_unwritable_place(doctor: Any, home: Path, with_model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(
        doctor_module.os,
        "access",
        lambda path, mode: not str(path).startswith(str(home.parent)) and real(path, mode),
    )
    result = doctor()
    assert result.code == 1
    assert any("cannot be written" in f["message"] for f in findings(result, "disk"))


def test_full_disk(doctor: Any, with_model: None, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 5 << 20})
    monkeypatch.setattr(doctor_module.shutil, "disk_usage", lambda path: usage)
    result = doctor()
    assert result.code == 1
    assert all(f["advice"] == "free some space" for f in findings(result, "disk"))


@pytest.mark.parametrize("repair", [False, True])
def test_corrupt_adapter(
    doctor: Any, home: Path, with_model: None, tmp_path: Path, make_lora: Any, repair: bool
) -> None:
    from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, Manifest

    project = Store().project(tmp_path)
    with (project.repair if repair else project).candidate() as candidate:
        for path in make_lora(1).iterdir():
            (candidate.path / path.name).write_bytes(path.read_bytes())
        version = candidate.commit(
            Manifest(base=BaseInfo("", "", ""), seed=0, data=DataInfo(0, 0, 0), cost=Cost(0.0, 0.0, 0.0))
        )
    assert [f["level"] for f in findings(doctor(), "adapters")] == ["ok"]
    weights = version.path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-3])
    found = findings(doctor(), "adapters")
    assert found[0]["level"] == "warning"
    assert str(tmp_path) in found[0]["message"]
    assert f"tailora adapter delete 1{' --repair' * repair} --project" in found[0]["advice"]


def publish(home: Path, pid: int) -> None:
    place = endpoint.Endpoint(pid, __version__, endpoint.PROTOCOL, socket=str(home / "run" / "gone.sock"))
    (home / "run").mkdir(parents=True, mode=0o700)
    path = home / "run" / "engine.json"
    path.write_text(json.dumps(asdict(place)))
    path.chmod(0o600)


# httpcore leaves a socket to the garbage collector when a connection is refused.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_engine_that_does_not_answer(doctor: Any, home: Path, with_model: None) -> None:
    silent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        publish(home, silent.pid)
        result = doctor()
        assert result.code == 1
        (found,) = findings(result, "engine")
        assert found["message"] == f"process {silent.pid} does not answer"
    finally:
        silent.communicate(b"\n")
    assert not psutil.pid_exists(silent.pid)
    (found,) = findings(doctor(), "engine")
    assert (found["level"], found["message"]) == ("ok", "not running (an editor starts it)")


@pytest.mark.parametrize(
    "flags,level,word",
    [
        ({"sse2"}, "problem", "no AVX2"),
        ({"avx2"}, "warning", "no AVX-512"),
        ({"avx2", "avx512f"}, "warning", "without bf16"),
        ({"avx2", "avx512f", "avx512_bf16"}, "ok", "bf16"),
        (set(), "warning", "unknown"),
    ],
)
def test_processor(flags: set[str], level: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "_measured", lambda: None)
    monkeypatch.setattr(doctor_module, "_cpu_flags", lambda: flags)
    monkeypatch.setattr(doctor_module.platform, "machine", lambda: "x86_64")
    (found,) = doctor_module._processor()
    assert found.level == level
    assert word in found.message


@pytest.mark.parametrize("dense,level", [("bfloat16", "ok"), ("float32", "warning")])
def test_processor_that_was_measured(dense: Any, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Representation(dense, False, True, 4, "prompts are read as they should be")
    monkeypatch.setattr(doctor_module, "_measured", lambda: found)
    (finding,) = doctor_module._processor()
    assert finding.level == level
    assert finding.message.endswith("cores, measured: prompts are read as they should be")


def test_auto_that_is_not_decided_is_no_mistake(
    doctor: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILORA_ENGINE_MODEL", "auto")
    (found,) = findings(doctor(), "settings")
    assert found["level"] == "warning"
    assert "tailora model recommend" in found["message"]


def test_memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module.catalogue, "find", lambda name: BaseModel("x", memory_mb=1 << 30))
    (found,) = doctor_module._memory()
    assert found.level == "warning"


def test_cuda_without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(doctor_module.importlib.util, "find_spec", lambda name: None)
    (found,) = doctor_module._gpu()
    assert found.level == "problem"
    assert "bitsandbytes" in found.advice


def test_for_people(tailora: Any, with_model: None) -> None:
    shown = tailora("doctor").out
    assert "processor" in shown
    assert "[green]" not in shown
