"""What ships is whole; a model for which nothing ships has no foundation adapter."""

import hashlib
from pathlib import Path

import pytest

from tailora_adapters import foundation
from tailora_adapters.errors import AdapterCorrupt


def test_nothing_ships_for_other_models() -> None:
    assert foundation.find("no-such-model") is None
    assert foundation.find("tiny") is None


@pytest.mark.parametrize("model", ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
def test_shipped_adapter_is_whole_and_small(model: str) -> None:
    found = foundation.find(model)
    assert found is not None
    weights = found.path / "adapter_model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == found.sha256
    assert weights.stat().st_size <= 10_000_000
    assert (found.path / "adapter_config.json").is_file()
    assert found.manifest.sources
    assert all(source.licence and "sha256=" in source.url_or_ref for source in found.manifest.sources)


def test_damaged_installation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{")
    monkeypatch.setattr(foundation, "__file__", str(tmp_path / "__init__.py"))
    foundation.find.cache_clear()
    with pytest.raises(AdapterCorrupt):
        foundation.find("broken")
    foundation.find.cache_clear()
