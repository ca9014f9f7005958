"""A project's own tests are run on its copy: what they say is found, and the user's files stay as they are."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tailora.errors import RepairError
from tailora.repair.scratch import ScratchCopy
from tailora.repair.tests import TestRun, command_passes, find_python, run_tests
from tailora.sandbox import Limits

PYTHON = Path(sys.executable)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def look(root: Path) -> dict[str, object]:
    """Everything in a folder: kinds, rights, times and content."""
    seen: dict[str, object] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        seen[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_ino, status.st_nlink, content)
    return seen


async def run(
    root: Path,
    nodes: Sequence[str] = (),
    *,
    put: dict[str, str] | None = None,
    limits: Limits = Limits(seconds=40),
    python: Path = PYTHON,
    watch: Sequence[str] = (),
    spectrum: bool = False,
) -> TestRun:
    """One run on a copy of its own; the user's folder is as before."""
    before = look(root)
    with ScratchCopy(root) as copy:
        for path, text in (put or {}).items():
            copy.put(path, text)
        done = await run_tests(copy, nodes, python=python, limits=limits, watch=watch, spectrum=spectrum)
    assert look(root) == before
    return done


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return write(
        tmp_path / "shop",
        {
            "shop/__init__.py": "",
            "shop/cart.py": "def total(prices):\n    return sum(prices) + 1\n",
            "tests/test_cart.py": (
                "import pytest\nfrom shop.cart import total\n\n"
                "def test_total():\n    assert total([1, 2]) == 3\n\n"
                "@pytest.mark.parametrize('name', ['x-1', 'y::z'])\n"
                "def test_case(name):\n    assert name\n\n"
                "class TestMore:\n    def test_method(self):\n        assert total([]) >= 0\n\n"
                "@pytest.mark.skip\ndef test_later():\n    pass\n\n"
                "@pytest.fixture\ndef broken():\n    raise OSError('no such thing')\n\n"
                "def test_broken(broken):\n    pass\n"
            ),
        },
    )


FIXED = "def total(prices):\n    return sum(prices)\n"
TOTAL = "tests/test_cart.py::test_total"


async def test_results(flat: Path) -> None:
    done = await run(flat, ["tests/test_cart.py"])
    assert done.results == {
        TOTAL: "failed",
        "tests/test_cart.py::test_case[x-1]": "passed",
        "tests/test_cart.py::test_case[y::z]": "passed",
        "tests/test_cart.py::TestMore::test_method": "passed",
        "tests/test_cart.py::test_later": "skipped",
        "tests/test_cart.py::test_broken": "error",
    }
    assert set(done.failures) == {TOTAL, "tests/test_cart.py::test_broken"}
    assert "assert 4 == 3" in done.failures[TOTAL]
    assert "no such thing" in done.failures["tests/test_cart.py::test_broken"]
    assert all(len(text) <= 2_000 for text in done.failures.values())


async def test_single_nodes(flat: Path) -> None:
    nodes = ["tests/test_cart.py::test_case[x-1]", "tests/test_cart.py::TestMore::test_method"]
    done = await run(flat, nodes)
    assert done.results == dict.fromkeys(nodes, "passed")
    assert done.outcome.passed


async def test_a_candidate_is_what_runs(flat: Path) -> None:
    done = await run(flat, [TOTAL], put={"shop/cart.py": FIXED}, watch=["shop/cart.py"])
    assert done.results == {TOTAL: "passed"}
    assert done.ran_changed_files
    assert not (await run(flat, [TOTAL])).ran_changed_files
    unrelated = await run(flat, [TOTAL], put={"shop/other.py": ""}, watch=["shop/cart.py", "shop/other.py"])
    assert not unrelated.ran_changed_files


async def test_src_layout(tmp_path: Path) -> None:
    root = write(
        tmp_path / "p",
        {
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n",
            "src/thing/core.py": "x = 1\n",
            "src/thing/__init__.py": "from .core import x\n",
            "tests/test_x.py": "import subprocess, sys\nfrom thing import x\n\ndef test_x():\n    assert x == 2\n"
            "    subprocess.run([sys.executable, '-c', 'import thing; assert thing.x == 2'], check=True)\n",
        },
    )
    done = await run(root, put={"src/thing/core.py": "x = 2\n"}, watch=["src/thing/core.py"])
    assert done.results == {"tests/test_x.py::test_x": "passed"}
    assert done.ran_changed_files


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """An environment beside the project that sees this one's packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (packages / "ours.pth").write_text(str(Path(pytest.__file__).parents[1]))
    return packages


def in_venv(packages: Path) -> Path:
    return packages.parents[2] / "bin" / "python"


LIBRARY = {
    "lib/things/__init__.py": "x = 1\n",
    "checks/test_x.py": "import things\n\ndef test_x():\n    assert things.x == 2\n",
}
FINDER = """
import sys, importlib.util
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "things":
            place = {folder!r} + "/lib/things"
            return importlib.util.spec_from_file_location(
                name, place + "/__init__.py", submodule_search_locations=[place])
sys.meta_path.append(Finder)
"""


@pytest.mark.parametrize("kind", ["path", "finder"])
async def test_an_editable_install_does_not_bring_in_the_original(
    tmp_path: Path, venv: Path, kind: str
) -> None:
    root = write(tmp_path / "p", LIBRARY)
    if kind == "path":
        (venv / "editable.pth").write_text(str(root / "lib"))
    else:
        (venv / "editable_finder.py").write_text(FINDER.replace("{folder!r}", repr(str(root))))
        (venv / "editable.pth").write_text("import editable_finder")
    path = "lib/things/__init__.py"
    done = await run(root, put={path: "x = 2\n"}, watch=[path], python=in_venv(venv))
    assert done.results == {"checks/test_x.py::test_x": "passed"}, done.outcome.output
    assert done.ran_changed_files


async def test_one_that_does_is_noticed(tmp_path: Path, venv: Path) -> None:
    root = write(tmp_path / "p", LIBRARY)
    (venv / "early.pth").write_text(f"import sys; sys.path.append({str(root / 'lib')!r}); import things")
    path = "lib/things/__init__.py"
    done = await run(root, put={path: "x = 2\n"}, watch=[path], python=in_venv(venv))
    assert done.results == {"checks/test_x.py::test_x": "failed"}
    assert not done.ran_changed_files
    (venv / "early.pth").unlink()
    loads = f"import runpy\n\ndef test_x():\n    runpy.run_path({str(root / path)!r})\n"
    done = await run(
        root, put={path: "x = 2\n", "checks/test_x.py": loads}, watch=[path], python=in_venv(venv)
    )
    assert done.results == {"checks/test_x.py::test_x": "passed"}
    assert not done.ran_changed_files


async def test_a_syntax_error(flat: Path) -> None:
    done = await run(flat, [TOTAL], put={"shop/cart.py": "def total(:\n"}, watch=["shop/cart.py"])
    assert done.results[TOTAL] == "error"
    assert "SyntaxError" in done.failures[TOTAL]
    assert not done.ran_changed_files


async def test_what_cannot_be_collected(flat: Path) -> None:
    gone = await run(flat, [TOTAL, "tests/test_cart.py::test_gone"])
    assert gone.results["tests/test_cart.py::test_gone"] == "error"
    assert "test_gone" in gone.failures["tests/test_cart.py::test_gone"]
    conftest = await run(flat, [TOTAL], put={"conftest.py": "raise RuntimeError('not today')\n"})
    assert conftest.results == {TOTAL: "error"}
    assert "not today" in conftest.failures[TOTAL]


async def test_one_that_never_ends_keeps_what_was_before(flat: Path) -> None:
    text = (
        "import time\n\ndef test_a():\n    pass\n\n"
        "def test_b():\n    while True:\n        time.sleep(1)\n\ndef test_c(): pass\n"
    )
    node = "test_end.py::test_b"
    for seconds in (5, 20, 50):  # until the machine has time enough to begin
        done = await run(
            flat, ["test_end.py"], put={"test_end.py": text}, limits=Limits(seconds=seconds), spectrum=True
        )
        if node in done.lines:
            break
    assert done.outcome.ended == "time"
    assert done.results == {"test_end.py::test_a": "passed", node: "error"}
    assert "stopped after" in done.failures[node]
    assert {6, 7} <= done.lines[node]["test_end.py"]


async def test_one_that_ends_the_process(flat: Path) -> None:
    text = "import os\n\ndef test_a():\n    pass\n\ndef test_b():\n    os._exit(0)\n\ndef test_c(): pass\n"
    done = await run(flat, ["test_end.py"], put={"test_end.py": text})
    assert done.results == {"test_end.py::test_a": "passed", "test_end.py::test_b": "error"}


async def test_one_that_fills_the_disk(flat: Path) -> None:
    text = (
        "def test_a():\n    pass\n\ndef test_b():\n    for n in range(10_000):\n"
        "        with open(str(n), 'wb') as f: f.write(bytes(1 << 20))\n"
    )
    limits = Limits(seconds=60, disk=20 << 20)
    done = await run(flat, ["test_disk.py"], put={"test_disk.py": text}, limits=limits)
    assert done.outcome.ended == "disk"
    assert done.results == {"test_disk.py::test_a": "passed", "test_disk.py::test_b": "error"}


HARM = """
import os, shutil, pathlib
HERE = pathlib.Path(__file__).parent
ORIGINAL = pathlib.Path({root!r})

def attempt(act, *arguments):
    try:
        act(*arguments)
    except OSError:
        pass

def test_beside_itself():
    (HERE / "written").write_text("x")
    (HERE / "test_cart.py").write_text("x")

def test_delete():
    shutil.rmtree(HERE.parent / "shop")

def test_original():
    attempt((ORIGINAL / "new").write_text, "x")
    attempt((ORIGINAL / "shop" / "cart.py").write_text, "x")
    attempt((ORIGINAL / "shop" / "cart.py").unlink)
    attempt(os.rename, ORIGINAL / "shop", ORIGINAL / "moved")
    attempt(os.link, ORIGINAL / "shop" / "cart.py", HERE / "linked.py")
    attempt(os.utime, ORIGINAL / "shop" / "cart.py", (1, 1))
    attempt(os.chmod, ORIGINAL / "shop" / "cart.py", 0)

def test_home():
    pathlib.Path.home().joinpath("x").write_text("x")
    attempt((pathlib.Path({home!r}) / "x").write_text, "x")

def test_fork():
    if os.fork() == 0:
        raise SystemExit(1)
    os.wait()
"""


async def test_harm(flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    if not {"files", "processes"} <= (await run(flat, [TOTAL])).outcome.guards:
        pytest.skip("this system does not keep tests from the user's files")
    write(flat, {"tests/test_harm.py": HARM.format(root=str(flat), home=str(home))})
    before = look(flat)
    with ScratchCopy(flat) as copy:
        first = {path: path.read_bytes() for path in copy.root.rglob("*") if path.is_file()}
        done = await run_tests(copy, ["tests/test_harm.py"], python=PYTHON, limits=Limits(seconds=40))
        assert set(done.results.values()) == {"passed"}, done.failures
        assert len(done.results) == 5
        assert {path: path.read_bytes() for path in copy.root.rglob("*") if path.is_file()} == first
        again = await run_tests(copy, [TOTAL], python=PYTHON, limits=Limits(seconds=40))
        assert again.results == {TOTAL: "failed"}
    assert look(flat) == before
    assert list(home.iterdir()) == []


@contextlib.contextmanager
def nothing_left(marker: str) -> Iterator[None]:
    yield
    left = [
        p for p in psutil.process_iter(["cmdline"]) if any(marker in part for part in p.info["cmdline"] or ())
    ]
    psutil.wait_procs(left, timeout=20)
    assert not [process for process in left if process.is_running()]


async def test_cancel_ends_the_processes(flat: Path) -> None:
    text = "import time\n\ndef test_tailora_cancelled():\n    open('started', 'w').close()\n    time.sleep(600)\n"
    node = "test_wait.py::test_tailora_cancelled"
    with nothing_left(node), ScratchCopy(flat) as copy:
        copy.put("test_wait.py", text)
        task = asyncio.ensure_future(run_tests(copy, [node], python=PYTHON, limits=Limits(seconds=60)))
        while not (copy.root / "started").exists():
            assert not task.done(), task.result()
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not (copy.root / "started").exists()


async def test_the_project_settings_hold(flat: Path) -> None:
    """Nodes are relative to the root, whatever lies below; what the environment of ours holds is not passed on."""
    os.environ["TAILORA_PYTEST_SECRET"] = "1"
    try:
        text = (
            "import os, sys\n\ndef test_env():\n    assert 'TAILORA_PYTEST_SECRET' not in os.environ\n"
            "    assert os.environ['PYTHONHASHSEED'] == '0' and sys.dont_write_bytecode\n"
        )
        put = {"sub/pytest.ini": "[pytest]\naddopts = -v\n", "sub/test_env.py": text}
        done = await run(flat, ["sub/test_env.py::test_env"], put=put)
        assert done.results == {"sub/test_env.py::test_env": "passed"}, done.outcome.output
    finally:
        del os.environ["TAILORA_PYTEST_SECRET"]


async def test_commands(tmp_path: Path) -> None:
    root = write(
        tmp_path / "p",
        {
            "src/m.py": "x = 1\n",
            "run.py": "import sys, m\nsys.exit(int(sys.argv[1]))\n",
            "test_m.py": "import m\n\ndef test_m(): assert m.x == 1\n",
        },
    )
    assert await command_passes("python run.py 0", root)
    assert not await command_passes("python run.py '1'", root)
    assert await command_passes("pytest -q test_m.py -p no:cacheprovider", root)
    assert not await command_passes("python run.py 'unfinished", root)
    assert not await command_passes("", root)
    assert not await command_passes("python -c 'while True: pass'", root, limits=Limits(seconds=1))
    assert not await command_passes("false || true", root)


def test_the_projects_interpreter(tmp_path: Path, venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "elsewhere"))
    root = tmp_path / "p"
    root.mkdir()
    assert find_python(root) == PYTHON
    (root / "venv").symlink_to(tmp_path / "venv")
    assert find_python(root) == root / "venv" / "bin" / "python"
    (root / ".mine").symlink_to(tmp_path / "venv")
    monkeypatch.setenv("VIRTUAL_ENV", str(root / ".mine"))
    assert find_python(root) == root / ".mine" / "bin" / "python"
    (venv / "ours.pth").unlink()
    with pytest.raises(RepairError, match="pytest is not installed"):
        find_python(root)
