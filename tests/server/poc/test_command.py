"""``tailora poc`` as it is typed."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailora.evaluation.methods.comparison import Sizes
from tailora.poc import measure, stages

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def poc(
    tiny: Any,
    sizes: Sizes,
    cells: list[str],
    work: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """With small sizes and the tiny model; code, stdout and stderr."""
    from tailora.cli import main, output

    monkeypatch.setenv("TAILORA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(output.out, "_file", None)
    monkeypatch.setattr(output.err, "_file", None)
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setattr(measure, "measure", functools.partial(measure.measure, sizes=sizes))
    monkeypatch.setattr(stages, "run", functools.partial(stages.run, sizes=sizes))
    monkeypatch.setattr(stages, "following", lambda *_: None)  # what is there is all that there is time for

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        fixed = ["--model", tiny.name, "--work", str(work), "--out", str(tmp_path / "poc.html")]
        monkeypatch.setattr(sys, "argv", ["tailora", "poc", *map(str, arguments), *fixed])
        code = main()
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def test_the_page_and_the_decision(poc: Run, repository: Path, tmp_path: Path) -> None:
    code, out, _ = poc(repository, "--json", "--users", "25", "--price-seat", "0")
    assert code == 0
    found = json.loads(out)
    assert found["decision"] in ("stop", "extend")
    assert found["against"]
    assert found["candidates"][0]["method"] == "lora"
    assert found["costs"]["inputs"]["users"] == 25
    assert {"users", "seat"} <= set(found["costs"]["inputs"]["given"])
    assert found["costs"]["month_seats"] == {"amount": None, "lacks": ["seat"]}
    assert found["not_tried"] == ["ia3", "pfeiffer", "lora-seeds", "lora-rates"]
    assert '<html lang="en">' in (tmp_path / "poc.html").read_text(encoding="utf-8")


def test_another_language_or_price_trains_nothing(
    poc: Run, repository: Path, tmp_path: Path, cells: list[str]
) -> None:
    assert poc(repository)[0] == 0
    assert poc(repository, "--lang", "ja", "--price-kwh", "45")[0] == 0
    assert not cells
    page = (tmp_path / "poc.html").read_text(encoding="utf-8")
    assert '<html lang="ja">' in page
    assert "45円" in page


def test_a_currency_without_assumptions_has_no_prices(poc: Run, repository: Path) -> None:
    _, out, _ = poc(repository, "--json", "--currency", "chf")
    found = json.loads(out)["costs"]
    assert found["currency"] == "CHF"
    assert found["month_own"]["amount"] is None


def test_a_small_repository_is_a_stop_with_exit_code_1(poc: Run, tmp_path: Path, cells: list[str]) -> None:
    root = tmp_path / "small"
    root.mkdir()
    (root / "one.py").write_text("def one() -> int:\n    return 1\n\n\nx = one()\ny = one()\nz = one()\n")
    code, out, err = poc(root)
    assert code == 1
    assert out.startswith("stop: the repository is too small")
    assert "small is too small to compare methods" in err
    assert not cells


@pytest.mark.parametrize(
    "arguments, code",
    [
        (("--price-kwh", "-1"), 2),
        (("--minutes", "0"), 2),
        (("--lang", "xx"), 2),
        (("--users", "0"), 2),
        (("--price-seat", "nan"), 2),
    ],
)
def test_nonsense_is_refused(
    poc: Run, repository: Path, cells: list[str], tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    assert poc(repository, *arguments)[0] == code
    assert not cells
    assert not (tmp_path / "poc.html").exists()
