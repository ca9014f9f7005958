"""What a run goes on from, when it begins anew, and what is gone before it begins."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters import forget
from tailora_adapters.base.cache import base_info
from tailora_adapters.manifest import Combination, Cost, DataInfo, FileInfo, Manifest, Share
from tailora_adapters.methods import METHODS, LoraSettings
from tailora_adapters.store import CHECKPOINT, IMPORTED, ProjectStore, Store
from tailora_adapters.training.plan import Plan, make_plan

LEARNED = ("book.py", "shelf.py", "reader.py")


@pytest.fixture
def project(repository: Path, tmp_path: Path) -> ProjectStore:
    return Store(tmp_path / "store").project(repository)


def add(
    project: ProjectStore,
    tiny: Any,
    *files: str,
    parent: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """Serves a new version that learned ``files``."""
    manifest = Manifest(
        base=base_info(tiny.name),
        parent=parent,
        settings=dict(settings or {}),
        seed=0,
        data=DataInfo(len(files), 1, 1, tuple(FileInfo(name, "0", 1) for name in files)),
        cost=Cost(1.0, 1.0, 1.0),
    )
    with project.candidate() as candidate:
        header = json.dumps({"w": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}).encode()
        weights = len(header).to_bytes(8, "little") + header + b"\1"
        (candidate.path / "adapter_model.safetensors").write_bytes(weights)
        (candidate.path / "adapter_config.json").write_text("{}")
        version = candidate.commit(manifest).version
    project.promote(version)
    return version


def plan(project: ProjectStore, tiny: Any, *, full: bool = False, read_only: bool = False) -> Plan:
    with project.lock():
        return make_plan(project, project.root, tiny.name, full=full, read_only=read_only)


def versions(project: ProjectStore) -> list[str]:
    return [version.version for version in project.versions()]


def test_the_first_run(project: ProjectStore, tiny: Any) -> None:
    found = plan(project, tiny)
    assert (found.served, found.start, found.full) == (None, None, None)
    assert len(found.found.selection.files) == 12
    assert found.base == base_info(tiny.name)


def test_goes_on_from_what_serves(project: ProjectStore, tiny: Any) -> None:
    add(project, tiny, *LEARNED)
    found = plan(project, tiny)
    assert found.full is None
    assert found.start is not None
    assert found.start == found.served == project.serving()


def test_why_a_run_is_full(project: ProjectStore, tiny: Any, repository: Path) -> None:
    add(project, tiny, *LEARNED)
    found = plan(project, tiny, full=True)
    assert (found.start, found.full) == (None, "asked for")
    assert found.served == project.serving(), "which the candidate still has to beat"
    project.ask_retrain("book.py is to be forgotten")
    assert plan(project, tiny).full == "book.py is to be forgotten"
    project.promote("1", full=True)
    assert plan(project, tiny).full is None
    (repository / "book.py").unlink()
    found = plan(project, tiny)
    assert (found.start, found.full) == (None, "33 % of the learned files are gone")


def test_versions_that_serve_and_are_not_built_on(project: ProjectStore, tiny: Any) -> None:
    add(project, tiny, *LEARNED)
    assert project.withdraw("1", "few accepted")
    project.use("1")
    found = plan(project, tiny)
    assert found.served is not None
    assert (found.served.version, found.start, found.full) == (
        "1",
        None,
        "version 1 was rolled back: few accepted",
    )
    add(project, tiny, *LEARNED, settings={IMPORTED: {"name": "theirs", "parent": None}})
    found = plan(project, tiny)
    assert found.served is not None
    assert (found.served.version, found.start, found.full) == ("2", None, "version 2 was imported")


def test_another_method_or_form_begins_anew(project: ProjectStore, tiny: Any) -> None:
    add(project, tiny, *LEARNED, settings={"method": {"name": "lora", "rank": 8, "dropout": 0.0}})
    assert plan(project, tiny).full is None
    with project.lock():
        found = make_plan(project, project.root, tiny.name, full=False, shape=LoraSettings(rank=16))
        assert found.full == "version 1 was trained with rank=8"
        assert found.served is not None
        found = make_plan(project, project.root, tiny.name, full=False, method=METHODS["prefix"])
        assert found.full == "version 1 was trained with the method lora"


@pytest.mark.parametrize("known, resumes", [(True, True), (False, True), (True, False)])
def test_a_combination(project: ProjectStore, tiny: Any, known: bool, resumes: bool) -> None:
    version = add(project, tiny)
    manifest = project.get(version).manifest
    assert manifest is not None
    combined = Combination("svd", (Share("8", 0.5), Share("9", 0.5)), known=known, resumes=resumes)
    text = dataclasses.replace(manifest, combined=combined).to_json()
    (project.get(version).path / "manifest.json").write_text(text)
    assert plan(project, tiny).full == (None if known and resumes else "version 1 was combined of others")


def test_a_secret_in_what_was_learned(
    project: ProjectStore, tiny: Any, repository: Path, secret: str
) -> None:
    add(project, tiny, "book.py")
    add(project, tiny, "book.py", "shelf.py", parent="1")
    add(project, tiny, "reader.py", parent="2")
    (project.directory / CHECKPOINT).write_bytes(b"parameters that learned it")
    text = (repository / "shelf.py").read_text()
    (repository / "shelf.py").write_text(f'{text}\nAPI_TOKEN = "{secret}"\n')
    found = plan(project, tiny, read_only=True)
    assert versions(project) == ["1", "2", "3"]
    assert found.served is not None
    found = plan(project, tiny)
    assert versions(project) == ["1"], "it, and what was built on it"
    assert found.served is not None
    assert (found.served.version, found.start) == ("1", None)
    assert found.full == project.retrain == "a secret was found in shelf.py"
    assert "shelf.py" not in {file.path for file in found.found.selection.files}
    assert not (project.directory / CHECKPOINT).exists()


def test_what_is_forgotten_is_not_found(project: ProjectStore, tiny: Any) -> None:
    add(project, tiny, *LEARNED)
    forget.forget(project, ["book.py"])
    found = plan(project, tiny)
    assert (found.served, found.full) == (None, "book.py is to be forgotten")
    assert "book.py" not in {file.path for file in found.found.selection.files}
