"""Both pages: complete, in their own language, by themselves, and no figure where there is none."""

import dataclasses
import re
import string
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

import pytest

from tailora.poc.costs import Inputs, Prices
from tailora.poc.decide import Rule, Verdict
from tailora.poc.measure import SIZES
from tailora.poc.page import poc_page
from tailora.poc.page_words import NUMBERS
from tailora.poc.plan import CANDIDATES
from tailora.poc.result import Result
from tailora.poc.texts import LANGUAGES
from tailora.poc.usage import Usage

Make = Callable[..., Any]

JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
NAMES = re.compile(r"LoRA|IA3|Apache|Tailora|Python|C\+\+|Wh|W|MB|kB|XAU|EUR")
LETTERS = re.compile("[A-Za-z]")


class Reader(HTMLParser):
    """Elements, and the texts outside of style, script and code."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"style", "script", "code", "pre", "samp"} & set(self.open):
            self.texts.append(data.strip())


def said(page: str) -> str:
    return " ".join(Reader(page).texts).replace("\u00a0", " ")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text with where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from leaves(one, f"{path}.{key}")
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from leaves(one, f"{path}[{number}]")
    else:
        for one in dataclasses.fields(value):
            yield from leaves(getattr(value, one.name), f"{path}.{one.name}")


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_and_every_choice_has_one(language: str) -> None:
    texts = LANGUAGES[language][0]
    assert all(text.strip() for _, text in leaves(texts))
    assert set(texts.reasons) == set(Rule)
    for choices in (texts.verdicts, texts.nexts, texts.results, texts.stages_lead):
        assert set(choices) == set(Verdict)
    assert set(CANDIDATES) <= set(texts.methods)


def test_the_languages_say_the_same_things() -> None:
    english, japanese = (LANGUAGES[one][0] for one in ("en", "ja"))
    for part in (
        "risk_rows",
        "stage_rows",
        "rule_texts",
        "again_commands",
        "not_measured_items",
        "glossary_items",
    ):
        assert len(getattr(english, part)) == len(getattr(japanese, part)), part
    for part in ("inputs", "left_out_reasons", "methods", "steps", "references"):
        assert getattr(english, part).keys() == getattr(japanese, part).keys(), part
    for rule in Rule:
        assert names(english.reasons[rule]) == names(japanese.reasons[rule]), rule
    for one in dataclasses.fields(english):
        ours, theirs = getattr(english, one.name), getattr(japanese, one.name)
        if isinstance(ours, str):
            assert names(ours) == names(theirs), one.name


def test_every_text_is_used(result: Make, candidate: Make) -> None:
    from importlib.resources import files

    parts = ("page.py", "page_tables.py", "page_words.py")
    code = "".join(files("tailora.poc").joinpath(name).read_text(encoding="utf-8") for name in parts)
    unused = [
        one.name
        for one in dataclasses.fields(LANGUAGES["en"][0])
        if not re.search(rf"texts\.{one.name}\b", code)
    ]
    assert not unused


def all_results(result: Make, candidate: Make, usage: Usage) -> Iterator[Result]:
    loss = candidate().loss
    yield result(candidate(), candidate(method="ia3", seeds=1), usage=usage, skipped=False)
    yield result(candidate(seeds=1), failed={"pfeiffer": "the worker ended"})
    yield result(candidate(exact_match=None, similarity=None, exposure=None, insecure=None, forgetting=None))
    yield result(candidate(loss=dataclasses.replace(loss, high=0.4), told=True, forgetting=0.2))
    yield result(candidate(seeds=2), skipped=False, inputs=Inputs("XAU", Prices()))
    yield result(failed={"lora": "the loss became nan"})
    yield result()
    yield result(too_small="too small")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_stands_by_itself(result: Make, candidate: Make, some_usage: Usage, language: str) -> None:
    for one in all_results(result, candidate, some_usage):
        page = poc_page(one, language)
        read = Reader(page)
        assert not read.open
        assert ("html", {"lang": language}) in read.elements
        assert not [tag for tag, _ in read.elements if tag in ("link", "img", "iframe", "form")]
        assert not [attributes for _, attributes in read.elements if attributes.get("src")]
        assert "{" not in said(page), "a name in braces was not filled"
        assert "`" not in said(page)
        assert "nan" not in said(page).lower().split()


def test_the_japanese_page_is_in_japanese(result: Make, candidate: Make, some_usage: Usage) -> None:
    for one in all_results(result, candidate, some_usage):
        for text in Reader(poc_page(one, "ja")).texts:
            assert JAPANESE.search(text) or not LETTERS.search(NAMES.sub("", text)), text


def test_the_english_page_has_no_japanese(result: Make, candidate: Make) -> None:
    assert not JAPANESE.search(said(poc_page(result(candidate()), "en")))


def test_the_decision_comes_first_with_its_figures(result: Make, candidate: Make) -> None:
    text = said(poc_page(result(candidate()), "en"))
    assert text.index("Roll out by stages, beginning") < text.index("falls by 20.0 %")
    assert "from 1.600 to 1.280 (95 % interval of the fall: 10.0 to 30.0 %" in text
    text = said(poc_page(result(candidate(seeds=1)), "ja"))
    assert text.index("検証の継続を推奨します") < text.index("20.0%減りました")


def test_dates_and_amounts_follow_the_language(result: Make, candidate: Make) -> None:
    prices = Prices(31.0, 240_000.0, 160.0, 3_000.0)
    one = result(candidate(), inputs=Inputs("JPY", prices))
    japanese, english = said(poc_page(one, "ja")), said(poc_page(one, "en"))
    assert "2026年11月27日" in japanese
    assert "240,000円" in japanese
    assert "27 November 2026" in english
    assert "240,000 JPY" in english


def test_a_price_of_zero_is_no_amount(result: Make, candidate: Make) -> None:
    text = said(poc_page(result(candidate(), inputs=Inputs("EUR", Prices(kwh=0.3))), "en"))
    assert "no price given" in text
    assert "without “Price of a machine”" in text
    nothing = said(poc_page(result(candidate(), inputs=Inputs("EUR", Prices())), "en"))
    assert not re.search(r"\d EUR", nothing)


def test_default_prices_are_called_assumptions_with_their_date(result: Make, candidate: Make) -> None:
    text = said(poc_page(result(candidate()), "en"))
    assert "assumptions of 27 November 2026, nobody's price list" in text
    assert text.count("assumption of 27 November 2026") >= 4


def test_what_is_missing_is_no_number(result: Make, candidate: Make) -> None:
    text = said(poc_page(result(too_small="too small"), "en"))
    assert "Stop: do not go on" in text
    assert "too small: of its 34 files" in text
    assert "falls by" not in text
    assert "None yet" in text
    text = said(poc_page(result(candidate(exposure=None, forgetting=None, insecure=None)), "en"))
    assert text.count("not measured") >= 3


def test_names_are_escaped(result: Make, candidate: Make) -> None:
    name = '<script>alert("x")</script>'
    page = poc_page(result(candidate(), name=name, failed={"ia3": "<img src=x onerror=y>"}), "en")
    read = Reader(page)
    assert len([tag for tag, _ in read.elements if tag == "script"]) == 1
    assert not [tag for tag, _ in read.elements if tag == "img"]
    assert f"tailored to {name}" in said(page)


def test_more_time_is_asked_for_only_where_it_would_help(result: Make, candidate: Make) -> None:
    assert "--minutes" in poc_page(result(candidate(seeds=1)), "en")
    text = poc_page(result(candidate(seeds=1), skipped=False), "en")
    assert "--minutes" not in text
    assert "tailora eval methods --methods lora --test" in text


def test_numbers_that_are_planted_are_as_many_as_told() -> None:
    assert SIZES.canaries + 1 == NUMBERS
