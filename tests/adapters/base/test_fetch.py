"""A fetch brings exactly the pinned bytes or says why not, goes on where it was, and runs nothing of a package."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base import cache, catalogue, convert, fetch
from tailora_adapters.base.catalogue import BaseModel, Hub, Part
from tailora_adapters.errors import FetchFailed

PIECES = [b"GGUF" + b"one" * 100, b"two" * 70, b"three" * 50]


def wheel(folder: Path, number: int, data: bytes) -> Path:
    """A part as it is published: one data member beside code that must never run."""
    name, version = f"fake_model_part{number}", "1.0"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{name}/data/part{number:02}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


class Registry:
    """Stands for pip: copies wheels of a local folder, and counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.commands: list[list[str]] = []
        self.missing: set[str] = set()

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        requirement, target = command[-1], Path(command[command.index("--dest") + 1])
        self.asked.append(requirement)
        name, _, version = requirement.partition("==")
        path = self.folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        if requirement in self.missing or not path.is_file():
            return subprocess.CompletedProcess(
                command, 1, "", f"WARNING: x\nERROR: No match for {requirement}\n"
            )
        shutil.copy(path, target)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A catalogue of one packaged model, ``fake``, and where its parts come from."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheels = [wheel(folder, number + 1, data) for number, data in enumerate(PIECES)]
    whole = b"".join(PIECES)
    model = BaseModel(
        "fake",
        gguf_sha256=hashlib.sha256(whole).hexdigest(),
        gguf_bytes=len(whole),
        packaged=tuple(
            Part(f"fake-model-part{number + 1}==1.0", cache.hash_file(path))
            for number, path in enumerate(wheels)
        ),
    )
    monkeypatch.setattr(catalogue, "known", lambda: (model,))
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "models"))
    registry = Registry(folder)
    monkeypatch.setattr(fetch.subprocess, "run", registry)
    monkeypatch.setattr(convert, "_save", save)
    return registry


def save(source: Path, target: Path, progress: Any) -> None:
    """Stands for the conversion: the content, where the weights would be."""
    (target / "model.safetensors").write_bytes(source.read_bytes())
    (target / "tokenizer.json").write_text("{}")


def fetching(folder: Path) -> set[str]:
    return {path.name for path in (folder / "fetching" / "parts").glob("*.whl")}


def test_parts_to_a_ready_model(registry: Registry) -> None:
    fractions: list[float] = []
    folder = fetch.fetch("fake", lambda done, _: fractions.append(done))
    assert (folder / "model.safetensors").read_bytes() == b"".join(PIECES)
    assert fetch.is_ready("fake")
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "model.safetensors",
        "tokenizer.json",
        "record.json",
    } | {path.name for path in folder.iterdir() if path.name == "checked.json"}
    assert len(registry.asked) == 3
    fetch.fetch("fake")
    assert len(registry.asked) == 3


def test_packages_are_data_only(registry: Registry) -> None:
    fetch.fetch("fake")
    assert not any(name.startswith("fake_model") for name in sys.modules)
    for command in registry.commands:
        assert command[1:4] == ["-m", "pip", "download"]
        assert "--no-deps" in command
        assert "--only-binary=:all:" in command


def test_interrupted_fetch_goes_on(registry: Registry) -> None:
    registry.missing = {"fake-model-part3==1.0"}
    with pytest.raises(FetchFailed, match=r"fake-model-part3==1\.0.*No match"):
        fetch.fetch("fake")
    assert not fetch.is_ready("fake")
    folder = cache.folder_of(catalogue.find("fake"))
    assert len(fetching(folder)) == 2
    registry.missing, registry.asked = set(), []
    fetch.fetch("fake")
    assert registry.asked == ["fake-model-part3==1.0"]


def test_damaged_part_is_fetched_again(registry: Registry) -> None:
    registry.missing = {"fake-model-part3==1.0"}
    with pytest.raises(FetchFailed):
        fetch.fetch("fake")
    folder = cache.folder_of(catalogue.find("fake"))
    part = folder / "fetching" / "parts" / "fake_model_part1-1.0-py3-none-any.whl"
    part.write_bytes(part.read_bytes()[:-10])
    registry.missing, registry.asked = set(), []
    fetch.fetch("fake")
    assert registry.asked == ["fake-model-part1==1.0", "fake-model-part3==1.0"]


def test_other_bytes_are_refused(registry: Registry) -> None:
    wheel(registry.folder, 2, b"not what was pinned")
    with pytest.raises(FetchFailed, match=r"fake-model-part2.*hash differs"):
        fetch.fetch("fake")
    assert not fetch.is_ready("fake")
    folder = cache.folder_of(catalogue.find("fake"))
    assert fetching(folder) == {"fake_model_part1-1.0-py3-none-any.whl"}


def test_whole_must_match_too(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    (model,) = catalogue.known()
    swapped = (model.packaged[1], model.packaged[0], model.packaged[2])
    monkeypatch.setattr(catalogue, "known", lambda: (dataclasses.replace(model, packaged=swapped),))
    with pytest.raises(FetchFailed, match="hash differs"):
        fetch.fetch("fake")
    assert not fetch.is_ready("fake")


def test_no_space(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    (model,) = catalogue.known()
    monkeypatch.setattr(catalogue, "known", lambda: (dataclasses.replace(model, download_mb=10**9),))
    with pytest.raises(FetchFailed, match=r"MB of space.*TAILORA_MODELS"):
        fetch.fetch("fake")
    assert registry.asked == []


def test_place_that_cannot_be_made(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(FetchFailed, match="cannot be created"):
        fetch.fetch("fake")


def test_damaged_model_is_mended(registry: Registry) -> None:
    folder = fetch.fetch("fake")
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert fetch.fetch("fake") == folder
    assert (folder / "model.safetensors").read_bytes() == b"".join(PIECES)
    cache.verify(folder, cache.open_record(catalogue.find("fake"))[1], everything=True)


def test_remove(registry: Registry) -> None:
    folder = fetch.fetch("fake")
    fetch.remove("fake")
    assert not folder.exists()
    fetch.remove("fake")


def test_unreachable_hub_falls_back_to_parts(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    (model,) = catalogue.known()
    hub = Hub("someone/fake", "fake.gguf", None)
    monkeypatch.setattr(catalogue, "known", lambda: (dataclasses.replace(model, hub=hub),))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fetch.fetch("fake")
    monkeypatch.setattr(catalogue, "known", lambda: (dataclasses.replace(model, hub=hub, packaged=()),))
    fetch.remove("fake")
    with pytest.raises(FetchFailed, match=r"hub is switched off.*no packaged parts"):
        fetch.fetch("fake")


def test_threads_fetch_once(registry: Registry) -> None:
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(fetch.fetch("fake"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 4
    assert len(registry.asked) == 3
    cache.open_record(catalogue.find("fake"))


FETCH = """\
import sys
from tailora_adapters.base import catalogue, convert, fetch

def save(source, target, progress):
    (target / "model.safetensors").write_bytes(source.read_bytes())
    (target / "tokenizer.json").write_text("{}")

part = catalogue.Part("fake-model-part1==1.0", sys.argv[1])
model = catalogue.BaseModel("fake", gguf_sha256=sys.argv[2], gguf_bytes=int(sys.argv[3]), packaged=(part,))
catalogue.known = lambda: (model,)
convert._save = save
print(fetch.fetch("fake"))
"""


def test_processes_fetch_once(tmp_path: Path) -> None:
    path = wheel(tmp_path, 1, PIECES[0])
    sha256 = hashlib.sha256(PIECES[0]).hexdigest()
    command = [sys.executable, "-c", FETCH, cache.hash_file(path), sha256, str(len(PIECES[0]))]
    places = {"TAILORA_MODELS": str(tmp_path / "m"), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    processes = [
        subprocess.Popen(command, env=os.environ | places, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert said == {f"{tmp_path / 'm' / 'fake'}\n"}
    assert (tmp_path / "m" / "fake" / "model.safetensors").read_bytes() == PIECES[0]


def test_pip_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path, 7, b"seven")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    part = Part("fake-model-part7==1.0", cache.hash_file(path))
    got = fetch._wheel(part, tmp_path / "parts")
    assert got.read_bytes() == path.read_bytes()
    with pytest.raises(FetchFailed, match="pip could not fetch"):
        fetch._wheel(Part("fake-model-part8==1.0", ""), tmp_path / "parts")


def test_local_folder_is_converted(
    tiny_model: Any, make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedTokenizerFast

    from tailora_adapters.base.load import load_model

    source = tmp_path / "my model"
    model = make_model("llama").float()
    model.save_pretrained(source)
    PreTrainedTokenizerFast(tokenizer_file=str(tiny_model.folder / "tokenizer.json")).save_pretrained(source)
    before = sorted((path.name, path.stat().st_mtime_ns) for path in source.iterdir())
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "models"))
    folder = fetch.fetch(str(source))
    assert sorted((path.name, path.stat().st_mtime_ns) for path in source.iterdir()) == before
    assert json.loads((folder / "record.json").read_text())["name"] == "my model"
    loaded = load_model(str(source))
    assert loaded.tokenizer.fim.name == "qwen2.5-coder"
    weights = loaded.model.state_dict()
    for name, weight in model.state_dict().items():
        assert weights[name].equal(weight.bfloat16()), name


def test_folder_that_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "bad"
    source.mkdir()
    (source / "config.json").write_text('{"model_type": "no-such-thing"}')
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "models"))
    with pytest.raises(FetchFailed):
        fetch.fetch(str(source))
    assert not fetch.is_ready(str(source))
