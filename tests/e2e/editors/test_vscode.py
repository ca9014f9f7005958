"""VS Code with the extension, the real server and the real model: what a person sees when typing."""

import json
import re
from pathlib import Path

import pytest
from places import AREAS
from playwright.sync_api import expect
from vscode import CodeWindow, OpenCode

pytestmark = [pytest.mark.editors, pytest.mark.model, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def window(start_code: OpenCode, tmp_path_factory: pytest.TempPathFactory) -> CodeWindow:
    """A window that this module's tests share; use a file of your own."""
    return start_code(tmp_path_factory.mktemp("work"))


@pytest.fixture
def areas(window: CodeWindow, request: pytest.FixtureRequest) -> Path:
    """A file of this test's own in which it is plain what comes next."""
    path = window.folder / f"{request.node.name[5:25]}.py"
    path.write_bytes(AREAS.encode())
    return path


@pytest.fixture
def typing(window: CodeWindow, areas: Path) -> CodeWindow:
    """The window, where ``return `` was typed, with ghost text on the screen."""
    window.open(areas)
    window.go(18, 5)
    window.type("return ")
    window.ghost()
    return window


def test_typing_shows_ghost_text_and_tab_inserts_exactly_it(typing, areas, pictures):
    ghost = typing.ghost()
    assert ghost.startswith("width * height")
    typing.picture(pictures / "vscode-ghost-text.png")
    typing.press("Tab")
    typing.no_ghost()
    assert typing.saved(areas) == f"{AREAS}return {ghost}"


def test_a_new_window_suggests_from_the_first_words_on(start_code, folder):
    window = start_code(folder)
    window.open(folder / "areas.py")
    window.press("Control+End")
    window.page.keyboard.type("return ")  # at once: VS Code has not made yet what asks for ghost text
    assert window.ghost().startswith("width * height")


def test_typing_through_it_keeps_it_and_a_word_can_be_accepted(typing, areas):
    ghost = typing.ghost()
    typing.type(ghost[:3])
    typing.ghost_is(ghost[3:])
    typing.press("Control+ArrowRight")
    typing.ghost_is(ghost[len("width") :])
    typing.press("Tab")
    typing.no_ghost()
    assert typing.saved(areas) == f"{AREAS}return {ghost}"


def test_escape_dismisses(typing, areas):
    typing.press("Escape")
    typing.no_ghost()
    assert typing.saved(areas) == f"{AREAS}return "


def test_what_stands_behind_the_cursor_is_not_repeated(window):
    path = window.folder / "call.py"
    head = '"""Totals."""\n\n\ndef total(prices):\n    """The sum of the prices."""\n    return round('
    path.write_text(f"{head}, 2)  # in euros\n")
    window.open(path)
    window.go(6, 18)
    window.type("s")
    ghost = window.ghost()
    window.press("Tab")
    assert window.saved(path) == f"{head}s{ghost}, 2)  # in euros\n"


def test_tabs_and_crlf_after_emoji_and_right_to_left_text(window):
    path = window.folder / "dos.py"
    source = AREAS.replace("    ", "\t").replace("\n", "\r\n") + "name = '😀 שלום עולם'; "
    path.write_bytes(source.encode())
    window.open(path)
    window.go(18, 99)
    window.type("return width * ")
    ghost = window.ghost()
    window.press("Tab")
    window.no_ghost()
    assert window.saved(path) == f"{source}return width * {ghost}"


def test_a_file_of_5000_lines(window):
    path = window.folder / "long.py"
    filler = "".join(f"LIMIT_{number} = {number}\n" for number in range(5000))
    path.write_text(AREAS.replace('"""Areas of shapes."""\n', f'"""Areas."""\n\n{filler}'))
    window.open(path)
    window.press("Control+End")
    window.type("return ")
    assert window.ghost().startswith("width * height")


def test_changed_settings_take_effect(typing):
    typing.command("Turn Suggestions Off or On Everywhere")
    typing.wait_status("off")
    typing.press("Escape")
    typing.type("w")
    typing.no_ghost()
    typing.command("Turn Suggestions Off or On Everywhere")
    typing.wait_status(r"Tailora\s*$")
    typing.type("i")
    assert typing.ghost().startswith("dth")


def test_a_killed_engine_shows_and_heals(typing, shared_home):
    engine = shared_home.engine()
    seen = typing.watch_status()
    engine.kill()
    engine.wait()
    typing.until(
        lambda: any(re.search("start|error|engine", text) for text in seen()), "the loss in the status"
    )
    typing.wait_status(r"Tailora\s*$")
    typing.press("Escape")
    typing.type("w")
    assert typing.ghost().startswith("idth")
    assert shared_home.engine().pid != engine.pid


def test_documents_that_get_no_suggestions_say_so(window, areas):
    cell = {"cell_type": "code", "source": [], "metadata": {}, "outputs": [], "execution_count": None}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (window.folder / "notes.ipynb").write_text(json.dumps(notebook))
    (window.folder / ".env").write_text("KEY=value\n")
    window.open(window.folder / ".env")
    window.wait_status("off here")
    window.show(window.folder / "notes.ipynb")
    window.wait_reason("There are no suggestions in notebooks")
    window.command("Preferences: Open Default Settings (JSON)")
    window.wait_reason("There are no suggestions in a document of VS Code")
    window.open(areas)
    window.wait_status(r"Tailora\s*$")


def test_the_light_bulb_offers_a_fix_that_holds_and_applies_it(window, pictures):
    path = window.folder / "names.py"
    path.write_text("def area(width, height):\n    return widht * height\n")
    window.open(path)
    window.page.locator(".squiggly-error").first.wait_for()
    window.go(2, 14)
    window.press("Control+.")
    entry = window.page.locator(".action-widget .monaco-list-row").filter(has_text="Tailora")
    entry.first.wait_for()
    window.picture(pictures / "vscode-quick-fix.png")
    entry.first.click()
    expect(window.page.locator(".squiggly-error")).to_have_count(0)
    assert window.saved(path) == "def area(width, height):\n    return width * height\n"
