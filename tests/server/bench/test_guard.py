import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tailora.bench.guard import clean_up
from tailora.bench.home import bench_home

SLEEPER = (sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()")


def sleeper(home: Path) -> subprocess.Popen[bytes]:
    """A process that runs in ``home`` until it is ended."""
    process = subprocess.Popen(
        SLEEPER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "TAILORA_HOME": str(home)}
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def claim(folder: Path, pid: int) -> None:
    (folder / "home" / "run").mkdir(parents=True)
    (folder / "home" / "run" / "engine.json").write_text(json.dumps({"pid": pid}), encoding="utf-8")


def test_the_engine_of_the_home_is_ended_and_the_folder_removed(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    with sleeper(folder / "home") as engine:
        claim(folder, engine.pid)
        clean_up(folder)
        assert not psutil.pid_exists(engine.pid)
    assert not folder.exists()


def test_a_process_of_another_home_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    with sleeper(tmp_path / "the users home") as engine:
        claim(folder, engine.pid)
        clean_up(folder)
        assert engine.poll() is None
        engine.kill()
    assert not folder.exists()


def test_without_an_engine_only_the_folder_goes(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    folder.mkdir()
    clean_up(folder)
    assert not folder.exists()


def test_a_killed_benchmark_leaves_nothing_behind(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom tailora.bench.home import bench_home\n"
        "with bench_home('some-model') as folder:\n    print(folder, flush=True)\n    sys.stdin.read()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        (sys.executable, "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as benchmark:
        assert benchmark.stdout is not None
        folder = Path(benchmark.stdout.readline().decode().strip())
        (guard,) = psutil.Process(benchmark.pid).children()
        with sleeper(folder / "home") as engine:
            claim(folder, engine.pid)
            benchmark.kill()
            benchmark.wait()
            assert engine.wait(20) != 0
            guard.wait(20)
    assert not folder.exists()


def test_the_home_is_only_in_force_within(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILORA_HOME", "/the/users")
    monkeypatch.delenv("TAILORA_ENGINE_MODEL", raising=False)
    with bench_home("some-model") as folder:
        assert os.environ["TAILORA_HOME"] == str(folder / "home")
        assert os.environ["TAILORA_MODELS"].startswith("/the/users")
        assert os.environ["TAILORA_ENGINE_MODEL"] == "some-model"
    assert os.environ["TAILORA_HOME"] == "/the/users"
    assert "TAILORA_ENGINE_MODEL" not in os.environ
    assert not folder.exists()
