"""A program that nobody has read is judged by its exit code and cannot take the machine along."""

import tempfile
from pathlib import Path

import psutil
import pytest

from tailora.evaluation.sandbox import passes


@pytest.mark.parametrize(
    "program,expected",
    [
        ("", True),
        ("assert 1 + 1 == 2", True),
        ("assert 1 + 1 == 3", False),
        ("def broken(:", False),
        ("raise SystemExit(0)", True),
        ("raise SystemExit(7)", False),
        ("import os\nos.kill(os.getpid(), 9)", False),
        ("import math, collections, typing, re\nassert math.pi > 3", True),
        ("print('x' * 100_000)\nprint(input())", False),
    ],
)
def test_exit_code(program: str, expected: bool) -> None:
    assert passes(program) is expected


def test_endless_loop() -> None:
    assert not passes("while True: pass", seconds=1)
    assert not passes("import time\ntime.sleep(600)", seconds=1)


def test_memory_is_limited() -> None:
    assert not passes("x = bytearray(2 << 30)")
    assert passes("x = bytearray(100 << 20)")


def test_files_are_limited() -> None:
    assert not passes("with open('f', 'wb') as f: f.write(bytes(5 << 20))")


def test_no_more_processes() -> None:
    if psutil.Process().uids().real == 0:
        pytest.skip("root is not bound by the limit on processes")
    assert not passes("import os\nos.fork()")


def test_children_do_not_outlive_it() -> None:
    # Where the limit does not hold (root), what was started ends with the program.
    marker = "tailora_sandbox_marker"
    passes(f"import os, time\nif os.fork() == 0:\n    {marker} = 1\n    time.sleep(300)\n")
    left = [
        p for p in psutil.process_iter(["cmdline"]) if any(marker in part for part in p.info["cmdline"] or ())
    ]
    psutil.wait_procs(left, timeout=20)
    assert not [process for process in left if process.is_running()]


def test_writes_stay_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert passes("import os\nopen('written', 'w').close()\nassert os.listdir() == ['written']")
    assert list(tmp_path.iterdir()) == []


def test_environment_and_modules_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    assert passes(
        "import os\nassert 'SECRET_TOKEN' not in os.environ\nassert os.environ['HOME'] == os.getcwd()"
    )
    assert not passes("import tailora")
