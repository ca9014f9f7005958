"""ruff and mypy as they are installed, ESLint as it was recorded: about a text that is on no disk."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from tailora.errors import CheckerFailed
from tailora.repair.checkers import Checker, compare, find
from tailora.repair.checkers.eslint import Eslint
from tailora.repair.checkers.mypy import Mypy
from tailora.repair.checkers.ruff import Ruff

INSTALLED = Path(sys.executable).parent
Appears = Callable[[Path], Awaitable[None]]
Fake = Callable[[Path, str], Path]


def installed(name: str, root: Path, *, trusted: bool = True) -> Checker:
    return next(checker for checker in find(root, "python", trusted=trusted) if checker.name == name)


async def test_ruff_finds_and_confirms(root: Path, unchanged: Callable[[], bool]) -> None:
    ruff, path = installed("ruff", root), root / "use.py"
    before = await ruff.check(path, 's = "é𝄞"; print(total)\n')
    assert [(it.code, it.line, it.column, it.end_column) for it in before] == [("F821", 0, 16, 21)]
    mended = compare(before, await ruff.check(path, 'total = 1\ns = "é𝄞"; print(total)\n'), before)
    assert mended is not None
    assert mended.gone
    assert mended.new == ()
    other = compare(before, await ruff.check(path, 's = "é𝄞"; print(sum_)\n'), before)
    assert other is not None
    assert other.gone
    assert [it.message for it in other.new] == ["Undefined name `sum_`"]
    assert unchanged()


async def test_ruff_calls_broken_syntax_new(root: Path) -> None:
    ruff = installed("ruff", root)
    before = await ruff.check(root / "use.py", "print(total)\n")
    result = compare(before, await ruff.check(root / "use.py", "print((\n"), before)
    assert result is not None
    assert result.new


async def test_ruff_reads_settings_and_looks_at_what_they_exclude(root: Path) -> None:
    (root / "ruff.toml").write_text(
        'extend-exclude = ["made"]\n[lint]\nselect = ["F"]\n[lint.per-file-ignores]\n"loose.py" = ["F821"]\n'
    )
    ruff = installed("ruff", root)
    assert await ruff.check(root / "loose.py", "print(total)\n") == ()
    assert len(await ruff.check(root / "made" / "new.py", "print(total)\n")) == 1


async def test_ruff_reports_a_rule_that_only_the_editor_has(root: Path) -> None:
    (root / "ruff.toml").write_text('[lint]\nselect = ["F"]\n')
    ruff = installed("ruff", root)
    text = "x = 1;\n"
    assert await ruff.check(root / "use.py", text) == ()
    for codes in (["E703"], ["E703", "invalid-syntax", ""]):
        assert [it.code for it in await ruff.check(root / "use.py", text, codes=codes)] == ["E703"]
    assert await ruff.check(root / "use.py", text, codes=["NOPE1"]) == ()


async def test_ruff_with_bad_settings(root: Path) -> None:
    (root / "ruff.toml").write_text("[lint\n")
    with pytest.raises(CheckerFailed, match=r"ruff ended with code 2: .*ruff\.toml"):
        await installed("ruff", root).check(root / "use.py", "")


async def test_mypy_reads_the_candidate_in_place_of_the_file(
    root: Path, home: Path, unchanged: Callable[[], bool]
) -> None:
    mypy, path = installed("mypy", root), root / "use.py"
    before = await mypy.check(path, "from shelf import count\n\nprint(count([1]))\n")
    assert [(it.code, it.line, it.column, it.end_column) for it in before] == [("list-item", 2, 13, 14)]
    mended = compare(before, await mypy.check(path, 'from shelf import count\nprint(count(["1"]))\n'), before)
    assert mended is not None
    assert mended.gone
    assert mended.new == ()
    broken = compare(before, await mypy.check(path, "from shelf import count\nprint(count([])\n"), before)
    assert broken is not None
    assert broken.new
    assert unchanged()
    assert (home / "cache" / "mypy").is_dir()


async def test_mypy_says_so_where_there_is_no_file(root: Path) -> None:
    with pytest.raises(CheckerFailed, match=r"new\.py"):
        await installed("mypy", root).check(root / "new.py", "x: int = 'a'\n")


async def test_mypy_without_trust_runs_no_plugin(root: Path) -> None:
    (root / "mypy.ini").write_text("[mypy]\nplugins = plug.py\n")
    (root / "plug.py").write_text(
        f"open({str(root / 'ran')!r}, 'w').close()\n"
        "from mypy.plugin import Plugin\ndef plugin(version): return Plugin\n"
    )
    found = await installed("mypy", root, trusted=False).check(root / "use.py", "x: int = 'a'\n")
    assert [it.code for it in found] == ["assignment"]
    assert not (root / "ran").exists()
    await installed("mypy", root).check(root / "use.py", "x: int = 'a'\n")
    assert (root / "ran").exists()  # so the plugin is one


RECORDED = json.dumps(
    [
        {
            "filePath": "/p/a.js",
            "messages": [
                {
                    "ruleId": "no-undef", "severity": 2, "message": "'foo' is not defined.", "line": 1, "column": 18,
                    "messageId": "undef", "endLine": 1, "endColumn": 21,
                },
                {"ruleId": None, "fatal": True, "severity": 2, "message": "Parsing error: Unexpected token =",
                 "line": 2, "column": 11},
            ],
            "suppressedMessages": [], "errorCount": 2, "fatalErrorCount": 1, "warningCount": 0,
        }
    ]
)  # fmt: skip
IGNORED = (
    '[{"filePath":"/p/a.js","messages":[{"ruleId":null,"fatal":false,"severity":1,"message":"File ignored because no '
    'matching configuration was supplied."}],"suppressedMessages":[],"errorCount":0,"warningCount":1}]'
)


async def test_eslint(root: Path, fake: Fake) -> None:
    fake(
        root / "node_modules" / ".bin" / "eslint",
        "import sys\nassert sys.argv[1:3] == ['--stdin', '--stdin-filename'] and 'foo' in sys.stdin.read()\n"
        f"print({RECORDED!r})\nsys.exit(1)",
    )
    (eslint,) = (it for it in find(root, "javascript", trusted=True) if it.name == "eslint")
    found = await eslint.check(root / "a.js", 'const s = "é𝄞"; foo(s);\nconst s = = 1\n')
    assert [(it.code, it.line, it.column, it.end_column) for it in found] == [
        ("no-undef", 0, 16, 19),  # UTF-16 has one unit more before it
        ("", 1, 10, 10),
    ]
    assert eslint.reports("ESLint")


async def test_eslint_has_no_say_in_what_it_ignores(root: Path, fake: Fake) -> None:
    eslint = Eslint(fake(root / "eslint", f"print({IGNORED!r})"), root, frozenset())
    with pytest.raises(CheckerFailed, match=r"eslint ignores a\.js"):
        await eslint.check(root / "a.js", "")


BAD = [
    ("import time; time.sleep(600)", "took longer"),
    ("import sys; sys.exit('Something broke')", "Something broke|ended with code"),
    ("import os; os.kill(os.getpid(), 9)", "ended with code -9"),
    ("print('garbage')", "cannot be read"),
    ("print('[{}]')", "cannot be read"),
    ("print('[' * 100000)", "cannot be read"),
    ("print('7')", "cannot be read"),
]


@pytest.mark.parametrize("program,message", BAD)
@pytest.mark.parametrize("name", ["ruff", "mypy", "eslint"])
async def test_one_that_fails(root: Path, fake: Fake, program: str, message: str, name: str) -> None:
    executable = fake(root.parent / name, program)
    seconds = 1.0 if "sleep" in program else 20.0
    checker: Checker = {
        "ruff": lambda: Ruff(executable, root, trusted=True, seconds=seconds),
        "mypy": lambda: Mypy(executable, root, None, trusted=True, seconds=seconds),
        "eslint": lambda: Eslint(executable, root, frozenset(), seconds=seconds),
    }[name]()
    with pytest.raises(CheckerFailed, match=f"{name}.*({message})"):
        await checker.check(root / "use.py", "x" * 1_000_000)


async def test_one_that_is_gone(root: Path) -> None:
    with pytest.raises(CheckerFailed, match="ruff cannot be started: No such file"):
        await Ruff(root / "ruff", root, trusted=True).check(root / "use.py", "")


async def test_one_that_writes_without_end(root: Path, fake: Fake) -> None:
    ruff = Ruff(fake(root.parent / "ruff", "while True: print('x' * 100000)"), root, trusted=True)
    with pytest.raises(CheckerFailed, match="wrote more than"):
        await ruff.check(root / "use.py", "")


async def test_giving_up_ends_it_and_its_children(root: Path, fake: Fake, appears: Appears) -> None:
    pids = root.parent / "pids"
    executable = fake(
        root.parent / "ruff",
        "import os, subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        f"pathlib.Path({str(pids)!r} + '.new').write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids)!r} + '.new', {str(pids)!r})\n"
        "time.sleep(600)",
    )
    task = asyncio.create_task(Ruff(executable, root, trusted=True).check(root / "use.py", ""))
    await appears(pids)
    running = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert psutil.wait_procs(running, timeout=10)[1] == []
