"""``tailora adapter … --repair``: the adapter for repair is seen and decided on apart, and hidden nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, GateResult, Manifest
from tailora_adapters.store import ProjectStore, Store

GATE = GateResult("promoted", "better", (), {"base_nll": 2.0, "candidate_nll": 1.5})


@pytest.fixture
def bare(home: Path, tmp_path: Path, make_lora: Any, monkeypatch: pytest.MonkeyPatch) -> ProjectStore:
    """Version 1 for completion serves, which learned ``c.py``; nothing was learned for repair."""
    monkeypatch.setenv("TAILORA_ENGINE_MODEL", "tiny")
    root = tmp_path / "repository"
    root.mkdir()
    project = Store().project(root)
    project.promote(add(project, make_lora(9), "c.py", "completion"))
    return project


@pytest.fixture
def project(bare: ProjectStore, make_lora: Any) -> ProjectStore:
    """And for repair 1, 2, which serves and learned ``b.py``, and 3, which was rejected."""
    for seed, file in ((1, "a.py"), (2, "b.py"), (3, "a.py")):
        add(bare.repair, make_lora(seed), file, "repair")
    bare.repair.promote("1")
    bare.repair.promote("2")
    bare.repair.reject("3", GateResult("rejected", "5 of 48 filled exactly, before 6"))
    return bare


def add(store: ProjectStore, folder: Path, file: str, purpose: str) -> str:
    with store.candidate() as candidate:
        for path in folder.iterdir():
            (candidate.path / path.name).write_bytes(path.read_bytes())
        manifest = Manifest(
            base=BaseInfo("tiny", "0", "0"),
            parent="foundation",
            seed=1,
            data=DataInfo(30, 900, 8, (FileInfo(file, "0", 30),)),
            settings={"purpose": purpose},
            cost=Cost(12.0, 800.0, 100.0),
            gate=GATE,
        )
        return candidate.commit(manifest).version


@pytest.fixture
def adapter(tailora: Any, bare: ProjectStore) -> Any:
    return lambda *arguments: tailora("adapter", *arguments, "--project", bare.root)


def serving(store: ProjectStore) -> str | None:
    found = store.serving()
    return found.version if found else None


def test_list_tells_of_it(adapter: Any, project: ProjectStore) -> None:
    found = adapter("list", "--json").json
    assert [row["version"] for row in found["versions"]] == ["1"]
    assert found["repair"] == {"serving": "2", "versions": ["1", "2", "3"]}
    line = "repair version 2 serves now (`tailora adapter list --repair`)"
    assert line in adapter("list").out.splitlines()
    adapter("disable")
    assert "repair version 2 is chosen, and serves after `tailora adapter enable`" in adapter("list").out
    assert "repair version 2 serves now" in adapter("enable").out.splitlines()


def test_list_of_it(adapter: Any, project: ProjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    found = adapter("list", "--repair", "--json").json
    assert [row["status"] for row in found["versions"]] == ["retired", "serving", "rejected"]
    assert "shown" not in found["versions"][0], "repairs are not counted"
    assert "repair" not in found
    shown = adapter("list", "--repair").out
    assert "repair version 3 rejected: 5 of 48 filled exactly, before 6" in shown
    monkeypatch.setenv("TAILORA_ENGINE_MODEL", "qwen2.5-coder-0.5b")
    shown = adapter("list", "--repair").out
    assert "repair version 2 serves with tiny, not with qwen2.5-coder-0.5b" in shown


def test_list_where_there_is_none(adapter: Any, bare: ProjectStore) -> None:
    assert "repair" not in adapter("list").out
    assert adapter("list", "--json").json["repair"] == {"serving": None, "versions": []}
    assert "`tailora train --repair`" in adapter("list", "--repair").out
    assert not bare.repair.directory.exists()


@pytest.mark.parametrize(
    "command",
    [("show", "1"), ("use", "1"), ("rollback",), ("export", "1", "out"), ("delete", "1", "--yes")],
)
def test_where_there_is_none_it_says_what_makes_one(adapter: Any, command: tuple[str, ...]) -> None:
    done = adapter(*command, "--repair")
    assert done.code == 1
    assert done.err == ("error: repository has no repair version yet: `tailora train --repair` makes one\n")


def test_show(adapter: Any, project: ProjectStore) -> None:
    found = adapter("show", "2", "--repair", "--json").json
    assert (found["status"], found["settings"]["purpose"]) == ("serving", "repair")
    assert found["data"]["files"][0]["path"] == "b.py"
    assert "outcomes" not in found
    assert "b.py (30)" in adapter("show", "2", "--repair").out
    assert "c.py (30)" in adapter("show", "1").out
    assert "has no repair version '7': there are 1, 2, 3" in adapter("show", "7", "--repair").err


def test_use_and_rollback(adapter: Any, project: ProjectStore) -> None:
    assert adapter("use", "1", "--repair").out == "repair version 1 serves now\n"
    assert adapter("rollback", "--repair").out == "repair version 2 serves now\n"
    said = "no repair version serves now: repairs are made with version 1\n"
    assert adapter("rollback", "--repair").out == said
    assert (serving(project), serving(project.repair)) == ("1", None)
    assert "no repair version serves now: repairs are made with version 1" in adapter("list").out
    assert "was rejected" in adapter("use", "3", "--repair").err
    adapter("rollback")
    said = "no repair version serves now: repairs are made with the foundation adapter\n"
    assert adapter("rollback", "--repair").out == said


def test_export(adapter: Any, project: ProjectStore, tmp_path: Path) -> None:
    assert adapter("export", "2", tmp_path / "out", "--repair").out.startswith("repair version 2 was copied")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["settings"]["purpose"] == "repair"


def test_delete(adapter: Any, project: ProjectStore) -> None:
    assert adapter("delete", "2", "--repair", "--yes").out == "repair version 2 was deleted\n"
    assert (serving(project), serving(project.repair)) == ("1", "1")
    found = adapter("delete", "--repair", "--yes", "--json").json
    assert found == {"deleted": ["1", "3"]}
    assert project.repair.versions() == []
    assert serving(project) == "1", "only what was learned for repair"


def test_deleting_everything_deletes_both(adapter: Any, project: ProjectStore) -> None:
    found = adapter("delete", "--yes", "--json").json
    nothing: dict[str, Any] = {"deleted": []}
    assert found == {
        "deleted": ["1"],
        "repair": {"deleted": ["1", "2", "3"]},
        "docstring": nothing,
        "generation": nothing,
    }
    assert project.versions() == project.repair.versions() == []


def test_forgetting_is_about_both(adapter: Any, project: ProjectStore) -> None:
    refused = adapter("delete", "--forget", "b.py", "--repair", "--yes")
    assert refused.code != 0
    assert "leave --repair out" in refused.err
    done = adapter("delete", "--forget", "b.py", "--yes")
    assert "deleted: repair version 2 learned from it, or may have" in done.out
    assert "`tailora train --repair` learns the rest anew" in done.out
    assert (serving(project), serving(project.repair)) == ("1", "1")
    found = adapter("delete", "--forget", ".", "--forget", "a.py", "--yes", "--no-retrain", "--json")
    assert found.code == 1
    found = adapter("delete", "--forget", "a.py", "--forget", "c.py", "-y", "--no-retrain", "--json").json
    assert (found["deleted"], found["repair"]) == (["1"], {"deleted": ["1", "3"]})


def test_without_one_for_docstrings_the_base_model_is_named(
    bare: ProjectStore, adapter: Any, make_lora: Any
) -> None:
    part = bare.part("docstring")
    part.promote(add(part, make_lora(1), "a.py", "docstring"))
    part.rollback()
    assert (
        "no docstring version serves now: docstrings are written with the base model" in adapter("list").out
    )
