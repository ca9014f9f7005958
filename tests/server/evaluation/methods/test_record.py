"""A report that lacks anything, contradicts itself or is of another version is refused, and the words say where."""

import json
import math
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tailora.errors import ReportInvalid
from tailora.evaluation.methods.record import check, read, schema

Run = dict[str, Any]


def required(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field that the schema names, by its path; ``*`` stands for an element or any name."""
    for name, inner in node.get("properties", {}).items():
        if name in node.get("required", []):
            yield (*path, name)
        yield from required(inner, (*path, name))
    if "items" in node:
        yield from required(node["items"], (*path, "*"))


PATHS = [path for path in required(schema()) if path != ("format",)]


def remove(document: Any, path: tuple[str, ...]) -> str:
    """Takes a field away; returns its path in words."""
    words = ""
    *parents, last = path
    for name in parents:
        if name == "*":
            document, words = document[0], f"{words}[0]"
        else:
            document, words = document[name], f"{words}.{name}".lstrip(".")
    del document[last]
    return f"{words}.{last}".lstrip(".")


def change(run: Run, path: str, value: Any) -> Run:
    *parents, last = path.split(".")
    node = run
    for name in parents:
        node = node[name]
    node[last] = value
    return run


def test_the_schema_is_one_and_has_the_fields_of_peft_s_comparison() -> None:
    Draft202012Validator.check_schema(schema())
    assert files("tailora.evaluation.methods").joinpath("report.schema.json").is_file()
    assert len(PATHS) > 90
    named = {path[-1] for path in PATHS}
    # huggingface/peft, method_comparison/MetaMathQA/utils.py, log_results
    assert named >= {
        "created_at", "total_time", "experiment_name", "peft_branch", "train_config", "peft_config", "error_msg",
        "accelerator_memory_reserved_avg", "accelerator_memory_max", "accelerator_memory_reserved_99th",
        "train_time", "file_size", "num_trainable_params", "num_total_params", "status", "metrics",
        "model_info", "dataset_info", "package_info", "system_info", "pytorch_info",
    }  # fmt: skip


def test_whole_reports_are_accepted(comparison: list[Run]) -> None:
    assert [check(run) for run in comparison] == [[]] * len(comparison)


@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_no_field_may_be_missing(make_run: Callable[..., Run], path: tuple[str, ...]) -> None:
    run = make_run()
    words = remove(run, path)
    assert f"{words} is missing" in check(run)


@pytest.mark.parametrize("field", ["difference", "interval95", "p_value"])
def test_no_field_of_a_difference_may_be_missing(make_run: Callable[..., Run], field: str) -> None:
    run = make_run()
    del run["test_info"]["against"]["base"]["exact_match"][field]
    assert check(run) == [f"test_info.against.base.exact_match.{field} is missing"]


@pytest.mark.parametrize(
    "path, value, said",
    [
        ("train_info.train_time", None, "train_info.train_time must be a number, not null"),
        ("train_info.train_time", -1, "train_info.train_time must be at least 0, not -1"),
        ("train_info.status", "fine", "train_info.status must be one of success, failed, canceled, not \"fine\""),
        ("train_info.num_trainable_params", 1.5, "train_info.num_trainable_params must be a whole number, not 1.5"),
        ("train_info.learning_rate", 0, "train_info.learning_rate must be more than 0, not 0"),
        ("run_info.command", [], "run_info.command has 0 values, at least 1 are wanted"),
        ("run_info.title", "", "run_info.title is empty"),
        ("run_info.created_at", "yesterday", "run_info.created_at must be a time as"),
        ("run_info.created_at", "2026-13-27T15:00:00", "run_info.created_at is no time"),
        ("test_info.latency", [], "test_info.latency must be an object or null, not a list"),
        ("test_info.metrics", {}, "test_info.metrics is empty"),
        ("test_info.cases", 59, "test_info.case_ids has 60 values, but test_info.cases is 59"),
        ("test_info.higher_is_better", {}, "test_info.higher_is_better.loss is missing"),
        ("test_info.metrics.exact_match", 0.9, "test_info.metrics.exact_match is 0.9, but test_info.per_case says"),
        ("test_info.metrics.loss", 9.0, "test_info.metrics.loss is 9, but test_info.per_case says"),
        ("test_info.per_case.exact_match", [1, 0], "test_info.per_case.exact_match has 2 values"),
        ("test_info.against.base.exact_match.interval95", [0.2, 0.1], "interval95 begins at 0.2, above its end, 0.1"),
        ("test_info.forgetting.relative", 0.5, "test_info.forgetting.relative is 0.5"),
        ("train_info.learning_rate", 0.5, "train_info.learning_rate is none of those in train_info.grid"),
        ("train_info.num_total_params", 10, "num_trainable_params is more than num_total_params"),
        ("run_info.error_msg", "oh", "train_info.status is success, but run_info.error_msg"),
        ("train_info.money.price_per_kwh", 0, "train_info.money.total is not 0, but both prices are"),
        ("train_info.energy.watt_hours", None, "train_info.money.total cannot be known"),
        ("meta_info.package_info.a\x1b[31m", 3, 'meta_info.package_info."a\ufffd[31m" must be a text or null'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_plain_words(
    make_run: Callable[..., Run], path: str, value: Any, said: str
) -> None:
    assert any(said in problem for problem in check(change(make_run(), path, value)))


def test_without_a_price_there_is_no_amount_and_none_is_free(make_run: Callable[..., Run]) -> None:
    for total in (None, 0.0):
        run = make_run()
        run["train_info"]["money"] |= {"price_per_kwh": 0.0, "price_per_hour": 0.0, "total": total}
        assert check(run) == []


def test_a_failed_run_has_a_reason_and_no_figures(
    make_run: Callable[..., Run], make_failed: Callable[..., Run]
) -> None:
    assert check(make_failed(make_run(), "it diverged")) == []
    assert check(make_failed(make_run(), " ")) == [
        "train_info.status is failed, but run_info.error_msg does not say why"
    ]
    run = make_failed(make_run(), "it diverged")
    run["test_info"]["metrics"] = {"exact_match": 0.3}
    run["test_info"]["higher_is_better"] = {"exact_match": True}
    assert check(run) == ["train_info.status is failed, but test_info.metrics has figures"]


@pytest.mark.parametrize(
    "found, said",
    [
        (None, "older version, or of peft's own comparison; run `tailora eval methods` again"),
        (0, "format is 0, of an older version"),
        (2, "newer version of Tailora than this one"),
        (True, "format must be a whole number"),
        ("1", "format must be a whole number"),
    ],
)
def test_other_formats_say_what_to_do(make_run: Callable[..., Run], found: Any, said: str) -> None:
    run = make_run()
    del run["format"]
    run |= {} if found is None else {"format": found}
    (problem,) = check(run)
    assert said in problem


def test_reading(make_run: Callable[..., Run], tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    run = make_run()
    file.write_text(json.dumps(run))
    assert read(file) == run


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(make_run: Callable[..., Run], tmp_path: Path, value: float) -> None:
    run = change(make_run(), "train_info.train_time", value)
    assert [problem.split(" ")[0] for problem in check(run)] == ["train_info.train_time"]
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(ReportInvalid, match="is no number that can be compared"):
        read(tmp_path / "run.json")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "this is no JSON"),
        (b"{", "this is no JSON"),
        (b"\xff\xfe", "this is no UTF-8 text"),
        (b"[]", "this is no report of a run: it is no object"),
        (b"{}", "it has neither run_info nor train_info"),
        (b'{"format": 1, "run_info": {}, "train_info": {"train_time": 1e999}}', "1e999 is no number"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "run.json"
    file.write_bytes(content)
    with pytest.raises(ReportInvalid) as raised:
        read(file)
    assert said in str(raised.value)
    assert str(raised.value).startswith(f"{file}: ")
