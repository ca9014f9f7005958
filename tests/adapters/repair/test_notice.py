"""Checkers are asked about a copy, within limits, and only what a bug brought counts."""

import contextlib
import dataclasses
import json
import logging
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.repair import checkers
from tailora_adapters.repair.checkers import CHECKERS
from tailora_adapters.repair.notice import Checkers, undefined

RUFF = CHECKERS[0]
BOX = """\
import os
import sys


class Box:
    width: int = 3

    def area(self, height: int) -> int:
        return self.width * height
"""
USE = """\
import json

from pack.box import Box


def area(text: str) -> int:
    box = Box()
    return box.area(json.loads(text)) + len(box.nothing)
"""
FILES = {"lib/pack/__init__.py": "", "lib/pack/box.py": BOX, "lib/pack/use.py": USE}
Script = Callable[[str], Path]


def source(path: str, text: str) -> SourceFile:
    return SourceFile(path, "python", text, "0" * 64, 0.0)


SOURCES = [source(path, text) for path, text in FILES.items()]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Makes a program of Python code."""

    def make(code: str) -> Path:
        path = tmp_path / f"checker-{len(list(tmp_path.glob('checker-*')))}"
        path.write_text(f"#!{sys.executable}\nimport json, os, sys\nfrom pathlib import Path\n{code}\n")
        path.chmod(0o700)
        return path

    return make


def finding(name: str, message: str, row: int, code: str = "F1") -> str:
    """A line of a program that answers as ruff does: one finding in each file called ``name``."""
    return (
        f"found += [{{'filename': p, 'code': {code!r}, 'message': {message!r}, 'location': {{'row': {row}}}}}"
        f" for p in sys.argv if Path(p).name.startswith({name!r})]"
    )


def answering(*lines: str) -> str:
    return "\n".join(["found = []", *lines, "print(json.dumps(found))"])


@pytest.mark.parametrize(
    "name,path,old,new,said",
    [
        ("ruff", "lib/pack/use.py", "import json\n", "", "Undefined name `json`"),
        ("ruff", "lib/pack/use.py", "box = Box()", "box = text", "`pack.box.Box` imported but unused"),
        ("ruff", "lib/pack/use.py", "+ len", "- len", None),
        ("ty", "lib/pack/use.py", "box.area", "box.aea", "Object of type `Box` has no attribute `aea`"),
        ("ty", "lib/pack/use.py", "+ len", "- len", None),
        (
            "ty",
            "lib/pack/box.py",
            "self.width",
            "self.widh",
            "Object of type `Self@area` has no attribute `widh`",
        ),
        (
            "basedpyright",
            "lib/pack/use.py",
            "box.area",
            "box.aea",
            'Cannot access attribute "aea" for class "Box"',
        ),
    ],
)
def test_the_words_of_checkers(
    root: Path, temporary: Path, name: str, path: str, old: str, new: str, said: str | None
) -> None:
    found = [(checker, place) for checker, place in checkers.installed(root) if checker.name == name]
    if not found:
        pytest.skip(f"{name} is not installed")
    assert FILES[path].count(old) == 1
    asked = [(path, FILES[path].replace(old, new))]
    assert Checkers(root, SOURCES, seconds=600.0, installed=found)(asked) == [said]
    assert list(temporary.iterdir()) == []
    assert list(root.iterdir()) == []


def test_only_what_is_new_counts_and_the_nearest_comes_first(root: Path, script: Script) -> None:
    program = script(
        answering(
            finding("use__tailora_", "as before, on line 8", 8),
            finding("use__tailora_1", "far away", 1),
            finding("use__tailora_1", "near", 7),
            finding("use__tailora_1", "in use__tailora_1 nothing is right", 6),
            finding("use__tailora_1", "how it looks", 6, code="reportUnusedThing"),
            finding("box.py", "of another file", 1),
        )
    )
    ask = Checkers(root, SOURCES, seconds=600.0, installed=[(RUFF, program)])
    bug = USE.replace("Box()", "box()")
    assert ask([("lib/pack/use.py", bug)]) == ["near"]
    assert ask([("lib/pack/use.py", USE.replace("area(text", "aea(text"))]) == ["in use nothing is right"]
    assert ask([("lib/pack/box.py", BOX.replace("3", "4")), ("lib/pack/use.py", bug)]) == [None, None]


def test_checkers_see_a_copy_and_nothing_else(
    root: Path, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTHONPATH", "NODE_OPTIONS", "RUFF_CONFIG"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("PATH", os.pathsep.join([str(root / "bin"), "relative", str(tmp_path)]))
    seen = tmp_path / "seen"
    program = script(
        f"folder = next(p for p in Path(sys.argv[-1]).parents if p.name == 'copy')\n"
        f"files = sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())\n"
        f"Path({str(seen)!r}).write_text(json.dumps([files, dict(os.environ), os.listdir()]))\nprint('[]')"
    )
    (root / "secret.py").write_text("x = 1\n")
    bug = USE.replace("json", "jsn")
    [said] = Checkers(root, SOURCES, seconds=600.0, installed=[(RUFF, program)])([("lib/pack/use.py", bug)])
    assert said is None
    files, env, here = json.loads(seen.read_text())
    assert files == sorted([*FILES, "lib/pack/use__tailora_0.py", "lib/pack/use__tailora_1.py"])
    assert not {"PYTHONPATH", "NODE_OPTIONS", "RUFF_CONFIG"} & env.keys()
    assert env["PATH"] == str(tmp_path)
    assert here == []


def test_one_that_hangs_is_ended_and_asked_no_more(
    root: Path, script: Script, temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program = script("import threading\nthreading.Event().wait()")
    ask = Checkers(root, SOURCES, seconds=0.5, installed=[(RUFF, program)])
    asked = [("lib/pack/use.py", USE.replace("import json\n", ""))]
    assert ask(asked) == ask(asked) == ["Undefined name `json`"], "as where none is installed"
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("the work goes on without what ruff says: it took longer than")
    assert list(temporary.iterdir()) == []
    assert not any(str(program) in process.cmdline() for process in psutil.Process().children())


def test_what_it_started_is_ended_too(root: Path, script: Script, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program = script(
        "import subprocess, threading\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        f"Path({str(pid)!r}).write_text(str(child.pid))\n"
        "print('x' * (33 << 20), flush=True)\nthreading.Event().wait()"
    )
    ask = Checkers(root, SOURCES, seconds=600.0, installed=[(RUFF, program)])
    assert ask([("lib/pack/use.py", USE.replace("Box()", "None"))]) == [None]
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(int(pid.read_text())).status() != psutil.STATUS_ZOMBIE:
            pass


@pytest.mark.parametrize(
    "code,why",
    [
        ("sys.exit(3)", "it ended with code 3"),
        ("print('no JSON')", "its answer cannot be read"),
        ("print('[{}]')", "its answer cannot be read"),
        ("print('x' * (33 << 20))", "it wrote more than 32 MB"),
        ("os.kill(os.getpid(), 9)", "it ended with code -9"),
    ],
)
def test_one_that_fails_is_told_of_once(
    root: Path, script: Script, caplog: pytest.LogCaptureFixture, code: str, why: str
) -> None:
    ask = Checkers(root, SOURCES, seconds=600.0, installed=[(RUFF, script(code))])
    asked = [("lib/pack/use.py", USE.replace("import json\n", ""))]
    assert ask(asked) == ask(asked) == ["Undefined name `json`"]
    [warning] = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert why in warning


def test_one_that_cannot_be_started_keeps_no_other_from_it(root: Path, script: Script) -> None:
    good = script(answering(finding("use__tailora_1", "said", 1)))
    installed = [(CHECKERS[1], root / "gone"), (RUFF, good)]
    ask = Checkers(root, SOURCES, seconds=600.0, installed=installed)
    assert ask([("lib/pack/use.py", USE.replace("json", "jsn"))]) == ["said"]


def test_a_slow_one_is_asked_about_a_few_that_others_noticed(
    root: Path, script: Script, tmp_path: Path
) -> None:
    quick = script(answering(*(finding(f"use__tailora_{number}.", "quick", 1) for number in (2, 4, 6, 7, 9))))
    seen = tmp_path / "seen"
    slow = script(
        f"names = [Path(p).stem[-1] for p in sys.argv if '__tailora_' in p]\n"
        f"Path({str(seen)!r}).open('a').write(' '.join(names) + '\\n')\n"
        + answering(*(finding(f"use__tailora_{number}.", "slow", 1) for number in range(1, 10)))
    )
    installed = [(RUFF, quick), (dataclasses.replace(RUFF, name="slow", batch=2, most=4), slow)]
    ask = Checkers(root, SOURCES, seconds=600.0, installed=installed)
    said = ask([("lib/pack/use.py", USE + f"x = {number}\n") for number in range(9)])
    assert seen.read_text().splitlines() == ["0 2 4", "6 7"], "the file as it is once"
    assert said == [None, "slow", None, "slow", None, "slow", "slow", None, "quick"]


def test_where_nothing_is_installed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "")
    asked = [
        ("lib/pack/use.py", USE.replace("import json\n", "")),
        ("lib/pack/use.py", USE.replace("Box()", "None")),
    ]
    assert Checkers(root, SOURCES)(asked) == ["Undefined name `json`", None]


def test_where_they_are_looked_for(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    own, other, inside = tmp_path / "own", tmp_path / "other", root / "bin"
    program = script("")
    for folder, names in ((own, ["ruff"]), (other, ["ruff", "ty"]), (inside, ["ty", "basedpyright"])):
        folder.mkdir()
        for name in names:
            (folder / name).symlink_to(program)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(own))
    monkeypatch.setenv("PATH", os.pathsep.join([str(inside), str(other)]))
    found = {checker.name: place for checker, place in checkers.installed(root)}
    assert found == {"ruff": own / "ruff", "ty": other / "ty"}, "never what the repository brings along"


def test_what_a_killed_run_left_goes(root: Path, temporary: Path, script: Script) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        left, used = (
            temporary / f"tailora-notice-{process.pid}-x",
            temporary / f"tailora-notice-{os.getpid()}-x",
        )
        for folder in (left, used):
            (folder / "copy").mkdir(parents=True)
        Checkers(root, SOURCES, seconds=600.0, installed=[(RUFF, script("print('[]')"))])([("a.py", "")])
    assert [path.name for path in temporary.iterdir()] == [used.name]


@pytest.mark.parametrize(
    "text,message", [("print(x)\n", "Undefined name `x`"), ("x = 1\nprint(x)\n", None), ("def f(:\n", None)]
)
def test_what_every_linter_would_say(text: str, message: str | None) -> None:
    assert undefined(text) == message


def test_texts_are_judged_by_all_checkers(root: Path, script: Script) -> None:
    first = script(answering(finding("use__tailora_2", "said", 1)))
    second = script(answering(finding("use__tailora_3", "said too", 1)))
    ask = Checkers(
        root, SOURCES, seconds=600.0, installed=[(RUFF, first), (dataclasses.replace(RUFF, name="b"), second)]
    )
    asked = [("lib/pack/use.py", USE.replace("json", name)) for name in ("jsn", "json", "js", "j")]
    assert ask.judged(asked) == [True, False, False, True]


def test_a_few_at_a_time_are_judged_by_one_that_is_slow(root: Path, script: Script) -> None:
    slow = dataclasses.replace(RUFF, most=2)
    ask = Checkers(
        root,
        SOURCES,
        seconds=600.0,
        installed=[(slow, script(answering(finding("use__tailora_1", "said", 1))))],
    )
    asked = [("lib/pack/use.py", USE.replace("json", name)) for name in ("a", "b", "c", "d", "e")]
    assert ask.judged(asked) == [False, True, False, True, False]


def test_what_was_not_judged_is_not_called_right(root: Path, script: Script) -> None:
    asked = [("lib/pack/use.py", USE.replace("json", name)) for name in ("jsn", "json")]
    assert Checkers(root, SOURCES, seconds=600.0, installed=[]).judged(asked) == [None, None]
    said = script(answering(finding("use__tailora_1", "said", 1)))
    installed = [(RUFF, said), (dataclasses.replace(RUFF, name="b"), script("sys.exit(3)"))]
    ask = Checkers(root, SOURCES, seconds=600.0, installed=installed)
    assert ask.judged(asked) == [False, None], "what one objects to is wrong, whatever the other would say"
    assert ask.judged([]) == []
