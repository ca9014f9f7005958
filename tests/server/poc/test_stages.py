"""A proof of concept with a tiny model: from the repository to the figures, interrupted, changed, outdated."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailora.errors import ReportInvalid
from tailora.evaluation.methods import compare as comparing
from tailora.evaluation.methods.comparison import Sizes
from tailora.poc import plan, stages
from tailora.poc.ledger import FILE, Ledger
from tailora.poc.measure import Measured, measure
from tailora.poc.stages import Tried, run
from tailora_adapters.errors import CorpusError, ModelMissing, TailoraError


def quiet(_done: float, _text: str) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def measured(made: Any) -> Measured:
    found: Measured = made.measured
    return found


@pytest.fixture
def again(tiny: Any, repository: Path, made: Any, sizes: Sizes) -> Callable[..., Tried]:
    """Runs it in a folder; the time is too short for more than what is always tried."""

    def call(work: Path, minutes: float = 1e-6, **changes: Any) -> Tried:
        measured = replace(made.measured, **changes)
        return run(repository, measured, work, minutes, ["tailora", "poc"], quiet, sizes)

    return call


def test_a_repository_is_measured(measured: Measured, repository: Path) -> None:
    assert measured.files == len(list(repository.rglob("*.py")))
    assert measured.languages == {"python": measured.files}
    assert measured.tokens > measured.lines > 100
    assert sum(measured.parts.values()) <= measured.files
    assert min(measured.parts.values()) >= 1
    assert not measured.too_small
    assert not measured.foundation


def test_secrets_and_what_is_left_out_are_counted(
    tiny: Any, repository: Path, sizes: Sizes, tmp_path: Path
) -> None:
    repository = Path(shutil.copytree(repository, tmp_path / "copy"))
    secret = 'AWS_KEY = "AKIA' + 'Q3EGR7XYZMNB5TUV"\n'
    (repository / "lib" / "keys.py").write_text("import os\nimport re\nimport sys\nimport json\n\n" + secret)
    (repository / "notes.txt").write_text("notes")
    found = measure(repository, tiny.name, sizes)
    assert found.secrets == 1
    assert found.left_out["language unknown"] == 1


def test_a_small_repository_is_called_so(tiny: Any, tmp_path: Path, sizes: Sizes) -> None:
    root = tmp_path / "small"
    root.mkdir()
    (root / "one.py").write_text("def one() -> int:\n    return 1\n\n\nx = one()\ny = one()\nz = one()\n")
    found = measure(root, tiny.name, sizes)
    assert "small is too small" in found.too_small
    assert found.parts == {}


def test_without_folder_or_model_there_is_nothing_to_measure(
    tiny: Any, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CorpusError):
        measure(tmp_path / "nowhere", tiny.name)
    monkeypatch.setenv("TAILORA_MODELS", str(tmp_path / "none"))
    with pytest.raises(ModelMissing):
        measure(repository, "qwen2.5-coder-0.5b")


def test_too_little_time_is_enough_for_one_candidate(made: Any) -> None:
    found = made.tried
    assert made.begun == ["baselines: baselines", "lora: lora"]
    assert [one.method for one in found.figures.candidates] == ["lora"]
    assert [one.step.name for one in found.skipped] == ["ia3", "pfeiffer", "lora-seeds", "lora-rates"]
    assert all(one.seconds and one.seconds > 0 for one in found.skipped)
    one = found.figures.candidates[0]
    assert (one.seeds, one.cases) == (1, 12)
    assert one.loss.low <= one.loss.value <= one.loss.high
    assert found.figures.reference == "base"
    assert one.forgetting is not None
    assert any("min of the time left" in text for _, text in made.told)
    assert made.told[-1][0] == 1.0


def test_what_is_forgotten_is_reckoned_from_the_baselines_of_another_folder(made: Any) -> None:
    report = json.loads((made.work / "lora" / "completion-lora-seed-1.json").read_text())
    base = json.loads((made.work / "baselines" / "completion-base-seed-0.json").read_text())
    told, own = report["test_info"]["forgetting"], base["test_info"]["forgetting"]
    assert told["generic_loss_base"] == own["generic_loss"]
    assert set(report["test_info"]["against"]) == {"base", "base-context"}


def test_with_more_time_it_goes_on_to_seeds_of_the_best(
    again: Callable[..., Tried], cells: list[str], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "CANDIDATES", ("lora", "ia3"))
    monkeypatch.setattr(stages, "CANDIDATES", ("lora", "ia3"))
    real = stages.following
    steps = iter((True, True))

    def two_more(*arguments: Any) -> Any:
        return real(*arguments) if next(steps, False) else None

    monkeypatch.setattr(stages, "following", two_more)
    found = again(work, 600.0)
    assert cells[0] == "ia3: ia3", "what is there is not done again"
    best = min(found.figures.candidates, key=lambda one: one.seeds != 3).method
    assert cells[1:] == [f"{best}-seeds: {best}"]
    assert {one.method: one.seeds for one in found.figures.candidates} == {"lora": 1, "ia3": 1} | {best: 3}
    other = "lora" if best == "ia3" else "ia3"
    assert [one.step.name for one in found.skipped] == [f"{best}-rates", f"{other}-seeds", f"{other}-rates"]


def test_what_was_killed_goes_on_where_it_was(
    again: Callable[..., Tried], work: Path, made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = json.loads((work / FILE).read_text())
    kept["done"] = {"baselines": kept["done"]["baselines"]}
    (work / FILE).write_text(json.dumps(kept))

    def interrupted(*_arguments: Any) -> Any:
        raise KeyboardInterrupt

    real = stages.compare
    monkeypatch.setattr(stages, "compare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again(work)
    kept = json.loads((work / FILE).read_text())
    assert (list(kept["done"]), list(kept["begun"])) == (["baselines"], ["lora"])
    monkeypatch.setattr(stages, "compare", real)
    found = again(work)
    assert found.seconds["lora"] >= kept["begun"]["lora"]
    assert found.figures == made.tried.figures


def test_a_candidate_that_fails_is_told_and_tried_again(
    again: Callable[..., Tried], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(work / "lora")
    kept = json.loads((work / FILE).read_text())
    del kept["done"]["lora"]
    (work / FILE).write_text(json.dumps(kept))
    asked: list[str] = []

    def fails(_module: str, arguments: Any, _progress: Any) -> dict[str, Any]:
        asked.append(arguments[-1])
        return {"decision": "failed", "reason": "the worker ended: out of memory"}

    monkeypatch.setattr(comparing, "run_worker", fails)
    for times in (1, 2):
        found = again(work)
        assert not found.figures.candidates
        assert "out of memory" in found.failed["lora"]
        assert asked == ["lora"] * times


def test_a_changed_repository_does_not_go_on_in_the_same_folder(
    again: Callable[..., Tried], work: Path
) -> None:
    with pytest.raises(TailoraError, match="another repository: give another folder with --work"):
        again(work, sha256="1" * 64)
    with pytest.raises(TailoraError, match="another model"):
        again(work, model="other")


@pytest.mark.parametrize("version", [0, None])
def test_an_older_report_is_refused_before_anything_is_trained(
    again: Callable[..., Tried], cells: list[str], work: Path, version: int | None
) -> None:
    path = work / "lora" / "completion-lora-seed-1.json"
    report = json.loads(path.read_text())
    report["format"] = version
    if version is None:
        del report["format"]
    path.write_text(json.dumps(report))
    with pytest.raises(ReportInvalid, match="of an older version"):
        again(work, 60.0)
    assert not cells


def test_reports_of_another_machine_are_not_put_together(
    again: Callable[..., Tried], cells: list[str], work: Path
) -> None:
    path = work / "lora" / "completion-lora-seed-1.json"
    report = json.loads(path.read_text())
    report["meta_info"]["system_info"]["cores"] += 1
    path.write_text(json.dumps(report))
    with pytest.raises(TailoraError, match="different repositories, models or machines"):
        again(work)
    assert not cells


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1}', '{"format": 0, "identity": {}, "done": {}, "begun": {}}']
)
def test_a_damaged_or_older_ledger_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(TailoraError, match="--work"):
        Ledger.open(tmp_path, {"repository": "1", "model": "2"})
