"""A new import goes where those who sort imports put it: ruff has no complaint."""

import subprocess
import sys
from pathlib import Path

import pytest

from tailora.repair.import_edits import import_edits

BODY = "\n\ndef f():\n    return 1\n"


def put(text: str, line: str, which: int = 0) -> str:
    span, lines = import_edits(text, line)[which]
    old = text.split("\n")
    return "\n".join([*old[: span.first], *lines, *old[span.end :]])


@pytest.mark.parametrize(
    "text,line,expected",
    [
        (BODY[2:], "import os", "import os\n" + BODY),
        ('"""Doc."""\n' + BODY, "import os", '"""Doc."""\n\nimport os\n' + BODY),
        ("# coding: utf-8\nx = 1\n", "import os", "# coding: utf-8\n\nimport os\n\nx = 1\n"),
        ("", "import os", "import os\n"),
        ("import ast\nimport sys\n" + BODY, "import os", "import ast\nimport os\nimport sys\n" + BODY),
        (
            "import ast\nfrom re import sub\n" + BODY,
            "import sys",
            "import ast\nimport sys\nfrom re import sub\n" + BODY,
        ),
        ("from re import sub\n" + BODY, "from re import split", "from re import split, sub\n" + BODY),
        (
            "from re import sub  # why\n" + BODY,
            "from re import A",
            "from re import sub  # why\nfrom re import A\n" + BODY,
        ),
        ("import pytest\n" + BODY, "import os", "import os\n\nimport pytest\n" + BODY),
        (
            "import os\n" + BODY,
            "from pytest import raises",
            "import os\n\nfrom pytest import raises\n" + BODY,
        ),
        (
            "import os\n\nimport pytest\n" + BODY,
            "from . import a",
            "import os\n\nimport pytest\n\nfrom . import a\n" + BODY,
        ),
        (
            "import os\n" + BODY + "\n\nimport late\n",
            "import re",
            "import os\nimport re\n" + BODY + "\n\nimport late\n",
        ),
        ("def broken(:\n", "import os", "import os\ndef broken(:\n"),
    ],
)
def test_where_it_goes(text: str, line: str, expected: str) -> None:
    assert put(text, line) == expected


@pytest.mark.parametrize(
    "text",
    [
        BODY[2:],
        '"""Doc."""\n' + BODY,
        "import ast\nimport sys\n\nimport pytest\n" + BODY,
        "import pytest\n" + BODY,
    ],
)
@pytest.mark.parametrize(
    "line", ["import os", "from re import sub", "from pytest import raises", "from .a import b"]
)
def test_ruff_has_no_complaint(text: str, line: str, tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(put(text, line))
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", "--isolated", "--preview", "--select", "I,E3", "--quiet", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_a_second_way_where_kinds_are_not_told_apart() -> None:
    assert put("import pytest\n\nimport shop\n" + BODY, "import till", 1) == (
        "import pytest\n\nimport shop\n\nimport till\n" + BODY
    )
