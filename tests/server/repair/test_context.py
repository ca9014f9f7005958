"""The model is told what the suspect lines import, and how lines like them were changed in the past."""

import asyncio
from pathlib import Path, PurePath

import pytest

from tailora.repair import context
from tailora.repair.context import Past, Surroundings, similar
from tailora.repair.problem import Finding, Problem
from tailora.scratch_commits import commit_all
from tailora_adapters.repair.fixes import Fix
from tailora_adapters.repair.hole import Span

SHOP = """\
from store import Basket
from unused import Nothing


def total(basket: Basket) -> int:
    return basket.sum_up(1)


def other() -> Nothing:
    return Nothing()
"""
STORE = '''\
class Basket:
    """What is bought."""

    def sum(self, rate: int) -> int:
        return rate


class Elsewhere:
    pass
'''


def problem(text: str = SHOP, line: int = 5, message: str = "x") -> Problem:
    return Problem(PurePath("shop.py"), text, "python", (Finding("ty", "c", message, line, 4, line, 9),))


def fix(was: str, now: str, path: str = "a.py", language: str = "python") -> Fix:
    return Fix(path, language, ("def f():", was), Span(1, 2), (now,), 1, "c")


def told(root: Path | None, one: Problem, past: Past | None = None) -> Problem:
    return asyncio.run(Surroundings(root, past).add_to(one))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "store.py").write_text(STORE)
    (tmp_path / "unused.py").write_text("class Nothing:\n    def never(self): ...\n")
    return tmp_path


def test_definitions_of_what_the_suspect_function_imports(root: Path) -> None:
    [(path, text)] = told(root, problem()).context
    assert path == "store.py"
    assert "def sum(self, rate: int)" in text
    assert "Elsewhere" not in text


def test_secret_files_are_not_shown(root: Path) -> None:
    (root / "secrets.py").write_text("class Key:\n    value = 1\n")
    text = "from secrets import Key\n\n\ndef f():\n    return Key.val\n"
    assert told(root, problem(text, 4)).context == ()


def test_without_a_project_nothing_is_added() -> None:
    assert told(None, problem()) == problem()


def test_a_missing_import_is_found_in_the_project(root: Path) -> None:
    text = "def f():\n    return Basket()\n"
    found = told(root, problem(text, 1, "Undefined name `Basket`"))
    assert "from store import Basket" in found.imports


def test_fixes_of_like_lines_old_ones_as_comments() -> None:
    fixes = [
        fix("    return basket.sum_up(2)", "    return basket.sum(2)"),
        fix("    return things.sum_up(7, 8)", "    return things.sum(7, 8)"),
        fix("    completely = different", "    entirely = different"),
    ]
    [(path, text)] = similar(fixes, problem())
    assert (path, text) == ("a.py", "# return basket.sum_up(2)\nreturn basket.sum(2)")


@pytest.mark.parametrize(
    "other",
    [
        fix("    return basket.sum_up(2)", "    return basket.sum(2)", language="go"),
        fix("    return basket.sum_up(2)", "    return basket.sum(2)" + "  # " + "long " * 80),
        Fix("shop.py", "python", tuple(SHOP.split("\n")), Span(5, 6), ("    return 1",), 1, "c"),
    ],
    ids=["another language", "too long", "the problem itself"],
)
def test_what_is_no_example(other: Fix) -> None:
    assert similar([other], problem()) == []


def test_history_is_read_once_for_each_commit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = context.mine
    monkeypatch.setattr(context, "mine", lambda root, *rest: (read.append(root), real(root, *rest))[1])
    (root / "old.py").write_text("def f(basket):\n    return basket.sum_up(7)\n")
    if not commit_all(root, "first"):
        pytest.skip("git is not installed here")
    (root / "old.py").write_text("def f(basket):\n    return basket.sum(7)\n")
    commit_all(root, "second")
    past = Past()
    for _ in range(2):
        shown = dict(told(root, problem(), past).context)
        assert shown["old.py"] == "# return basket.sum_up(7)\nreturn basket.sum(7)"
    assert len(read) == 1
    commit_all(root, "third")
    told(root, problem(), past)
    assert len(read) == 2
