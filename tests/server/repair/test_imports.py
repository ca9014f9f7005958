"""A missing import is found where the project has it, and goes where imports stand."""

from pathlib import PurePath

import pytest

from tailora.repair.imports import import_place, known_imports, missing_name
from tailora.repair.problem import Finding, Problem, Span

OTHERS = [
    ("pkg/a.py", "from pkg.models import User\nfrom .tools import helper\n"),
    ("pkg/b.py", "from pkg.models import User as U\nimport numpy as np\n"),
    ("pkg/c.py", "from pkg.models import User\n"),
    ("src/pkg2/deep/d.py", "from ..base import Base\n\n\ndef build():\n    pass\n"),
    ("broken.py", "from (\n"),
    ("pkg/needs.py", "def User(): pass\n"),
]


@pytest.mark.parametrize(
    "name,expected",
    [
        ("User", ["from pkg.models import User"]),
        ("U", ["from pkg.models import User as U"]),
        ("np", ["import numpy as np"]),
        ("helper", ["from .tools import helper"]),
        ("build", ["from pkg2.deep.d import build"]),
        ("Base", ["from pkg2.base import Base"]),
        ("os", ["import os"]),
        ("nowhere", []),
    ],
)
def test_known_imports(name: str, expected: list[str]) -> None:
    assert known_imports(name, PurePath("pkg/needs.py"), OTHERS) == expected


@pytest.mark.parametrize(
    "text,line",
    [
        ("import a\nfrom b import (\n    c,\n)\n\nx = 1\n", 4),
        ('"""Doc."""\n\nx = 1\n', 1),
        ("#!/usr/bin/env python\n# coding: utf-8\nx = 1\n", 2),
        ("x = 1\n", 0),
        ("def broken(:\n", 0),
    ],
)
def test_place(text: str, line: int) -> None:
    assert import_place(text) == Span(line, line)


@pytest.mark.parametrize(
    "message,name",
    [
        ("Undefined name `os`", "os"),
        ('"os" is not defined', "os"),
        ("Name 'os' is not defined  [name-defined]", "os"),
        ("Undefined name `known`", None),
        ("Line too long", None),
    ],
)
def test_missing_name(message: str, name: str | None) -> None:
    finding = Finding("x", "", message, 2, 0, 2, 2)
    problem = Problem(PurePath("a.py"), "known = 1\n\nos.getcwd()\n", "python", (finding,))
    assert missing_name(problem) == name
