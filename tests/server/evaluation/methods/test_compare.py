"""Whole comparisons with a tiny model: every document, what is interrupted, what diverges, and what is refused."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tailora.demo.repository import copy_sources
from tailora.evaluation.methods import compare as compare_module
from tailora.evaluation.methods.compare import compare
from tailora.evaluation.methods.comparison import Comparison, Prices, Sizes
from tailora.evaluation.methods.document import money
from tailora.evaluation.methods.record import check
from tailora.evaluation.methods.tasks import TASKS, gather
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.errors import MethodError, TailoraError, TrainingDiverged
from tailora_adapters.repair import checkers
from tailora_adapters.repair.lessons import NOTICED

NOUNS = (
    "book",
    "shelf",
    "reader",
    "loan",
    "branch",
    "author",
    "title",
    "copy",
    "fine",
    "desk",
    "queue",
    "label",
)
SIZES = Sizes(tokens=1_200, max_prompt=80, validation=12, test=12, generic=2, canaries=7)


@pytest.fixture
def repository(tmp_path: Path, write_library: Callable[[Path], Path]) -> Path:
    """Twelve files."""
    return write_library(tmp_path / "library")


@pytest.fixture
def documented(tmp_path: Path) -> Path:
    """Twenty files of functions that say what they do."""
    root = tmp_path / "documented"
    for number in range(20):
        noun, other = NOUNS[number % 12], NOUNS[(number + 5) % 12]
        lines = [f'"""{noun}s, part {number}."""', ""]
        for step in range(4):
            name = f"{noun}_{NOUNS[(number + 3 * step) % 12]}_{number}"
            lines += [
                f"def {name}({other}: int, count_{step}: int) -> int:",
                f'    """Counts the {noun}s of one {other} in part {number * 7 + step}.',
                "",
                "    Args:",
                f"        {other}: Where the {noun}s are, by its number.",
                f"        count_{step}: How many there were before {number}.",
                '    """',
                f"    total_{noun} = {other} * {number + step + 2} - count_{step}",
                f"    if total_{noun} < {step}:",
                f"        return {number}",
                f"    return total_{noun} % {number + 3}",
                "",
                "",
            ]
        root.mkdir(exist_ok=True)
        (root / f"{noun}_{number}.py").write_text("\n".join(lines), encoding="utf-8")
    return root


def comparison(root: Path, model: str, **others: Any) -> Comparison:
    """A small one."""
    values = {
        "root": root,
        "model": model,
        "methods": ("lora", "prefix"),
        "tasks": ("completion",),
        "seeds": (1, 2),
        "rates": (1e-3, 3e-3),
        "sizes": SIZES,
        "latency_repeats": 1,
    }
    return Comparison(**(values | others))


def documents(folder: Path) -> dict[str, dict[str, Any]]:
    """By file name without what is at its end."""
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*-seed-*.json")}


def quiet(_done: float, _text: str) -> None:
    """Progress that nobody watches."""


def test_every_run_has_its_document(tiny: Any, repository: Path, cells: list[str], tmp_path: Path) -> None:
    told: list[float] = []
    outcome = compare(
        comparison(repository, tiny.name),
        tmp_path / "out",
        ["tailora", "x"],
        lambda done, _: told.append(done),
    )
    found = documents(tmp_path / "out")
    names = {f"completion-{name}-seed-{seed}" for name in ("lora", "prefix") for seed in (1, 2)}
    assert found.keys() == names | {"completion-base-seed-0", "completion-base-context-seed-0"}
    assert not outcome.failed
    assert len(outcome.results) == len(found)
    assert told == sorted(told)
    assert told[-1] == 1.0
    for name in names:
        assert check(found[name]) == []
        run, trained, tested = (found[name][part] for part in ("run_info", "train_info", "test_info"))
        assert run["role"] == "method"
        assert run["command"] == ["tailora", "x"]
        assert trained["status"] == "success"
        assert trained["tokens"] > 0
        assert trained["file_size"] > 0
        assert [row["learning_rate"] for row in trained["grid"]] == [1e-3, 3e-3]
        best = min(trained["grid"], key=lambda row: row["validation_loss"])
        assert trained["learning_rate"] == best["learning_rate"]
        assert tested["cases"] == len(tested["case_ids"]) == len(tested["per_case"]["tokens"]) == 12
        assert tested["against"].keys() == {"base", "base-context"}
        assert tested["latency"]["repeats"] == 1
    budgets = {found[name]["train_info"]["tokens"] for name in names}
    assert len(budgets) == 1, "the same tokens for all"
    assert not (tmp_path / "out" / ".work" / "completion" / "lora").exists(), "what is done leaves nothing"


@pytest.mark.parametrize("task", ["docstring", "generation", "repair", "clones"])
def test_other_tasks_have_their_own_questions(
    tiny: Any, documented: Path, cells: list[str], tmp_path: Path, task: str
) -> None:
    wanted = comparison(
        copy_sources("uvicorn", tmp_path / "uvicorn") if task == "clones" else documented,
        tiny.name,
        methods=("lora",),
        tasks=(task,),
        rates=(1e-3,),
        seeds=(1,),
        sizes=replace(SIZES, tokens=4_000),
        latency_repeats=0,
    )
    outcome = compare(wanted, tmp_path / "out", ["tailora"], quiet)
    assert not outcome.failed
    found = documents(tmp_path / "out")
    for document in found.values():
        assert check(document) == []
    metrics = found[f"{task}-lora-seed-1"]["test_info"]["metrics"]
    assert {"exact_match", "edit_similarity", "loss", "stop_rate"} <= metrics.keys()
    assert ({"chrf", "bleu4"} <= metrics.keys()) == (task == "docstring")
    assert ({"accuracy", "precision", "recall", "f1"} <= metrics.keys()) == (task == "clones")
    assert ("verified" in metrics) == (task == "repair")


def test_repairs_are_verified_by_checkers(
    tiny: Any, documented: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = CodeTokenizer.from_folder(tiny.folder)
    material = gather(documented, TASKS["repair"], tokenizer, replace(SIZES, tokens=4_000), 1)
    noticed = [float(one.example.kind.endswith(NOTICED)) for one in material.test]
    assert 0 < sum(noticed) < len(noticed)

    def verified(answers: list[str]) -> list[float]:
        return list(TASKS["repair"].score(material, answers)["verified"])

    assert verified(material.right) == [1.0] * len(noticed)
    assert (
        verified([right.replace("\n", "  # as before\n") + "  # so" for right in material.right]) == noticed
    )
    assert verified([f"{right}(undefined_name" for right in material.right]) == [0.0] * len(noticed)
    monkeypatch.setattr(checkers, "installed", lambda _root: [])
    unlooked = TASKS["repair"].score(material, [f"{right}  # so" for right in material.right])
    assert unlooked == {}, "where no checker looked there is no figure"


def test_the_same_seeds_give_the_same_figures(
    tiny: Any, repository: Path, cells: list[str], tmp_path: Path
) -> None:
    wanted = comparison(repository, tiny.name, methods=("lora",), seeds=(1,), latency_repeats=0)
    for name in ("one", "two"):
        compare(wanted, tmp_path / name, ["tailora"], quiet)
    one, two = (documents(tmp_path / name)["completion-lora-seed-1"] for name in ("one", "two"))
    assert one["test_info"] == two["test_info"]
    assert [step["train loss"] for step in one["train_info"]["metrics"]] == [
        step["train loss"] for step in two["train_info"]["metrics"]
    ]


def test_what_was_interrupted_goes_on(
    tiny: Any, repository: Path, cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailora.evaluation.methods import trainings

    out, wanted = tmp_path / "out", comparison(repository, tiny.name, methods=("lora",), latency_repeats=0)
    calls: list[float] = []
    real = trainings.train

    def dies_at_the_third(*arguments: Any, **others: Any) -> Any:
        calls.append(arguments[3].learning_rate)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **others)

    monkeypatch.setattr(trainings, "train", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        compare(wanted, out, ["tailora"], quiet)
    assert "completion-lora-seed-1" not in documents(out)
    compare(wanted, out, ["tailora"], quiet)
    assert calls == [1e-3, 3e-3, calls[2], calls[2]], "only the run that was cut short is made again"
    assert cells == ["out: baselines", "out: lora", "out: lora"], "what was done is not begun"
    found = documents(out)
    assert found["completion-lora-seed-2"]["run_info"]["started_again"] == 1
    compare(wanted, out, ["tailora"], quiet)
    assert cells == ["out: baselines", "out: lora", "out: lora"]


def test_a_cell_that_is_killed_fails_by_itself_and_goes_on(
    tiny: Any, repository: Path, tmp_path: Path
) -> None:
    wanted = comparison(
        repository,
        tiny.name,
        methods=("ia3",),
        rates=(1e-3, 2e-3),
        seeds=(1,),
        latency_repeats=0,
        baselines=(),
    )
    out, killed = tmp_path / "out", list[int]()

    def kill_at_the_second_rate(_done: float, text: str) -> None:
        if "learning rate 0.002" in text and not killed:
            (cell,) = (
                child
                for child in psutil.Process().children()
                if "tailora.evaluation.methods.cell" in child.cmdline()
            )
            killed.append(cell.pid)
            cell.kill()

    outcome = compare(wanted, out, ["tailora"], kill_at_the_second_rate)
    assert killed
    assert [reason.partition(":")[0] for reason in outcome.failed] == ["completion, ia3"]
    assert not outcome.results
    seen: list[str] = []
    outcome = compare(wanted, out, ["tailora"], lambda _done, text: seen.append(text))
    assert not outcome.failed
    assert len(outcome.results) == 1
    assert not any("learning rate 0.001," in text for text in seen), "what was done is not done again"
    found = documents(out)["completion-ia3-seed-1"]
    assert check(found) == []
    assert found["test_info"]["forgetting"]["relative"] is None, "nothing to measure it from"


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training with a learning rate of 0.5 ends in no number."""
    from tailora.evaluation.methods import trainings

    real = trainings.train

    def train(*arguments: Any, **others: Any) -> Any:
        if arguments[3].learning_rate == 0.5:
            raise TrainingDiverged("the loss became nan at step 2: lower the learning rate")
        return real(*arguments, **others)

    monkeypatch.setattr(trainings, "train", train)


def test_a_rate_that_diverges_is_marked_and_the_grid_goes_on(
    tiny: Any, repository: Path, cells: list[str], tmp_path: Path, diverging: None
) -> None:
    wanted = comparison(
        repository,
        tiny.name,
        methods=("ia3",),
        rates=(0.5, 1e-3),
        seeds=(1,),
        latency_repeats=0,
        baselines=(),
    )
    compare(wanted, tmp_path / "out", ["tailora"], quiet)
    found = documents(tmp_path / "out")["completion-ia3-seed-1"]["train_info"]
    assert [row["status"] for row in found["grid"]] == ["diverged", "success"]
    assert found["grid"][0]["validation_loss"] is None
    assert "became nan" in found["grid"][0]["message"]
    assert found["learning_rate"] == 1e-3


def test_a_grid_that_diverges_altogether_is_a_failed_run_without_numbers(
    tiny: Any, repository: Path, cells: list[str], tmp_path: Path, diverging: None
) -> None:
    wanted = comparison(
        repository, tiny.name, methods=("ia3",), rates=(0.5,), seeds=(1,), latency_repeats=0, baselines=()
    )
    compare(wanted, tmp_path / "out", ["tailora"], quiet)
    found = documents(tmp_path / "out")["completion-ia3-seed-1"]
    assert found["train_info"]["status"] == "failed"
    assert "0.5: the loss became nan" in found["run_info"]["error_msg"]
    assert found["test_info"]["metrics"] == {}
    assert found["test_info"]["against"] == {}


def test_a_model_that_training_made_worse_has_diverged(
    tiny: Any, repository: Path, cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tailora.evaluation.methods import trainings

    monkeypatch.setattr(trainings, "_DIVERGED", 0.0)
    wanted = comparison(
        repository, tiny.name, methods=("ia3",), rates=(1e-3,), seeds=(1,), latency_repeats=0, baselines=()
    )
    compare(wanted, tmp_path / "out", ["tailora"], quiet)
    grid = documents(tmp_path / "out")["completion-ia3-seed-1"]["train_info"]["grid"]
    assert grid[0]["status"] == "diverged"
    assert "the validation loss became" in grid[0]["message"]


def test_full_fine_tuning_is_measured_and_not_served(
    tiny: Any, repository: Path, cells: list[str], tmp_path: Path
) -> None:
    wanted = comparison(repository, tiny.name, methods=("full",), rates=(1e-3,), seeds=(1,), baselines=())
    compare(wanted, tmp_path / "out", ["tailora"], quiet)
    found = documents(tmp_path / "out")["completion-full-seed-1"]
    assert found["train_info"]["num_trainable_params"] > 0.5 * found["train_info"]["num_total_params"]
    assert found["test_info"]["latency"] is None
    assert found["run_info"]["peft_config"] is None
    losses = [step["train loss"] for step in found["train_info"]["metrics"]]
    assert losses[-1] < losses[0]


def test_a_small_repository_is_refused_with_its_numbers(tiny: Any, tmp_path: Path) -> None:
    root = tmp_path / "small"
    root.mkdir()
    (root / "one.py").write_text("def one() -> int:\n    return 1\n")
    with pytest.raises(
        TailoraError, match=r"small is too small to compare methods of completion: .* 12 are needed"
    ):
        gather(root, TASKS["completion"], CodeTokenizer.from_folder(tiny.folder), SIZES, 1)


def test_a_task_that_cannot_be_asked_is_left_out_and_the_others_go_on(
    tiny: Any, repository: Path, cells: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = compare_module.run_worker

    def run_or_fail(module: str, arguments: Sequence[str], *rest: Any, **more: Any) -> Any:
        if "docstring" in arguments:
            return {"decision": "failed", "reason": "too small"}
        return run(module, arguments, *rest, **more)

    monkeypatch.setattr(compare_module, "run_worker", run_or_fail)
    wanted = comparison(
        repository, tiny.name, methods=("ia3",), tasks=("docstring", "completion"), rates=(1e-3,), seeds=(1,)
    )
    outcome = compare(wanted, tmp_path / "out", ["tailora"], quiet)
    assert outcome.failed == ("docstring: too small",)
    assert "completion-ia3-seed-1" in documents(tmp_path / "out")
    with pytest.raises(TailoraError, match=r"^too small$"):
        compare(replace(wanted, tasks=("docstring",)), tmp_path / "none", ["tailora"], quiet)


def test_the_three_parts_share_no_file(tiny: Any, repository: Path) -> None:
    material = gather(repository, TASKS["completion"], CodeTokenizer.from_folder(tiny.folder), SIZES, 1)
    trained = {one.example.path for one in material.training}
    validated = {one.example.path for one in material.validation}
    tested = {one.example.path for one in material.test}
    assert trained
    assert validated
    assert tested
    assert not (trained & validated)
    assert not (trained & tested)
    assert not (validated & tested)


def test_another_comparison_does_not_go_on_in_the_same_folder(
    tiny: Any, repository: Path, tmp_path: Path
) -> None:
    first = comparison(repository, tiny.name)
    assert first.write(tmp_path) == 0
    assert first.write(tmp_path) == 1
    assert Comparison.read(tmp_path) == first
    with pytest.raises(TailoraError, match="holds another comparison"):
        replace(first, seeds=(3,)).write(tmp_path)


@pytest.mark.parametrize(
    "others, message",
    [
        ({"methods": ("lora", "magic")}, "no method 'magic'"),
        ({"settings": {"lora": {"width": 3}}}, "no setting 'width'"),
        ({"settings": {"dora": {"rank": 3}}}, "not among the methods"),
        ({"seeds": (1, 1)}, "each seed once"),
        ({"baselines": ("oracle",)}, "no baseline 'oracle'"),
        ({"rates": (2.0,)}, "between 0 and 1"),
        ({"prices": Prices(kwh=-1)}, "0 or more"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, others: dict[str, Any], message: str) -> None:
    with pytest.raises((TailoraError, MethodError), match=message):
        comparison(tmp_path, "tiny", **others)


def test_prices_of_zero_make_no_sum() -> None:
    assert money(Prices(kwh=0, hour=0), 5.0, 60)["total"] is None
    assert money(Prices(kwh=0.3, hour=0), None, 60)["total"] is None
    assert money(Prices(kwh=0.3, hour=2.0), 1_000, 1_800)["total"] == pytest.approx(1.3)
