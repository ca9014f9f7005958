"""Tests that never end, fork, write outside, fill the disk or need the network: a clear answer, and nothing touched."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tailora.errors import RepairError
from tailora.repair.pipeline import Settings
from tailora.repair.propose import Fill, Score
from tailora.repair.session import repair_test
from tailora.sandbox import Limits, run

CODE = "def twice(value):\n    return value + 2\n"
HEAD = "import os, socket, subprocess, sys, time\nfrom pathlib import Path\nfrom code_ import twice\n\n\n"
MARK = f"left by the tests of {os.getpid()}"
HOSTILE = {
    "never ends": "while True: pass",
    "forks": "while True:\n        if os.fork() == 0: time.sleep(60)",
    "fills the disk": "[Path(f'big{n}').write_bytes(b'x' * (1 << 23)) for n in range(40)]",
    "needs the network": "socket.create_connection(('192.0.2.1', 80), timeout=30)",
    "leaves a process": f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)  # {MARK}'])",
}


class Nothing:
    """A model that finds nothing odd and writes nothing that helps."""

    async def taught(self) -> bool:
        return False

    async def fill(self, hole, **_more):
        return Fill("twice(1)", finished=True)

    async def judge(self, prefix, middle, suffix):
        return tuple(Score(line, -0.5) for line in middle.splitlines(keepends=True))


def project(folder: Path, body: str) -> Path:
    root = folder / "project"
    root.mkdir()
    (root / "code_.py").write_text(CODE)
    (root / "test_code.py").write_text(f"{HEAD}def test_twice():\n    {body}\n    assert twice(3) == 6\n")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


def _commands() -> Iterator[str]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            yield " ".join(process.cmdline())


async def repaired(root: Path, seconds: float = 10.0):
    return await repair_test(
        root,
        ["test_code.py::test_twice"],
        lambda _problem: Nothing(),
        settings=Settings(seconds=5, candidates=1),
        limits=Limits(seconds=seconds, processes=16, disk=64 << 20),
    )


@pytest.mark.parametrize(
    "what,why",
    [
        ("never ends", "stopped after 10 s"),
        ("forks", "started too many processes"),
        ("fills the disk", "wrote too much"),
        ("needs the network", "unreachable|refused|denied|not permitted"),
    ],
)
async def test_a_clear_answer(what: str, why: str, tmp_path: Path) -> None:
    root = project(tmp_path, HOSTILE[what])
    before = contents(root)
    with pytest.raises(RepairError, match=why):
        await repaired(root)
    assert contents(root) == before


async def test_what_is_written_outside_the_copy_does_not_arrive(tmp_path: Path) -> None:
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    root = project(tmp_path, f"Path({str(target)!r}).write_text('theirs')")
    guarded = run([sys.executable, "-c", ""], tmp_path).guards
    if "files" not in guarded:
        pytest.skip("this system cannot keep tests from writing outside their folder")
    with pytest.raises(RepairError, match=r"[Rr]ead-only|[Pp]ermission|not permitted"):
        await repaired(root)
    assert target.read_text() == "mine"


async def test_a_process_that_is_left_ends_with_the_tests(tmp_path: Path) -> None:
    root = project(tmp_path, HOSTILE["leaves a process"])
    before = contents(root)
    done = await repaired(root)
    assert done.problem.path.name == "code_.py"
    assert MARK not in "".join(_commands())
    assert contents(root) == before


async def test_a_test_is_not_rewritten_until_it_passes(tmp_path: Path) -> None:
    root = project(tmp_path, "assert 1 == 2")
    with pytest.raises(RepairError, match=r"nothing of the project but tests.*assert 1 == 2"):
        await repaired(root)


async def test_what_helps_a_test_in_its_file_may_be_repaired(tmp_path: Path) -> None:
    root = project(tmp_path, "assert helper() == 1")
    tests = root / "test_code.py"
    tests.write_text(tests.read_text() + "\n\ndef helper():\n    return 2\n")
    done = await repaired(root)
    assert done.problem.path.name == "test_code.py"
    assert [line for line, value in enumerate(done.problem.suspects) if value] == [11]
