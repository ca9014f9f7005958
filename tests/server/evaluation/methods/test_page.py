"""The page stands by itself, shows every run, and takes no text for markup."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tailora.cli import main
from tailora.evaluation.methods.aggregate import Group, group_runs
from tailora.evaluation.methods.page import report_page

Run = dict[str, Any]


class Reader(HTMLParser):
    """Elements with their attributes, and the text outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.raw = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.raw = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self.raw = False

    def handle_data(self, data: str) -> None:
        if not self.raw:
            self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_the_page_asks_for_nothing(groups: list[Group]) -> None:
    read = Reader(report_page(groups))
    for tag, attributes in read.elements:
        assert tag not in {
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "base",
            "form",
            "audio",
            "video",
            "image",
        }
        assert not {"src", "href", "style", "xlink:href"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    (policy,) = [
        one["content"] for one in read.all("meta") if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_every_run_is_on_it_and_failed_ones_have_their_reason(
    comparison: list[Run], groups: list[Group]
) -> None:
    read = Reader(report_page(groups))
    text = plain(read.text)
    for run in comparison:
        assert shlex.join(run["run_info"]["command"]) in text
    assert "6 methods, 2 baselines, 3 seeds, 2 tasks: 48 runs, of which 4 did not succeed" in text
    assert "DoRA, seed 2 failed: out of memory: 3.1 GB were free, 3.4 GB needed" in text
    assert "failed in all 3 runs: every learning rate diverged" in text
    assert "Learning rates, of which 3 diverged" in text
    assert "loss 31.7 after 12 steps" in text
    assert "Completion: LoRA is best" in text
    assert "Repair: no method is better than the base beyond chance here." in text
    assert "nan" not in text.lower().split()
    assert len(list(read.all("svg"))) > 8


def test_names_and_messages_are_text_alone(
    make_run: Callable[..., Run], make_failed: Callable[..., Run]
) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x00\u202e"
    runs = [
        make_run("base"),
        make_run("lora", repository=evil),
        make_failed(make_run("ia3", repository=evil), evil),
    ]
    for run in runs:
        run["run_info"] |= {"repository": evil, "model": evil, "title": evil, "command": ["tailora", evil]}
        run["meta_info"]["dataset_info"]["repository"]["sha"] = evil
        run["meta_info"]["package_info"][evil] = evil
        run["train_info"]["energy"]["source"] = run["train_info"]["money"]["currency"] = evil
        run["meta_info"]["pytorch_info"] = run["meta_info"]["system_info"]["processor"] = evil
    for run in runs[1:]:
        for entry in run["train_info"]["grid"]:
            entry |= {"status": "diverged", "message": evil}
    read = Reader(report_page(group_runs(runs), [f"{evil}.json: {evil}"]))
    tags = [tag for tag, _ in read.elements]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert "<img src=x onerror=alert(1)>\ufffd\ufffd" in read.text
    assert "\u202e" not in read.text


def test_no_price_is_called_so_and_is_not_free(make_run: Callable[..., Run]) -> None:
    runs = [make_run("base"), make_run("lora")]
    for run in runs:
        run["train_info"]["money"] |= {"price_per_kwh": 0.0, "total": None}
    text = Reader(report_page(group_runs(runs))).text
    assert "no price given" in text
    assert "EUR" not in text


def test_repositories_have_sections_of_their_own(make_run: Callable[..., Run]) -> None:
    runs = [make_run(method, repository=name) for name in ("attrs", "cattrs") for method in ("base", "lora")]
    page = report_page(group_runs(runs))
    assert re.findall(r"<h2>(Completion[^<]*)", page) == ["Completion, attrs", "Completion, cattrs"]
    assert page == report_page(group_runs(runs))


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["tailora", "eval", *map(str, arguments)])
    return main()


def test_the_report_names_what_it_leaves_out(
    comparison: list[Run],
    write: Callable[[list[Run]], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    few = [run for run in comparison if run["run_info"]["method"] in ("base", "lora", "prompt")]
    folder, page = write(few), tmp_path / "pages" / "report.html"
    assert command(monkeypatch, "report", folder, "--out", page) == 0
    assert capsys.readouterr().out == f"18 runs, 0 left out: {page}\n"
    (folder / "old.json").write_text('{"run_info": {}, "train_info": {}}')
    assert command(monkeypatch, "report", folder, folder / "000.json", "--out", page) == 1
    told = capsys.readouterr()
    assert told.out == f"18 runs, 1 left out: {page}\n"
    assert f"left out: {folder / 'old.json'}: format is missing" in told.err
    assert "old.json: format is missing" in Reader(page.read_text(encoding="utf-8")).text
    assert command(monkeypatch, "report", folder, "--skip-bad", "--out", page) == 0


def test_without_a_report_there_is_no_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command(monkeypatch, "report", tmp_path, "--out", tmp_path / "page.html") == 2
    assert "has no reports" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    (tmp_path / "one.json").write_text("{}")
    assert command(monkeypatch, "report", tmp_path, "--skip-bad", "--out", tmp_path / "page.html") == 1
    assert not (tmp_path / "page.html").exists()


def test_check_has_a_line_for_each_problem(
    make_run: Callable[..., Run],
    write: Callable[[list[Run]], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = make_run()
    del bad["train_info"]["money"]["total"], bad["test_info"]["cases"]
    good, faulty = sorted(write([make_run(), bad]).iterdir())
    assert command(monkeypatch, "check", good) == 0
    assert capsys.readouterr().out == f"{good}: whole\n"
    assert command(monkeypatch, "check", good, faulty) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{good}: whole",
        f"{faulty}: test_info.cases is missing",
        f"{faulty}: train_info.money.total is missing",
    ]
    assert command(monkeypatch, "check", "--json", faulty) == 1
    assert '"train_info.money.total is missing"' in capsys.readouterr().out
    assert command(monkeypatch, "check", good.with_name("none.json")) == 1
    assert "No such file" in capsys.readouterr().err
