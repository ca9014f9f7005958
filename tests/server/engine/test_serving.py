"""Which adapter a request gets, as the store changes under the engine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine_fakes import commit

from tailora.engine.serving import Serving
from tailora_adapters.errors import AdapterCorrupt, VersionUnknown
from tailora_adapters.manifest import BaseInfo
from tailora_adapters.store import ProjectStore, Store


@dataclass(frozen=True)
class Foundation:
    path: Path
    sha256: str


FOUNDATION = Foundation(Path("/foundation"), "f" * 64)
NOTHING: frozenset[str] = frozenset()


@pytest.fixture
def project(home: Path, tmp_path: Path) -> ProjectStore:
    root = tmp_path / "project"
    root.mkdir()
    return Store().project(root)


@pytest.fixture
def serving(home: Path) -> Serving:
    return Serving("m", Store(), lambda model: FOUNDATION if model == "m" else None)


def label(serving: Serving, project: ProjectStore, wanted: str = "serving", *broken: str) -> str | None:
    reference = serving(str(project.root), wanted, broken=frozenset(broken))
    return reference.label if reference else None


def test_without_a_version_the_foundation_serves(serving: Serving, project: ProjectStore) -> None:
    assert label(serving, project) == "foundation"
    assert serving(None, "serving", broken=NOTHING) is not None
    assert serving(None, "none", broken=NOTHING) is None
    assert label(serving, project, "serving", FOUNDATION.sha256) is None


def test_what_the_user_does_holds_from_the_next_request_on(serving: Serving, project: ProjectStore) -> None:
    commit(project, 1)
    assert label(serving, project) == "1"
    commit(project, 2)
    assert label(serving, project) == "2"
    assert label(serving, project, "1") == "1"
    assert label(serving, project, "foundation") == "foundation"
    project.rollback()
    assert label(serving, project) == "1"
    project.disable()
    assert label(serving, project) == "foundation"
    project.enable()
    assert label(serving, project) == "1"


def test_the_key_is_the_hash_of_the_weights(serving: Serving, project: ProjectStore) -> None:
    keys = set()
    for value in (1, 2):
        commit(project, value)
        reference = serving(str(project.root), "serving", broken=NOTHING)
        assert reference is not None
        assert reference.path.is_dir()
        keys.add(reference.key)
    assert len(keys) == 2
    assert all(len(key) == 64 for key in keys)


def test_a_version_with_damaged_weights_gives_way_to_the_one_before(
    serving: Serving, project: ProjectStore
) -> None:
    commit(project, 1)
    commit(project, 2)
    version = project.serving()
    assert version is not None
    weights = version.path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x07")  # the same size, other weights
    assert label(serving, project, "serving", version.sha256) == "1"
    assert project.get("2").status == "corrupt"


def test_a_version_that_is_whole_but_cannot_be_used_gives_way_to_the_foundation(
    serving: Serving, project: ProjectStore
) -> None:
    commit(project, 1)
    version = project.serving()
    assert version is not None
    for _ in range(2):
        assert label(serving, project, "serving", version.sha256) == "foundation"
    with pytest.raises(AdapterCorrupt):
        label(serving, project, "1", version.sha256)


def test_a_store_that_cannot_be_read_means_the_foundation(
    serving: Serving, project: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: object, _base: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ProjectStore, "serving", refuse)
    assert label(serving, project) == "foundation"


def test_a_damaged_foundation_is_done_without(home: Path) -> None:
    def refuse(_model: str) -> Foundation | None:
        raise AdapterCorrupt("damaged")

    assert Serving("m", Store(), refuse)(None, "serving", broken=NOTHING) is None


def test_an_unknown_version_is_an_error(serving: Serving, project: ProjectStore) -> None:
    with pytest.raises(VersionUnknown):
        label(serving, project, "7")
    with pytest.raises(VersionUnknown):
        label(serving, project, "../../etc")


def test_a_loop_of_links_has_no_adapters(serving: Serving, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    reference = serving(str(loop), "serving", broken=NOTHING)
    assert reference is not None
    assert reference.label == "foundation"


def test_versions_of_another_base_model_never_serve(serving: Serving, project: ProjectStore) -> None:
    commit(project, 1)
    commit(project, 2, base="other")
    assert label(serving, project) == "1"
    with pytest.raises(AdapterCorrupt, match="another base model, other"):
        label(serving, project, "2")
    other = Serving("other", Store(), lambda model: FOUNDATION)
    assert label(other, project) == "2"
    third = Serving("third", Store(), lambda model: FOUNDATION)
    assert label(third, project) == "foundation"
    assert label(serving, project) == "1"


def test_another_build_of_the_same_model_is_another_model(home: Path, project: ProjectStore) -> None:
    commit(project, 1)
    builds = iter(
        [BaseInfo("m", "0", "0"), BaseInfo("m", "1", "0"), BaseInfo("m", "0", "1"), BaseInfo("m", "0", "0")]
    )
    serving = Serving("m", Store(), lambda model: FOUNDATION, lambda model: next(builds))
    assert [label(serving, project) for _ in range(4)] == ["1", "foundation", "foundation", "1"]


def test_a_repository_that_is_moved_while_the_engine_runs(
    serving: Serving, project: ProjectStore, tmp_path: Path
) -> None:
    (project.root / ".git").mkdir()
    (project.root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    commit(project, 1)
    old, new = project.root, tmp_path / "moved"
    assert label(serving, project) == "1"
    old.rename(new)
    reference = serving(str(new), "serving", broken=NOTHING)
    assert reference is not None
    assert reference.label == "1"
    old.mkdir()
    assert label(serving, project) == "foundation"


def test_another_users_adapters_mean_the_foundation(serving: Serving, project: ProjectStore) -> None:
    commit(project, 1)
    path = project.directory / "project.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"uid": 4_000_000}))
    assert label(serving, project) == "foundation"


def test_repairs_have_an_adapter_of_their_own(serving: Serving, project: ProjectStore) -> None:
    assert label(serving, project, "repair") == "foundation"
    outside = serving(None, "repair", broken=NOTHING)
    assert outside is not None
    assert outside.label == "foundation"
    commit(project, 1)
    assert label(serving, project, "repair") == "1", "what serves, where there is none for repair"
    commit(project.repair, 2)
    assert label(serving, project, "repair") == "repair 1"
    assert label(serving, project) == "1"
    project.disable()
    assert label(serving, project, "repair") == "foundation"
    project.enable()
    project.repair.rollback()
    assert label(serving, project, "repair") == "1"


@pytest.mark.parametrize("task", ["docstring", "generation"])
def test_each_task_has_an_adapter_of_its_own(serving: Serving, project: ProjectStore, task: Any) -> None:
    commit(project, 1)
    commit(project.repair, 2)
    commit(project.part(task), 3)
    assert label(serving, project, task) == f"{task} 1"
    assert (label(serving, project), label(serving, project, "repair")) == ("1", "repair 1")


def test_without_one_for_functions_what_serves_writes_them(serving: Serving, project: ProjectStore) -> None:
    assert label(serving, project, "generation") == "foundation"
    commit(project, 1)
    commit(project.repair, 2)
    assert label(serving, project, "generation") == "1", "never what was learned for something else"
    commit(project.part("generation"), 3)
    project.disable()
    assert label(serving, project, "generation") == "foundation"


def test_without_one_for_docstrings_the_bare_model_writes_them(
    serving: Serving, project: ProjectStore
) -> None:
    assert serving(None, "docstring", broken=NOTHING) is None
    commit(project, 1)
    assert label(serving, project, "docstring") is None
    commit(project.part("docstring"), 2)
    project.disable()
    assert label(serving, project, "docstring") is None
