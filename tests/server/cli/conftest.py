"""The command line in this process, on a home of its own."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Tailora's own for this test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TAILORA_HOME", str(folder))
    monkeypatch.delenv("TAILORA_MODELS", raising=False)
    return folder


@pytest.fixture
def tailora(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """``tailora("adapter", "list")`` as if typed."""
    from tailora.cli import main, output

    # Made before the capture began; lines are not to be folded.
    monkeypatch.setattr(output.out, "_file", None)
    monkeypatch.setattr(output.err, "_file", None)
    monkeypatch.setenv("COLUMNS", "500")

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["tailora", *map(str, arguments)])
        code = main()
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run
