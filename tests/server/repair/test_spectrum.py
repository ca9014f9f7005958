"""The faulty line is the most suspect one, and the tests that a change concerns are found."""

import sys
from pathlib import Path

import pytest

from tailora.repair.scratch import ScratchCopy
from tailora.repair.spectrum import affected, suspect_files, suspicion
from tailora.repair.tests import TestRun, run_tests
from tailora.sandbox import Limits, Outcome

SOURCE = """\
def grade(points):
    if points > 90:
        return "A"
    if points > 50:
        return "F"
    return "C"
"""
TESTS = """\
import threading
from lib.grades import grade

def in_thread(points):
    found = []
    thread = threading.Thread(target=lambda: found.append(grade(points)))
    thread.start()
    thread.join()
    return found[0]

def test_best():
    assert in_thread(95) == "A"

def test_worst():
    assert grade(10) == "C"

def test_middle():
    assert HOW(60) == "B"
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


async def spectrum(root: Path, python: Path = Path(sys.executable)) -> TestRun:
    with ScratchCopy(root) as copy:
        return await run_tests(copy, (), python=python, limits=Limits(seconds=40), spectrum=True)


@pytest.mark.parametrize("how", ["grade", "in_thread"])
async def test_the_faulty_line_is_the_most_suspect(tmp_path: Path, how: str) -> None:
    root = write(
        tmp_path / "p",
        {"lib/__init__.py": "", "lib/grades.py": SOURCE, "test_grades.py": TESTS.replace("HOW", how)},
    )
    run = await spectrum(root)
    assert sorted(run.results.values()) == ["failed", "passed", "passed"]
    scores = suspicion(run, "lib/grades.py", 7)
    assert len(scores) == 7
    assert scores.index(max(scores)) == 4
    assert scores[4] == pytest.approx(1.0)
    assert scores[3] == pytest.approx(1 / 2**0.5)
    assert scores[1] == pytest.approx(1 / 3**0.5)
    assert (scores[0], scores[2], scores[5], scores[6]) == (0, 0, 0, 0)
    assert suspect_files(run, ["test_grades.py::test_middle"]) == ["lib/grades.py", "test_grades.py"]
    assert all(not path.startswith("/") for files in run.lines.values() for path in files)


async def test_without_spectrum_nothing_is_collected(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"test_a.py": "def test_a():\n    assert False\n"})
    with ScratchCopy(root) as copy:
        run = await run_tests(copy, (), python=Path(sys.executable), limits=Limits(seconds=40))
    assert run.lines == {}
    assert suspicion(run, "test_a.py", 2) == (0, 0)
    assert suspect_files(run, ["test_a.py::test_a"]) == []


def test_ochiai() -> None:
    a = "a.py"
    lines = {
        "t::f1": {a: frozenset({0, 1}), "b.py": frozenset({0})},
        "t::f2": {a: frozenset({0})},
        "t::p": {a: frozenset({0, 2}), "b.py": frozenset({0})},
        "t::s": {a: frozenset({1})},
    }
    results = {"t::f1": "failed", "t::f2": "error", "t::p": "passed", "t::s": "skipped"}
    run = TestRun(results, {}, False, lines, Outcome(1, "exit", "", 1.0, frozenset()))  # type: ignore[arg-type]
    assert suspicion(run, a, 4) == pytest.approx((2 / 6**0.5, 1 / 2**0.5, 0, 0))
    assert suspicion(run, "b.py", 1) == pytest.approx((1 / 4**0.5,))
    assert suspect_files(run, ["t::f1", "t::f2"]) == [a, "b.py"]
    assert suspect_files(run, ["t::unknown"]) == []


def test_affected(tmp_path: Path) -> None:
    root = write(
        tmp_path / "p",
        {
            "src/shop/__init__.py": "",
            "src/shop/money.py": "",
            "src/shop/cart.py": "from .money import x\n",
            "src/shop/page.py": "from shop import cart\n",
            "src/shop/deep/er.py": "from ..money import x\n",
            "tests/test_money.py": "import shop.money\n",
            "tests/test_from.py": "def test():\n    from shop import money\n",
            "tests/cart_test.py": "from shop.cart import total\n",
            "tests/test_deep.py": "import shop.deep.er\n",
            "tests/test_page.py": "import shop.page\n",
            "tests/test_none.py": "import json\n",
            "tests/test_broken.py": "def (\n",
            "tests/special/conftest.py": "import shop.money\n",
            "tests/special/test_fixture.py": "def test(x): ...\n",
        },
    )
    with ScratchCopy(root) as copy:
        assert affected(copy, "src/shop/money.py") == [
            "tests/test_from.py", "tests/test_money.py",
            "tests/cart_test.py", "tests/special/test_fixture.py", "tests/test_deep.py",
        ]  # fmt: skip
        assert affected(copy, "src/shop/page.py") == ["tests/test_page.py"]
        assert affected(copy, "tests/special/conftest.py") == ["tests/special/test_fixture.py"]
        assert affected(copy, "tests/test_none.py") == ["tests/test_none.py"]
        assert affected(copy, "README.md") == []


async def test_a_test_that_forks(tmp_path: Path) -> None:
    text = "import os\n\ndef test_a():\n    if os.fork() == 0:\n        raise SystemExit(0)\n    os.wait()\n"
    run = await spectrum(write(tmp_path / "p", {"test_a.py": text}))
    assert run.results == {"test_a.py::test_a": "passed"}
    assert {3, 5} <= run.lines["test_a.py::test_a"]["test_a.py"]
