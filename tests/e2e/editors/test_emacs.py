"""Emacs with Eglot and the file that ships: a suggestion at point, a fix of what Flymake shows, selected lines."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are no packages; this makes the helpers importable

from places import FAULTY, TEXT, untested
from real_model import Home
from recorded import Record, applied, install, load_model, on_an_engine
from terminal import ESC, Terminal

pytestmark = [pytest.mark.editors, pytest.mark.model, pytest.mark.timeout(600)]

_PATIENCE_S = 120.0
"""Only bounds tests that fail."""
_FOLDER = Path(__file__).parents[3] / "editors" / "emacs"
_INIT = f"""\
(setq inhibit-startup-screen t make-backup-files nil create-lockfiles nil auto-save-default nil)
(add-to-list 'load-path "{_FOLDER}")
(require 'tailora)
(tailora-setup 'python-mode)
(add-hook 'python-mode-hook #'eglot-ensure)
(setq python-flymake-command '("ruff" "check" "--quiet" "--output-format=concise" "--stdin-filename=stdin" "-"))
(add-hook 'python-mode-hook (lambda () (setq-local eglot-stay-out-of '(flymake)) (flymake-mode)))
"""
"""As docs/editors.md has it."""
_EARLY_INIT = "(setq native-comp-deferred-compilation nil native-comp-jit-compilation nil)\n"
"""Emacs compiles libraries anew in each home otherwise, and shows its warnings in a window."""


@pytest.fixture(scope="module")
def program() -> str:
    """Emacs, which has Eglot."""
    path = shutil.which("emacs")
    if path is None:
        untested("Emacs", "there is no emacs on the PATH")
    found = subprocess.run(
        [path, "--batch", "--eval", "(progn (package-initialize) (require 'eglot))"], capture_output=True
    )
    if found.returncode:
        untested("Emacs", "it has no eglot")
    return path


class Emacs(Terminal):
    """Emacs in a terminal with one file open."""

    def __init__(self, program: str, home: Home, folder: Path, text: str, *, at: str) -> None:
        emacs = folder / "user" / ".emacs.d"
        emacs.mkdir(parents=True)
        (emacs / "early-init.el").write_text(_EARLY_INIT, encoding="utf-8")
        (emacs / "init.el").write_text(_INIT, encoding="utf-8")
        project = folder / "project"
        project.mkdir()
        self.path = project / "sizes.py"
        self.path.write_text(text, encoding="utf-8")
        self.record: Record
        self.record, env = install(folder / "bin", home, _PATIENCE_S)
        super().__init__(
            [program, "-nw", f"+{at}", self.path.name],
            env={**env, "HOME": str(folder / "user")},
            folder=project,
            log=folder / "screen.log",
            patience_s=_PATIENCE_S,
        )

    def command(self, name: str) -> None:
        """``M-x name``."""
        self.send(f"{ESC}x")
        self.shows("M-x")
        self.send(name)
        self.shows(f"M-x {name}")
        self.send("\r")

    def save_and_quit(self) -> None:
        """Saves, and ends Emacs."""
        self.send("\x18\x13")  # C-x C-s
        self.shows("Wrote ")
        self.send("\x18\x03")  # C-x C-c
        assert self.wait() == 0
        assert self.record.exit_code() == 0


@pytest.fixture
def open_file(program: str, home: Home, tmp_path: Path) -> Iterator[Any]:
    """``open_file(text, at="line:column")``: Emacs with that text, on an engine."""
    windows: list[Emacs] = []

    def open_(text: str, *, at: str) -> Emacs:
        window = Emacs(program, home, tmp_path, text, at=at)
        windows.append(window)
        window.shows("def area")
        window.until(lambda: on_an_engine(window.record), "an engine")
        load_model(home)
        window.shows("Tailora")  # in the mode line
        return window

    yield open_
    for window in windows:
        window.end()


def test_the_file_compiles_without_warnings(program, tmp_path):
    shutil.copy(_FOLDER / "tailora.el", tmp_path)
    strict = "(progn (package-initialize) (setq byte-compile-error-on-warn t))"
    subprocess.run(
        [program, "--batch", "--eval", strict, "--funcall", "batch-byte-compile", "tailora.el"],
        cwd=tmp_path,
        check=True,
        timeout=_PATIENCE_S,
    )
    assert (tmp_path / "tailora.elc").exists()


def test_a_suggestion_at_point(open_file):
    emacs = open_file(TEXT + "\n", at="11:12")
    emacs.send("wi")
    emacs.shows("return wi")
    emacs.send(f"{ESC}\t")  # C-M-i, completion-at-point
    item = emacs.until(emacs.record.items, "a suggestion")[-1]
    wanted = applied(TEXT + "wi\n", [item["textEdit"]])
    emacs.shows(wanted.splitlines()[10])
    emacs.save_and_quit()
    assert emacs.path.read_text(encoding="utf-8") == wanted
    assert item["textEdit"]["newText"].startswith("wi")


def test_a_fix_of_what_flymake_shows(open_file):
    emacs = open_file(FAULTY, at="11:12")
    emacs.shows("Flymake[1 ")
    emacs.command("tailora-fix")
    action = emacs.until(lambda: emacs.record.answers("codeAction/resolve"), "the fix")[0]
    assert "diagnostic cleared" in action["title"]
    (change,) = action["edit"]["documentChanges"]
    wanted = applied(FAULTY, change["edits"])
    emacs.shows(wanted.splitlines()[10])
    emacs.save_and_quit()
    assert emacs.path.read_text(encoding="utf-8") == wanted
    assert "breadth" not in wanted
    ast.parse(wanted)


def test_selected_lines_and_commands(open_file):
    emacs = open_file(TEXT + "width * height\n", at="11:1")
    emacs.send("\x00\x05")  # C-SPC C-e
    emacs.command("tailora-fix")
    action = emacs.until(lambda: emacs.record.answers("codeAction/resolve"), "another version")[0]
    assert action["kind"] == "refactor.rewrite.tailora"
    if "edit" in action:
        emacs.shows(action["title"])
    else:
        emacs.shows("nothing was found that holds")
    emacs.command("tailora-status")
    emacs.shows("Tailora: ")
    emacs.command("tailora-train")
    emacs.shows("not trusted")
    emacs.command("tailora-adapters")
    emacs.shows("Nothing was learned of project yet")
