"""A forgotten file's influence is gone: versions that learned from it, replay, and it is not learned again."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from tailora_adapters.corpus.replay import FILE_NAME, Reservoir
from tailora_adapters.corpus.select import SourceFile, select_files
from tailora_adapters.errors import StoreError
from tailora_adapters.forget import affected, forget, forgotten, inside, remember, tainted, unlearn
from tailora_adapters.manifest import (
    Ancestry,
    BaseInfo,
    Combination,
    Cost,
    DataInfo,
    FileInfo,
    Manifest,
    Share,
)
from tailora_adapters.purposes import PARTS
from tailora_adapters.store import IMPORTED, ProjectStore, Store

CODE = "\n".join(f"def function_{n}(value):\n    return value * {n}\n" for n in range(5))


def add(project: ProjectStore, parent: str | None, *files: str, **settings: object) -> str:
    """Serves a new version that learned ``files``."""
    known = {version.version: version.manifest for version in project.versions()}
    manifest = Manifest(
        base=BaseInfo("m", "1", "2"),
        parent=parent,
        settings=settings,
        seed=0,
        data=DataInfo(len(files), 1, 1, tuple(FileInfo(name, "0", 1) for name in files)),
        ancestry=Ancestry.of(known.get(parent or "")),
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


def add_combination(project: ProjectStore, *parts: str, known: bool = True) -> None:
    """A new version of others."""
    version = add(project, None)
    manifests = [project.get(part).manifest for part in parts]
    path = project.get(version).path / "manifest.json"
    combined = Combination("svd", tuple(Share(part, 0.5) for part in parts), known=known)
    manifest = project.get(version).manifest
    assert manifest is not None
    ancestry = Ancestry.of_all([one for one in manifests if one is not None])
    path.write_text(dataclasses.replace(manifest, combined=combined, ancestry=ancestry).to_json())


def serving(project: ProjectStore) -> str | None:
    version = project.serving()
    return version.version if version else None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ("a.py", "b.py", "old/c.py", "old/deep/d.py", "older.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}\n{CODE}")
    return root


@pytest.fixture
def project(tmp_path: Path, root: Path) -> ProjectStore:
    return Store(tmp_path / "store").project(root)


class TestForget:
    def test_versions_that_learned_it_and_their_descendants_go(self, project: ProjectStore) -> None:
        add(project, "foundation", "a.py")
        add(project, "1", "b.py")
        add(project, "2", "older.py")
        add(project, "foundation", "a.py", "older.py")
        result = forget(project, ["b.py"])
        assert result.deleted == ("2", "3")
        assert [version.version for version in project.versions()] == ["1", "4"]
        assert serving(project) == "4"
        assert project.retrain == "b.py is to be forgotten"
        assert forgotten(project) == ("b.py",)

    def test_what_served_before_takes_over(self, project: ProjectStore) -> None:
        add(project, "foundation", "a.py")
        add(project, "foundation", "b.py")
        add(project, "2", "a.py")
        forget(project, ["b.py"])
        assert serving(project) == "1"
        forget(project, ["a.py"])
        assert serving(project) is None
        assert add(project, "foundation", "older.py") == "4"

    def test_a_folder(self, project: ProjectStore) -> None:
        add(project, "foundation", "old/deep/d.py")
        add(project, "foundation", "older.py")
        assert forget(project, ["old"]).deleted == ("1",)

    def test_what_an_ancestor_learned_that_is_gone(self, project: ProjectStore) -> None:
        add(project, "foundation", "b.py")
        for number in range(1, 10):
            add(project, str(number), "a.py")
        assert "1" in project.prune()
        assert affected(project.versions(), ["older.py"]) == []
        assert affected(project.versions(), ["b.py"]) == [version.version for version in project.versions()]

    def test_an_unknown_origin_counts_as_learned(self, project: ProjectStore) -> None:
        add(project, "foundation", "b.py")
        add(project, "77", "a.py")
        add(project, "foundation", "a.py")
        (project.get("3").path / "manifest.json").write_text("{")
        add(project, None, **{IMPORTED: {"from": "x"}})
        add(project, None, "a.py", **{IMPORTED: {"from": "x", "parent": "foundation"}})
        add(project, None, "a.py", **{IMPORTED: {"from": "x", "parent": "7"}})
        assert affected(project.versions(), ["b.py"]) == ["1", "2", "3", "4", "6"]

    def test_a_combination_learned_what_its_parts_learned(self, project: ProjectStore) -> None:
        add(project, "foundation", "a.py")
        add(project, "foundation", "b.py")
        add_combination(project, "1", "2")
        add_combination(project, "1", "1")
        project.delete("1", "2")
        assert affected(project.versions(), ["b.py"]) == ["3"]
        assert affected(project.versions(), ["a.py"]) == ["3", "4"]
        add(project, "3", "older.py")
        assert forget(project, ["b.py"]).deleted == ("3", "5")
        assert [version.version for version in project.versions()] == ["4"]

    def test_a_combination_of_what_is_not_known_may_have_learned_anything(
        self, project: ProjectStore
    ) -> None:
        add(project, None, **{IMPORTED: {"from": "x"}})
        add(project, "foundation", "a.py")
        add_combination(project, "1", "2", known=False)
        add_combination(project, "1", "2")
        assert affected(project.versions(), ["older.py"]) == ["1", "3", "4"]
        project.delete("1", "4")
        assert affected(project.versions(), ["older.py"]) == ["3"]

    def test_the_replay_memory_forgets(self, project: ProjectStore) -> None:
        project.set_paused(False)
        replay = Reservoir(project.directory / FILE_NAME)
        replay.update([SourceFile(n, "python", "", "0", 0.0) for n in ("a.py", "old/c.py")], 1.0)
        assert forget(project, ["old"]).replayed == ("old/c.py",)
        assert "old/c.py" not in Reservoir(project.directory / FILE_NAME)
        assert "a.py" in Reservoir(project.directory / FILE_NAME)

    def test_nothing_learned_asks_for_no_training(self, project: ProjectStore) -> None:
        add(project, "foundation", "a.py")
        assert forget(project, ["b.py"]).deleted == ()
        assert project.retrain is None
        assert serving(project) == "1"

    def test_it_is_not_learned_again(self, project: ProjectStore, root: Path) -> None:
        forget(project, ["old", "a.py"])
        selection = select_files(root, forgotten=forgotten(project))
        assert [file.path for file in selection.files] == ["b.py", "older.py"]
        reasons = {rejection.path: rejection.reason for rejection in selection.rejected}
        assert reasons == {"a.py": "forgotten by the user", "old/": "forgotten by the user"}

    def test_deleting_everything_does_not_bring_it_back(self, project: ProjectStore) -> None:
        forget(project, ["a.py"])
        project.delete_all()
        assert forgotten(project) == ("a.py",)

    def test_remember(self, project: ProjectStore, root: Path) -> None:
        assert remember(project, ["a.py"]) == ()
        assert not project.directory.exists()
        forget(project, ["a.py", "old"])
        assert remember(project, ["a.py", "b.py"]) == ("a.py",)
        assert forgotten(project) == ("old",)
        assert "a.py" in [file.path for file in select_files(root, forgotten=forgotten(project)).files]

    def test_a_damaged_list_stops_learning(self, project: ProjectStore) -> None:
        forget(project, ["a.py"])
        (project.directory / "forgotten.json").write_text("{")
        with pytest.raises(StoreError, match="mend it or delete it"):
            forgotten(project)

    def test_names_that_are_not_utf_8(self, project: ProjectStore) -> None:
        name = os.fsdecode(b"caf\xe9.py")
        forget(project, [name])
        assert forgotten(project) == (name,)


class TestRetrain:
    def test_only_a_promoted_full_run_ends_it(self, project: ProjectStore) -> None:
        add(project, "foundation", "a.py")
        unlearn(project, ["a.py"], "a secret was found in a.py")
        assert project.retrain == "a secret was found in a.py"
        assert forgotten(project) == ()
        version = add(project, "foundation", "b.py")
        assert project.retrain is not None
        project.promote(version, full=True)
        assert project.retrain is None

    def test_another_reason_asks_for_another_run(self, project: ProjectStore) -> None:
        project.note_retrain_tried()
        assert not project.retrain_tried
        project.ask_retrain("a secret was found in a.py")
        assert not project.retrain_tried
        project.note_retrain_tried()
        assert project.retrain_tried
        assert project.retrain == "a secret was found in a.py"
        project.ask_retrain("b.py is to be forgotten")
        assert not project.retrain_tried

    def test_it_lasts(self, project: ProjectStore, root: Path) -> None:
        project.ask_retrain("because")
        assert Store(project.directory.parent).project(root).retrain == "because"


class TestInside:
    def test_files_and_folders(self, root: Path) -> None:
        assert inside(root, Path("a.py")) == "a.py"
        assert inside(root, Path("old")) == "old"
        assert inside(root, Path("old/gone/x.py")) == "old/gone/x.py"
        assert inside(root, root / "old" / ".." / "a.py") == "a.py"
        (root / "link.py").symlink_to(root / "a.py")
        assert inside(root, Path("link.py")) == "link.py"

    @pytest.mark.parametrize("path", [".", "..", "../x.py", "/etc/passwd", "old/.."])
    def test_outside_is_refused(self, root: Path, path: str) -> None:
        with pytest.raises(StoreError, match="not a file or folder inside"):
            inside(root, Path(path))


class TestTainted:
    def test_a_secret_that_came_later(self, project: ProjectStore, root: Path) -> None:
        add(project, "foundation", "a.py", "b.py")
        add(project, "foundation", "older.py")
        assert tainted(project, select_files(root)) == []
        (root / "a.py").write_text(
            f'AWS_SECRET_ACCESS_KEY = "{"wJalrXUtnFEMI/K7MDENG"}/bPxRfiCYzQ8a1B2c3D"\n{CODE}'
        )
        (root / "old" / "c.py").write_text((root / "a.py").read_text() + "# never learned\n")
        assert tainted(project, select_files(root)) == ["a.py"]

    def test_of_very_many_secrets_none_is_missed(self, project: ProjectStore, root: Path) -> None:
        from tailora_adapters.corpus.select import SelectOptions

        add(project, "foundation", "b.py", "older.py", "gone.py")
        for name in ("a.py", "b.py"):
            (root / name).write_text(
                f'AWS_SECRET_ACCESS_KEY = "{"wJalrXUtnFEMI/K7MDENG"}/bPxRfiCYzQ8a1B2c3D"\n{CODE}'
            )
        selection = select_files(root, options=SelectOptions(max_listed=1))
        assert tainted(project, selection) == ["b.py"]

    def test_rejected_versions_do_not_count(self, project: ProjectStore, root: Path) -> None:
        project.reject(add(project, "foundation", "a.py"))
        (root / "a.py").write_text(
            f'AWS_SECRET_ACCESS_KEY = "{"wJalrXUtnFEMI/K7MDENG"}/bPxRfiCYzQ8a1B2c3D"\n{CODE}'
        )
        assert tainted(project, select_files(root)) == []


def test_repair_forgets_too(project: ProjectStore) -> None:
    add(project, None, "b.py")
    add(project.repair, None, "a.py")
    add(project.repair, None, "b.py")
    done = forget(project, ["a.py"])
    assert (done.deleted, done.parts) == ((), {"repair": ("1",)})
    assert [version.version for version in project.versions()] == ["1"]
    assert [version.version for version in project.repair.versions()] == ["2"]
    assert forgotten(project.repair) == forgotten(project) == ("a.py",)
    assert project.repair.retrain is not None


def test_every_purpose_forgets(project: ProjectStore) -> None:
    for purpose in PARTS:
        add(project.part(purpose), None, "a.py")
        add(project.part(purpose), None, "b.py")
    done = forget(project, ["a.py"])
    assert done.parts == dict.fromkeys(PARTS, ("1",))
    assert {part.versions()[0].version for part in project.parts().values()} == {"2"}
