"""A missing import is found where the project has it."""

from pathlib import Path, PurePath

import pytest

from tailora.repair.imports import known_imports, missing_name, project_texts
from tailora.repair.problem import Finding, Problem

OTHERS = [
    ("pkg/a.py", "from pkg.models import User\nfrom .tools import helper\n"),
    ("pkg/b.py", "from pkg.models import User as U\nimport numpy as np\n"),
    ("pkg/c.py", "from pkg.models import User\nLIMIT = 3\n"),
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
        ("LIMIT", ["from pkg.c import LIMIT"]),
        ("Any", ["from typing import Any"]),
        ("Path", ["from pathlib import Path"]),
        ("Callable", ["from typing import Callable", "from collections.abc import Callable"]),
        ("nowhere", []),
    ],
)
def test_known_imports(name: str, expected: list[str]) -> None:
    assert known_imports(name, PurePath("pkg/needs.py"), OTHERS)[: max(1, len(expected))] == expected


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


def test_what_of_a_project_is_read(tmp_path: Path) -> None:
    for name, text in {
        "a.py": "a = 1\n",
        "pkg/b.py": "b = 1\n",
        "pkg/deep/c.py": "c = 1\n",
        "pkg/large.py": "x = 1\n" * 50_000,
        "ignored/d.py": "d = 1\n",
        "kept_out/e.py": "e = 1\n",
        ".venv/lib/f.py": "f = 1\n",
        "other/.git/config": "",
        "other/g.py": "g = 1\n",
        ".env.py": "h = 1\n",
        "notes.txt": "i = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "latin.py").write_bytes(b"x = '\xe4'\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    (tmp_path / ".gitignore").write_text("ignored/\n")
    (tmp_path / ".tailoraignore").write_text("kept_out/\n")
    (tmp_path / ".git").mkdir()
    found = dict(project_texts(tmp_path))
    assert found == {"a.py": "a = 1\n", "pkg/b.py": "b = 1\n", "pkg/deep/c.py": "c = 1\n"}
    assert [path for path, _ in project_texts(tmp_path, most_files=1)] == ["a.py"]
    assert list(project_texts(tmp_path, most_bytes=3)) == []
    assert list(project_texts(tmp_path / "nowhere")) == []
