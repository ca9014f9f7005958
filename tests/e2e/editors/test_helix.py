"""Helix with the configuration that ships: a suggestion from its completion menu, a quick fix, the end."""

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are no packages; this makes the helpers importable

from places import EDITORS, FAULTY, TEXT
from real_model import Home
from recorded import Record, applied, install, load_model, on_an_engine
from terminal import ESC, Terminal

pytestmark = [pytest.mark.editors, pytest.mark.model, pytest.mark.timeout(600)]

_PATIENCE_S = 120.0
"""Only bounds tests that fail."""
_ROOT = Path(__file__).parents[3]
_CONFIGURATION = _ROOT / "editors" / "helix" / "languages.toml"


@pytest.fixture(scope="module")
def program() -> Path:
    """Helix."""
    path = EDITORS / "helix"
    if not path.exists():
        pytest.skip(f"HELIX WAS NOT TESTED: {path} is missing; `make e2e` brings it")
    return path


class Helix(Terminal):
    """A window with one file open; Helix's own settings are its defaults."""

    def __init__(self, program: Path, home: Home, folder: Path, text: str, *, at: str) -> None:
        configuration = folder / "configuration"
        (configuration / "helix").mkdir(parents=True)
        shutil.copy(_CONFIGURATION, configuration / "helix")
        self.project = folder / "project"
        self.project.mkdir()
        self.path = self.project / "sizes.py"
        self.path.write_text(text, encoding="utf-8")
        self.record: Record
        self.record, env = install(folder / "bin", home, _PATIENCE_S)
        env |= {"XDG_CONFIG_HOME": str(configuration), "XDG_CACHE_HOME": str(folder / "cache")}
        super().__init__(
            [str(program), "--log", str(folder / "helix.log"), f"{self.path.name}:{at}"],
            env=env,
            folder=self.project,
            log=folder / "screen.log",
            patience_s=_PATIENCE_S,
        )

    def command(self, command: str) -> None:
        """Runs a typed command, in normal mode."""
        if " INS " in self.text():
            self.send(ESC)  # alone: with the next key it would be that key with Alt
            self.shows(" NOR ")
        self.send(f":{command}")
        self.shows(f":{command}")
        self.send("\r")


@pytest.fixture
def open_file(program: Path, home: Home, tmp_path: Path) -> Iterator[Any]:
    """``open_file(text, at="line:column")``: a window with that text, once the model is loaded."""
    windows: list[Helix] = []

    def open_(text: str, *, at: str) -> Helix:
        window = Helix(program, home, tmp_path, text, at=at)
        windows.append(window)
        window.shows("def area")
        window.until(lambda: on_an_engine(window.record), "an engine")
        load_model(home)
        return window

    yield open_
    for window in windows:
        window.end()


def test_a_suggestion_from_the_menu(open_file):
    helix = open_file(TEXT + "\n", at="11:1")
    helix.send("A")
    helix.shows(" INS ")
    helix.send("wi")  # Helix asks from the second letter of a word on
    item = helix.until(helix.record.items, "a suggestion")[-1]
    helix.until(lambda: item["label"] in helix.text().partition("return wi")[2], "the menu shows it")
    wanted = applied(TEXT + "wi\n", [item["textEdit"]])
    line = wanted.splitlines()[10]
    for _ in range(10):  # other servers' items may come first
        before = helix.text()
        helix.send("\t")
        helix.until(lambda before=before: helix.text() != before, "another item is selected")
        if line in helix.text():
            break
    helix.send("\r")
    helix.command("write-quit")
    assert helix.wait() == 0
    assert helix.path.read_text(encoding="utf-8") == wanted
    assert item["textEdit"]["newText"].startswith("wi")
    assert helix.record.exit_code() == 0


def test_a_quick_fix_of_what_ruff_reports(open_file):
    helix = open_file(FAULTY, at="11:12")
    helix.shows("Undefined name `breadth`")
    helix.send(" a")
    title = "Tailora: find a fix that holds for “Undefined name `breadth`”"
    helix.shows(title)
    rows = helix.text().splitlines()
    below = next(row for row, text in enumerate(rows) if title in text) - next(
        row for row, text in enumerate(rows) if "return breadth" in text
    )
    helix.send("\t" * (below - 1) + "\r")  # the first one is selected
    action = helix.until(lambda: helix.record.answers("codeAction/resolve"), "the fix")[0]
    assert helix.record.said("editor", "codeAction/resolve")[0]["title"] == title
    assert "diagnostic cleared" in action["title"]
    (change,) = action["edit"]["documentChanges"]
    wanted = applied(FAULTY, change["edits"])
    helix.shows(wanted.splitlines()[10])
    helix.command("write-quit")
    assert helix.wait() == 0
    assert helix.path.read_text(encoding="utf-8") == wanted
    assert "breadth" not in wanted
    ast.parse(wanted)
    assert helix.record.exit_code() == 0


def test_selected_lines_and_a_command(open_file):
    helix = open_file(TEXT + "width * height\n", at="11:1")
    helix.send("x a")
    helix.shows("Tailora: find another version of these lines that holds")
    helix.send("\r")
    action = helix.until(lambda: helix.record.answers("codeAction/resolve"), "another version")[0]
    assert action["kind"] == "refactor.rewrite.tailora"
    if "edit" in action:
        helix.shows("[+]")
    else:
        helix.shows("nothing was found that holds")
    helix.command("lsp-workspace-command tailora.trainNow")
    helix.shows("not trusted")
    helix.command("quit!")
    assert helix.wait() == 0
    assert helix.record.exit_code() == 0
