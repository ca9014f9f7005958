"""The page's tables and its chart. Knows nothing of the rest of the page."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from tailora.pages.intervals import Bar, interval_chart
from tailora.pages.markup import Content, element
from tailora.pages.shell import facts, figure
from tailora.pages.tables import Cell, Column, plain_table
from tailora.poc.candidates import Candidate
from tailora.poc.costs import DEFAULTS_SET, Sum
from tailora.poc.page_words import Words
from tailora.poc.plan import BASELINES, CANDIDATES
from tailora.poc.usage import Used

__all__ = ["costs", "gained", "measured", "prose_table", "tried", "used"]

_LANGUAGES = {"cpp": "C++", "c": "C", "csharp": "C#", "php": "PHP", "sql": "SQL", "shellscript": "shell"}
_MOST_REASONS = 6
_PRICES = ("kwh", "hardware", "gpu_hour", "seat")
_OPTIONS = {
    "users": "--users",
    "users_per_machine": "--users-per-machine",
    "kwh": "--price-kwh",
    "watts": "--watts",
    "hardware": "--price-hardware",
    "months": "--months",
    "hours": "--hours",
    "days": "--days",
    "retrainings": "--retrainings",
    "gpu_hour": "--price-gpu-hour",
    "seat": "--price-seat",
}


def prose_table(
    caption: str, names: Sequence[str], rows: Sequence[tuple[str, str, Content, Content, Content]]
) -> ET.Element:
    """A table of sentences: a name with a line below it, then the rest; on a narrow screen a list."""
    heads = element("tr", [element("th", name, scope="col") for name in names])
    body = [
        element(
            "tr",
            element("th", name, element("small", what), scope="row"),
            [element("td", cell, data_label=label) for label, cell in zip(names[1:], cells, strict=True)],
        )
        for name, what, *cells in rows
    ]
    table = element("table", element("thead", heads), element("tbody", body))
    return element("div", table, class_="table prose long", role="region", aria_label=caption, tabindex=0)


def measured(words: Words) -> ET.Element:
    """What there is to learn from."""
    found, texts, write = words.result.measured, words.texts, words.write
    known = {name: write.number(getattr(found, name)) for name in ("files", "lines", "tokens")}
    languages = [
        _LANGUAGES.get(name, name.capitalize()) + write.remark(write.number(count))
        for name, count in found.languages.items()
    ]
    reasons = list(_reasons(words))
    parts = (
        texts.parts_too_few
        if found.too_small
        else texts.parts_value.format(**{name: write.number(count) for name, count in found.parts.items()})
    )
    filled = words.filling()
    return element(
        "section",
        element("h2", texts.measured),
        element("p", texts.measured_lead),
        facts(
            {
                texts.files: texts.files_value.format(**known),
                texts.languages: write.items(languages) or write.number(0),
                texts.left_out: write.items(reasons) or texts.nothing_left_out,
                texts.secrets: texts.secrets_value.format(**filled),
                texts.history: texts.history_value.format(**filled) if found.commits else texts.no_history,
                texts.parts: parts,
                texts.base_model: texts.base_model_value.format(**filled),
            }
        ),
    )


def _reasons(words: Words) -> Iterator[str]:
    """Reasons with how many files; those over a limit together."""
    told: dict[str, int] = {}
    for reason, count in words.result.measured.left_out.items():
        name = words.texts.left_out_reasons.get(reason, words.texts.over_limit)
        told[name] = told.get(name, 0) + count
    for name, count in list(told.items())[:_MOST_REASONS]:
        yield name + words.write.remark(words.write.number(count))
    if rest := sum(list(told.values())[_MOST_REASONS:]):
        yield words.texts.other_reasons + words.write.remark(words.write.number(rest))


def tried(words: Words) -> ET.Element:
    """What was done with the time."""
    texts, done = words.texts, words.result.tried
    head = [element("h2", texts.tried)]
    if done is None:
        return element("section", head, element("p", texts.why_nothing))
    judged = {one.candidate.method: one for one in words.result.decision.judged}
    columns = [
        Column(texts.candidate, number=False),
        Column(texts.what_it_is, number=False),
        Column(texts.runs),
        Column(texts.time_here),
        Column(texts.result, number=False),
    ]
    rows = [
        [
            Cell(texts.baselines),
            Cell(texts.baselines_what, kind="wide"),
            Cell("–"),
            Cell(words.write.time(done.seconds.get(BASELINES, 0.0))),
            Cell(texts.done),
        ]
    ]
    told: Content
    for name in dict.fromkeys((*CANDIDATES, *judged, *done.failed)):
        seconds = sum(value for step, value in done.seconds.items() if step.partition("-")[0] == name)
        if name in judged:
            one = judged[name]
            runs, told = str(one.candidate.seeds), texts.results[one.verdict]
        elif name in done.failed:
            runs, told = "–", [texts.failed, element("small", element("samp", done.failed[name]))]
        else:
            continue
        rows.append(
            [
                Cell(words.method(name)),
                Cell(texts.methods[name][1] if name in texts.methods else "", kind="wide"),
                Cell(runs),
                Cell(words.write.time(seconds)),
                Cell(told, kind="words"),
            ]
        )
    skipped = [_skipped(words, one.step.name, one.seconds) for one in done.skipped]
    return element(
        "section",
        head,
        element("p", texts.tried_lead.format(**words.filling())),
        plain_table(texts.tried_table, columns, rows),
        [element("p", texts.skipped), element("ul", [element("li", one) for one in skipped])]
        if skipped
        else element("p", texts.nothing_skipped),
    )


def _skipped(words: Words, step: str, seconds: float | None) -> str:
    method, _, more = step.partition("-")
    name = words.method(method)
    name = words.texts.steps[more].format(method=name) if more else name
    if seconds is None:
        return words.texts.skipped_unknown.format(name=name)
    return words.texts.skipped_item.format(name=name, time=words.write.time(seconds))


def gained(words: Words) -> ET.Element:
    """The chart and the table of what was measured."""
    texts, done = words.texts, words.result.tried
    head = element("h2", texts.gained)
    judged = words.result.decision.judged
    if done is None or not judged:
        return element("section", head, element("p", texts.nothing_gained))
    lead = texts.gained_lead.format(reference=texts.references[done.figures.reference])
    return element("section", head, element("p", lead), _chart(words), _gains(words))


def _chart(words: Words) -> ET.Element:
    texts, judged = words.texts, words.result.decision.judged
    bars = []
    for number, one in enumerate(judged):
        loss, before = one.candidate.loss, one.candidate.loss_before
        value, low, high = (100 * end / before for end in (loss.value, loss.low, loss.high))
        told = words.of(one.candidate)
        interval = words.write.interval(told["loss_change_low"], told["loss_change_high"])
        bars.append(
            Bar(
                words.method(one.candidate.method),
                value,
                low,
                high,
                told["loss_change"] + words.write.remark(interval),
                number % 6,
            )
        )
    best = min(judged, key=lambda one: one.candidate.loss.value).candidate
    summary = texts.chart_summary.format(count=len(bars), best=words.method(best.method))
    chart = interval_chart(
        texts.chart, summary, bars, texts.chart_axis, lambda value: words.write.number(value)
    )
    return element("div", figure(chart, texts.chart, texts.chart_note), class_="single")


def _gains(words: Words) -> ET.Element:
    texts = words.texts
    columns = [
        Column(texts.candidate, number=False),
        Column(texts.loss, texts.loss_note),
        Column(texts.exact_match),
        Column(texts.similarity),
        Column(texts.forgetting, texts.forgetting_note),
        Column(texts.planted, texts.planted_note),
        Column(texts.insecure, texts.insecure_note),
        Column(texts.size),
    ]
    rows = [_gain(words, one.candidate) for one in words.result.decision.judged]
    return plain_table(texts.gains_table, columns, rows)


def _gain(words: Words, one: Candidate) -> list[Cell]:
    told, write = words.of(one), words.write

    def cell(name: str) -> Cell:
        value, low, high = (told[f"{name}{end}"] for end in ("", "_low", "_high"))
        return Cell(value, note="" if low == high == value else write.interval(low, high))

    return [
        Cell(words.method(one.method), note=words.texts.runs_note.format(seeds=one.seeds)),
        cell("loss_change"),
        cell("exact"),
        cell("similar"),
        Cell(words.forgetting(one)),
        Cell(words.planted(one)),
        Cell(words.insecure(one.insecure)),
        Cell(write.bytes(one.file_size)),
    ]


def used(words: Words) -> ET.Element:
    """What people accepted so far."""
    texts, found = words.texts, words.result.usage
    sides = [(texts.used_before, found.before), (texts.used_learned, found.learned)]
    head = element("h2", texts.used)
    if not any(side for _, side in sides):
        return element("section", head, element("p", texts.no_usage))
    columns = [
        Column(texts.who, number=False),
        *(Column(one) for one in (texts.shown, texts.accepted, texts.characters, texts.per_suggestion)),
    ]
    rows = [[Cell(name), *_used(words, side)] for name, side in sides if side]
    return element(
        "section", head, element("p", texts.used_lead), plain_table(texts.used_table, columns, rows)
    )


def _used(words: Words, side: Used) -> list[Cell]:
    write = words.write
    return [
        Cell(write.number(side.shown)),
        Cell(write.number(side.accepted), note=write.shares(side.accepted / side.shown)),
        Cell(write.number(side.characters)),
        Cell(write.number(side.per_suggestion, 1)),
    ]


def costs(words: Words) -> ET.Element:
    """What it cost here, what a month would cost, and from which inputs."""
    texts, found, write = words.texts, words.result.costs, words.write
    filled = words.filling()
    here = [
        [Cell(texts.here_time), Cell(write.time(found.seconds)), Cell("")],
        [
            Cell(texts.here_energy),
            Cell(write.number(found.watt_hours, 1) + write.watt_hour),
            Cell(texts.here_energy_note.format(**filled), kind="wide"),
        ],
        [Cell(texts.here_money), Cell(words.amount(found.here)), Cell(words.lacks(found.here), kind="wide")],
    ]
    month = [
        _month(words, texts.own, found.own, texts.own_note),
        _month(words, texts.cloud, found.cloud, texts.cloud_note),
        _month(words, texts.seats, found.seats, texts.seats_note),
    ]
    columns = [Column(texts.item, number=False), Column(texts.amount), Column(texts.note, number=False)]
    users = Column(texts.per_user)
    return element(
        "section",
        element("h2", texts.costs),
        element("p", texts.costs_lead.format(day=write.day(DEFAULTS_SET))),
        plain_table(texts.here_table, columns, here),
        plain_table(texts.month_table.format(**filled), [*columns[:2], users, columns[2]], month),
        facts({texts.retraining: _retraining(words)}),
        _inputs(words),
    )


def _month(words: Words, name: str, found: Sum, note: str) -> list[Cell]:
    lacks = words.lacks(found)
    return [
        Cell(name),
        Cell(words.amount(found)),
        Cell(words.amount(found, 1 / words.result.inputs.users) if found.amount is not None else "–"),
        Cell([note.format(**words.filling()), element("small", lacks) if lacks else None], kind="wide"),
    ]


def _retraining(words: Words) -> Content:
    texts, hours = words.texts, words.result.costs.retraining_hours
    if hours is None:
        return texts.retraining_unknown
    whence = texts.retraining_measured if words.result.retraining_measured else texts.retraining_bound
    return [
        texts.retraining_value.format(hours=words.write.time(3_600 * hours)),
        element("br"),
        element("small", whence),
    ]


def _inputs(words: Words) -> ET.Element:
    texts, inputs, write = words.texts, words.result.inputs, words.write
    columns = [
        Column(texts.item, number=False),
        Column(texts.value),
        Column(texts.source, number=False),
        Column(texts.option, number=False),
    ]
    rows = []
    for name, told in texts.inputs.items():
        if name in _PRICES:
            price = getattr(inputs.prices, name)
            value = write.money(price, inputs.currency) if price else texts.no_price
        else:
            value = f"{getattr(inputs, name):,g}{texts.units.get(name, '')}"
        source = texts.given if name in inputs.given else texts.default.format(day=write.day(DEFAULTS_SET))
        option = element("code", _OPTIONS[name])
        rows.append([Cell(told), Cell(value), Cell(source, kind="words"), Cell(option, kind="words")])
    return plain_table(texts.inputs_table, columns, rows, summary=texts.inputs_lead)
