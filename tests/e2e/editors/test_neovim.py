"""Neovim 0.11 and 0.12 with the plugin, the real server and the real model: what a person sees when typing."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from neovim import Neovim
from places import NEOVIMS, PATIENCE_S, missing
from real_model import SETTINGS, Home

pytestmark = [pytest.mark.editors, pytest.mark.model, pytest.mark.timeout(900)]

Open = Callable[..., Neovim]


@pytest.fixture(params=sorted(NEOVIMS))
def program(request: pytest.FixtureRequest) -> Path:
    """``nvim``."""
    path = NEOVIMS[request.param]
    missing(f"Neovim {request.param}", path)
    return path


@pytest.fixture
def start(program: Path, shared_home: Home, folder: Path, tmp_path: Path) -> Iterator[Open]:
    """Starts windows on ``folder``."""
    windows: list[Neovim] = []

    def start(options: dict | None = None, lua: str = "", folder: Path = folder) -> Neovim:
        window = Neovim(
            program,
            command=[sys.executable, "-m", "tailora", "lsp"],
            home=tmp_path / f"nvim{len(windows)}",
            env=shared_home.env,
            folder=folder,
            options={"settings": SETTINGS, **(options or {})},
            lua=lua,
            patience_s=PATIENCE_S,
        )
        windows.append(window)
        return window

    yield start
    for window in windows:
        window.close()


@pytest.fixture
def typing(start: Open, folder: Path) -> Neovim:
    """A window in which ``return `` was typed where it is plain what comes next, with ghost text on the screen."""
    window = start()
    window.open(folder / "areas.py")
    window.put_cursor(18, 3)
    window.keys("areturn ")
    window.suggestion()
    return window


def test_typing_shows_ghost_text_and_tab_inserts_exactly_it(typing):
    offered, line = typing.offered(), typing.line
    assert typing.ghost() == offered
    assert offered.startswith("width * height")
    typing.keys("<Tab>")
    typing.until(lambda: typing.line != line, "the suggestion in the text")
    assert typing.text.endswith(f"    return {offered}")
    assert typing.nvim.api.get_mode()["mode"] == "i"
    # One step back takes all of it, and nothing that was typed.
    typing.keys("<Esc>u")
    typing.until(lambda: not typing.text.endswith(offered), "undo")


def test_typing_through_it_keeps_it(typing):
    offered = typing.offered()
    requests = typing.lua(
        """
        local client = vim.lsp.get_clients({bufnr = 0, name = 'tailora'})[1]
        _G.seen = {}
        vim.api.nvim_create_autocmd('User', {pattern = 'TailoraSuggestion', callback = function()
          local found = require('tailora').suggestion()
          table.insert(_G.seen, found and found.shown and found.text or '')
        end})
        return client ~= nil
        """
    )
    assert requests
    for number in range(1, 4):
        typing.keys(offered[number - 1])
        typing.until(lambda number=number: typing.line.endswith(offered[:number]), "what was typed")
        assert typing.offered() == offered[number:]
        assert typing.ghost() == offered[number:]


def test_typing_something_else_drops_it_at_once(typing):
    before = typing.offered()
    typing.keys("@")
    typing.until(lambda: typing.line.endswith("@"), "what was typed")
    assert typing.offered() != before
    assert not (typing.ghost() or "").startswith(before)


def test_escape_and_the_dismiss_key_take_it_away(typing):
    typing.keys("<Esc>")
    typing.until(lambda: typing.ghost() is None, "the end of the ghost text")
    assert typing.line == "    return "
    typing.keys("Aw")
    typing.suggestion()
    typing.keys("<C-]>")
    typing.until(lambda: typing.ghost() is None, "the end of the ghost text")
    assert typing.offered() is None
    assert typing.line == "    return w"
    typing.keys("<Tab>x")
    typing.until(lambda: typing.line.endswith("x"), "what was typed")
    assert typing.line.startswith("    return w")


def test_accepting_a_word_leaves_the_rest(typing):
    offered = typing.offered()
    typing.keys("<M-Right>")
    typing.until(lambda: typing.line != "    return ", "a word in the text")
    taken = typing.line.removeprefix("    return ")
    assert taken.strip() == offered.split()[0]
    assert typing.offered() == offered[len(taken) :]
    typing.keys("<Tab>")
    typing.until(lambda: typing.line == f"    return {offered.splitlines()[0]}", "the rest in the text")


def test_what_stands_behind_the_cursor_is_not_repeated(start, folder):
    (folder / "call.py").write_text(
        '"""Totals."""\n\n\ndef total(prices):\n    """The sum of the prices."""\n    return round(, 2)  # in euros\n'
    )
    window = start()
    window.open(folder / "call.py")
    window.put_cursor(6, 16)
    window.keys("as")
    offered = window.suggestion()
    assert "euros" not in offered
    assert ", 2)" not in offered
    window.keys("<Tab>")
    window.until(lambda: offered in window.line, "the suggestion in the text")
    assert window.line == f"    return round(s{offered}, 2)  # in euros"


def test_tabs_and_crlf(start, folder):
    source = (folder / "areas.py").read_text().replace("    ", "\t").replace("\n", "\r\n")
    path = folder / "areas_dos.py"
    path.write_bytes(source.encode())
    window = start()
    window.open(path)
    assert window.nvim.command_output("set fileformat?").strip() == "fileformat=dos"
    window.put_cursor(18, 0)
    window.keys("Areturn ")
    offered = window.suggestion()
    window.keys("<Tab>")
    window.until(lambda: window.line != "\treturn ", "the suggestion in the text")
    assert window.text.endswith(f"\treturn {offered}")
    assert "\r" not in window.text
    window.put_cursor(18, 0)
    window.nvim.command("write")
    written = path.read_bytes().decode()
    assert written.endswith(f"\treturn {offered}\r\n".replace("\n\t", "\r\n\t"))
    assert written.count("\n") == written.count("\r\n")


def test_tab_indents_where_nothing_is_shown(start, folder):
    window = start(
        {"settings": {"completion": {"enabled": False}}}, lua="vim.o.expandtab = true vim.o.shiftwidth = 4\n"
    )
    window.open(folder / "areas.py")
    window.until(lambda: window.status().get("state") == "off", "the state")
    window.put_cursor(18, 3)
    window.keys("o<C-u><Tab>x")
    window.until(lambda: window.line.endswith("x"), "what was typed")
    assert window.line in ("    x", "        x")


def test_emoji_and_right_to_left_text_before_the_cursor(start, folder):
    window = start()
    window.open(folder / "areas.py")
    window.put_cursor(18, 3)
    window.keys("aname = '😀 שלום עולם 日本'; return width * ")
    offered = window.suggestion()
    line = window.line
    window.keys("<Tab>")
    window.until(lambda: window.line != line, "the suggestion in the text")
    assert window.line == line + offered.splitlines()[0]


def test_a_file_of_5000_lines(start, folder):
    path = folder / "long.py"
    filler = "".join(f"LIMIT_{number} = {number}\n" for number in range(5000))
    path.write_text(
        (folder / "areas.py").read_text().replace('"""Areas of shapes."""\n', f'"""Areas."""\n\n{filler}')
    )
    window = start()
    window.open(path)
    window.keys("GAreturn ")
    assert window.suggestion().startswith("width * height")


def test_changed_settings_take_effect(start, folder):
    window = start()
    window.open(folder / "areas.py")
    window.put_cursor(18, 3)
    window.keys("areturn ")
    window.suggestion()
    window.lua(
        """
        local client = vim.lsp.get_clients({bufnr = 0, name = 'tailora'})[1]
        client:notify('workspace/didChangeConfiguration', {settings = {tailora = {completion = {enabled = false}}}})
        """
    )
    window.until(lambda: window.status()["state"] == "off", "the state")
    assert "off" in window.statusline()
    window.keys("x")
    window.until(lambda: window.ghost() is None, "the end of the ghost text")


def test_a_quick_fix_for_another_servers_diagnostic(start, folder):
    ruff = Path(sys.executable).with_name("ruff")
    (folder / "names.py").write_text("def area(width, height):\n    return widht * height\n")
    window = start(
        lua=f"vim.lsp.config('ruff', {{cmd = {{'{ruff}', 'server'}}, filetypes = {{'python'}}}})\n"
        "vim.lsp.enable('ruff')\n"
    )
    window.open(folder / "names.py")
    window.until(lambda: window.lua("return #vim.diagnostic.get(0)"), "ruff's diagnostic")
    window.put_cursor(2, 12)
    window.lua(
        """
        local function ours(action) return action.kind == 'quickfix' and action.title:find('Tailora') end
        vim.lsp.buf.code_action({apply = true, filter = ours})
        """
    )
    window.until(lambda: "width * height" in window.text, "the fix")
    assert window.text == "def area(width, height):\n    return width * height"
