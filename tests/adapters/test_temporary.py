"""What a killed process left goes; what a living one has stays."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tailora_adapters.temporary import temporary_folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_goes_with_its_use(place: Path) -> None:
    with temporary_folder("tailora-x-") as folder:
        (folder / "a").write_text("a")
        assert folder.parent == place.resolve()
    assert not list(place.iterdir())


def test_what_a_killed_process_left(place: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    left = place / f"tailora-x-{gone.pid}-abc"
    left.mkdir()
    (left / "copy").write_text("of somebody's code")
    kept = [
        place / f"tailora-x-{os.getppid()}-abc",
        place / f"tailora-y-{gone.pid}-abc",
        place / "tailora-x-mine-1",
    ]
    for folder in kept:
        folder.mkdir()
    with temporary_folder("tailora-x-"):
        assert not left.exists()
    assert all(folder.exists() for folder in kept)
