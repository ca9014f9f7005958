"""From reports to figures: what may be compared, a row for each method, differences to the baselines, the front.

Knows nothing of how figures are shown. Invariants: runs of different models, repositories, tasks, token budgets,
machines or tests are in different groups, so never in one mean; a run that failed contributes no figure.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tailora.evaluation.intervals import (
    Difference,
    Mean,
    Values,
    holm,
    mean_interval,
    paired_difference,
    pareto_front,
)

__all__ = ["BASELINES", "COSTS", "Group", "Row", "Versus", "front_of", "group_runs", "main_metric", "trained"]

Run = Mapping[str, Any]
"""A report that ``record.read`` accepted."""

BASELINES = ("base", "foundation")
"""What methods are compared with, where it was run."""
_MAIN = {
    "completion": ("exact_match",),
    "repair": ("verified", "exact_match"),
    "docstring": ("chrf", "edit_similarity"),
    "clones": ("accuracy", "f1"),
    "generation": ("edit_similarity",),
}
"""The first of these that a task's runs have is its main metric; else the first that they name."""
_BY_CHANCE = frozenset(
    {
        "projection_prng_key", "total_step", "tinit", "tfinal", "deltaT", "rank_pattern", "base_model_name_or_path",
        "inference_mode", "peft_version", "revision", "auto_mapping",
    }
)  # fmt: skip
"""Fields of a peft configuration that differ between seeds of one method, or say nothing of it."""


@dataclass(frozen=True, slots=True)
class Versus:
    """A row's main or other metric minus that of a baseline; ``corrected`` is Holm's p-value, of the main one only."""

    difference: Difference
    corrected: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A method or baseline with one set of settings, over its seeds.

    ``metrics`` and ``costs`` are means over the runs that succeeded; a cost is missing where no run has it.
    ``against`` is by baseline, then by metric.
    """

    key: str
    method: str
    title: str
    role: str
    runs: tuple[Run, ...]
    failed: tuple[Run, ...]
    metrics: Mapping[str, Mean]
    costs: Mapping[str, Mean]
    against: Mapping[str, Mapping[str, Versus]]

    @property
    def trained(self) -> bool:
        """Whether anything was trained for it."""
        return any(trained(run) for run in (*self.runs, *self.failed))


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that may be compared. ``notes`` say what was left out of the figures or differs between the runs."""

    model: str
    repository: str
    task: str
    budget: int
    machine: str
    main: str
    higher: Mapping[str, bool]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def row(self, method: str) -> Row | None:
        """The row of a baseline."""
        return next((row for row in self.rows if row.method == method and row.role == "baseline"), None)

    def gain(self, metric: str, value: float) -> float:
        """A metric's value or difference, with more being better."""
        return value if self.higher.get(metric, True) else -value


def trained(run: Run) -> bool:
    """Whether a run trained something; a baseline that did not stands beside every token budget."""
    train = run["train_info"]
    return bool(
        run["run_info"]["role"] == "method"
        or train["tokens"]
        or train["num_trainable_params"]
        or train["grid"]
    )


def _peak(run: Run) -> float:
    train = run["train_info"]
    return float(train["accelerator_memory_max"] or train["peak_rss"])


def _priced(run: Run) -> float | None:
    """What a run cost; None where no price was given, which is not the same as nothing."""
    money = run["train_info"]["money"]
    if not money["price_per_kwh"] and not money["price_per_hour"]:
        return None
    total: float | None = money["total"]
    return total


def _part(run: Run, name: str, field: str) -> float | None:
    part = run["test_info"][name]
    value: float | None = part[field] if part else None
    return value


COSTS: Mapping[str, Any] = {
    "parameters": lambda run: run["train_info"]["num_trainable_params"],
    "share": lambda run: run["train_info"]["num_trainable_params"] / run["train_info"]["num_total_params"],
    "file_size": lambda run: run["train_info"]["file_size"],
    "memory": _peak,
    "train_time": lambda run: run["train_info"]["train_time"],
    "tokens_per_second": lambda run: run["train_info"]["tokens_per_second"],
    "watt_hours": lambda run: run["train_info"]["energy"]["watt_hours"],
    "money": _priced,
    "forgetting": lambda run: run["test_info"]["forgetting"]["relative"],
    "overhead": lambda run: _part(run, "latency", "overhead"),
    "decode_ms": lambda run: _part(run, "latency", "decode_ms_per_token"),
    "canary_exposure": lambda run: run["test_info"]["canary_exposure"],
    "insecure": lambda run: _part(run, "insecure", "share"),
}
"""What a run cost and did beside its task. Bytes, seconds, tokens a second, Wh, the report's currency, shares,
milliseconds a token, bits. Memory is that of the GPU where one was used, else of the process."""
_OF_TRAINING = (
    "parameters",
    "share",
    "file_size",
    "memory",
    "train_time",
    "tokens_per_second",
    "watt_hours",
    "money",
)


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """The groups, by model, repository, task and budget."""
    places: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        places[_place(run)].append(run)
    groups = []
    for _, alike in sorted(places.items()):
        beside = [run for run in alike if not trained(run)]
        budgets: dict[int, list[Run]] = defaultdict(list)
        for run in alike:
            if trained(run):
                budgets[run["train_info"]["token_budget"]].append(run)
        for budget, found in sorted(budgets.items() or [(0, [])]):
            groups += [_group(budget, part) for part in _same_tests([*found, *beside])]
    return groups


def _place(run: Run) -> tuple[str, ...]:
    """What two runs must have in common, beside their budget."""
    info, meta = run["run_info"], run["meta_info"]
    model, repository = meta["model_info"], meta["dataset_info"]["repository"]
    return (info["model"], model["sha"], info["repository"], repository["sha"], _machine(run), info["task"])


def _machine(run: Run) -> str:
    system = run["meta_info"]["system_info"]
    name = system["processor"] or system["machine"]
    where = "" if system["accelerator"] == "cpu" else f", {system['accelerator']}"
    return f"{name}, {system['cores']} cores, {system['memory'] / 2**30:.0f} GiB, {system['system']}{where}"


def _same_tests(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs by what they were tested on. Seeds may have tests of their own, methods of one seed may not."""
    good = [run for run in runs if run["train_info"]["status"] == "success"]
    of_seed: dict[int, set[str]] = defaultdict(set)
    for run in good:
        of_seed[run["run_info"]["seed"]].add(_tests(run))
    if all(len(found) == 1 for found in of_seed.values()):
        return [list(runs)]
    parts: dict[str, list[Run]] = defaultdict(list)
    for run in good:
        parts[_tests(run)].append(run)
    most = max(parts.values(), key=len)
    for run in runs:
        if run["train_info"]["status"] != "success":
            parts.get(_tests(run), most).append(run)
    return list(parts.values())


def _tests(run: Run) -> str:
    sha: str = run["meta_info"]["dataset_info"]["repository"]["test_sha"]
    return sha or json.dumps(run["test_info"]["case_ids"])


def _group(budget: int, runs: Sequence[Run]) -> Group:
    notes: list[str] = []
    rows: dict[tuple[str, str, str], dict[int, Run]] = defaultdict(dict)
    for run in sorted(
        runs, key=lambda one: (one["run_info"]["created_at"], one["run_info"]["experiment_name"])
    ):
        info = run["run_info"]
        by_seed = rows[info["role"], info["method"], _settings(run)]
        if info["seed"] in by_seed:
            notes.append(
                f"{info['title']}, seed {info['seed']}, was run more than once: the newest run counts"
            )
        by_seed[info["seed"]] = run
    info = runs[0]["run_info"]
    higher = {name: up for run in runs for name, up in run["test_info"]["higher_is_better"].items()}
    main = main_metric(info["task"], runs)
    names = _titles(rows)
    made = [
        _row(names[key], key, list(dict(sorted(by_seed.items())).values())) for key, by_seed in rows.items()
    ]
    made.sort(key=lambda row: (row.role != "baseline", _order(row), row.title))
    notes += _differences(runs)
    return Group(
        info["model"],
        info["repository"],
        info["task"],
        budget,
        _machine(runs[0]),
        main,
        higher,
        tuple(_compared(made, main)),
        tuple(dict.fromkeys(notes)),
    )


def _order(row: Row) -> int:
    return BASELINES.index(row.method) if row.method in BASELINES else len(BASELINES)


def main_metric(task: str, runs: Iterable[Run]) -> str:
    """By which methods are judged in a task; empty where no run has any."""
    named = list(dict.fromkeys(name for run in runs for name in run["test_info"]["metrics"]))
    return next((name for name in _MAIN.get(task, ()) if name in named), named[0] if named else "")


def _settings(run: Run) -> str:
    config = run["run_info"]["peft_config"] or {}
    return json.dumps({name: config[name] for name in config if name not in _BY_CHANCE}, sort_keys=True)


def _titles(keys: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """What to add to each row's title: the settings in which it differs from others of the same method."""
    by_method: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for key in keys:
        by_method[key[:2]].append(key)
    result = {}
    for alike in by_method.values():
        configs = {key: json.loads(key[2]) for key in alike}
        fields = sorted({name for config in configs.values() for name in config})
        differ = [name for name in fields if len({json.dumps(one.get(name)) for one in configs.values()}) > 1]
        for key, config in configs.items():
            result[key] = ", ".join(f"{name}={config.get(name)}" for name in differ)
    return result


def _row(settings: str, key: tuple[str, str, str], runs: Sequence[Run]) -> Row:
    role, method, _ = key
    good = tuple(run for run in runs if run["train_info"]["status"] == "success")
    title = runs[0]["run_info"]["title"] + (f" ({settings})" if settings else "")
    learned = any(trained(run) for run in runs)
    metrics = {}
    for name in dict.fromkeys(name for run in good for name in run["test_info"]["metrics"]):
        metrics[name] = _mean([run["test_info"]["metrics"].get(name) for run in good], learned)
    costs = {}
    for name, cost in COSTS.items():
        if (learned or name not in _OF_TRAINING) and not (name == "money" and len(_prices(good)) > 1):
            costs[name] = _mean([cost(run) for run in good], learned)
    return Row(
        f"{method} {settings}".strip(),
        method,
        title,
        role,
        good,
        tuple(run for run in runs if run["train_info"]["status"] != "success"),
        {name: mean for name, mean in metrics.items() if mean},
        {name: mean for name, mean in costs.items() if mean},
        {},
    )


def _mean(values: Sequence[float | None], learned: bool) -> Mean | None:
    """Of those that are known. What was not trained does not vary with the seed, so it has no interval over seeds."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    mean = mean_interval(known)
    return mean if learned else Mean(mean.value, None, None, mean.count)


def _compared(rows: Sequence[Row], main: str) -> list[Row]:
    """The rows with their differences to the baselines; p-values are corrected over all rows of a table."""
    against: dict[int, dict[str, dict[str, Versus]]] = defaultdict(dict)
    for name in BASELINES:
        other = next((row for row in rows if row.method == name and row.role == "baseline"), None)
        if other is None:
            continue
        for number, row in enumerate(rows):
            if row is not other and row.runs:
                found = {metric: _difference(row, other, metric) for metric in row.metrics}
                against[number][name] = {metric: Versus(one) for metric, one in found.items() if one}
        family = [number for number in against if main in against[number].get(name, {})]
        corrected = holm([against[number][name][main].difference.p_value for number in family])
        for number, p_value in zip(family, corrected, strict=True):
            against[number][name][main] = Versus(against[number][name][main].difference, p_value)
    return [
        Row(
            row.key,
            row.method,
            row.title,
            row.role,
            row.runs,
            row.failed,
            row.metrics,
            row.costs,
            against[number],
        )
        for number, row in enumerate(rows)
    ]


def _difference(row: Row, other: Row, metric: str) -> Difference | None:
    """Over the cases that both were asked, seed by seed; None where the reports do not say them one by one."""
    pairs = []
    for run in row.runs:
        partner = next(
            (one for one in other.runs if one["run_info"]["seed"] == run["run_info"]["seed"]), None
        )
        if partner is None and not other.trained:
            partner = next(iter(other.runs), None)
        if partner is not None and (ours := _cells(run, metric)) and (theirs := _cells(partner, metric)):
            pairs.append((ours, theirs))
    cases = list(dict.fromkeys(case for ours, theirs in pairs for case in ours if case in theirs))
    if not cases:
        return None
    missing = (math.nan, math.nan)
    sides: list[tuple[Values, Values]] = []
    for side in (0, 1):
        cells = np.array(
            [[pair[side].get(case, missing) for case in cases] for pair in pairs], dtype=np.float64
        )
        sides.append((cells[..., 0], cells[..., 1]))
    (ours_, our_sizes), (theirs_, their_sizes) = sides
    kept = ~np.isnan(ours_ + theirs_).all(axis=1)  # (seeds,)
    return paired_difference(ours_[kept], our_sizes[kept], theirs_[kept], their_sizes[kept])


def _cells(run: Run, metric: str) -> dict[tuple[str, int], tuple[float, float]]:
    """Value and size by case; cases that are equal are told apart by their number."""
    values = run["test_info"]["per_case"]
    if metric == "loss" and "loss_sum" in values and "tokens" in values:
        cells = zip(values["loss_sum"], values["tokens"], strict=True)
    elif metric in values:
        cells = zip(values[metric], [1.0] * len(values[metric]), strict=True)
    else:
        return {}
    seen: dict[str, int] = defaultdict(int)
    result = {}
    for case, cell in zip(run["test_info"]["case_ids"], cells, strict=True):
        result[case, seen[case]] = cell
        seen[case] += 1
    return result


def _differences(runs: Sequence[Run]) -> list[str]:
    """What readers must know of runs that are compared all the same."""
    notes = []
    versions: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for name, version in run["meta_info"]["package_info"].items():
            if version and name.endswith("-version"):
                versions[name.removesuffix("-version")].add(version)
    for name, found in sorted(versions.items()):
        if len(found) > 1:
            notes.append(f"the runs were made with different versions of {name}: {', '.join(sorted(found))}")
    if len(prices := _prices(runs)) > 1:
        told = "; ".join(f"{hour:g} {name} an hour and {kwh:g} a kWh" for name, kwh, hour in sorted(prices))
        notes.append(f"the runs were priced differently, and are not averaged where they were: {told}")
    return notes


def _prices(runs: Iterable[Run]) -> set[tuple[str, float, float]]:
    """Currency, price of a kWh and of an hour, of the runs that have a price."""
    found = [run["train_info"]["money"] for run in runs if _priced(run) is not None]
    return {(money["currency"], money["price_per_kwh"], money["price_per_hour"]) for money in found}


def front_of(group: Group, cost: str) -> list[Row]:
    """The rows with a method that nothing beats at this cost and the main metric, cheapest first.

    Baselines that cost nothing to train count as points of cost 0: a method that is no better than they are is not on
    the front.
    """
    rows = [row for row in group.rows if group.main in row.metrics and (cost in row.costs or not row.trained)]
    points = [
        (
            row.costs[cost].value if cost in row.costs else 0.0,
            group.gain(group.main, row.metrics[group.main].value),
        )
        for row in rows
    ]
    return [rows[number] for number in pareto_front(points) if rows[number].trained]
