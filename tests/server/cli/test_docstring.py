"""``tailora docstring``: a diff, and a changed file only on request."""

from pathlib import Path
from typing import Any

import pytest

from tailora import infill
from tailora.engine import client
from tailora.infill import Filled

TEXT = "def area(width, height):\r\n    return width * height\r\n\r\n\r\ndef size(box):\r\n    return len(box)\r\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a repository, with a model that knows one sentence."""

    async def nothing(self: Any) -> None:
        pass

    async def fill(self: Any, prefix: str, suffix: str, **more: Any) -> Filled:
        return Filled("Tells how large it is.", True)

    monkeypatch.setattr(client.EngineClient, "ensure", nothing)
    monkeypatch.setattr(infill.EngineFiller, "fill", fill)
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    path = tmp_path / "repository" / "a.py"
    path.write_bytes(TEXT.encode())
    return path


def test_a_diff_is_shown(tailora: Any, file: Path) -> None:
    done = tailora("docstring", f"{file}:area")
    assert done.code == 0
    assert '+    """Tells how large it is."""' in done.out
    assert "--write" in done.out
    assert file.read_bytes() == TEXT.encode()


def test_writing_keeps_the_line_ends(tailora: Any, file: Path) -> None:
    found = tailora("docstring", file, "--write", "--json").json
    assert [row["function"] for row in found["docstrings"]] == ["area", "size"]
    assert found["written"] is True
    assert file.read_bytes().count(b'\r\n    """Tells how large it is."""\r\n') == 2
    assert tailora("docstring", file).out == "every docstring is there and fits\n"


def test_by_line_and_by_a_name_that_is_not_there(tailora: Any, file: Path) -> None:
    found = tailora("docstring", f"{file}:6", "--json").json
    assert [row["function"] for row in found["docstrings"]] == ["size"]
    done = tailora("docstring", f"{file}:volume")
    assert done.code == 1
    assert "volume is no function" in done.err
