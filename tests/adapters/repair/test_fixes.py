"""Small edits of the past are found as they were made; large ones, moves and secrets are not."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tailora_adapters.corpus.learnable import read_learnable
from tailora_adapters.repair.fixes import Fix, FixLimits, mine

FIRST = "def area(width, height):\n    return width + height\n\n\ndef other(a):\n    return a\n"
FIRST += "\n\nclass Box:\n    def __init__(self, width):\n        self.width = width\n"
FIRST += "\n    def twice(self):\n        return 2 * self.width\n"
SECRET = 'TOKEN = "ghp_' + "a1B2c3D4e5" * 3 + 'F6g7H8"\n'


class History:
    """A repository that is committed to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._count = 0
        self._git("init", "-q")

    def _git(self, *arguments: str) -> None:
        settings = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *settings, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / f"{name}.py").write_text(text)
        self._git("add", "-A")
        self._count += 1
        date = datetime(2026, 1, 1, 0, self._count, tzinfo=UTC).isoformat()
        self._git("commit", "-q", "--allow-empty", "--no-verify", "-m", "x", "--date", date)

    def fixes(self, **limits: int) -> list[Fix]:
        files = read_learnable(self.root).selection.files
        return mine(self.root, {file.path: file.language for file in files}, FixLimits(**limits))


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_an_edit_of_one_place(history: History) -> None:
    history.commit(a=FIRST)
    history.commit(a=FIRST.replace("+", "*"))
    [fix] = history.fixes()
    assert (fix.path, fix.language) == ("a.py", "python")
    assert fix.before[fix.span.first : fix.span.end] == ("    return width + height",)
    assert fix.now == ("    return width * height",)


def test_what_is_no_fix(history: History) -> None:
    history.commit(a=FIRST, b="x = 1\n")
    history.commit(a=FIRST.replace("+", "*").replace("return a\n", "return -a\n"))  # two places
    history.commit(a=FIRST.replace("    ", "  "))  # white space
    history.commit(a=FIRST + "\n\ndef new():\n    return 1\n")  # something new
    history.commit(b="# a comment\nx = 1\n")
    history.commit(a="".join(f"x{number} = {number}\n" for number in range(40)))  # all of it
    assert history.fixes() == []


def test_secrets_of_the_past_are_in_no_fix(history: History) -> None:
    text = FIRST + "\n\n" + SECRET
    history.commit(a=text)
    history.commit(a=text.replace("+", "*"))
    history.commit(a=FIRST.replace("+", "*"))
    assert not any("ghp_" in "\n".join(fix.before) for fix in history.fixes())


def test_newest_first_and_bounded(history: History) -> None:
    for number in range(6):
        history.commit(a=FIRST.replace("+", f"+ {number} +"))
    fixes = history.fixes()
    assert [fix.now[0].split()[3] for fix in fixes] == ["5", "4", "3", "2", "1"]
    assert len(history.fixes(commits=2)) == 2


def test_files_that_are_not_learned_any_more(history: History) -> None:
    history.commit(a=FIRST)
    history.commit(a=FIRST.replace("+", "*"))
    (history.root / "a.py").unlink()
    assert history.fixes() == []


def test_no_repository(tmp_path: Path) -> None:
    assert mine(tmp_path, {}) == []
