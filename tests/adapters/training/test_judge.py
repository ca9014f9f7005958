"""The gate asked again: of a stored version alone, and of a candidate beside what serves in whatever form."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tailora_adapters import foundation
from tailora_adapters.combining import combine
from tailora_adapters.errors import VersionUnknown
from tailora_adapters.importing import import_adapter
from tailora_adapters.manifest import GateResult, Share
from tailora_adapters.methods import LoraSettings
from tailora_adapters.repair.purpose import repair_purpose
from tailora_adapters.store import Store
from tailora_adapters.training.gate import GateSettings
from tailora_adapters.training.run import RunSettings, judge, run


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_judging_changes_nothing(
    run_settings: RunSettings,
    repository: Path,
    tiny: Any,
    store: Store,
    make_lora: Any,
    tmp_path: Path,
) -> None:
    run(repository, tiny.name, settings=run_settings, store=store)
    project = store.project(repository)
    folder = make_lora(1, rank=2)  # of another form than those that are trained here
    imported = import_adapter(project, folder, tiny.name, claimed=True)
    before = contents(tmp_path / "store")
    outcome = judge(repository, tiny.name, imported.version, settings=run_settings, store=store)
    assert (outcome.decision, outcome.version) == ("rejected", imported.version)
    assert outcome.gate is not None
    assert {"loss against base", "loss against serving", "secrets"} <= {
        check.name for check in outcome.gate.checks
    }
    assert contents(tmp_path / "store") == before
    good = judge(repository, tiny.name, "1", settings=run_settings, store=store)
    assert good.gate is not None
    # What serves is no better than itself, and better than the base.
    failed = {check.name for check in good.gate.checks if not check.passed}
    assert failed == {"loss against serving"}
    with pytest.raises(VersionUnknown):
        judge(repository, tiny.name, "9", settings=run_settings, store=store)


def test_a_combination_is_judged_and_gone_on_from(
    run_settings: RunSettings,
    repository: Path,
    tiny: Any,
    store: Store,
    make_lora: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shipped = foundation.FoundationAdapter(make_lora(5, strength=0.02), "hash", None)  # type: ignore[arg-type]
    monkeypatch.setattr(foundation, "find", lambda name: shipped if name == "tiny" else None)
    settings = dataclasses.replace(
        run_settings, shape=LoraSettings(rank=4, alpha=8), gate=GateSettings(significance=0.0)
    )
    for seed in (1, 2):
        run(repository, tiny.name, settings=dataclasses.replace(settings, seed=seed), store=store, full=True)
    project = store.project(repository)
    project.promote("2")
    project.promote("1")
    found = combine(project, (Share("1", 0.6), Share("2", 0.4)), tiny.name)
    judged = judge(repository, tiny.name, found.version, settings=settings, store=store)
    assert judged.gate is not None
    assert judged.gate.figures["candidate_nll"] < judged.gate.figures["base_nll"]
    project.promote(found.version, judged.gate)
    again = run(repository, tiny.name, settings=settings, store=store)
    assert again.manifest is not None, again.reason
    assert (again.manifest.parent, again.manifest.settings["full"]) == ("3", None)
    assert again.manifest.learned()
    assert again.gate is not None
    assert again.gate.figures["serving_nll"] == pytest.approx(judged.gate.figures["candidate_nll"], rel=1e-3)


def test_for_repair(
    run_settings: RunSettings, repository: Path, tiny: Any, store: Store, make_lora: Any
) -> None:
    project = store.project(repository)
    imported = import_adapter(project.repair, make_lora(1, rank=2), tiny.name, claimed=True)
    purpose = repair_purpose(repository, lambda asked: [None] * len(asked))
    outcome = judge(
        repository, tiny.name, imported.version, settings=run_settings, store=store, purpose=purpose
    )
    assert outcome.gate is not None, outcome.reason
    assert "more than before" in {check.name for check in outcome.gate.checks}
    assert project.versions() == []
    with pytest.raises(VersionUnknown):
        judge(repository, tiny.name, imported.version, settings=run_settings, store=store)


def test_what_serves_may_be_of_another_form_or_broken(
    run_settings: RunSettings, repository: Path, tiny: Any, store: Store, make_lora: Any
) -> None:
    lenient = dataclasses.replace(run_settings, gate=GateSettings(significance=0.0))
    project = store.project(repository)
    imported = import_adapter(project, make_lora(1, rank=2), tiny.name, claimed=True)
    project.promote(imported.version, GateResult("promoted", "better"))
    outcome = run(repository, tiny.name, settings=lenient, store=store)
    assert outcome.decision == "promoted", outcome.reason
    assert outcome.gate is not None
    assert outcome.gate.figures["serving_nll"] > outcome.gate.figures["candidate_nll"]
    assert outcome.manifest is not None
    assert (outcome.manifest.parent, outcome.manifest.settings["full"]) == (None, "version 1 was imported")
    broken = project.get("2").path / "adapter_model.safetensors"
    save_file({name: value[:1] for name, value in load_file(broken).items()}, broken)
    again = run(repository, tiny.name, settings=lenient, store=store)
    assert again.decision == "promoted", again.reason
    assert again.gate is not None
    assert "serving_nll" not in again.gate.figures
    assert project.serving() == project.get("3")
