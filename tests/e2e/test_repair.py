"""Repairs by the real model in real code: of what the real ruff reports, of selected lines, of a failing test."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from lsprotocol import types
from real_model import PATIENCE_S, Home, Window
from repair_client import applied, diagnostic, menu, resolve

from tailora.lsp.code_action import REWRITE
from tailora.sandbox import passes

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

SHAPES = '''\
"""Sizes of things."""


def area(width: float, height: float) -> float:
    """Of a rectangle."""
    return breadth * height


def perimeter(width: float, height: float) -> float:
    """Around a rectangle.

    >>> perimeter(2, 3)
    10
    """
    return 2 * (width - height)
'''
TESTS = """\
from shapes import perimeter


def test_perimeter():
    assert perimeter(2, 3) == 10
    assert perimeter(1, 1) == 4
"""
SETTINGS = {
    "completion": {"ahead": False},
    "learning": {"trusted": True, "enabled": False},
    "repair": {"runTests": True, "deadlineMs": 120_000, "testDeadlineMs": 120_000},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two faults."""
    root = tmp_path_factory.mktemp("shapes")
    (root / "shapes.py").write_text(SHAPES)
    (root / "test_shapes.py").write_text(TESTS)
    (root / "pyproject.toml").write_text('[project]\nname = "shapes"\nversion = "1"\n')
    return root


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(home: Home, project: Path) -> AsyncIterator[Window]:
    """An editor in which ``shapes.py`` is open."""
    found = await home.window(project, settings=SETTINGS)
    found.open((project / "shapes.py").as_uri(), SHAPES)
    found.open((project / "test_shapes.py").as_uri(), TESTS)
    yield found
    await found.stop()


async def test_what_ruff_reports(window, project):
    assert shutil.which("ruff", path=str(Path(sys.executable).parent)), "ruff is installed for the tests"
    uri = (project / "shapes.py").as_uri()
    (action,) = await menu(window, uri, diagnostic(SHAPES))
    assert action.edit is None
    done = await resolve(window, action)
    assert "diagnostic cleared" in done.title
    assert done.is_preferred
    text = applied(done.edit, SHAPES)
    assert "breadth" not in text
    compile(text, "shapes.py", "exec")
    again = await menu(window, uri, diagnostic(SHAPES))
    assert again[0].title == done.title
    assert again[0].edit is not None


async def test_selected_lines(window, project):
    uri, line = (project / "shapes.py").as_uri(), SHAPES.split("\n").index("    return 2 * (width - height)")
    here = types.Range(types.Position(line, 0), types.Position(line + 1, 0))
    (action,) = [one for one in await menu(window, uri, at=here) if one.kind == REWRITE]
    done = await resolve(window, action)
    assert done.edit is not None
    assert "perimeter(2, 3)" in applied(done.edit, SHAPES)
    assert not done.is_preferred


async def test_a_failing_test(window, project):
    uri = (project / "test_shapes.py").as_uri()
    answer = await window.command("tailora.repairTest", uri, "test_shapes.py::test_perimeter")
    assert answer["ok"], answer["message"]
    assert "test passes" in answer["message"]
    text = applied(window.edits[-1].edit, SHAPES)
    assert passes(text.replace("breadth", "width") + "\nassert perimeter(2, 3) == 10\n")
    assert (project / "shapes.py").read_text() == SHAPES


async def test_the_command_line(home, project):
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "tailora", "repair", "shapes.py", "--json"],
        cwd=project,
        env=home.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["path"] == "shapes.py"
    assert told["repairs"][0]["verified"]
    assert "-    return breadth * height" in told["repairs"][0]["diff"]
    assert (project / "shapes.py").read_text() == SHAPES
