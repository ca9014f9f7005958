"""A comparison's tables: quality, costs, side effects, learning rates, seeds. Knows nothing of the rest of the page."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tailora.evaluation.methods import wording
from tailora.evaluation.methods.aggregate import BASELINES, Group, Row
from tailora.pages.markup import Content, element
from tailora.pages.scatter import marker
from tailora.pages.tables import Cell, Column, plain_table, sortable_table

__all__ = ["costs", "failures", "grids", "quality", "seeds", "side_effects"]

_NONE = Cell("\u2013")


@dataclass(frozen=True, slots=True)
class _Cost:
    """A column: what it shows, and what it says where nothing was measured."""

    name: str
    title: str
    note: str
    text: Callable[[float], str]
    missing: str = "not measured"


_COSTS = (
    _Cost("parameters", "trainable parameters", "", wording.count),
    _Cost("share", "share of all", "", wording.share),
    _Cost("file_size", "file", "of the adapter", wording.megabytes),
    _Cost("memory", "peak memory", "of training", wording.megabytes),
    _Cost("train_time", "training", "time", wording.seconds),
    _Cost("tokens_per_second", "tokens/s", "in training", lambda value: f"{value:,.0f}"),
    _Cost("watt_hours", "energy", "Wh, estimated", lambda value: f"{value:.2f}"),
    _Cost("money", "money", "", str),
)
_EFFECTS = (
    _Cost("forgetting", "forgetting", "loss on other code", lambda value: wording.share(value, signed=True)),
    _Cost(
        "overhead", "latency overhead", "time for a token", lambda value: wording.share(value, signed=True)
    ),
    _Cost("decode_ms", "ms a token", "decoding", lambda value: f"{value:.1f}"),
    _Cost("canary_exposure", "canary exposure", "bits", lambda value: f"{value:.2f}"),
    _Cost("insecure", "insecure", "findings a line", wording.share, "no Python written"),
)


def quality(group: Group, kinds: Mapping[str, int]) -> ET.Element:
    """The task's metrics, and the main one's differences to the baselines."""
    if not group.main:
        return element("p", element("strong", "No run of this task succeeded.", class_="bad"))
    in_percent = wording.is_share(group, group.main)
    baselines = [name for name in BASELINES if any(name in row.against for row in group.rows)]
    others = [name for name in _metrics(group) if name != group.main]
    unit = "points" if in_percent else ""
    columns = [
        Column("method", number=False),
        Column(wording.metric_name(group.main), "mean; 95 % over seeds"),
        *(Column(f"over {name}", f"{unit}; 95 %; p".removeprefix("; ")) for name in baselines),
        *(Column(wording.metric_name(name), _towards(group, name)) for name in others),
        Column("seeds", "that succeeded"),
    ]

    def cells(row: Row) -> list[Cell]:
        return [
            _metric(row, group.main, group, ""),
            *(_versus(row, name, group, in_percent) for name in baselines),
            *(_metric(row, name, group, "base") for name in others),
            Cell(f"{len(row.runs)} of {len(row.runs) + len(row.failed)}", float(len(row.runs))),
        ]

    summary = (
        "p-values are corrected for the many comparisons by Holm's method. Where a metric has one, the second line is "
        "the difference to the base."
    )
    return sortable_table(
        "Quality", columns, [_row(row, kinds, columns, cells) for row in group.rows], summary=summary
    )


def costs(group: Group, kinds: Mapping[str, int]) -> ET.Element:
    """What training took."""
    return _cost_table("Costs", "Means over the seeds.", _COSTS, group, kinds)


def side_effects(group: Group, kinds: Mapping[str, int]) -> ET.Element:
    """What a method does beside its task."""
    return _cost_table("Side effects", "Means over the seeds.", _EFFECTS, group, kinds)


def failures(group: Group) -> ET.Element | None:
    """Runs without a result, each with its reason."""
    told = [
        element(
            "li",
            element("strong", f"{run['run_info']['title']}, seed {run['run_info']['seed']}"),
            f" {_STATUS[run['train_info']['status']]}{': ' if run['run_info']['error_msg'] else ''}",
            run["run_info"]["error_msg"],
        )
        for row in group.rows
        for run in row.failed
        if row.runs  # else its row says so
    ]
    return element("ul", told, class_="notes") if told else None


_STATUS = {"failed": "failed", "canceled": "was cancelled"}


def grids(group: Group, kinds: Mapping[str, int]) -> ET.Element | None:
    """The learning rates that were tried, by seed; those that diverged are marked, the ones taken are set in bold."""
    runs = [run for row in group.rows for run in _by_seed(row) if run["train_info"]["grid"]]
    seeds_ = sorted({run["run_info"]["seed"] for run in runs})
    if not seeds_:
        return None
    rows, diverged = [], 0
    for row in group.rows:
        tried: dict[float, dict[int, Cell]] = {}
        for run in _by_seed(row):
            for entry in run["train_info"]["grid"]:
                taken = entry["learning_rate"] == run["train_info"]["learning_rate"]
                tried.setdefault(entry["learning_rate"], {})[run["run_info"]["seed"]] = _rate(entry, taken)
                diverged += entry["status"] == "diverged"
        for rate, cells in sorted(tried.items()):
            told = [cells.get(seed, _NONE) for seed in seeds_]
            rows.append([_name(row, kinds), Cell(f"{rate:g}", rate), *told])
    columns = [
        Column("method", number=False),
        Column("learning rate"),
        *(Column(f"seed {seed}", "validation loss") for seed in seeds_),
    ]
    title = f"Learning rates, of which {diverged} diverged" if diverged else "Learning rates"
    table = plain_table("Learning rates", columns, rows, summary="Those that were taken are set in bold.")
    return element("details", element("summary", title), table)


def _rate(entry: Mapping[str, Any], taken: bool) -> Cell:
    if entry["status"] != "success":
        return Cell(element("span", entry["status"], class_="bad"), note=entry["message"], kind="wide")
    said = f"{entry['validation_loss']:.3f}"
    return Cell(element("strong", said) if taken else said, entry["validation_loss"])


def seeds(group: Group, kinds: Mapping[str, int]) -> ET.Element:
    """Every run by itself."""
    names = _metrics(group)
    columns = [
        Column("method", number=False),
        Column("seed"),
        *(Column(wording.metric_name(name)) for name in names),
        Column("rate", "of learning"),
        Column("training"),
        Column("tokens"),
        Column("steps"),
        Column("begun anew", "after a stop"),
    ]
    rows = []
    for row in group.rows:
        for run in _by_seed(row):
            rows.append([_name(row, kinds), *_run_cells(run, names, group, len(columns) - 2)])
    return element("details", element("summary", "Each run by itself"), sortable_table("Runs", columns, rows))


def _run_cells(run: Mapping[str, Any], names: Sequence[str], group: Group, width: int) -> list[Cell]:
    info, train, metrics = run["run_info"], run["train_info"], run["test_info"]["metrics"]
    first = Cell(str(info["seed"]), float(info["seed"]))
    if train["status"] != "success":
        told = element("span", _STATUS[train["status"]], class_="bad")
        return [first, Cell([told, f" {info['error_msg']}"], span=width, kind="wide")]
    cells = [first]
    for name in names:
        value = metrics.get(name)
        cells.append(
            Cell(wording.value(value, wording.is_share(group, name)), value) if value is not None else _NONE
        )
    rate = train["learning_rate"]
    cells.append(Cell(f"{rate:g}", rate) if rate is not None else _NONE)
    if not train["tokens"]:
        return [*cells, _NONE, _NONE, _NONE, _NONE]
    cells.append(Cell(wording.seconds(train["train_time"]), train["train_time"]))
    cells += [Cell(wording.count(number), float(number)) for number in (train["tokens"], train["steps"])]
    return [*cells, Cell(str(info["started_again"]), float(info["started_again"]))]


def _by_seed(row: Row) -> list[Mapping[str, Any]]:
    """All runs, those that failed too."""
    return sorted((*row.runs, *row.failed), key=lambda run: int(run["run_info"]["seed"]))


def _metrics(group: Group) -> list[str]:
    """The main one first."""
    names = dict.fromkeys(name for row in group.rows for name in row.metrics)
    return sorted(names, key=lambda name: name != group.main)


def _towards(group: Group, name: str) -> str:
    return "more is better" if group.higher.get(name, True) else "less is better"


def _name(row: Row, kinds: Mapping[str, int]) -> Cell:
    mark = marker(kinds[row.key]) if row.key in kinds else None
    return Cell([mark, row.title], row.title, "baseline" if row.role == "baseline" else "")


def _row(
    row: Row, kinds: Mapping[str, int], columns: Sequence[Column], cells: Callable[[Row], list[Cell]]
) -> list[Cell]:
    """A method's row; one without a result has its reason instead of figures."""
    if row.runs:
        return [_name(row, kinds), *cells(row)]
    reasons = "; ".join(dict.fromkeys(run["run_info"]["error_msg"] for run in row.failed))
    status = " and ".join(dict.fromkeys(_STATUS[run["train_info"]["status"]] for run in row.failed))
    told: Content = [element("strong", status, class_="bad"), f" in all {len(row.failed)} runs: {reasons}"]
    return [_name(row, kinds), Cell(told, span=len(columns) - 1, kind="wide")]


def _metric(row: Row, name: str, group: Group, other: str) -> Cell:
    mean = row.metrics.get(name)
    if mean is None:
        return _NONE
    in_percent = wording.is_share(group, name)
    versus = row.against.get(other, {}).get(name)
    if other:
        note = " (".join(wording.difference(versus.difference, in_percent)) + ")" if versus else ""
    else:
        note = wording.interval(mean, in_percent)
    return Cell(wording.value(mean.value, in_percent), mean.value, note)


def _versus(row: Row, name: str, group: Group, in_percent: bool) -> Cell:
    versus = row.against.get(name, {}).get(group.main)
    if versus is None:
        return _NONE
    number, interval = wording.difference(versus.difference, in_percent)
    ends = (group.gain(group.main, versus.difference.low), group.gain(group.main, versus.difference.high))
    kind = "good" if min(ends) > 0 else "bad" if max(ends) < 0 else ""
    p_value = f"; {wording.p_value(versus.corrected)}" if versus.corrected is not None else ""
    return Cell(number, versus.difference.value, interval + p_value, kind=kind)


def _cost_table(
    title: str, summary: str, shown: Sequence[_Cost], group: Group, kinds: Mapping[str, int]
) -> ET.Element:
    columns = [Column("method", number=False), *(Column(cost.title, cost.note) for cost in shown)]

    def cells(row: Row) -> list[Cell]:
        return [_cost(row, cost) for cost in shown]

    rows = [_row(row, kinds, columns, cells) for row in group.rows]
    return sortable_table(title, columns, rows, summary=summary)


def _cost(row: Row, cost: _Cost) -> Cell:
    mean = row.costs.get(cost.name)
    if mean is None:
        if cost in _COSTS and not row.trained:
            return _NONE
        return Cell(element("small", _unpriced(row) if cost.name == "money" else cost.missing))
    some = f"of {mean.count} runs" if mean.count < len(row.runs) else ""
    if cost.name == "money":
        return Cell(wording.money(mean.value, _currency(row)), mean.value, some)
    if cost.name == "insecure":
        found = [run["test_info"]["insecure"] for run in row.runs if run["test_info"]["insecure"]]
        lines, issues = (sum(one[name] for one in found) for name in ("lines", "issues"))
        some = f"{issues} in {wording.count(lines)}"
    return Cell(cost.text(mean.value), mean.value, some)


def _unpriced(row: Row) -> str:
    """Why there is no amount: no price is not the same as free."""
    money = [run["train_info"]["money"] for run in row.runs]
    if not any(one["price_per_kwh"] or one["price_per_hour"] for one in money):
        return "no price given"
    return "priced differently" if any(one["total"] is not None for one in money) else "not measured"


def _currency(row: Row) -> str:
    return next(str(run["train_info"]["money"]["currency"]) for run in row.runs)
