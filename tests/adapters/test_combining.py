"""Versions of a project as one candidate: what is stored, what is remembered of its parts, and what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base.cache import base_info
from tailora_adapters.combining import combine, read_shares
from tailora_adapters.errors import MethodError, StoreError, TailoraError, VersionUnknown
from tailora_adapters.forget import affected, forget
from tailora_adapters.importing import admit
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, GateResult, Manifest, Share
from tailora_adapters.methods.attached import load_on
from tailora_adapters.store import IMPORTED, ProjectStore, Store

pytestmark = pytest.mark.usefixtures("one_thread")
BOTH = (Share("1", 0.7), Share("2", 0.3))


@pytest.fixture
def project(tmp_path: Path) -> ProjectStore:
    root = tmp_path / "root"
    root.mkdir()
    return Store(tmp_path / "store").project(root)


def add(project: ProjectStore, tiny: Any, folder: Path, *files: str, **changes: Any) -> str:
    manifest = Manifest(
        base=base_info(tiny.name),
        parent="foundation",
        seed=0,
        data=DataInfo(len(files), 1, 1, tuple(FileInfo(name, "0", 1) for name in files)),
        cost=Cost(1.0, 1.0, 1.0),
    )
    with project.candidate() as candidate:
        for path in folder.iterdir():
            (candidate.path / path.name).write_bytes(path.read_bytes())
        version = candidate.commit(dataclasses.replace(manifest, **changes)).version
    project.promote(version)
    return version


def test_a_combination_is_a_candidate_that_remembers_its_parts(
    project: ProjectStore, tiny: Any, make_lora: Any, make_model: Any
) -> None:
    add(project, tiny, make_lora(1), "a.py")
    add(project, tiny, make_lora(2), "b.py")
    found = combine(project, BOTH, tiny.name)
    assert (found.version, found.status) == ("3", "candidate")
    assert project.serving() == project.get("2")
    manifest = found.manifest
    assert manifest is not None
    assert manifest == Manifest.from_json(manifest.to_json())
    assert (manifest.method, manifest.below, manifest.parent) == ("lora", None, None)
    assert manifest.combined is not None
    assert (manifest.combined.how, manifest.combined.parts) == ("svd", BOTH)
    assert (manifest.combined.known, manifest.combined.resumes) == (True, True)
    assert [file.path for file in manifest.learned()] == ["a.py", "b.py"]
    assert load_on(make_model("qwen2"), found.path, trainable=False).parts
    project.verify("3")
    served = admit(project, found, lambda _: GateResult("promoted", "better"))
    assert served.status == "serving"
    project.delete("1", "2")
    assert affected(project.versions(), ["a.py"]) == ["3"]
    assert forget(project, ["b.py"]).deleted == ("3",)
    assert project.serving() is None


def test_what_training_does_not_go_on_from(project: ProjectStore, tiny: Any, make_lora: Any) -> None:
    add(project, tiny, make_lora(1, rank=4), "a.py")
    add(project, tiny, make_lora(2, rank=2), "b.py")
    found = combine(project, BOTH, tiny.name, "cat").manifest
    assert found is not None
    assert found.combined is not None
    assert not found.combined.resumes
    assert found.settings["method"]["rank"] == 6
    add(project, tiny, make_lora(3), parent=None, settings={IMPORTED: {"from": "elsewhere"}})
    found = combine(project, (BOTH[0], Share("4", 0.5)), tiny.name).manifest
    assert found is not None
    assert found.combined is not None
    assert (found.combined.known, found.combined.resumes) == (False, False)
    assert affected(project.versions(), ["c.py"]) == ["4", "5"]


@pytest.mark.parametrize(
    "changes, error, message",
    [
        (
            {"method": "prefix"},
            MethodError,
            "version 2 was trained with the method prefix; only versions of lora",
        ),
        ({"below": "ab", "method": "rslora"}, MethodError, "the other stands above it"),
        ({"base": BaseInfo("other", "1", "2")}, StoreError, "belongs to the base model other"),
    ],
)
def test_versions_that_cannot_be_added(
    project: ProjectStore,
    tiny: Any,
    make_lora: Any,
    changes: dict[str, Any],
    error: type[TailoraError],
    message: str,
) -> None:
    add(project, tiny, make_lora(1), "a.py")
    add(project, tiny, make_lora(2), "b.py", **changes)
    with pytest.raises(error, match=message):
        combine(project, BOTH, tiny.name)
    assert len(project.versions()) == 2
    assert not list(project.directory.glob(".tmp-*"))


def test_what_else_is_refused(project: ProjectStore, tiny: Any, make_lora: Any) -> None:
    add(project, tiny, make_lora(1), "a.py")
    with pytest.raises(VersionUnknown):
        combine(project, BOTH, tiny.name)
    add(project, tiny, make_lora(2), "b.py")
    with pytest.raises(MethodError, match="no combination 'mean'; there are: svd, cat, linear"):
        combine(project, BOTH, tiny.name, "mean")
    with pytest.raises(MethodError, match="the density is 0"):
        combine(project, BOTH, tiny.name, "ties", density=0)
    project.reject("2", GateResult("rejected", "a secret came out"))
    with pytest.raises(StoreError, match="version 2 was rejected and is not combined: a secret came out"):
        combine(project, BOTH, tiny.name)


@pytest.mark.parametrize(
    "given, message",
    [
        (["3=0.7"], "at least two versions"),
        ([], "at least two versions"),
        (["3=0.7", "3=0.3"], "named twice"),
        (["3=0.7", "5"], "'5' is not VERSION=WEIGHT"),
        (["3=0.7", "5=much"], "'5=much' is not VERSION=WEIGHT"),
        (["3=0.7", "5=nan"], "'5=nan'"),
        (["3=0.7", "5=0"], "'5=0'"),
        (["3=0.7", "5=11"], "'5=11'"),
        (["3=0.7", "=1"], "'=1'"),
    ],
)
def test_shares_that_cannot_be_read(given: list[str], message: str) -> None:
    with pytest.raises(MethodError, match=message):
        read_shares(given)
    assert read_shares(["3=0.7", "5=-0.3"]) == (Share("3", 0.7), Share("5", -0.3))
