"""A whole run on a small repository: what it leaves behind, whatever it decides."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from tailora_adapters import foundation
from tailora_adapters.base import cache, catalogue, load
from tailora_adapters.corpus import generic
from tailora_adapters.corpus.replay import FILE_NAME, Reservoir
from tailora_adapters.errors import MethodError, StoreUnwritable, TrainingBusy, TrainingFailed
from tailora_adapters.manifest import Check, GateResult, Manifest
from tailora_adapters.methods import LoraSettings, attach
from tailora_adapters.repair.purpose import repair_purpose
from tailora_adapters.store import CHECKPOINT, Store
from tailora_adapters.training import exam
from tailora_adapters.training import run as run_module
from tailora_adapters.training.checkpoint import key_of
from tailora_adapters.training.evaluate import Prompts
from tailora_adapters.training.gate import GateSettings
from tailora_adapters.training.loop import TrainReport, train
from tailora_adapters.training.run import Outcome, RunSettings, run
from tailora_adapters.training.save import save_adapter

STRICT = GateSettings(confidence=1.1)
"""Nothing is good enough."""

Learn = Callable[..., Outcome]


@pytest.fixture
def learn(repository: Path, tiny: Any, store: Store, run_settings: RunSettings) -> Callable[..., Outcome]:
    """``learn(**changed settings)``: one run on the repository."""

    def learn(*, root: Path = repository, **changes: Any) -> Outcome:
        of_run = {
            name: changes.pop(name)
            for name in ("changed", "full", "learn", "progress", "purpose")
            if name in changes
        }
        settings = dataclasses.replace(run_settings, **changes)
        return run(root, tiny.name, settings=settings, store=store, **of_run)

    return learn


def test_promoted_and_continued(learn: Learn, repository: Path, tiny: Any, store: Store) -> None:
    seen: list[tuple[str, float]] = []
    outcome = learn(progress=lambda stage, done, _: seen.append((stage, done)))
    assert outcome.decision == "promoted", outcome.reason
    assert list(dict.fromkeys(stage for stage, _ in seen)) == [
        "selecting",
        "loading",
        "preparing",
        "training",
        "gating",
    ]
    assert seen[-1] == ("gating", 1.0)
    assert [done for _, done in seen] == sorted(done for _, done in seen), "a bar that goes back"
    project = store.project(repository)
    served = project.serving()
    assert served is not None
    assert served.version == outcome.version == "1"
    project.verify("1")
    manifest = Manifest.read(served.path / "manifest.json")
    assert manifest == served.manifest == outcome.manifest
    assert manifest.parent is None
    assert manifest.base.name == "tiny"
    assert manifest.data.examples > 20
    paths = {file.path for file in manifest.data.files}
    assert paths < {path.name for path in repository.iterdir()}  # some are held out
    # The other one is the canary.
    assert sum(file.examples for file in manifest.data.files) == 60 == manifest.data.examples - 1
    assert manifest.gate is not None
    assert manifest.gate.figures["candidate_nll"] < manifest.gate.figures["base_nll"]
    assert outcome.event()["gate"]["base_nll"] == manifest.gate.figures["base_nll"]
    assert {entry.path for entry in Reservoir(project.directory / FILE_NAME).entries} == {
        file.path for file in manifest.data.files if file.examples
    }
    assert not (project.directory / CHECKPOINT).exists()

    again = learn(seed=2, changed=["book.py"])
    assert again.version == "2"
    assert again.manifest is not None
    assert again.manifest.parent == "1"
    assert again.gate is not None
    assert "loss against serving" in {check.name for check in again.gate.checks}
    # What the base scores has not changed with what serves: it is measured without the first adapter.
    assert again.gate.figures["serving_nll"] < again.gate.figures["base_nll"]
    assert again.gate.figures["base_nll"] > 5


def test_a_withdrawn_version_is_no_parent(learn: Learn, repository: Path, store: Store) -> None:
    learn()
    project = store.project(repository)
    assert project.withdraw("1", "few accepted")
    project.use("1")  # the user may, and still nothing is built on it
    again = learn(seed=2, changed=["book.py"])
    assert again.manifest is not None
    assert (again.version, again.manifest.parent) == ("2", None)
    assert again.manifest.settings["full"] == "version 1 was rolled back: few accepted"


def test_a_run_goes_on_from_its_checkpoint_with_less_time_left(
    learn: Learn, run_settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []

    def key(*arguments: Any) -> str:
        keys.append(key_of(*arguments))
        return keys[-1]

    monkeypatch.setattr(run_module, "key_of", key)
    for seconds in (600.0, 500.0):
        learn(gate=STRICT, train=dataclasses.replace(run_settings.train, max_seconds=seconds))
    assert keys[0] == keys[1]


def test_what_the_user_changes_meanwhile_is_not_overruled(
    learn: Learn, repository: Path, store: Store
) -> None:
    learn()
    project = store.project(repository)
    learn(seed=2, changed=["book.py"], gate=GateSettings(significance=0.0))
    served = project.serving()
    assert served is not None

    def trained(*arguments: Any, **more: Any) -> TrainReport:
        project.ask_retrain("a test")
        project.rollback()
        return train(*arguments, **more)

    before = next(iter(project.before()), None)
    outcome = learn(seed=3, changed=["shelf.py"], learn=trained)
    assert outcome.decision == "rejected"
    assert outcome.gate is not None
    assert not {check.name: check.passed for check in outcome.gate.checks}["what serves is the same"]
    now = project.serving()
    assert (now.version if now else None) == before
    assert not project.retrain_tried, "it was not the gate that refused it"


def test_while_the_adapters_are_disabled_a_run_goes_on_from_what_will_serve(
    learn: Learn, repository: Path, store: Store
) -> None:
    learn()
    project = store.project(repository)
    project.disable()
    outcome = learn(seed=2, changed=["book.py"])
    assert outcome.manifest is not None
    assert outcome.manifest.parent == "1"
    assert outcome.gate is not None
    assert "loss against serving" in {check.name for check in outcome.gate.checks}
    assert project.serving() is None


def test_a_disk_that_is_full_after_the_promotion(
    learn: Learn, repository: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What serves was promoted: that is what is told, and not that nothing was changed."""

    def full(*_arguments: Any, **_more: Any) -> None:
        raise StoreUnwritable("the disk is full")

    monkeypatch.setattr(Reservoir, "update", full)
    assert learn().decision == "promoted"
    served = store.project(repository).serving()
    assert served is not None
    assert served.version == "1"


def test_a_version_knows_what_those_before_it_learned(learn: Learn, store: Store, repository: Path) -> None:
    first = learn().manifest
    project = store.project(repository)
    second = learn(seed=2, changed=["book.py"]).manifest
    assert first is not None
    assert second is not None
    assert (second.ancestry.runs, second.ancestry.since) == (1, first.created)
    project.promote("2")
    project.delete("1")  # as pruning does
    known = {file.path for file in second.learned()}
    assert known == {file.path for manifest in (first, second) for file in manifest.data.files}


def test_rejected_leaves_what_serves(learn: Learn, repository: Path, store: Store) -> None:
    outcome = learn(gate=STRICT)
    assert outcome.decision == "rejected"
    assert "loss against base" in outcome.reason
    project = store.project(repository)
    assert project.serving() is None
    (version,) = project.versions()
    assert version.status == "rejected"
    assert version.manifest is not None
    assert version.manifest.gate is not None
    assert version.manifest.gate.decision == "rejected"
    assert not (project.directory / FILE_NAME).exists()


def test_the_scale_is_chosen_and_written_down(
    learn: Learn, repository: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: dict[str, torch.Tensor] = {}

    def kept(model: Any, *arguments: Any, **more: Any) -> TrainReport:
        report = train(model, *arguments, **more)
        for name, parameter in model.parameters().items():
            if parameter.requires_grad and ".lora_B." in name:
                trained[name.replace(".default", "")] = parameter.detach().clone()
        return report

    samples = iter([1.2, 1.0])
    monkeypatch.setattr(run_module.Exam, "sample", lambda _exam, _decoder: next(samples))
    outcome = learn(learn=kept)
    assert outcome.manifest is not None
    assert outcome.manifest.settings["scale"] == 0.6
    saved = load_file(store.project(repository).get("1").path / "adapter_model.safetensors")
    for name, value in trained.items():
        torch.testing.assert_close(saved[name].float(), 0.6 * value, rtol=0.01, atol=1e-6)


def test_a_scale_that_forgets_is_not_taken(learn: Learn, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, factors = iter([1.0, 1.2]), iter([1e3, 1.0])
    ask = run_module.Exam.generic

    def generic(exam: Any, decoder: Any, *base: Any) -> Any:
        scores, factor = ask(exam, decoder, *base), 1.0 if base else next(factors)
        assert scores is not None
        return dataclasses.replace(scores, nll_sums=tuple(factor * loss for loss in scores.nll_sums))

    monkeypatch.setattr(run_module.Exam, "sample", lambda _exam, _decoder: next(samples))
    monkeypatch.setattr(run_module.Exam, "generic", generic)
    outcome = learn()
    assert outcome.manifest is not None
    assert outcome.manifest.settings["scale"] == 0.6


@pytest.mark.parametrize(
    "failed, tries, decision",
    [
        (["similarity against base", "loss against serving"], 2, "promoted"),
        (["similarity against base", "canary"], 1, "rejected"),
    ],
)
def test_a_candidate_that_answers_worse_is_asked_again_half_as_far(
    learn: Learn, monkeypatch: pytest.MonkeyPatch, failed: list[str], tries: int, decision: str
) -> None:
    rejected = GateResult("rejected", "a test", tuple(Check(name, False, 1.0, 0.0, "") for name in failed))
    results = [rejected, GateResult("promoted", "half as far")]
    monkeypatch.setattr(run_module, "decide", lambda *_, **__: results.pop(0))
    samples = iter([1.2, 1.0])
    monkeypatch.setattr(run_module.Exam, "sample", lambda _exam, _decoder: next(samples))
    outcome = learn()
    assert len(results) == 2 - tries
    assert outcome.decision == decision
    assert outcome.manifest is not None
    assert outcome.manifest.settings["scale"] == 0.6 / tries


def test_an_increment_goes_on_from_what_serves(learn: Learn, monkeypatch: pytest.MonkeyPatch) -> None:
    assert learn().decision == "promoted"
    samples = iter([1.2, 1.0])
    monkeypatch.setattr(run_module.Exam, "sample", lambda _exam, _decoder: next(samples))
    outcome = learn(seed=2, changed=["book.py"])
    assert outcome.manifest is not None
    assert outcome.manifest.parent == "1"
    assert outcome.manifest.settings["scale"] == 0.6
    assert outcome.manifest.settings["anchors"] > 0


def test_a_machine_without_generic_code(learn: Learn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generic, "_modules", lambda _names: [])
    outcome = learn()
    assert outcome.decision == "promoted", outcome.reason
    assert outcome.manifest is not None
    assert outcome.manifest.settings["anchors"] == 0


def test_the_base_is_asked_about_generic_code_once_for_all_projects(
    learn: Learn,
    repository: Path,
    tiny: Any,
    run_settings: RunSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask = exam.evaluate
    (cache.folder_of(catalogue.find(tiny.name)) / run_module.GENERIC_SCORES).unlink(missing_ok=True)
    asked: list[int] = []

    def evaluate(decoder: Any, prompts: Prompts, **more: Any) -> Any:
        asked.append(len(prompts.sequences))
        return ask(decoder, prompts, **more)

    monkeypatch.setattr(exam, "evaluate", evaluate)
    first = learn()
    questions = sum(asked)
    asked.clear()
    kept = cache.folder_of(catalogue.find(tiny.name)) / run_module.GENERIC_SCORES
    written = kept.stat().st_mtime_ns
    second = learn(root=shutil.copytree(repository, tmp_path / "other"))
    assert kept.stat().st_mtime_ns == written
    assert sum(asked) == questions - run_settings.data.generic
    assert first.gate is not None
    assert second.gate is not None
    assert first.gate.figures["generic_base_nll"] == second.gate.figures["generic_base_nll"]


def test_a_full_run_that_is_promoted_fulfils_what_was_asked(
    learn: Learn, repository: Path, store: Store
) -> None:
    project = store.project(repository)
    project.ask_retrain("book.py is to be forgotten")
    assert learn(gate=STRICT).decision == "rejected"
    assert project.retrain is not None
    assert project.retrain_tried
    outcome = learn()
    assert outcome.decision == "promoted", outcome.reason
    assert outcome.manifest is not None
    assert outcome.manifest.settings["full"] == "book.py is to be forgotten"
    assert project.retrain is None


def test_too_little_data(learn: Learn, tmp_path: Path, store: Store) -> None:
    root = tmp_path / "small"
    root.mkdir()
    for name in ("one", "two", "three"):
        lines = [f"def {name}_{n}(width):\n    return width * {n} + {name}_{n}_limit" for n in range(3)]
        (root / f"{name}.py").write_text("\n".join(lines))
    store.project(root).ask_retrain("old.py is to be forgotten")
    outcome = learn(root=root)
    assert outcome.decision == "too_little_data"
    assert "20 needed" in outcome.reason
    assert outcome.event() == {
        "event": "done",
        "decision": "too_little_data",
        "version": None,
        "reason": outcome.reason,
        "gate": None,
    }
    assert store.project(root).versions() == []
    assert store.project(root).retrain_tried


def test_starts_from_the_foundation(
    learn: Learn,
    repository: Path,
    store: Store,
    make_lora: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make_lora(5, strength=0.02)
    shipped = foundation.FoundationAdapter(folder, "hash", None)  # type: ignore[arg-type]
    monkeypatch.setattr(foundation, "find", lambda name: shipped if name == "tiny" else None)
    outcome = learn(shape=LoraSettings(rank=4, alpha=8))
    assert outcome.manifest is not None
    assert outcome.manifest.parent == "foundation"
    assert outcome.gate is not None
    (norm,) = [check for check in outcome.gate.checks if check.name == "adapter norm"]
    assert norm.value != 1.0
    # Below the cut, the foundation's own layers stay as they are.
    ours = load_file(store.project(repository).get("1").path / "adapter_model.safetensors")
    theirs = load_file(folder / "adapter_model.safetensors")
    for name, weight in theirs.items():
        below = int(name.split(".layers.")[1].split(".")[0]) < 2
        assert torch.equal(ours[name], weight) == below, name


def test_a_higher_rank_goes_on_from_the_foundation_and_a_lower_one_is_refused(
    learn: Learn,
    repository: Path,
    tiny: Any,
    store: Store,
    make_lora: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shipped = foundation.FoundationAdapter(make_lora(5, strength=0.02), "hash", None)  # type: ignore[arg-type]
    monkeypatch.setattr(foundation, "find", lambda name: shipped if name == "tiny" else None)
    same, more = LoraSettings(rank=4, alpha=8), LoraSettings(rank=8, alpha=8, target_modules=("q_proj",))
    first = learn(shape=same)
    outcome = learn(shape=more, full=True)
    assert first.gate is not None
    assert outcome.gate is not None
    for name in ("base_nll", "base_exact_match"):
        assert outcome.gate.figures[name] == pytest.approx(first.gate.figures[name], rel=1e-3)
    assert outcome.gate.figures["candidate_nll"] < outcome.gate.figures["base_nll"]
    ours = load_file(store.project(repository).get("2").path / "adapter_model.safetensors")
    theirs = load_file(shipped.path / "adapter_model.safetensors")
    for name, weight in theirs.items():
        layer = int(name.split(".layers.")[1].split(".")[0])
        grown = ours[name][:4] if ".lora_A." in name else ours[name][:, :4] / 2
        assert ours[name].shape != weight.shape
        assert torch.equal(grown, weight) == (layer < 2 or "q_proj" not in name), name
    with pytest.raises(MethodError, match="whose rank is 4: choose at least that"):
        learn(shape=LoraSettings(rank=2), full=True)


def test_failure_leaves_nothing(learn: Learn, repository: Path, store: Store) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TrainingFailed("the loss became nan")

    with pytest.raises(TrainingFailed):
        learn(learn=fail)
    project = store.project(repository)
    assert project.versions() == []
    assert not list(project.directory.glob(".tmp-*"))
    with project.lock(), pytest.raises(TrainingBusy):
        run_in_thread(lambda: learn())


def run_in_thread(action: Any) -> None:
    """The training lock is reentrant within a thread."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        pool.submit(action).result()


def test_saved_adapter_is_plain_peft(tiny: Any, tmp_path: Path) -> None:
    ids = torch.tensor([[5, 9, 200, 31]])
    model = attach(load.load_model(tiny.name).model, LoraSettings(rank=3))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_((torch.randn(parameter.shape, generator=generator) * 0.3).to(torch.bfloat16))
            elif "lora_A" in name:
                parameter.copy_(parameter.to(torch.bfloat16))
        model.eval()
        expected = model(input_ids=ids).logits
        sha256 = save_adapter(model, tmp_path / "adapter")
        again = PeftModel.from_pretrained(load.load_model(tiny.name).model, str(tmp_path / "adapter"))
        assert torch.equal(again(input_ids=ids).logits, expected)
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert len(sha256) == 64
    assert str(tiny.name) not in (tmp_path / "adapter" / "adapter_config.json").read_text()


def test_for_repair(learn: Learn, repository: Path, store: Store) -> None:
    outcome = learn(purpose=repair_purpose(repository, lambda asked: [None] * len(asked)))
    assert outcome.manifest is not None, outcome.reason
    assert outcome.manifest.settings["purpose"] == "repair"
    assert outcome.gate is not None
    more = next(check for check in outcome.gate.checks if check.name == "more than before")
    assert more.passed is (more.value is not None and more.limit is not None and more.value > more.limit)
    if not more.passed:
        assert outcome.decision == "rejected"
    project = store.project(repository)
    assert [version.version for version in project.repair.versions()] == [outcome.version]
    assert project.versions() == []
    assert not (project.repair.directory / CHECKPOINT).exists()
