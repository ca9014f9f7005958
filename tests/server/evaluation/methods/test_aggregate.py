"""What is averaged, what never is, and what the answer says."""

from collections.abc import Callable
from typing import Any

import pytest

from tailora.evaluation.methods.aggregate import Group, front_of, group_runs
from tailora.evaluation.methods.answer import answer

Run = dict[str, Any]
Make = Callable[..., Run]


def seeds(make_run: Make, method: str, *args: Any, **changes: Any) -> list[Run]:
    return [make_run(method, seed, *args, **changes) for seed in (1, 2, 3)]


def only(runs: list[Run]) -> Group:
    (group,) = group_runs(runs)
    return group


def row(group: Group, method: str) -> Any:
    return next(row for row in group.rows if row.method == method)


def test_a_group_has_a_row_for_each_method_baselines_first(groups: list[Group]) -> None:
    completion, repair = groups
    assert (completion.task, repair.task) == ("completion", "repair")
    assert [one.method for one in completion.rows] == [
        "base", "foundation", "dora", "houlsby", "ia3", "lora", "prefix", "prompt",
    ]  # fmt: skip
    assert completion.main == "exact_match"
    assert len(row(completion, "lora").runs) == 3


def other_sha(run: Run) -> None:
    run["meta_info"]["dataset_info"]["repository"]["sha"] = "other"


def other_model(run: Run) -> None:
    run["meta_info"]["model_info"]["sha"] = "other"


def other_machine(run: Run) -> None:
    run["meta_info"]["system_info"]["processor"] = "another"


def other_budget(run: Run) -> None:
    run["train_info"]["token_budget"] = 99


def other_tests(run: Run) -> None:
    run["meta_info"]["dataset_info"]["repository"]["test_sha"] = "other"


@pytest.mark.parametrize("change", [other_sha, other_model, other_machine, other_budget, other_tests])
def test_what_cannot_be_compared_is_never_averaged(make_run: Make, change: Callable[[Run], None]) -> None:
    ours, others = seeds(make_run, "lora"), seeds(make_run, "lora", gain=0.5)
    for run in others:
        change(run)
    groups = group_runs([*ours, *others])
    assert len(groups) == 2
    means = sorted(group.rows[0].metrics["exact_match"].value for group in groups)
    expected = [
        sum(run["test_info"]["metrics"]["exact_match"] for run in runs) / 3 for runs in (ours, others)
    ]
    assert means == pytest.approx(sorted(expected))


def test_seeds_may_have_tests_of_their_own(make_run: Make) -> None:
    runs = [*seeds(make_run, "lora"), *seeds(make_run, "base")]
    for run in runs:
        run["meta_info"]["dataset_info"]["repository"]["test_sha"] = f"of seed {run['run_info']['seed']}"
    assert len(group_runs(runs)) == 1


def test_a_baseline_that_was_not_trained_stands_beside_every_budget(make_run: Make) -> None:
    base = seeds(make_run, "base", budget=0)
    runs = [*base, *seeds(make_run, "lora", budget=100), *seeds(make_run, "lora", budget=200)]
    assert [(group.budget, [one.method for one in group.rows]) for group in group_runs(runs)] == [
        (100, ["base", "lora"]),
        (200, ["base", "lora"]),
    ]


def test_other_settings_are_another_row_and_another_seed_of_the_generator_is_not(make_run: Make) -> None:
    small, large = seeds(make_run, "lora"), seeds(make_run, "lora")
    for run in large:
        run["run_info"]["peft_config"] |= {"r": 64}
    for number, run in enumerate((*small, *large)):
        run["run_info"]["peft_config"]["projection_prng_key"] = number
    assert [one.title for one in only([*small, *large]).rows] == ["LoRA (r=16)", "LoRA (r=64)"]


def test_a_run_that_was_repeated_counts_once(make_run: Make) -> None:
    runs = seeds(make_run, "lora")
    again = make_run("lora", 1, gain=0.5)
    again["run_info"]["created_at"] = "2026-11-28T00:00:00+00:00"
    group = only([again, *runs])
    assert group.rows[0].runs == (again, *runs[1:])
    assert group.notes == ("LoRA, seed 1, was run more than once: the newest run counts",)


def test_a_failed_run_contributes_no_figure(make_run: Make, make_failed: Make) -> None:
    runs = seeds(make_run, "lora")
    expected = (
        runs[0]["test_info"]["metrics"]["exact_match"] + runs[2]["test_info"]["metrics"]["exact_match"]
    ) / 2
    make_failed(runs[1], "out of memory")
    runs[1]["train_info"]["train_time"] = 1e9
    found = only(runs).rows[0]
    assert found.metrics["exact_match"].value == pytest.approx(expected)
    assert found.costs["train_time"].value < 100
    assert (len(found.runs), len(found.failed)) == (2, 1)


def test_differences_join_the_cases_by_their_ids(make_run: Make) -> None:
    base, lora = make_run("base"), make_run("lora")
    expected = only([base, lora]).rows[1].against["base"]["exact_match"].difference
    for values in (*lora["test_info"]["per_case"].values(), lora["test_info"]["case_ids"]):
        values.reverse()
    found = only([base, lora]).rows[1].against["base"]["exact_match"].difference
    assert found.value == pytest.approx(expected.value)
    assert found.value == pytest.approx(
        lora["test_info"]["metrics"]["exact_match"] - base["test_info"]["metrics"]["exact_match"], abs=1e-3
    )
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)


def test_one_run_of_the_base_serves_all_seeds(make_run: Make) -> None:
    group = only([make_run("base", 1), *seeds(make_run, "lora")])
    assert row(group, "lora").against["base"]["exact_match"].difference.seeds == 3


def test_p_values_are_corrected_over_the_table(groups: list[Group]) -> None:
    completion, _ = groups
    versus = [one.against["base"]["exact_match"] for one in completion.rows if "base" in one.against]
    smallest = min(one.difference.p_value for one in versus)
    assert len(versus) == 7
    assert min(one.corrected for one in versus if one.corrected is not None) == pytest.approx(7 * smallest)


def test_no_price_is_not_free_and_other_currencies_are_not_averaged(make_run: Make) -> None:
    runs = seeds(make_run, "lora")
    for run in runs:
        run["train_info"]["money"] |= {"price_per_kwh": 0.0, "total": 0.0}
    assert "money" not in only(runs).rows[0].costs
    runs = seeds(make_run, "lora")
    runs[0]["train_info"]["money"]["currency"] = "USD"
    group = only(runs)
    assert "money" not in group.rows[0].costs
    assert any("priced differently" in note for note in group.notes)


def test_other_versions_are_told(make_run: Make) -> None:
    runs = seeds(make_run, "lora")
    runs[1]["meta_info"]["package_info"]["torch-version"] = "2.10.0"
    assert only(runs).notes == ("the runs were made with different versions of torch: 2.10.0, 2.9.1",)


def test_the_front_has_no_method_that_needs_no_training_to_beat(make_run: Make) -> None:
    runs = [make_run("base", 1), *seeds(make_run, "ia3", gain=-0.1), *seeds(make_run, "lora", gain=0.2)]
    group = only(runs)
    assert [one.method for one in front_of(group, "parameters")] == ["lora"]
    runs += seeds(make_run, "prompt", gain=0.1)
    assert [one.method for one in front_of(only(runs), "parameters")] == ["prompt", "lora"]


def slower(runs: list[Run], seconds: float) -> list[Run]:
    for run in runs:
        run["train_info"]["train_time"] = seconds
    return runs


def test_the_best_and_the_cheapest_within_its_interval(make_run: Make) -> None:
    runs = [
        *seeds(make_run, "base", cases=200),
        *slower(seeds(make_run, "dora", cases=200, gain=0.30), 90),
        *slower(seeds(make_run, "lora", cases=200, gain=0.29), 60),
        *slower(seeds(make_run, "ia3", cases=200, gain=0.10), 10),
    ]
    found = answer(only(runs))
    assert found.best is not None
    assert found.cheapest is not None
    assert (found.best.method, found.cheapest.method) == ("dora", "lora")


def test_less_can_be_better(make_run: Make) -> None:
    runs = [*seeds(make_run, "base"), *seeds(make_run, "lora", gain=0.4)]
    for run in runs:
        test = run["test_info"]
        for part in ("metrics", "higher_is_better"):
            test[part] = {"loss": test[part]["loss"]}
    group = only(runs)
    assert group.main == "loss"
    assert row(group, "lora").against["base"]["loss"].difference.value < 0
    assert (best := answer(group).best) is not None
    assert best.method == "lora"


def test_nothing_is_named_that_may_be_chance_or_that_failed(make_run: Make, make_failed: Make) -> None:
    base = seeds(make_run, "base")
    assert answer(only([*base, *seeds(make_run, "ia3", gain=0.0)])).best is None
    lora = seeds(make_run, "lora", gain=0.4)
    assert answer(only([*base, *lora])).best is not None
    make_failed(lora[0], "out of memory")
    assert answer(only([*base, *lora])).best is None


def test_without_the_base_nothing_is_said(make_run: Make, make_failed: Make) -> None:
    assert "no run of the base model" in answer(only(seeds(make_run, "lora"))).unknown
    failed = [make_failed(run, "no") for run in seeds(make_run, "lora")]
    assert "no method has a run" in answer(only([*seeds(make_run, "base"), *failed])).unknown
