"""The project's own checkers come first; where the workspace is not trusted, nothing of it runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tailora.errors import CheckerFailed
from tailora.repair.checkers import find

Fake = Callable[[Path, str], Path]


@pytest.fixture
def ran(root: Path) -> Path:
    return root.parent / "ran"


def executed(ran: Path) -> bool:
    return ran.exists()


@pytest.fixture
def malicious(root: Path, ran: Path, fake: Fake) -> None:
    """Whatever a project could bring; on the path too, as an activated environment is."""
    program = f"open({str(ran)!r}, 'a').write('x')\nprint('[]')"
    for name in (
        "ruff",
        "ty",
        "pyright-langserver",
        "basedpyright-langserver",
        "mypy",
        "python",
        "python3",
        "node",
    ):
        for folder in (".venv/bin", "venv/bin"):
            fake(root / folder / name, program)
    for name in ("eslint", "tsc", "tsserver", "node"):
        fake(root / "node_modules" / ".bin" / name, program)
    (root / "pyproject.toml").write_text('[tool.pyright]\nvenvPath = "."\nvenv = ".venv"\n')


async def test_nothing_of_an_untrusted_project_runs(
    root: Path, ran: Path, malicious: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = root.parent / "link"
    elsewhere.symlink_to(root / ".venv" / "bin")
    own = [root / ".venv/bin", root / "node_modules/.bin", elsewhere, Path(), Path(".venv/bin")]
    monkeypatch.setenv("PATH", os.pathsep.join([*map(str, own), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", ".")
    monkeypatch.chdir(root)
    (root / "re.py").write_text(f"open({str(ran)!r}, 'a').write('x')\n")
    checkers = find(root, "python", trusted=False)
    assert [it.name for it in checkers if it.name != "pyright"] == ["ruff", "ty", "basedpyright", "mypy"]
    for checker in checkers:
        if checker.name != "pyright":
            assert await checker.check(root / "use.py", "x: int = y\n")
        await checker.close()
    assert not any(it.name == "eslint" for it in find(root, "javascript", trusted=False))
    assert not executed(ran)


async def test_a_checker_elsewhere_is_not_led_to_the_project(
    root: Path, ran: Path, malicious: None, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is what an untrusted project has under the same name taken in its place."""
    elsewhere = fake(root.parent / "bin" / "tsserver", "print('garbage')")
    elsewhere.write_text("#!/usr/bin/env python3\nprint('garbage')\n")
    path = [root / "node_modules/.bin", root / ".venv/bin", elsewhere.parent]
    monkeypatch.setenv("PATH", os.pathsep.join([*map(str, path), os.environ["PATH"]]))
    (tsc,) = find(root, "typescript", trusted=False)
    with pytest.raises(CheckerFailed, match="cannot be read"):
        await tsc.check(root / "a.ts", "")
    assert not executed(ran)


async def test_a_trusted_project_brings_its_own(root: Path, ran: Path, malicious: None) -> None:
    assert await find(root, "python", trusted=True)[0].check(root / "use.py", "") == ()
    assert executed(ran)


def test_names_and_sources(root: Path) -> None:
    checkers = {it.name: it for it in find(root, "python", trusted=True)}
    assert checkers["ruff"].reports("Ruff")
    assert not checkers["ruff"].reports("Pylance")
    for source in ("Pylance", "Pyright", "basedpyright"):
        assert checkers["basedpyright"].reports(source)
    assert checkers["mypy"].reports("dmypy")
    assert find(root, "cobol", trusted=True) == []
