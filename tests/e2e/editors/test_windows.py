"""VS Code and both Neovims at once on one repository: one engine, and what it learns from an edit in each of them.

The tests are one story, told in their order.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from house import write_house
from neovim import Neovim
from places import NEOVIMS, PATIENCE_S, missing
from real_model import SETTINGS, Home
from vscode import CodeWindow, OpenCode

pytestmark = [pytest.mark.editors, pytest.mark.model, pytest.mark.timeout(1800)]

LEARNING_S = 1500.0
"""Only bounds tests that fail: a run takes two to seven minutes, by the processor."""
_EDIT = '''
    @audited("{thing}.archive")
    def archive(self, entry) -> Outcome:
        """Archives the entry."""
        if not entry.closed:
            return Outcome.refused("{thing}", reason="it is still open")
        entry = self.registry.shelve("{thing}", entry)
        return Outcome.accepted("{thing}", entry=entry)
'''


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository."""
    return write_house(tmp_path_factory.mktemp("work") / "back-office")


@pytest.fixture(scope="module")
def code(start_code: OpenCode, root: Path) -> CodeWindow:
    """VS Code, which trusts the repository."""
    window = start_code(root)
    window.trust()
    return window


@pytest.fixture(scope="module")
def neovims(
    shared_home: Home, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Neovim]]:
    """Neovim 0.11 and 0.12, which trust the repository."""
    missing("Neovim", *NEOVIMS.values())
    windows = [
        Neovim(
            program,
            command=[sys.executable, "-m", "tailora", "lsp"],
            home=tmp_path_factory.mktemp("nvim"),
            env=shared_home.env,
            folder=root,
            options={"settings": SETTINGS, "trusted": True},
            patience_s=PATIENCE_S,
        )
        for program in NEOVIMS.values()
    ]
    yield windows
    for window in windows:
        window.close()


def _serving(window: Neovim) -> str | None:
    return (window.status().get("project") or {}).get("serving")


def _label(window: CodeWindow) -> str:
    return window.status.get_attribute("aria-label") or ""


def test_three_windows_have_one_engine_and_one_copy_of_the_weights(code, neovims, root, shared_home):
    code.open(root / "invoices.py")
    for window, name in zip(neovims, ("parcels.py", "tickets.py"), strict=True):
        window.open(root / name)
    for window in neovims:
        window.put_cursor(17, 0)
        window.keys("ozzz = ")
        window.suggestion()
        window.keys("<Esc>:undo<CR>")
    engine = shared_home.engine()
    servers = [process for process in shared_home.processes("tailora") if "lsp" in process.cmdline()]
    assert len(servers) >= 3
    assert len({process.pid for process in servers}) == len(servers)
    for window in neovims:
        assert window.status()["engine"]["pid"] == engine.pid
    holders = [process for process in _with_weights(shared_home) if process.is_running()]
    assert [process.pid for process in holders] == [engine.pid]
    assert all(process.memory_full_info().uss < 120 << 20 for process in servers)


def _with_weights(home: Home) -> list[psutil.Process]:
    """The processes of this home that have a file of the model's folder in their memory."""
    models = os.path.realpath(home.models)
    found = []
    for process in psutil.process_iter():
        try:
            mine = process.environ().get("TAILORA_HOME") == str(home.path)
            if mine and any(mapped.path.startswith(models) for mapped in process.memory_maps()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_an_edit_in_each_and_a_pause_lead_to_a_promoted_adapter(code, neovims, root):
    code.press("Control+End")
    code.page.keyboard.insert_text(_EDIT.format(thing="invoice"))
    code.saved(root / "invoices.py")
    for window, thing in zip(neovims, ("parcel", "ticket"), strict=True):
        window.nvim.command("normal! G")
        window.nvim.api.put(_EDIT.format(thing=thing).rstrip("\n").split("\n"), "l", True, True)
        window.nvim.command("write")
    code.wait_status("learning")
    for window in neovims:
        window.until(lambda window=window: "learning" in window.statusline(), "learning in the status line")
    with code.patient(LEARNING_S):
        code.until(lambda: re.search(r"version 1 serves", _label(code)), "the adapter in VS Code's status")
    for window in neovims:
        window.until(lambda window=window: _serving(window) == "1", "the adapter in Neovim's status")


def test_the_view_shows_what_was_learned(code, pictures):
    code.command("Show What Was Learned")
    view = code.view()
    view.locator("details[data-version='1']").wait_for()
    assert "loss" in view.locator("#gains").inner_text()
    code.picture(pictures / "vscode-adapters.png")


def test_roll_back_and_use_again_from_each(code, neovims, root):
    def all_serve(version: str | None) -> None:
        for window in neovims:
            window.until(lambda window=window: _serving(window) == version, f"{version} in Neovim's status")

    code.command("Roll Back to the Version Before")
    all_serve(None)
    older, newer = neovims
    newer.nvim.command("Tailora adapters")
    newer.until(lambda: "serving" in newer.text or "retired" in newer.text, "the table of adapters")
    newer.until(lambda: newer.nvim.funcs.search("retired", "w"), "the version's row")
    newer.keys("u")
    all_serve("1")
    newer.keys("q")
    older.nvim.command("Tailora rollback")
    all_serve(None)
    newer.nvim.command("Tailora adapters")
    newer.until(lambda: newer.nvim.funcs.search("retired", "w"), "the version's row")
    newer.keys("u")
    all_serve("1")
    newer.keys("q")
    newer.nvim.command("Tailora rollback")
    all_serve(None)
