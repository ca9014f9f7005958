"""The page for those who decide: the recommendation first, then why, what was tried, costs, risks, stages, rules.

Knows how figures are shown, and nothing of how they are computed. Invariant: what was not measured or has no price is
called so, never shown as a number.
"""

import re
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from tailora.pages.markup import Content, element
from tailora.pages.shell import facts, page
from tailora.poc import page_tables
from tailora.poc.decide import Judged, Rule, Verdict
from tailora.poc.page_words import Words
from tailora.poc.result import Result
from tailora.poc.texts import LANGUAGES

__all__ = ["poc_page"]

_MORE_TESTS = 96
_CODE = re.compile(r"`([^`]+)`")


def poc_page(result: Result, language: str) -> str:
    """The HTML file of a proof of concept.

    Args:
        language: One of ``LANGUAGES``.
    """
    texts, write = LANGUAGES[language]
    words = Words(result, texts, write)
    title = texts.title.format(repository=result.measured.name)
    return page(
        title,
        element("h1", title),
        _decision(words),
        _why(words),
        element("p", texts.lead, class_="soft"),
        _about(words),
        page_tables.measured(words),
        page_tables.tried(words),
        page_tables.gained(words),
        page_tables.used(words),
        page_tables.costs(words),
        _risks(words),
        _stages(words),
        _rules(words),
        _again(words),
        _not_measured(words),
        element("h2", texts.glossary),
        facts(dict(texts.glossary_items)),
        language=language,
    )


def _said(text: str) -> Content:
    """A text whose parts between backquotes are code."""
    return [
        element("code", part) if number % 2 else part for number, part in enumerate(_CODE.split(text)) if part
    ]


def _decision(words: Words) -> ET.Element:
    verdict, texts = words.result.decision.verdict, words.texts
    kind = {Verdict.STOP: "bad", Verdict.EXTEND: "wait", Verdict.ROLL_OUT: "good"}[verdict]
    chosen = words.result.decision.chosen
    return element(
        "section",
        element("p", texts.recommendation, class_="kicker"),
        element("p", texts.verdicts[verdict].format(**words.filling()), class_="verdict"),
        element("p", _next(words)),
        element("p", texts.chosen.format(**words.filling()))
        if chosen and verdict is not Verdict.STOP
        else None,
        class_=f"decision {kind}",
    )


def _next(words: Words) -> Content:
    decision, done, texts = words.result.decision, words.result.tried, words.texts
    if decision.verdict is Verdict.EXTEND and decision.chosen and done and not done.skipped:
        method = decision.chosen.candidate.method
        command = f"`tailora eval methods --methods {method} --test {_MORE_TESTS}`"
        return _said(texts.next_all_tried.format(command=command))
    return _said(texts.nexts[decision.verdict])


def _why(words: Words) -> ET.Element:
    decision, texts = words.result.decision, words.texts
    points: list[str] = []
    if decision.chosen:
        one = decision.chosen.candidate
        filled = words.filling(one)
        better = Rule.NO_GAIN not in decision.against
        points.append((texts.why_gain if better else texts.why_no_gain).format(**filled))
        visible = one.exact_match is not None and one.similarity is not None
        points.append((texts.why_visible if visible else texts.why_no_answers).format(**filled))
        side = texts.why_side.format(**filled)
        if words.result.costs.own.amount is not None:
            lacks = words.lacks(words.result.costs.own)
            more = {"lacks": words.write.remark(lacks) if lacks else ""}
            side += _gap(words) + texts.why_cost.format(**filled, **more)
        points.append(side)
    else:
        points.append(texts.why_nothing)
    return element(
        "section",
        element("h2", texts.why),
        element("ul", [element("li", one) for one in points], class_="points"),
        _against(words, decision.against, decision.chosen),
    )


def _against(words: Words, against: Sequence[Rule], chosen: Judged | None) -> Content:
    if not against:
        return None
    filled = words.filling(chosen.candidate if chosen else None)
    return [
        element("h3", words.texts.why_not_more),
        element("ul", [element("li", words.texts.reasons[rule].format(**filled)) for rule in against]),
    ]


def _gap(words: Words) -> str:
    """Between two sentences."""
    return "" if words.write.language == "ja" else " "


def _about(words: Words) -> ET.Element:
    measured, texts, write = words.result.measured, words.texts, words.write
    machine = measured.machine
    told = texts.machine_value.format(
        processor=machine.processor,
        cores=machine.cores,
        memory=f"{machine.memory / 2**30:.0f}\u00a0GiB",
        gpu=machine.gpu or texts.no_gpu,
    )
    return facts(
        {
            texts.repository: element("code", measured.name),
            texts.date: write.day(words.result.day),
            texts.model: element("code", measured.model),
            texts.machine: told,
        }
    )


def _risks(words: Words) -> ET.Element:
    texts = words.texts
    filled = words.filling()
    unknown = dict.fromkeys(("planted", "insecure", "forgetting"), texts.not_measured_value)
    loss = texts.not_measured_value
    if words.result.decision.chosen:
        parts = words.write.interval(filled["loss_change_low"], filled["loss_change_high"])
        loss = filled["loss_change"] + words.write.remark(parts)
    rows = []
    for risk in texts.risk_rows:
        seen = risk.seen.format(**(unknown | filled | {"loss": loss}))
        rows.append((risk.name, risk.what, _said(risk.check), seen, _said(risk.left)))
    return element(
        "section",
        element("h2", texts.risks),
        element("p", _said(texts.risks_lead)),
        page_tables.prose_table(texts.risks, (texts.risk, texts.check, texts.seen, texts.left), rows),
    )


def _stages(words: Words) -> ET.Element:
    texts = words.texts
    parts = [
        element(
            "li",
            element("h3", stage.name),
            facts(
                {
                    texts.stage_does: _said(stage.does),
                    texts.stage_ends: _said(stage.ends),
                    texts.stage_back: _said(stage.back),
                }
            ),
        )
        for stage in texts.stage_rows
    ]
    return element(
        "section",
        element("h2", texts.stages),
        element("p", texts.stages_lead[words.result.decision.verdict]),
        element("ol", parts, class_="stages"),
    )


def _rules(words: Words) -> ET.Element:
    texts = words.texts
    filled = words.filling()
    return element(
        "section",
        element("h2", texts.rules),
        element("p", texts.rules_lead),
        element("ul", [element("li", rule.format(**filled)) for rule in texts.rule_texts]),
    )


def _again(words: Words) -> ET.Element:
    texts = words.texts
    told = [
        [element("p", what, class_="tight"), element("pre", command)]
        for what, command in zip(texts.again_commands, _commands(words.result), strict=True)
        if command
    ]
    return element("section", element("h2", texts.again), element("p", texts.again_lead), told)


def _commands(result: Result) -> Iterator[str]:
    chosen = result.decision.chosen
    yield shlex.join(result.command)
    yield shlex.join(["tailora", "eval", "report", str(result.work)]) if result.tried else ""
    if chosen and result.decision.verdict is not Verdict.STOP:
        one = chosen.candidate
        yield f"tailora train --method {one.method} --learning-rate {one.learning_rate:g}"
    else:
        yield ""
    yield "tailora train --explain"
    yield "tailora doctor"


def _not_measured(words: Words) -> ET.Element:
    texts = words.texts
    gpu = [] if words.result.measured.machine.gpu else [texts.gpu_not_measured]
    items = [element("li", _said(one)) for one in (*gpu, *texts.not_measured_items)]
    return element("section", element("h2", texts.not_measured), element("ul", items))
