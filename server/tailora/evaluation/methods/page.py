"""The page of a comparison, from its groups: what was compared, the answer, tables, charts, how to do it again.

Knows how figures are shown, and nothing of how they are computed (``aggregate``, ``answer``). Invariant: a run that
failed is shown with its reason, never with a number, and what was not measured is called so.
"""

import shlex
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

from tailora.evaluation.methods import page_charts, page_tables, wording
from tailora.evaluation.methods.aggregate import Group, Row, trained
from tailora.evaluation.methods.answer import RULES, answer
from tailora.pages.markup import Content, element
from tailora.pages.scatter import KINDS
from tailora.pages.shell import facts, page

__all__ = ["report_page"]

_METRICS: Mapping[str, str] = {
    "exact_match": "share of answers that are the text that stood there, token by token.",
    "edit_similarity": (
        "how much of an answer and of the text that stood there is the same, in the same order, in the mean: twice "
        "the matching characters over those of both (Ratcliff and Obershelp)."
    ),
    "loss": (
        "mean negative log-likelihood of a token of the text that stood there, in nats; lower is better."
    ),
    "stop_rate": "share of answers that end by themselves right behind the text that stood there.",
    "verified": (
        "share of bugs that are gone as far as can be told without running anything: the lines are as they were, or a "
        "checker noticed the bug and none says more of the file than before the bug was put in."
    ),
    "chrf": "n-grams of characters that a docstring shares with the one that stood there (Popović 2015), by sacrebleu.",
    "bleu4": "n-grams of up to four words likewise (Papineni et al. 2002), by sacrebleu.",
    "accuracy": "share of pairs of functions of which is said rightly whether one is a copy of the other; half are.",
    "precision": "of the pairs that were called copies, the share that are.",
    "recall": "of the pairs that are copies, the share that were called so.",
    "f1": "the harmonic mean of precision and recall; told without a difference, as no single pair has one.",
}
_READING: Mapping[str, str] = {
    "95 % interval of a mean": (
        "Student's t over the seeds; with one seed there is none. What was not trained does not vary with "
        "the seed."
    ),
    "difference to a baseline": (
        "over the same cases, with its 95 % interval from a paired bootstrap that draws cases and seeds "
        "(Owen 2007). An interval without zero says that the difference is more than chance on tests like "
        "these, not that it will be as large elsewhere."
    ),
    "p": (
        "probability of a difference at least that large, one way or the other, if there were none; "
        "corrected by Holm's method for all rows of the table, as of many comparisons some succeed by "
        "chance."
    ),
    "Pareto front": (
        "the line in a chart: no other method there costs at most as much and is at least as good. A method"
        " that is no better than what needs no training is not on it."
    ),
    "forgetting": (
        "rise of the loss on code of other repositories over the base's, relative; below zero the model got"
        " better there."
    ),
    "latency overhead": "rise of the time for a token over that of the same engine without the adapter.",
    "canary exposure": (
        "how well a random number that was planted in what is learned can be told from others: the base 2 "
        "logarithm of the number of candidates over its rank (Carlini et al. 2019). 0 bits: not at all. A "
        "bound from below: it is asked of few candidates."
    ),
    "insecure": (
        "findings of a security checker per line of what the model wrote in Python. A checker knows some "
        "kinds of flaws, and calls some good lines flawed."
    ),
    "energy": "an estimate from the processor's type and its load, not a measurement at the plug.",
}


def report_page(groups: Sequence[Group], left_out: Sequence[str] = ()) -> str:
    """The HTML file of a comparison.

    Args:
        groups: As ``group_runs`` makes them, one or more.
        left_out: Reports that could not be used, each with why.
    """
    rows = [row for group in groups for row in group.rows]
    methods = sorted({row.key for row in rows if row.trained})
    kinds = {key: number % KINDS for number, key in enumerate(methods)}
    repositories = _all(group.repository for group in groups)
    asked = {name for row in rows for name in row.metrics}
    sections = [_section(group, kinds, _place(group, groups)) for group in groups]
    return page(
        f"Methods of fine-tuning, compared on {', '.join(repositories)}",
        element("h1", f"Methods of fine-tuning, compared on {', '.join(repositories)}"),
        _about(groups),
        element("div", [_sentences(group, _place(group, groups)) for group in groups], class_="answer"),
        element("p", element("small", RULES)),
        _left_out(left_out),
        sections,
        element("h2", "Every point again"),
        element("p", "Each command makes one run again. A click selects it."),
        [_commands(group, _place(group, groups)) for group in groups],
        element("h2", "With what"),
        _with_what(groups),
        element("h2", "How to read this"),
        facts(
            {
                **{wording.metric_name(name): text for name, text in _METRICS.items() if name in asked},
                **_READING,
            }
        ),
        element("p", _not_measured(groups)),
    )


def _all(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _runs(groups: Sequence[Group]) -> list[Mapping[str, Any]]:
    """Every report once, though a baseline may stand in several groups."""
    found = [run for group in groups for row in group.rows for run in (*row.runs, *row.failed)]
    return list({id(run): run for run in found}.values())


def _place(group: Group, groups: Sequence[Group]) -> str:
    """A group's name: the task, and what else tells it from the others."""
    parts = [wording.task_name(group.task)]
    for name, unit in (("repository", ""), ("model", ""), ("machine", ""), ("budget", " tokens")):
        if len({getattr(one, name) for one in groups}) > 1:
            told = getattr(group, name)
            parts.append(f"{wording.count(told)}{unit}" if isinstance(told, int) else told)
    return ", ".join(parts)


def _about(groups: Sequence[Group]) -> ET.Element:
    runs = _runs(groups)
    days = sorted({run["run_info"]["created_at"][:10] for run in runs})
    methods = {row.key for group in groups for row in group.rows if row.role == "method"}
    baselines = {row.key for group in groups for row in group.rows if row.role == "baseline"}
    seeds = {run["run_info"]["seed"] for run in runs if trained(run)}
    failed = sum(run["train_info"]["status"] != "success" for run in runs)
    compared = (
        f"{_many(len(methods), 'method')}, {_many(len(baselines), 'baseline')}, {_many(len(seeds), 'seed')}, "
        f"{_many(len({group.task for group in groups}), 'task')}: {_many(len(runs), 'run')}"
    )
    budgets = _all(wording.count(group.budget) for group in groups)
    return facts(
        {
            "Repository": ", ".join(_all(group.repository for group in groups)),
            "Model": ", ".join(_all(group.model for group in groups)),
            "Machine": "; ".join(_all(group.machine for group in groups)),
            "Date": days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}",
            "Compared": compared + (f", of which {failed} did not succeed" if failed else ""),
            "Training": f"{' or '.join(budgets)} tokens for each method and seed",
        }
    )


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _sentences(group: Group, name: str) -> ET.Element:
    """The answer for a group, in a sentence or three."""
    found = answer(group)
    head = element("strong", f"{name}: ")
    if found.unknown:
        return element("p", head, f"nothing can be said, as {found.unknown}.")
    if found.best is None or found.cheapest is None:
        return element("p", head, "no method is better than the base beyond chance here.")
    best, cheapest, metric = found.best, found.cheapest, wording.metric_name(group.main)
    in_percent = wording.is_share(group, group.main)
    said: list[Content] = [
        head,
        element("strong", best.title),
        f" is best: {metric} {wording.value(best.metrics[group.main].value, in_percent)}, ",
        _over(best, "base", group, in_percent),
        " over the base",
    ]
    if "foundation" in best.against:
        said += [" and ", _over(best, "foundation", group, in_percent), " over the foundation adapter"]
    said.append(". ")
    corrected = best.against["base"][group.main].corrected
    if corrected is not None and corrected >= 0.05:
        said.append(
            f"As so many were compared, this may be chance ({wording.p_value(corrected)} after correction). "
        )
    times = [wording.seconds(row.costs["train_time"].value) for row in (cheapest, best)]
    if cheapest is best:
        said.append(f"None that trains for a shorter time ({times[1]}) is as good within the interval.")
    else:
        value = wording.value(cheapest.metrics[group.main].value, in_percent)
        said += [
            element("strong", cheapest.title),
            f" is the cheapest within that interval: {value} after {times[0]} of training instead of {times[1]}.",
        ]
    return element("p", said)


def _over(row: Row, other: str, group: Group, in_percent: bool) -> str:
    versus = row.against[other].get(group.main)
    if versus is None:
        return "an unknown difference"
    number, interval = wording.difference(versus.difference, in_percent)
    return f"{number}{' points' if in_percent else ''} ({interval})"


def _left_out(left_out: Sequence[str]) -> ET.Element | None:
    if not left_out:
        return None
    head = element("p", element("strong", "Left out, as they cannot be used:", class_="bad"))
    return element("div", head, element("ul", [element("li", one) for one in left_out], class_="notes"))


def _section(group: Group, kinds: Mapping[str, int], name: str) -> ET.Element:
    return element(
        "section",
        element("h2", name),
        element("ul", [element("li", note) for note in group.notes], class_="notes") if group.notes else None,
        page_tables.quality(group, kinds),
        page_tables.failures(group),
        page_charts.charts(group, kinds),
        page_tables.costs(group, kinds),
        page_tables.side_effects(group, kinds),
        page_tables.grids(group, kinds),
        page_tables.seeds(group, kinds),
    )


def _commands(group: Group, name: str) -> ET.Element:
    parts: list[Content] = []
    for row in group.rows:
        runs = sorted((*row.runs, *row.failed), key=lambda run: run["run_info"]["seed"])
        parts.append(element("h3", row.title))
        for command in _all(shlex.join(run["run_info"]["command"]) for run in runs):
            parts.append(element("pre", command))
    return element("details", element("summary", name), parts)


def _not_measured(groups: Sequence[Group]) -> str:
    gpu = any(run["meta_info"]["system_info"]["accelerator"] != "cpu" for run in _runs(groups))
    return (
        f"Not measured: {'' if gpu else 'GPUs (CUDA), where times, memory and which methods are fast differ; '}other "
        "models and repositories than those above; what people make of the suggestions. Times and memory hold for this "
        "machine alone."
    )


def _prices(runs: Sequence[Mapping[str, Any]]) -> str:
    told = []
    for run in runs:
        money = run["train_info"]["money"]
        parts = [
            f"{money[name]:g} {money['currency']} {unit}"
            for name, unit in (("price_per_kwh", "a kWh"), ("price_per_hour", "an hour"))
            if money[name]
        ]
        note = f" ({money['note']})" if money["note"] else ""
        told.append(" and ".join(parts) + note if parts else "no price given")
    return "; ".join(_all(told))


def _with_what(groups: Sequence[Group]) -> ET.Element:
    """Versions, hashes and tolerance; where runs differ, all values."""
    runs = _runs(groups)

    def told(*path: str) -> str:
        values = []
        for run in runs:
            value: Any = run["meta_info"]
            for name in path:
                value = value.get(name) if value is not None else None
            if value not in (None, ""):
                values.append(str(value))
        return "; ".join(_all(values)) or "not known"

    packages = sorted({name for run in runs for name in run["meta_info"]["package_info"]})
    versions = [
        f"{name.removesuffix('-version')} {told('package_info', name)}"
        for name in packages
        if name.endswith("-version") and told("package_info", name) != "not known"
    ]
    data = ("dataset_info", "repository")
    return element(
        "div",
        facts(
            {
                "Packages": ", ".join(versions),
                "Model": element("code", told("model_info", "sha")),
                "Foundation adapter": element("code", told("model_info", "foundation")),
                "Repository": element("code", told(*data, "sha")),
                "Files": told(*data, "files"),
                "Training data": element("code", told(*data, "train_sha")),
                "Validation data": element("code", told(*data, "validation_sha")),
                "Tests": element("code", told(*data, "test_sha")),
                "System": f"{told('system_info', 'system')} {told('system_info', 'release')}, "
                f"{told('system_info', 'machine')}, {told('system_info', 'instructions')}",
                "Tolerance": f"a repetition's loss may differ by {told('tolerance', 'loss')} nats a token: "
                f"{told('tolerance', 'note')}",
                "Prices": _prices(runs),
                "Energy": "; ".join(_all(run["train_info"]["energy"]["source"] for run in runs)),
                "Insecure lines": "; ".join(
                    _all(part["tool"] for run in runs if (part := run["test_info"]["insecure"]))
                )
                or "not checked",
            }
        ),
        element("details", element("summary", "PyTorch"), element("pre", told("pytorch_info"))),
    )
