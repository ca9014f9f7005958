"""Bugs are small, of every kind, parse, and can be undone."""

import ast

import pytest

from tailora_adapters.corpus.bugs import KINDS, bugs, sample

TEXT = '''\
import os
from json import dumps, loads


async def fetch(url, limit=10, strict=True):
    """Gets it: «größer»."""
    größe = 3
    if limit is None:
        return None
    items = await get(url, limit)
    for index in range(len(items) - 1):
        if items[index] < limit and not strict:
            items[index] = größe + limit * 2
    return dumps(items), loads(os.getcwd())


class Box:
    def area(self):
        return self.width * self.height
'''


def test_every_kind() -> None:
    assert {bug.kind for bug in bugs(TEXT)} == set(KINDS)


def test_each_parses_and_differs_where_it_says() -> None:
    for bug in bugs(TEXT):
        ast.parse(bug.text)
        before, after = TEXT.split("\n"), bug.text.split("\n")
        assert bug.text != TEXT
        assert before[bug.first : bug.first + len(bug.was)] == list(bug.was)
        assert after[bug.first : bug.first + len(bug.now)] == list(bug.now)
        undone = [*after[: bug.first], *bug.was, *after[bug.first + len(bug.now) :]]
        assert "\n".join(undone) == TEXT


@pytest.mark.parametrize(
    "kind,was,now",
    [
        ("operator", "items[index] < limit", "items[index] <= limit"),
        ("operator", "and not strict", "and strict"),
        ("off_by_one", "len(items) - 1", "len(items) - 2"),
        ("arguments", "get(url, limit)", "get(limit, url)"),
        ("literal", "strict=True", "strict=False"),
        ("await", "await get(", "get("),
        ("return", "return None", "None"),
        ("name", "self.width", "width"),
        ("name", "größe + limit", "index + limit"),
        ("import", "dumps, loads", "loads"),
    ],
)
def test_what_is_changed(kind: str, was: str, now: str) -> None:
    assert TEXT.replace(was, now) in {bug.text for bug in bugs(TEXT) if bug.kind == kind}


def test_dropped_lines() -> None:
    dropped = [bug for bug in bugs(TEXT) if not bug.now]
    assert ("    if limit is None:", "        return None") in {bug.was for bug in dropped}
    assert ("import os",) in {bug.was for bug in dropped}


def test_sample_is_even_and_repeatable() -> None:
    taken = sample(TEXT, 9, seed=3)
    assert taken == sample(TEXT, 9, seed=3)
    assert len({bug.first for bug in taken}) == len(taken)
    assert len({bug.kind for bug in taken}) >= 6
    assert {bug.kind for bug in sample(TEXT, 3, seed=1, kinds=["import"])} == {"import"}


@pytest.mark.parametrize(
    "text",
    [
        'x = """a\nb"""; y = 1 if x else 2; z = y - 1\n',
        "class A:\n\n    @property\n    def f(self): return self.width - 1\n",
        "if True:\n    def f(x):\n        if x: return None\n\n",
        "def f(x):\n\treturn (\n1 + x)\n",
        "x = 0x10 + 1_0 + 1.5\ny = f'{x:>10} {x + 1}'",
        "def f(a, b): return a < b; c = f(1, 2)",
    ],
)
def test_each_parses_wherever_it_stands(text: str) -> None:
    found = list(bugs(text))
    assert found
    for bug in found:
        ast.parse(bug.text)


@pytest.mark.parametrize("text", ["", "def broken(:", "\0", "x = 1\n", "(" * 5000])
def test_nothing_to_break(text: str) -> None:
    assert [bug for bug in bugs(text) if bug.kind not in ("off_by_one",)] == []
