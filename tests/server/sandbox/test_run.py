"""A program that nobody has read is judged by its exit code; it harms neither the machine nor the user's files."""

import contextlib
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tailora.sandbox import Limits, Outcome, passes, run


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


def test_writes_stay_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert passes("import os\nopen('written', 'w').close()\nassert os.listdir() == ['written']")
    assert list(tmp_path.iterdir()) == []


def test_environment_and_modules_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    assert passes(
        "import os\nassert 'SECRET_TOKEN' not in os.environ\n"
        f"assert os.environ['HOME'] != {str(Path.home())!r} and os.listdir(os.environ['HOME']) == []"
    )
    assert not passes("import tailora")


def python(program: str, folder: Path, limits: Limits | None = None, **more: object) -> Outcome:
    return run([sys.executable, "-I", "-S", "-c", program], folder, limits or Limits(seconds=20), **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def nothing_left(marker: str) -> Iterator[None]:
    yield
    left = [
        p for p in psutil.process_iter(["cmdline"]) if any(marker in part for part in p.info["cmdline"] or ())
    ]
    psutil.wait_procs(left, timeout=20)
    assert not [process for process in left if process.is_running()]


@pytest.fixture(scope="module", autouse=True)
def guards(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """What this system can keep a program from."""
    return python("", tmp_path_factory.mktemp("guards")).guards


def needs(guards: frozenset[str], guard: str) -> None:
    if guard not in guards:
        pytest.skip(f"this system does not offer the guard {guard!r}")


def test_output_and_code(tmp_path: Path) -> None:
    done = python("import sys; print('out'); print('err', file=sys.stderr); raise SystemExit(3)", tmp_path)
    assert (done.code, done.ended, done.passed) == (3, "exit", False)
    assert sorted(done.output.split()) == ["err", "out"]
    assert "ended with code 3" in done.why


def test_much_output_is_kept_in_part(tmp_path: Path) -> None:
    done = python("print('first'); print('x' * 10_000_000); print('last')", tmp_path)
    assert done.passed
    assert done.output.startswith("first")
    assert done.output.endswith("last\n")
    assert len(done.output) < 70_000
    assert "bytes …" in done.output


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    done = run(["no-such-program-anywhere"], tmp_path)
    assert done.code == 127
    assert "no-such-program-anywhere cannot be run" in done.output


def test_one_that_never_ends(tmp_path: Path) -> None:
    with nothing_left("tailora_never_ends"):
        done = python("tailora_never_ends = 1\nwhile True: pass", tmp_path, Limits(seconds=1))
    assert (done.code, done.ended) == (None, "time")


def test_cancel(tmp_path: Path) -> None:
    stop = threading.Event()
    ready = tmp_path / "ready"
    program = f"open({str(ready)!r}, 'w').close()\nimport time\ntime.sleep(600)"

    def cancelled() -> bool:
        return stop.is_set() or ready.exists()

    assert python(program, tmp_path, cancelled=cancelled).ended == "cancelled"


def test_one_that_forks_without_end(tmp_path: Path) -> None:
    program = (
        "tailora_forks = 1\nimport os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(600)"
    )
    with nothing_left("tailora_forks"):
        done = python(program, tmp_path, Limits(seconds=30, processes=20))
    assert not done.passed
    assert done.ended in ("processes", "exit")


def test_a_daemon_ends_with_the_command(tmp_path: Path) -> None:
    program = (
        "tailora_daemon = 1\nimport os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        open('started', 'w').close()\n        time.sleep(600)\n    os._exit(0)\n"
        "while not os.path.exists('started'): time.sleep(0.01)"
    )
    with nothing_left("tailora_daemon"):
        assert python(program, tmp_path).passed


def test_memory_of_all_processes_counts(tmp_path: Path) -> None:
    program = (
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n"
        "        x = b'x' * (60 << 20)\n        time.sleep(600)\n"
        "time.sleep(600)"
    )
    assert python(program, tmp_path, Limits(seconds=60, memory=150 << 20)).ended == "memory"


def test_one_that_fills_the_disk(tmp_path: Path) -> None:
    program = "for n in range(10_000):\n    with open(str(n), 'wb') as f: f.write(bytes(1 << 20))\n"
    done = python(program, tmp_path, Limits(seconds=60, disk=20 << 20))
    assert done.ended == "disk"
    big = tmp_path / "big"
    big.mkdir()
    assert not python("open('f', 'wb').write(bytes(30 << 20))", big, Limits(disk=20 << 20)).passed


def test_writing_outside_its_folder(tmp_path: Path, guards: frozenset[str]) -> None:
    needs(guards, "files")
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "kept").write_text("the user's")
    for act in (
        f"open({str(outside / 'new')!r}, 'w')",
        f"open({str(outside / 'kept')!r}, 'w')",
        f"os.remove({str(outside / 'kept')!r})",
        f"os.truncate({str(outside / 'kept')!r}, 0)",
        f"os.rename({str(outside / 'kept')!r}, 'moved')",
        f"os.mkdir({str(outside / 'folder')!r})",
        f"os.symlink('/', {str(outside / 'link')!r})",
    ):
        output = python(f"import os\n{act}", inside).output
        assert any(
            why in output for why in ("PermissionError", "Read-only file system", "cross-device link")
        ), act
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "the user's"
    assert python(
        "import os, tempfile\nopen('a', 'w').close()\ntempfile.TemporaryFile()\nos.devnull", inside
    ).passed
    more = f"open({str(outside / 'new')!r}, 'w')"
    assert python(more, inside, writable=[outside]).passed


def test_rights_and_times_of_files_outside(tmp_path: Path, guards: frozenset[str]) -> None:
    needs(guards, "processes")
    inside, kept = tmp_path / "inside", tmp_path / "kept"
    inside.mkdir()
    kept.write_text("the user's")
    before = kept.stat()
    for act in (f"os.utime({str(kept)!r}, (1, 1))", f"os.chmod({str(kept)!r}, 0)"):
        assert "Read-only file system" in python(f"import os\n{act}", inside).output, act
    assert (kept.stat().st_mode, kept.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    own = "import os\nopen('own', 'w').close()\nos.utime('own', (1, 1))\nos.chmod('own', 0)"
    assert python(own, inside).passed


def test_signals_to_others(tmp_path: Path, guards: frozenset[str]) -> None:
    needs(guards, "processes")
    done = python(f"import os\nos.kill({os.getpid()}, 0)", tmp_path)
    assert not done.passed


def test_no_network(tmp_path: Path, guards: frozenset[str]) -> None:
    needs(guards, "network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ask = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)"
        assert not python(ask, tmp_path).passed
        assert python(ask, tmp_path, Limits(network=True)).passed
    if "processes" in guards:
        own = "import socket\ns = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(s.getsockname(), 5)"
        assert python(own, tmp_path).passed
