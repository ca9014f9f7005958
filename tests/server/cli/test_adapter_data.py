"""``tailora adapter import``, ``delete --forget`` and ``remember``; the training process is played."""

import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tailora_adapters.base.cache import base_info
from tailora_adapters.manifest import BaseInfo, Cost, DataInfo, FileInfo, Manifest
from tailora_adapters.store import ProjectStore, Store
from tailora_adapters.training import launch


@pytest.fixture
def project(home: Path, tmp_path: Path, make_lora: Any) -> ProjectStore:
    """Version 1 learned ``a.py``; 2, which serves, ``a.py`` and ``b.py``."""
    root = tmp_path / "repository"
    root.mkdir()
    for name in ("a.py", "b.py"):
        (root / name).write_text("".join(f"def f{n}():\n    return {n}, {name!r}\n" for n in range(9)))
    project = Store().project(root)
    for seed, names in ((1, ["a.py"]), (2, ["a.py", "b.py"])):
        with project.candidate() as candidate:
            for path in make_lora(seed).iterdir():
                (candidate.path / path.name).write_bytes(path.read_bytes())
            files = tuple(FileInfo(name, "0", 5) for name in names)
            manifest = Manifest(
                base=BaseInfo("tiny", "0", "0"),
                parent="foundation",
                seed=seed,
                data=DataInfo(10, 900, 8, files),
                cost=Cost(12.0, 800.0, 100.0),
            )
            version = candidate.commit(manifest)
        project.promote(version.version)
    return project


@pytest.fixture
def adapter(tailora: Any, project: ProjectStore) -> Any:
    return lambda *arguments: tailora("adapter", *arguments, "--project", project.root)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The worker runs that were asked for; each ends as ``answer`` says."""
    found: list[tuple[Any, ...]] = []

    def train(
        root: Path, model: str, *, full: bool = False, method: list[str], progress: Any
    ) -> dict[str, Any]:
        found.append(("train", root, full, *method))
        return {
            "event": "done",
            "decision": "too_little_data",
            "version": None,
            "reason": "3 more",
            "gate": None,
        }

    monkeypatch.setattr(launch, "train_in_worker", train)
    return found


class TestForget:
    def test_retrains_without_it(self, adapter: Any, project: ProjectStore, runs: list[Any]) -> None:
        done = adapter("delete", "--forget", "b.py", "--yes")
        assert done.code == 0
        assert "version 2 learned from it" in done.out
        assert "too little data: 3 more" in done.out
        assert runs == [("train", project.root, True, "--method", "lora")]
        assert project.serving().version == "1"  # type: ignore[union-attr]

    def test_later(self, adapter: Any, project: ProjectStore, runs: list[Any]) -> None:
        found = adapter("delete", "--forget", "b.py", "--forget", "gone", "--no-retrain", "-y", "--json").json
        assert found == {
            "forgotten": ["b.py", "gone"],
            "deleted": ["2"],
            "repair": {"deleted": []},
            "docstring": {"deleted": []},
            "generation": {"deleted": []},
            "training": None,
        }
        assert runs == []
        shown = adapter("list").out
        assert "the next training begins from the foundation adapter again" in shown
        assert "forgotten: b.py" in shown
        assert adapter("list", "--json").json["forgotten"] == ["b.py", "gone"]

    def test_what_is_kept_out_is_forgotten_and_not_trained(
        self, adapter: Any, project: ProjectStore, runs: list[Any]
    ) -> None:
        (project.root / "tailora.toml").write_text("[learning]\nenabled = false\n")
        done = adapter("delete", "--forget", "b.py", "-y", "--json")
        assert (done.json["deleted"], done.json["training"]) == (["2"], None)
        assert done.code == 0
        assert f"{project.root / 'tailora.toml'} sets learning.enabled = false" in done.json["not_trained"]
        assert runs == []
        assert adapter("delete", "--forget", "a.py", "-y", "--no-retrain").code == 0

    def test_what_nothing_learned_costs_no_training(
        self, adapter: Any, project: ProjectStore, runs: list[Any]
    ) -> None:
        assert "no version learned from it" in adapter("delete", "--forget", "c.py", "--yes").out
        assert runs == []
        assert len(project.versions()) == 2

    def test_asks(self, adapter: Any, project: ProjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
        done = adapter("delete", "--forget", "b.py")
        assert done.code == 1
        assert "version 2 learned from it" in done.out + done.err
        assert len(project.versions()) == 2
        assert adapter("list", "--json").json["forgotten"] == []

    def test_refuses_what_is_elsewhere(self, adapter: Any, project: ProjectStore) -> None:
        assert "not a file or folder inside" in adapter("delete", "--forget", "../x", "--yes").err
        assert adapter("delete", "1", "--forget", "a.py", "--yes").code != 0
        assert len(project.versions()) == 2

    def test_explain_says_so(self, adapter: Any, tailora: Any, project: ProjectStore) -> None:
        adapter("delete", "--forget", "b.py", "--yes", "--no-retrain")
        assert "left out  b.py: forgotten by the user" in tailora("train", project.root, "--explain").out
        assert adapter("remember", "b.py").out == "b.py may be learned again\n"
        assert adapter("remember", "b.py").out == "b.py was not forgotten\n"
        assert "learned   b.py" in tailora("train", project.root, "--explain").out


class Judged:
    """Versions that come in and are judged by a gate that is played."""

    @pytest.fixture(autouse=True)
    def model(self, tiny: Any, adapter: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        """After ``home``, which would unset the model cache."""
        monkeypatch.setenv("TAILORA_MODELS", str(tiny.models))
        return tiny

    def play(self, monkeypatch: pytest.MonkeyPatch, decision: str, **gate: Any) -> list[Any]:
        found: list[Any] = []

        def judge(root: Path, model: str, version: str, *, purpose: str, progress: Any) -> dict[str, Any]:
            found.append((root, model, version, purpose))
            said = {"checks": [], "base_nll": 2.0} | gate if decision != "failed" else None
            return {
                "event": "done",
                "decision": decision,
                "version": version,
                "reason": "because",
                "gate": said,
            }

        monkeypatch.setattr(launch, "judge_in_worker", judge)
        return found


class TestCombine(Judged):
    @pytest.fixture
    def parts(self, project: ProjectStore, model: Any) -> None:
        """Versions 1 and 2 belong to the model."""
        for version in project.versions():
            assert version.manifest is not None
            manifest = dataclasses.replace(version.manifest, base=base_info(model.name))
            (version.path / "manifest.json").write_text(manifest.to_json())

    def test_it_serves_if_the_gate_lets_it(
        self,
        adapter: Any,
        project: ProjectStore,
        model: Any,
        parts: None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        judged = self.play(monkeypatch, "promoted")
        done = adapter("combine", "1=0.7", "2=0.3", "--model", model.name)
        assert (done.out, done.err) == ("version 3 promoted: because\n", "")
        assert judged == [(project.root, model.name, "3", "completion")]
        assert project.serving().version == "3"  # type: ignore[union-attr]
        assert "0.7 of version 1 + 0.3 of version 2 (by svd)" in adapter("show", "3").out
        told = adapter("list", "--json").json["versions"][2]["combined"]
        assert told["parts"] == [{"version": "1", "weight": 0.7}, {"version": "2", "weight": 0.3}]
        self.play(monkeypatch, "rejected")
        arguments = (
            "1=0.7",
            "2=-0.3",
            "--method",
            "ties",
            "--density",
            "0.2",
            "--json",
            "--model",
            model.name,
        )
        assert adapter("combine", *arguments).json["decision"] == "rejected"
        assert "+ -0.3 of version 2 (by ties, density 0.2)" in adapter("show", "4").out
        assert project.serving().version == "3"  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        "arguments, message",
        [
            (("1=0.7",), "at least two versions are combined, such as 3=0.7 5=0.3"),
            (("1=0.7", "2=much"), "'2=much' is not VERSION=WEIGHT with a number"),
            (("1=0.7", "7=0.3"), "7"),
            (("1=0.7", "2=0.3", "--method", "mean"), "there is no combination 'mean'"),
            (("1=0.7", "2=0.3", "--repair"), "no repair version yet"),
        ],
    )
    def test_what_cannot_be_combined(
        self,
        adapter: Any,
        project: ProjectStore,
        model: Any,
        parts: None,
        arguments: tuple[str, ...],
        message: str,
    ) -> None:
        done = adapter("combine", *arguments, "--model", model.name)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("error: ")
        assert message in done.err
        assert len(project.versions()) == 2


class TestImport(Judged):
    def test_the_gate_lets_it_serve(
        self,
        adapter: Any,
        project: ProjectStore,
        make_lora: Any,
        model: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        judged = self.play(monkeypatch, "promoted")
        done = adapter("import", make_lora(5), "--base", model.name)
        assert done.out == "version 3 promoted: because\n"
        assert judged == [(project.root, model.name, "3", "completion")]
        assert project.serving().version == "3"  # type: ignore[union-attr]
        assert "imported" in adapter("show", "3").out
        assert adapter("list", "--json").json["versions"][2]["imported"]["base"] == "claimed"

    def test_the_gate_refuses_it(
        self,
        adapter: Any,
        project: ProjectStore,
        make_lora: Any,
        model: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.play(monkeypatch, "rejected")
        found = adapter("import", make_lora(5), "--base", model.name, "--json").json
        assert (found["decision"], found["version"]) == ("rejected", "3")
        assert project.serving().version == "2"  # type: ignore[union-attr]
        assert project.get("3").status == "rejected"

    def test_for_repair(
        self,
        adapter: Any,
        project: ProjectStore,
        make_lora: Any,
        model: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        judged = self.play(monkeypatch, "promoted")
        assert adapter("import", make_lora(5), "--base", model.name, "--repair").code == 0
        assert judged == [(project.root, model.name, "1", "repair")]
        assert project.repair.serving().version == "1"  # type: ignore[union-attr]
        assert project.serving().version == "2"  # type: ignore[union-attr]

    def test_what_cannot_be_judged_is_not_kept(
        self,
        adapter: Any,
        project: ProjectStore,
        make_lora: Any,
        model: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.play(monkeypatch, "failed")
        done = adapter("import", make_lora(5), "--base", model.name)
        assert (done.code, done.err) == (1, "error: because\n")
        assert len(project.versions()) == 2

    def test_pickle_is_refused(self, adapter: Any, project: ProjectStore, tmp_path: Path, model: Any) -> None:
        folder = tmp_path / "given"
        folder.mkdir()
        (folder / "adapter_model.bin").write_bytes(b"\x80\x04.")
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
        done = adapter("import", folder, "--base", model.name)
        assert done.code == 1
        assert "adapter_model.bin does not belong to an adapter" in done.err
        assert len(project.versions()) == 2
