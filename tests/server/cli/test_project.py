"""Commands typed in a subfolder are about the repository around it, and looking for that one stores nothing."""

from pathlib import Path
from typing import Any

import pytest

from tailora.cli import project as project_module
from tailora_adapters.forget import forgotten
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, Manifest
from tailora_adapters.store import ProjectStore, Store


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with ``src/keys.py``."""
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (root / "src").mkdir()
    (root / "src" / "keys.py").write_text("key = 1\n")
    return root


@pytest.fixture
def learned(home: Path, repository: Path, make_lora: Any) -> ProjectStore:
    """Version 1, which serves, learned ``src/keys.py``."""
    store = Store().project(repository)
    with store.candidate() as candidate:
        for path in make_lora(1).iterdir():
            (candidate.path / path.name).write_bytes(path.read_bytes())
        data = DataInfo(10, 900, 8, (FileInfo("src/keys.py", "0", 10),))
        base, cost = BaseInfo("tiny", "0", "0"), Cost(12.0, 800.0, 100.0)
        candidate.commit(Manifest(base=base, parent="foundation", seed=1, data=data, cost=cost))
    store.promote("1")
    return store


def test_what_is_typed_in_a_subfolder_is_about_the_repository(
    tailora: Any, learned: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(learned.root / "src")
    listed = tailora("adapter", "list", "--json")
    assert listed.json["project"] == str(learned.root)
    assert [row["version"] for row in listed.json["versions"]] == ["1"]
    assert listed.err == f"project: {learned.root}\n"
    tailora("adapter", "disable")
    assert learned.disabled
    assert tailora("train", "--explain").err.startswith(f"project: {learned.root}\n")
    assert [project.root for project in Store().projects()] == [learned.root]
    monkeypatch.chdir(learned.root)
    assert tailora("adapter", "list").err == ""


def test_status_asks_for_the_repository(
    tailora: Any, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailora.engine import client

    asked: list[Path] = []
    monkeypatch.setattr(client, "status_now", asked.append)
    monkeypatch.chdir(repository / "src")
    tailora("status")
    tailora("status", repository / "src")
    assert asked == [repository, repository]


@pytest.mark.parametrize(
    "folder, arguments",
    [
        ("src", ["keys.py"]),
        (".", ["src/keys.py"]),
        (".", ["keys.py", "--project", "src"]),
        ("src", ["src/keys.py", "--project", ".."]),
    ],
)
def test_paths_are_those_that_the_user_sees(
    tailora: Any, learned: ProjectStore, monkeypatch: pytest.MonkeyPatch, folder: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(learned.root / folder)
    done = tailora("adapter", "delete", "--no-retrain", "--yes", "--json", "--forget", *arguments)
    assert (done.json["forgotten"], done.json["deleted"]) == (["src/keys.py"], ["1"])
    remembered = tailora("adapter", "remember", "--json", *arguments).json
    assert remembered == {"remembered": ["src/keys.py"], "forgotten": []}
    assert forgotten(learned) == ()


class TestWhichFolder:
    @pytest.fixture(autouse=True)
    def own_home(self, home: Path) -> None:
        """The store of this test."""

    def test_the_nearest_one_that_is_known_or_has_git(self, repository: Path) -> None:
        assert project_module.project_root(repository / "src") == repository
        (repository / "src" / "deep").mkdir()
        Store().project(repository / "src").set_paused(True)  # opened in an editor by itself
        assert project_module.project_root(repository / "src" / "deep") == repository / "src"

    def test_one_without_git_is_known_by_what_is_stored(self, tmp_path: Path) -> None:
        (tmp_path / "notes" / "deep").mkdir(parents=True)
        deep = tmp_path / "notes" / "deep"
        assert project_module.project_root(deep) == deep
        Store().project(tmp_path / "notes").set_paused(True)
        assert project_module.project_root(deep) == tmp_path / "notes"

    def test_a_repository_inside_a_project_is_none_of_it(self, repository: Path) -> None:
        Store().project(repository).set_paused(True)
        inner = repository / "vendor" / "inner"
        (inner / "src").mkdir(parents=True)
        (inner / ".git").write_text("gitdir: ../../.git/modules/inner\n")
        assert project_module.project_root(inner / "src") == inner

    def test_the_home_folder_only_where_it_is_named(
        self, repository: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(repository))
        monkeypatch.setenv("USERPROFILE", str(repository))
        Store().project(repository).set_paused(True)
        assert project_module.project_root(repository / "src") == repository / "src"
        assert project_module.project_root(repository) == repository

    def test_a_name_that_is_not_there_stands_for_no_other(self, repository: Path) -> None:
        assert project_module.project_root(repository / "scr") == repository / "scr"

    def test_a_moved_repository_is_known_by_its_mark(self, repository: Path, tmp_path: Path) -> None:
        Store().project(repository).set_paused(True)
        repository.rename(tmp_path / "moved")
        assert Store().knows(tmp_path / "moved")
        assert project_module.project_root(tmp_path / "moved" / "src") == tmp_path / "moved"

    def test_looking_stores_nothing(self, repository: Path, home: Path) -> None:
        project_module.project_root(repository / "src")
        assert not home.exists()
