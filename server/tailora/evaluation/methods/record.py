"""The report of one run of a comparison: reading it, and refusing what is not whole.

A report's fields are in ``report.schema.json`` (JSON Schema 2020-12, checked by ``jsonschema``); what a schema cannot
say, numbers that contradict each other, is checked here. Knows nothing of how reports are made or shown. Invariant:
what ``read`` returns has every field, and only finite numbers.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from tailora.errors import ReportInvalid

__all__ = ["FORMAT", "check", "per_case_metric", "read", "schema"]

FORMAT = 1
"""What this version writes and reads."""
_ROUNDING = 0.002
"""By which figures that say the same may differ, as they are rounded when they are written."""
_PLAIN = re.compile(r"[A-Za-z0-9_ -]+")
_TYPES = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}


@cache
def schema() -> Mapping[str, Any]:
    """The JSON Schema of a report."""
    text = files(__package__).joinpath("report.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def read(path: Path) -> dict[str, Any]:
    """A report as its file has it.

    Raises:
        ReportInvalid: It is not JSON, not a report, of another format, not whole, or contradicts itself; has all
            problems, each of which names its field.
        OSError: The file cannot be read.
    """
    try:
        document = json.loads(
            path.read_bytes().decode("utf-8"), parse_constant=_not_a_number, parse_float=_finite
        )
    except UnicodeDecodeError:
        raise ReportInvalid(str(path), ["this is no UTF-8 text, so no report"]) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ReportInvalid(str(path), [f"this is no JSON ({error.msg}, {where}), so no report"]) from None
    except RecursionError:
        raise ReportInvalid(str(path), ["this is nested too deeply for a report"]) from None
    except _NoNumber as error:
        problem = f"{error} is no number that can be compared; run again with this version of Tailora"
        raise ReportInvalid(str(path), [problem]) from None
    if problems := check(document):
        raise ReportInvalid(str(path), problems)
    found: dict[str, Any] = document
    return found


class _NoNumber(ValueError):
    """NaN, an infinity, or what is too large to be anything else."""


def _not_a_number(text: str) -> NoReturn:
    raise _NoNumber(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NoNumber(text[:40])
    return value


def check(document: Any) -> list[str]:
    """What is wrong with a report, in plain words with the field's path; nothing if it can be used."""
    if problem := _format_problem(document):
        return [problem]
    errors = sorted(
        Draft202012Validator(schema()).iter_errors(document), key=lambda one: list(map(str, one.path))
    )
    if problems := [text for error in errors for text in _in_words(error)]:
        return list(dict.fromkeys(problems))
    if problems := [f"{_join(path)} is NaN or infinite" for path in _not_finite(document, ())]:
        return problems
    return list(_contradictions(document))


def per_case_metric(per_case: Mapping[str, Sequence[float]], metric: str) -> float | None:
    """A metric from its values by case: their mean; for ``loss`` nats a token over all cases. None without values."""
    if metric == "loss" and "loss_sum" in per_case and "tokens" in per_case:
        tokens = math.fsum(per_case["tokens"])
        return math.fsum(per_case["loss_sum"]) / tokens if tokens > 0 else None
    values = per_case.get(metric)
    return math.fsum(values) / len(values) if values else None


def _format_problem(document: Any) -> str | None:
    again = "run `tailora eval methods` again with this version"
    if not isinstance(document, dict):
        return "this is no report of a run: it is no object"
    if "run_info" not in document and "train_info" not in document:
        return "this is no report of a run: it has neither run_info nor train_info"
    if "format" not in document:
        return f"format is missing: the report is of an older version, or of peft's own comparison; {again}"
    found = document["format"]
    if isinstance(found, bool) or not isinstance(found, int):
        return f"format must be a whole number; {again}"
    if found < FORMAT:
        return f"format is {found}, of an older version, whose figures cannot be compared with these; {again}"
    if found > FORMAT:
        return f"format is {found}, of a newer version of Tailora than this one, which reads {FORMAT}; update Tailora"
    return None


def _in_words(error: ValidationError) -> Iterator[str]:
    """One sentence for what a schema's keyword found."""
    path = _join(error.absolute_path)
    wanted: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "required":
            yield from (
                f"{_join([*error.absolute_path, name])} is missing" for name in wanted if name not in value
            )
        case "type":
            names = [wanted] if isinstance(wanted, str) else wanted
            yield f"{path} must be {' or '.join(_TYPES[name] for name in names)}, not {_shown(value)}"
        case "enum":
            yield f"{path} must be one of {', '.join(map(str, wanted))}, not {_shown(value)}"
        case "minimum":
            yield f"{path} must be at least {wanted}, not {_shown(value)}"
        case "maximum":
            yield f"{path} must be at most {wanted}, not {_shown(value)}"
        case "exclusiveMinimum":
            yield f"{path} must be more than {wanted}, not {_shown(value)}"
        case "minLength":
            yield f"{path} is empty"
        case "minItems" | "maxItems":
            bound = "at least" if error.validator == "minItems" else "at most"
            yield f"{path} has {len(value)} values, {bound} {wanted} are wanted"
        case "pattern":
            yield f"{path} must be a time as 2026-11-27T15:00:00+00:00, not {_shown(value)}"
        case _:
            yield f"{path}: {_readable(error.message)}"


def _join(path: Any) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _PLAIN.fullmatch(part) else json.dumps(_readable(part), ensure_ascii=False)
            text += f".{name}" if text else name
    return text or "the report"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return _TYPES["object" if isinstance(value, dict) else "array"]
    return _readable(json.dumps(value))


def _readable(text: str) -> str:
    """Short, and without what a terminal takes for a command."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return text if len(text) <= 80 else text[:79] + "…"


def _not_finite(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _not_finite(one, (*path, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _not_finite(one, (*path, number))


def _contradictions(document: Mapping[str, Any]) -> Iterator[str]:
    run, train, test = document["run_info"], document["train_info"], document["test_info"]
    try:
        datetime.fromisoformat(run["created_at"])
    except ValueError:
        yield f"run_info.created_at is no time: {_shown(run['created_at'])}"
    if train["status"] == "success":
        yield from _about_success(run, train, test)
    else:
        if train["status"] == "failed" and not run["error_msg"].strip():
            yield "train_info.status is failed, but run_info.error_msg does not say why"
        for name in ("metrics", "per_case", "against"):
            if test[name]:
                yield f"train_info.status is {train['status']}, but test_info.{name} has figures"
    if train["num_trainable_params"] > train["num_total_params"]:
        yield "train_info.num_trainable_params is more than num_total_params"
    yield from _about_money(train)
    yield from _about_test(test)


def _about_success(
    run: Mapping[str, Any], train: Mapping[str, Any], test: Mapping[str, Any]
) -> Iterator[str]:
    if run["error_msg"].strip():
        yield "train_info.status is success, but run_info.error_msg tells of an error"
    if not test["metrics"]:
        yield "train_info.status is success, but test_info.metrics is empty"
    if run["task"] == "completion":
        names = ("exact_match", "edit_similarity", "loss", "stop_rate")
        yield from (f"test_info.metrics.{name} is missing" for name in names if name not in test["metrics"])
    if test["cases"] < 1:
        yield "train_info.status is success, but test_info.cases is 0"
    if len(test["case_ids"]) != test["cases"]:
        yield f"test_info.case_ids has {len(test['case_ids'])} values, but test_info.cases is {test['cases']}"
    if run["role"] == "method":
        if train["learning_rate"] is None:
            yield "train_info.learning_rate is null, but run_info.role is method"
        tried = [row["learning_rate"] for row in train["grid"] if row["status"] == "success"]
        if train["grid"] and train["learning_rate"] is not None and train["learning_rate"] not in tried:
            yield "train_info.learning_rate is none of those in train_info.grid that succeeded"
    for number, row in enumerate(train["grid"]):
        if row["status"] == "success" and row["validation_loss"] is None:
            yield f"train_info.grid[{number}].status is success, but its validation_loss is null"


def _about_money(train: Mapping[str, Any]) -> Iterator[str]:
    money, energy = train["money"], train["energy"]
    if not money["total"]:
        return
    if not money["price_per_kwh"] and not money["price_per_hour"]:
        yield "train_info.money.total is not 0, but both prices are: give a price, or no total"
    elif energy["watt_hours"] is None and not money["price_per_hour"]:
        yield "train_info.money.total cannot be known: no energy was measured, and price_per_hour is 0"


def _about_test(test: Mapping[str, Any]) -> Iterator[str]:
    for name, values in test["per_case"].items():
        if len(values) != test["cases"]:
            path = _join(["test_info", "per_case", name])
            yield f"{path} has {len(values)} values, but test_info.cases is {test['cases']}"
    for name, value in test["metrics"].items():
        path = _join(["test_info", "metrics", name])
        if name not in test["higher_is_better"]:
            yield f"{_join(['test_info', 'higher_is_better', name])} is missing"
        known = per_case_metric(test["per_case"], name)
        if known is not None and not math.isclose(value, known, rel_tol=_ROUNDING, abs_tol=_ROUNDING):
            yield f"{path} is {value:g}, but test_info.per_case says {known:g}"
    for other, rows in test["against"].items():
        for name, row in rows.items():
            if row["interval95"][0] > row["interval95"][1]:
                path = _join(["test_info", "against", other, name, "interval95"])
                yield f"{path} begins at {row['interval95'][0]:g}, above its end, {row['interval95'][1]:g}"
    forgetting = test["forgetting"]
    now, before, said = (forgetting[name] for name in ("generic_loss", "generic_loss_base", "relative"))
    if None not in (now, before, said) and before > 0 and abs(now / before - 1 - said) > 0.01:
        yield f"test_info.forgetting.relative is {said:g}, but its losses say {now / before - 1:g}"
    insecure = test["insecure"]
    if insecure and insecure["issues"] and not insecure["lines"]:
        yield "test_info.insecure.issues is not 0, but its lines are"
