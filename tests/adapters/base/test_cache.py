"""Damage to a model's files is noticed before they are used."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base import cache, catalogue
from tailora_adapters.base.load import load_model
from tailora_adapters.errors import ModelCorrupt, ModelError, ModelMissing


@pytest.fixture
def model(tiny_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> catalogue.BaseModel:
    """A copy to damage."""
    shutil.copytree(tiny_model.models, tmp_path / "models")
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "models"))
    return catalogue.find(tiny_model.name)


def test_good_model_opens_and_is_hashed_once(
    model: catalogue.BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, record = cache.open_record(model)
    assert folder == cache.folder_of(model)
    assert cache.is_ready(model)
    assert set(record.files) >= {"model.safetensors", "tokenizer.json", "config.json"}
    monkeypatch.setattr(cache, "hash_file", lambda path: pytest.fail(f"{path} was hashed again"))
    cache.open_record(model)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_truncated_file(model: catalogue.BaseModel, file: str) -> None:
    cache.open_record(model)
    path = cache.folder_of(model) / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelCorrupt, match=f"{file}.*tailora model pull"):
        cache.open_record(model)
    with pytest.raises(ModelCorrupt):
        load_model(str(model.local))


def test_flipped_bit(model: catalogue.BaseModel) -> None:
    cache.open_record(model)
    path = cache.folder_of(model) / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-77] ^= 4
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    with pytest.raises(ModelCorrupt):
        cache.open_record(model)
    # With the old time the file looks unchanged; a full check finds it nevertheless.
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    folder, record = cache.open_record(model)
    with pytest.raises(ModelCorrupt):
        cache.verify(folder, record, everything=True)


def test_missing_file(model: catalogue.BaseModel) -> None:
    (cache.folder_of(model) / "tokenizer.json").unlink()
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json"):
        cache.open_record(model)


def test_missing_record(model: catalogue.BaseModel) -> None:
    (cache.folder_of(model) / "record.json").unlink()
    assert not cache.is_ready(model)
    with pytest.raises(ModelMissing, match="tailora model pull"):
        cache.open_record(model)


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', '{"x": '])
def test_damaged_record(model: catalogue.BaseModel, content: str) -> None:
    (cache.folder_of(model) / "record.json").write_text(content)
    assert not cache.is_ready(model)
    with pytest.raises(ModelCorrupt):
        cache.open_record(model)


def test_other_conversion(model: catalogue.BaseModel) -> None:
    folder, record = cache.open_record(model)
    cache.write_record(folder, dataclasses.replace(record, format=cache.FORMAT + 1))
    assert not cache.is_ready(model)
    with pytest.raises(ModelMissing, match="another version"):
        cache.open_record(model)


def test_damaged_stamps_are_made_anew(model: catalogue.BaseModel) -> None:
    folder, record = cache.open_record(model)
    (folder / "checked.json").write_text("{")
    cache.open_record(model)
    assert set(json.loads((folder / "checked.json").read_text())) == set(record.files)


def test_load_model(model: catalogue.BaseModel) -> None:
    loaded = load_model(str(model.local))
    assert loaded.record.name == "tiny"
    assert str(loaded.model.dtype) == "torch.bfloat16"
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_names() -> None:
    assert catalogue.find("qwen2.5-coder-0.5b").packaged
    with pytest.raises(ModelError, match=r"qwen2\.5-coder-0\.5b.*path of a model folder"):
        catalogue.find("nonsense")
    names = [model.name for model in catalogue.known()]
    assert catalogue.DEFAULT_CPU in names
    assert catalogue.DEFAULT_CUDA in names
    for model in catalogue.known():
        assert not model.packaged or (model.gguf_sha256 and model.gguf_bytes)
        assert all(len(part.sha256) == 64 and "==" in part.requirement for part in model.packaged)
