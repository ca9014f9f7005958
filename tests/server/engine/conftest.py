import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for ``engine_fakes`` and ``engine_main``


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Tailora's own for this test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TAILORA_HOME", str(folder))
    return folder
