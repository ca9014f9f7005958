"""``tailora adapter``: what was learned can be seen, chosen, switched off, taken along and deleted."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base.cache import base_info
from tailora_adapters.manifest import BaseInfo, Check, Cost, DataInfo, FileInfo, GateResult, Manifest
from tailora_adapters.outcomes import Accepted, Event, Kept, Shown
from tailora_adapters.store import ProjectStore, Store

GATE = GateResult(
    "promoted",
    "better",
    (Check("loss", True, 1.0, 0.9, "held-out [loss] lower"),),
    {"base_nll": 2.0, "candidate_nll": 1.5},
)


@pytest.fixture
def project(home: Path, tmp_path: Path, make_lora: Any) -> ProjectStore:
    """Versions 1 and 2, of which 2 serves, and 3, which was rejected."""
    root = tmp_path / "repository"
    root.mkdir()
    project = Store().project(root)
    for seed in (1, 2, 3):
        with project.candidate() as candidate:
            for path in make_lora(seed).iterdir():
                (candidate.path / path.name).write_bytes(path.read_bytes())
            candidate.commit(
                Manifest(
                    base=BaseInfo("tiny", "0", "0"),
                    parent="foundation",
                    seed=seed,
                    data=DataInfo(30, 900, 8, (FileInfo("a[b].py", "0", 30),), {"generated": 2}),
                    settings={"scale": 0.8},
                    cost=Cost(12.0, 800.0, 100.0, 3.21),
                    gate=GATE,
                )
            )
    project.promote("1")
    project.promote("2")
    project.reject("3", GateResult("rejected", "loss against base: worse"))
    return project


def serving(project: ProjectStore, base: BaseInfo | None = None) -> str | None:
    found = project.serving(base)
    return found.version if found else None


@pytest.fixture
def adapter(tailora: Any, project: ProjectStore) -> Any:
    return lambda *arguments: tailora("adapter", *arguments, "--project", project.root)


@pytest.fixture
def its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name the model that the versions belong to."""
    monkeypatch.setenv("TAILORA_ENGINE_MODEL", "tiny")


def test_list(adapter: Any, project: ProjectStore) -> None:
    found = adapter("list", "--json").json
    assert found["project"] == str(project.root)
    assert [row["status"] for row in found["versions"]] == ["retired", "serving", "rejected"]
    assert found["versions"][0]["base_nll"] == 2.0
    assert found["versions"][2]["reason"] == "loss against base: worse"
    shown = adapter("list").out
    assert "2.000 → 1.500" in shown
    assert "version 3 rejected: loss against base: worse" in shown
    assert "version 2 serves with tiny, not with qwen2.5-coder-0.5b" in shown


def test_tables_fit_80_columns(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = adapter("list").out
    assert "2.000 → 1.500" in shown
    assert max(map(len, shown.splitlines())) <= 80
    shown = adapter("show", "2").out
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown


def test_list_of_nothing(tailora: Any, tmp_path: Path, home: Path) -> None:
    assert "nothing was learned" in tailora("adapter", "list", "-p", tmp_path).out
    assert tailora("adapter", "list", "--json", "-p", tmp_path).json["versions"] == []
    assert not home.exists()


def test_show(adapter: Any) -> None:
    found = adapter("show", "2", "--json").json
    assert found["status"] == "serving"
    assert found["data"]["files"][0]["path"] == "a[b].py"
    shown = adapter("show", "2").out
    assert "a[b].py (30)" in shown
    assert "2 generated" in shown
    assert "3.2 Wh (estimated)" in shown
    assert "0.8 of what was trained" in shown
    assert "the foundation adapter" in shown
    assert "held-out [loss] lower" in shown


def test_show_tells_what_was_learned_before(adapter: Any, project: ProjectStore) -> None:
    path = project.get("2").path / "manifest.json"
    files = [{"path": f"{name}.py", "sha256": "0", "examples": 1} for name in "bc"]
    ancestry = {"runs": 3, "since": "2026-11-01T00:00:00+00:00", "files": files}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ancestry": ancestry}))
    shown = adapter("show", "2").out
    assert "2 files in 3 runs that it goes on from, since 2026-11-01" in shown
    assert [file["path"] for file in adapter("show", "2", "--json").json["ancestry"]["files"]] == [
        "b.py",
        "c.py",
    ]


def test_use_and_rollback(adapter: Any, project: ProjectStore, its_model: None) -> None:
    assert adapter("use", "1").out == "version 1 serves now\n"
    assert serving(project) == "1"
    assert adapter("rollback").out == "version 2 serves now\n"
    assert adapter("rollback").out == "the foundation adapter serves now\n"
    assert project.serving() is None
    refused = adapter("use", "3")
    assert refused.code == 1
    assert "was rejected" in refused.err


def test_disable_and_enable(adapter: Any, project: ProjectStore, its_model: None) -> None:
    adapter("disable")
    assert project.serving() is None
    assert adapter("list", "--json").json["disabled"] is True
    assert "enable" in adapter("list").out
    assert adapter("enable").out == "version 2 serves now\n"
    assert project.serving() is not None


def test_what_is_chosen_while_disabled_serves_later(
    adapter: Any, project: ProjectStore, its_model: None
) -> None:
    adapter("disable")
    assert adapter("use", "1").out == "version 1 is chosen, and serves after `tailora adapter enable`\n"
    assert adapter("rollback").out == "version 2 is chosen, and serves after `tailora adapter enable`\n"
    assert project.serving() is None
    assert adapter("enable").out == "version 2 serves now\n"


@pytest.fixture
def two_models(
    home: Path, tiny: Any, project: ProjectStore, make_lora: Any, monkeypatch: pytest.MonkeyPatch
) -> ProjectStore:
    """Version 4 of the model of the settings, and another one, 5; then version 2 of a model that is not here."""
    monkeypatch.setenv("TAILORA_MODELS", str(tiny.models))
    monkeypatch.setenv("TAILORA_ENGINE_MODEL", tiny.name)
    for seed in (4, 5):
        with project.candidate() as candidate:
            for path in make_lora(seed).iterdir():
                (candidate.path / path.name).write_bytes(path.read_bytes())
            candidate.commit(
                Manifest(
                    base=base_info(tiny.name),
                    parent="foundation",
                    seed=seed,
                    data=DataInfo(30, 900, 8),
                    cost=Cost(12.0, 800.0, 100.0),
                )
            )
        project.promote(str(seed))
    project.promote("2")
    return project


def test_use_of_another_models_version_says_where_it_serves(adapter: Any, two_models: ProjectStore) -> None:
    said = "version 1 is chosen, and serves only with another build of tiny\n"
    assert adapter("use", "1").out == said
    assert adapter("use", "4").out == "version 4 serves now\n"


@pytest.mark.parametrize("disabled", [False, True])
def test_rollback_steps_back_among_the_models_own(
    adapter: Any, two_models: ProjectStore, tiny: Any, disabled: bool
) -> None:
    base = base_info(tiny.name)
    assert serving(two_models, base) == "5"
    if disabled:
        adapter("disable")
    assert adapter("rollback").out.startswith("version 4 ")
    assert adapter("enable").out == "version 4 serves now\n"
    assert serving(two_models, base) == "4"
    assert serving(two_models) == "2"
    assert adapter("rollback").out == "the foundation adapter serves now\n"
    assert adapter("enable").out == "version 2 is chosen, and serves only with another build of tiny\n"


def test_export(adapter: Any, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert adapter("export", "2", target).code == 0
    assert json.loads((target / "adapter_config.json").read_text())["peft_type"] == "LORA"
    again = adapter("export", "2", target)
    assert again.code == 1
    assert "not an empty folder" in again.err
    for where in (tmp_path / ("n" * 300), target / "adapter_config.json" / "below"):
        refused = adapter("export", "2", where)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith(f"error: {where} cannot be written: ")
        assert refused.err.count("\n") == 1


def test_delete(adapter: Any, project: ProjectStore) -> None:
    assert adapter("delete", "2", "--yes").code == 0
    assert [version.version for version in project.versions()] == ["1", "3"]
    assert serving(project) == "1"
    assert adapter("delete", "--yes").code == 0
    assert project.versions() == []


def test_delete_asks(adapter: Any, project: ProjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert adapter("delete").code == 1
    assert len(project.versions()) == 3


def test_corrupt_version(adapter: Any, project: ProjectStore) -> None:
    path = project.get("1").path / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    refused = adapter("use", "1")
    assert refused.code == 1
    assert "adapter_model.safetensors" in refused.err
    assert serving(project) == "2"
    (project.get("1").path / "manifest.json").write_text("{")
    assert adapter("show", "1").code == 1


def test_what_became_of_suggestions(
    adapter: Any, project: ProjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    for version, count, accepted in (("1", 10, 5), ("2", 8, 1), ("foundation", 4, 1)):
        shown = [
            Shown(f"{version}-{i}", version, "tiny", "python", False, 10, time.time()) for i in range(count)
        ]
        events += [*shown, *(Accepted(event.id, 10) for event in shown[:accepted])]
        events += [Kept(event.id, 30, 0.5) for event in shown[:accepted]]
    project.outcomes.record(events)
    project.withdraw("2", "version 2 was rolled back by itself: few [accepted]")
    found = adapter("list", "--json").json
    figures = [(row["shown"], row["accepted"], row["kept_30"]) for row in found["versions"]]
    assert figures == [(10, 5, 0.5), (8, 1, 0.5), (0, 0, None)]
    assert found["foundation"]["acceptance"] == 0.25
    assert found["versions"][1]["reason"].startswith("version 2 was rolled back by itself")
    monkeypatch.setenv("COLUMNS", "80")
    listed = adapter("list").out
    assert max(map(len, listed.split("version 2 was")[0].splitlines())) <= 80
    cells = [line.split() for line in listed.splitlines()]
    assert ["1", "10", "5", "50%", "50%"] in cells
    assert ["foundation", "4", "1", "25%", "50%"] in cells
    assert "few [accepted]" in listed
    one = adapter("show", "2", "--json").json
    assert one["withdrawn"].endswith("few [accepted]")
    assert one["outcomes"]["shown"] == 8
    shown = adapter("show", "2").out
    assert "shown 8, accepted 1 (12%), kept 50% after 30 s" in shown
    assert "few [accepted]" in shown
