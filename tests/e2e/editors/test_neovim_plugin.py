"""The Neovim plugin by itself, on a server that plays what a test wants: in real Neovims, by keys and on the screen.

What the real server and model make of it is in ``test_neovim.py``.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from neovim import Neovim
from places import NEOVIMS, missing

pytestmark = [pytest.mark.editors, pytest.mark.timeout(120)]

SERVER = Path(__file__).with_name("fake_server.py")
CODE = "def add(left, right):\n    \n"
RETURN = "return left + right"
QUICK = "vim.g.loaded_python3_provider = 0 _G.told = {} vim.notify = function(text) table.insert(_G.told, text) end\n"
"""Without looking for a Python to run plugins with, and messages without waiting for a key where they are long."""
OWN = "vim.lsp.get_clients({name = 'tailora'})[1]"


class Window(Neovim):
    """A Neovim whose server is the fake one."""

    def play(self, **played: Any) -> None:
        """Changes what the server plays."""
        self.lua(f"{OWN}:notify('fake/play', ...)", played)

    def send(self, method: str, params: Any, **more: Any) -> None:
        """Has the server send a message."""
        self.lua(f"{OWN}:notify('fake/send', ...)", {"method": method, "params": params, **more})

    def heard(self, method: str) -> list[Any]:
        """The parameters of all the server received of a method, in order."""
        answer = self.lua(f"return {OWN}:request_sync('fake/heard', {{}}, 5000)")
        return [message.get("params") for message in answer["result"] if message.get("method") == method]

    def answers(self) -> list[Any]:
        """What the editor answered the server's requests."""
        answer = self.lua(f"return {OWN}:request_sync('fake/heard', {{}}, 5000)")
        return [message["result"] for message in answer["result"] if "method" not in message]

    def type_at_end(self, line: int, text: str) -> None:
        """Insert mode at the end of a line, and keys."""
        self.nvim.api.win_set_cursor(0, (line, 0))
        self.keys("A" + text)
        self.until(lambda: self.nvim.api.get_mode()["mode"] == "i", "insert mode")

    def messages(self) -> str:
        """What was shown to the user."""
        return "\n".join(self.lua("return _G.told"))

    def says(self, *texts: str) -> None:
        """Waits until all of these were shown to the user."""
        for text in texts:
            self.until(lambda text=text: text in self.messages(), text)

    def attached(self) -> bool:
        return bool(self.lua("return #vim.lsp.get_clients({bufnr = 0, name = 'tailora'}) > 0"))


Start = Callable[..., Window]


@pytest.fixture(params=sorted(NEOVIMS))
def program(request: pytest.FixtureRequest) -> Path:
    """``nvim``."""
    path = NEOVIMS[request.param]
    missing(f"the plugin in Neovim {request.param}", path)
    return path


@pytest.fixture
def start(program: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts windows on a folder with the file ``add.py``, which is opened."""
    windows: list[Window] = []

    def start(
        text: str = CODE,
        *,
        options: dict[str, Any] | None = None,
        lua: str = "",
        command: list[str] | None = None,
        opened: bool = True,
        **played: Any,
    ) -> Window:
        folder = tmp_path / "work"
        (folder / ".git").mkdir(parents=True, exist_ok=True)
        (folder / "add.py").write_bytes(text.encode())
        window = Window(
            program,
            command=command or [sys.executable, str(SERVER)],
            home=tmp_path / f"nvim{len(windows)}",
            env={"PATH": os.environ["PATH"], "FAKE_SERVER": json.dumps(played)},
            folder=folder,
            options=options or {},
            lua=QUICK + lua,
            patience_s=5,
        )
        windows.append(window)
        if opened:
            window.open(folder / "add.py")
        return window

    yield start
    for window in windows:
        window.close()


@pytest.fixture
def typing(start: Start) -> Window:
    """``re`` was typed and the rest of ``return left + right`` is on the screen."""
    window = start(suggest=[RETURN])
    window.type_at_end(2, "re")
    assert window.suggestion() == "turn left + right"
    return window


# Ghost text


def test_ghost_text_waits_for_no_timer(start):
    """Neovim's own waits 200 ms before it asks."""
    window = start(suggest=[RETURN])
    window.lua("""
        vim.defer_fn = function() end
        vim.uv.new_timer = function() return setmetatable({}, {__index = function() return function() end end}) end
    """)
    window.type_at_end(2, "re")
    assert window.suggestion() == "turn left + right"


def test_typing_through_needs_no_answer(typing):
    typing.play(hold=True)
    for number, key in enumerate("turn", 1):
        typing.keys(key)
        rest = "turn left + right"[number:]
        typing.until(lambda number=number: typing.line == "    return"[: 6 + number])
        assert typing.ghost() == typing.offered() == rest


def test_typing_something_else_drops_it_before_any_answer(typing):
    typing.play(hold=True)
    typing.keys("x")
    typing.until(lambda: typing.line == "    rex")
    assert typing.ghost() is None
    assert typing.offered() is None


def test_an_overtaken_request_is_cancelled(start):
    window = start(suggest=[RETURN], hold=True)
    window.type_at_end(2, "")
    for typed in ("r", "e", "t"):
        window.keys(typed)
        window.until(lambda typed=typed: window.line.endswith(typed))
    asked = window.heard("textDocument/inlineCompletion")
    assert len(asked) >= 3
    assert len(window.heard("$/cancelRequest")) == len(asked) - 1
    window.play(hold=False)
    assert window.suggestion() == "urn left + right"
    assert window.lua("return require('vim.lsp').get_clients()[1].name") == "tailora"


def test_accepting_inserts_it_in_place_of_its_range_and_is_one_undo_step(start):
    window = start(CODE + "after = 1\n", suggest=["return [\n        left,\n    ]"], back=3)
    window.type_at_end(2, "retu")
    assert window.suggestion() == "rn [\n        left,\n    ]"
    window.keys("<Tab>")
    window.until(lambda: "]" in window.text)
    assert window.text == "def add(left, right):\n    return [\n        left,\n    ]\nafter = 1"
    assert window.nvim.api.win_get_cursor(0) == [4, 5]
    window.until(lambda: window.heard("workspace/executeCommand"))
    accepted = {"command": "tailora.accepted", "arguments": ["return [\n        left,\n    ]"]}
    assert accepted in window.heard("workspace/executeCommand")
    window.keys("  # typed<Esc>")
    window.until(lambda: window.nvim.api.get_mode()["mode"] == "n")
    window.keys("u")
    window.until(lambda: "typed" not in window.text)
    assert window.text.endswith("    ]\nafter = 1")
    window.keys("u")
    window.until(lambda: "]" not in window.text)
    assert window.text == "def add(left, right):\n    retu\nafter = 1"


def test_words_and_lines_are_accepted_and_the_rest_stays(start):
    window = start(suggest=["return left + right\n\n\nprint(1)"])
    window.type_at_end(2, "re")
    window.suggestion()
    window.play(hold=True)
    for key, line, rest in (
        ("<M-Right>", "    return", " left + right\n\n\nprint(1)"),
        ("<M-Right>", "    return left", " + right\n\n\nprint(1)"),
        ("<M-Right>", "    return left +", " right\n\n\nprint(1)"),
        ("<M-l>", "    return left + right", "\n\n\nprint(1)"),
    ):
        window.keys(key)
        window.until(lambda line=line: window.line == line, line)
        assert window.offered() == window.ghost() == rest
    assert not window.heard("workspace/executeCommand") or "tailora.accepted" not in str(
        window.heard("workspace/executeCommand")
    )
    window.keys("<M-Down>")
    window.until(lambda: window.text.endswith("right\n\n\nprint(1)"))
    window.until(lambda: "tailora.accepted" in str(window.heard("workspace/executeCommand")))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_wide_characters_before_the_cursor(start, encoding):
    window = start("x = 1\n", suggest=["'😀 שלום 日本 é' + name"], back=5, encoding=encoding)
    window.type_at_end(1, "'😀 שלום 日本 é'")
    assert window.suggestion() == " + name"
    window.keys("<Tab>")
    window.until(lambda: window.line.endswith("name"))
    assert window.line == "x = 1'😀 שלום 日本 é' + name"


def test_tabs_are_drawn_as_wide_as_they_will_be(start):
    window = start("\t\n", lua="vim.o.tabstop = 4\n", suggest=["if x:\n\t\treturn\t1"])
    window.type_at_end(1, "if")
    assert window.suggestion() == " x:\n\t\treturn\t1"
    assert window.ghost() == " x:\n        return  1"


def test_files_with_crlf_get_no_carriage_returns(start, tmp_path):
    window = start("def add(left, right):\r\n    \r\n", suggest=["return (\n    left\n)"], crlf=True)
    window.type_at_end(2, "re")
    assert window.suggestion() == "turn (\n    left\n)"
    window.keys("<Tab><Esc>")
    window.until(lambda: ")" in window.line)
    assert "\r" not in window.text
    window.nvim.command("write")
    assert (tmp_path / "work" / "add.py").read_bytes().count(b"\r\n") == 4


def test_what_stands_behind_the_cursor_stays(start):
    window = start("print()  # total\n", suggest=["sum(prices)"])
    window.nvim.api.win_set_cursor(0, (1, 6))
    window.keys("isu")
    assert window.suggestion() == "m(prices)"
    window.keys("<Tab>")
    window.until(lambda: window.line == "print(sum(prices))  # total")


def test_dismissed_until_the_text_changes(typing):
    typing.keys("<C-e>")
    typing.until(lambda: typing.ghost() is None)
    assert typing.line == "    re"
    asked = len(typing.heard("textDocument/inlineCompletion"))
    typing.keys("<Left><Right>")
    uri = typing.lua("return vim.uri_from_bufnr(0)")
    typing.send("tailora/refreshSuggestion", {"uri": uri, "version": 1})
    assert len(typing.heard("textDocument/inlineCompletion")) == asked
    assert typing.ghost() is None
    typing.keys("t")
    assert typing.suggestion() == "urn left + right"
    typing.keys("<Esc>")
    typing.until(lambda: typing.ghost() is None)
    typing.keys("a")
    asked = len(typing.heard("textDocument/inlineCompletion"))
    typing.keys("u")
    assert typing.suggestion() == "rn left + right"
    assert len(typing.heard("textDocument/inlineCompletion")) == asked + 1


def test_more_lines_are_asked_for_when_they_are_ready(typing):
    typing.play(suggest=[RETURN + "\n\n\nadd(1, 2)"])
    uri = typing.lua("return vim.uri_from_bufnr(0)")
    typing.send("tailora/refreshSuggestion", {"uri": uri, "version": 1})
    typing.until(lambda: typing.ghost() == "turn left + right\n\n\nadd(1, 2)")
    assert typing.heard("textDocument/inlineCompletion")[-1]["context"]["triggerKind"] == 2


def test_several_suggestions_are_gone_through(start):
    window = start(suggest=["return left + right", "return left - right"])
    window.type_at_end(2, "re")
    assert window.suggestion() == "turn left + right"
    for key, shown in (("<M-]>", "-"), ("<M-]>", "+"), ("<M-[>", "-")):
        window.keys(key)
        window.until(lambda shown=shown: window.ghost() == f"turn left {shown} right")
    window.keys("t")  # the one that was chosen stays
    window.until(lambda: window.line.endswith("ret"))
    window.heard("any")
    assert window.offered() == "urn left - right"


def test_only_by_hand(start):
    window = start(options={"ghost_text": {"auto_trigger": False}}, suggest=[RETURN])
    window.type_at_end(2, "re")
    window.until(lambda: window.line.endswith("re"))
    assert not window.heard("textDocument/inlineCompletion")
    window.keys("<M-Bslash>")
    assert window.suggestion() == "turn left + right"
    assert window.heard("textDocument/inlineCompletion")[0]["context"]["triggerKind"] == 1


def test_nothing_while_a_menu_is_open_and_tab_belongs_to_it(start):
    window = start(
        "rear = 1\nrest = 2\n    \n", suggest=[RETURN], lua="vim.o.completeopt = 'menu,noselect'\n"
    )
    window.type_at_end(3, "re")
    window.suggestion()
    window.nvim.command("inoremap <expr> <Tab> pumvisible() ? '<C-n>' : '<Tab>'")
    window.keys("<C-n>")
    window.until(lambda: window.lua("return vim.fn.pumvisible()") == 1, "the menu")
    window.until(lambda: window.ghost() is None, "the end of the ghost text")
    window.keys("<Tab>")
    window.until(lambda: window.line.strip() in ("rear", "rest"), "the menu's choice")
    window.keys("<C-e>")
    window.until(lambda: window.lua("return vim.fn.pumvisible()") == 0, "the end of the menu")
    assert window.suggestion() == "turn left + right"


def test_nothing_in_a_macro_nor_in_replace_mode(start):
    window = start(suggest=[RETURN])
    window.nvim.api.win_set_cursor(0, (2, 0))
    window.keys("qqAret<Esc>q")
    window.until(lambda: window.nvim.api.get_mode()["mode"] == "n" and window.line.endswith("ret"))
    window.keys("0R    ret")
    window.until(lambda: window.line == "    ret" and window.nvim.api.get_mode()["mode"] == "R")
    assert not window.heard("textDocument/inlineCompletion")[1:]
    assert window.ghost() is None


def test_a_large_file_is_not_read_at_every_key(start):
    window = start("x = 1\n" * 5000 + "    \n", suggest=[RETURN])
    window.type_at_end(5001, "r")
    window.suggestion()
    window.lua("""
        _G.most, _G.get = 0, vim.api.nvim_buf_get_lines
        vim.api.nvim_buf_get_lines = function(buffer, first, last, strict)
          local lines = _G.get(buffer, first, last, strict)
          _G.most = math.max(_G.most, #lines)
          return lines
        end
    """)
    window.keys("etu")
    window.until(lambda: window.offered() == "rn left + right")
    assert 0 < window.lua("return _G.most") < 10


def test_neovims_own_ghost_text_is_no_second_one(start):
    window = start(
        suggest=[RETURN], lua="if vim.lsp.inline_completion then vim.lsp.inline_completion.enable() end\n"
    )
    window.lua("if vim.lsp.inline_completion then vim.lsp.inline_completion.enable(true, {bufnr = 0}) end")
    window.type_at_end(2, "re")
    window.suggestion()
    assert len(window.heard("textDocument/inlineCompletion")) <= 3
    # The pause after which the other would ask.
    window.lua("vim.wait(300, function() return false end)")
    others = "local found = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion'] "
    assert not window.lua(others + "return found and #vim.api.nvim_buf_get_extmarks(0, found, 0, -1, {}) > 0")


# Keys


def test_tab_does_what_it_did_before(start):
    window = start("\n")  # Neovim indents Python by four
    window.type_at_end(1, "<Tab>x")
    window.until(lambda: window.line == "    x", "the indentation")
    # A mapping that comes later, one that leads to itself, and one by an expression of Vim's.
    window.nvim.command("inoremap <Tab> noremap")
    window.keys("<C-u><Tab>")
    window.until(lambda: window.line == "noremap")
    window.nvim.command("imap <Tab> <Tab>y")
    window.keys("<C-u>a<Tab>")
    window.until(lambda: window.line.endswith("y"))
    window.nvim.command("inoremap <expr> <Tab> 'n' . (1 + 1) . \"\\<Left>\"")
    window.keys("<C-u><Tab>|")
    window.until(lambda: window.line == "n|2")
    window.lua("vim.keymap.set('i', '<Tab>', function() vim.api.nvim_set_current_line('by lua') end)")
    window.keys("<Tab>")
    window.until(lambda: window.line == "by lua")


def test_a_mapping_of_the_buffer_is_kept(start):
    lua = "vim.api.nvim_create_autocmd('FileType', {callback = function(event)"
    lua += " vim.keymap.set('i', '<Tab>', 'mine', {buffer = event.buf}) end})\n"
    window = start(suggest=[RETURN], lua=lua)
    window.type_at_end(2, "<Tab>")
    window.until(lambda: window.line == "    mine")
    window.keys(" re")
    window.suggestion()
    window.keys("<Tab>")
    window.until(lambda: window.line == "    mine return left + right")


def test_tab_jumps_in_a_snippet(start):
    window = start("\n")
    window.type_at_end(1, "")
    window.lua("vim.snippet.expand('for ${1:a} in ${2:b}:')")
    window.until(lambda: window.nvim.api.get_mode()["mode"] == "s", "the first field")
    window.keys("x")
    window.until(lambda: window.line == "for x in b:")
    window.keys("<Tab>")
    window.until(lambda: window.nvim.api.get_mode()["mode"] == "s", "the second field")
    window.keys("y")
    window.until(lambda: window.line == "for x in y:")


def test_keys_of_ones_own(start):
    options = {"keys": {"accept": ["<C-y>"], "dismiss": False}}
    window = start(
        suggest=[RETURN],
        options=options,
        lua="vim.keymap.set('i', '<C-g>w', '<Plug>(tailora-accept-word)')\n",
    )
    window.type_at_end(2, "re")
    window.suggestion()
    window.keys("<C-g>w")
    window.until(lambda: window.line == "    return")
    window.keys("<C-y>")
    window.until(lambda: window.line == "    return left + right")
    assert window.lua("return vim.fn.maparg('<C-]>', 'i')") == ""


# Code actions and lenses


def test_code_actions_get_everyones_diagnostics(start):
    edit = {"changes": {}}
    action = {"title": "Tailora: fix", "kind": "quickfix", "data": 1}
    window = start("é = undefined\nother = 1\n", actions=[action], resolved={"edit": edit}, encoding="utf-8")
    uri = window.lua("return vim.uri_from_bufnr(0)")
    edit["changes"][uri] = [
        {
            "range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 5}},
            "newText": "fixed",
        }
    ]
    window.play(resolved={"edit": edit})
    window.lua("""
        local space = vim.api.nvim_create_namespace('linter')
        -- As a server that counts in UTF-16 made it.
        local told = {code = 'F821', data = {fix = 1}, message = 'undefined', severity = 1, source = 'ruff',
          range = {start = {line = 0, character = 4}, ['end'] = {line = 0, character = 13}}}
        vim.diagnostic.set(space, 0, {
          {lnum = 0, col = 5, end_lnum = 0, end_col = 14, message = 'undefined', severity = 1, source = 'ruff',
            code = 'F821', user_data = {lsp = told}},
          {lnum = 0, col = 0, message = 'plain', severity = 2, source = 'lint'},
          {lnum = 1, col = 0, message = 'elsewhere', severity = 2},
        })
    """)
    window.nvim.api.win_set_cursor(0, (1, 6))
    window.lua("vim.lsp.buf.code_action({apply = true})")
    window.until(lambda: window.text.endswith("fixed = 1"), "the edit")
    found = {
        diagnostic["message"]: diagnostic
        for diagnostic in window.heard("textDocument/codeAction")[0]["context"]["diagnostics"]
    }
    assert sorted(found) == ["plain", "undefined"]
    assert found["undefined"]["range"]["start"] == {"line": 0, "character": 5}
    assert found["undefined"]["data"] == {"fix": 1}
    assert found["undefined"]["code"] == "F821"
    assert found["plain"]["source"] == "lint"
    assert found["plain"]["severity"] == 2


def test_a_repair_that_takes_long_says_so(start):
    action = {"title": "Tailora: fix", "kind": "quickfix", "data": 1}
    window = start(actions=[action], resolve_after_s=1.7)
    window.lua("vim.lsp.buf.code_action({apply = true})")
    window.send("window/workDoneProgress/create", {"token": "r"}, id=9)
    window.send(
        "$/progress",
        {"token": "r", "value": {"kind": "begin", "title": "Repairing add.py", "percentage": 40}},
    )
    window.send("tailora/status", {"state": "ready", "message": "Ready"})
    window.until(lambda: window.statusline() == "Tailora: Repairing add.py 40%", "the progress")
    window.says("looking for an edit that holds")
    window.send("$/progress", {"token": "r", "value": {"kind": "end"}})
    window.until(lambda: window.statusline() == "Tailora", "the end of the progress")


def test_the_code_lens_repairs_a_test(start):
    edges = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 3}}
    command = {
        "title": "Repair with Tailora",
        "command": "tailora.repairTest",
        "arguments": ["uri", "t.py::test"],
    }
    window = start(lenses=[])
    window.play(lenses=[{"range": edges, "command": command}])
    window.send("workspace/codeLens/refresh", None, id=8)
    count = (
        "#vim.tbl_filter(function(space) return #vim.api.nvim_buf_get_extmarks(0, space, 0, -1, {}) > 0 end, "
    )
    window.until(
        lambda: window.lua(f"return {count} vim.tbl_values(vim.api.nvim_get_namespaces())) > 0"), "the lens"
    )
    window.nvim.api.win_set_cursor(0, (1, 0))
    window.lua("vim.lsp.codelens.run()")
    window.says("tailora.repairTest done")
    assert window.heard("workspace/executeCommand")[-1]["arguments"] == ["uri", "t.py::test"]


# Commands and what is shown


VERSION = {
    "version": "3",
    "status": "serving",
    "created": "2026-11-20T10:00:00Z",
    "base_nll": 1.5,
    "candidate_nll": 1.25,
    "base_exact_match": 0.4,
    "candidate_exact_match": 0.5,
    "shown": 40,
    "accepted": 10,
    "reason": "better on held-out code",
    "withdrawn": None,
    "checks": [{"name": "loss", "passed": True, "value": 1.25, "limit": 1.5, "message": "lower"}],
    "examples": 120,
    "files": 9,
    "seconds": 61.5,
}
ADAPTERS = {
    "ok": True,
    "message": "",
    "disabled": False,
    "paused": True,
    "retrain": None,
    "forgotten": [],
    "versions": [{**VERSION, "version": "2", "status": "retired", "created": None, "shown": 0}, VERSION],
    "foundation": {"shown": 5, "accepted": 1},
    "repair": {"serving": None, "versions": []},
}


def test_the_window_of_adapters(start):
    window = start(answers={"tailora.adapters": ADAPTERS})
    window.nvim.command("Tailora adapters")
    window.until(lambda: "serving" in window.text, "the table")
    head, newest, older, *_ = window.text.split("\n")
    assert head.split()[:3] == ["version", "status", "age"]
    assert newest.startswith("3        serving")
    assert "1.50 → 1.25" in newest
    assert "40 % → 50 %" in newest
    assert "10 of 40 (25 %)" in newest
    assert "better on held-out code" in newest
    assert older.startswith("2        retired")
    assert ":Tailora resume" in window.text
    window.keys("2Gu")
    window.until(lambda: len(window.heard("workspace/executeCommand")) > 3)
    used = next(
        sent for sent in window.heard("workspace/executeCommand") if sent["command"] == "tailora.useVersion"
    )
    assert used["arguments"][0].endswith("/work/add.py")
    assert used["arguments"][1] == "3"
    window.keys("2G<CR>")
    window.until(lambda: "✓" in window.text, "the checks of the gate")
    assert "120 examples, 9 files, 61 s of training" in window.text
    window.keys("q")
    window.until(lambda: "✓" not in window.text)
    window.keys("3Gd")
    window.keys("d")
    window.until(
        lambda: "tailora.deleteAdapters" in str(window.heard("workspace/executeCommand")), "the question"
    )
    window.keys("q")
    window.until(lambda: window.text.startswith("def add"))


def test_the_other_windows(start, tmp_path):
    log = tmp_path / "engine.log"
    log.write_text("first\nlast\n")
    status = {
        "ok": True,
        "state": "ready",
        "message": "Ready: base",
        "model": {"name": "base", "state": "ready", "quantization": "packed", "device": "cpu"},
        "project": {
            "root": "/work",
            "trusted": False,
            "state": "untrusted",
            "message": "Not trusted",
            "serving": None,
        },
        "engine": {"pid": 7, "rss_mb": 900.4},
        "suggestion": {"shown": False, "reason": "the model has nothing to add here"},
    }
    answers = {
        "tailora.status": status,
        "tailora.log": {"ok": True, "message": "", "path": str(log)},
        "tailora.here": {"ok": True, "message": "", "reason": "add.py looks like a file with secrets"},
        "tailora.learned": {
            "ok": True,
            "message": "",
            "learned": ["a.py"],
            "left_out": [{"path": ".env", "reason": "secret", "detail": "a secret file", "count": 1}],
            "history": {"commits": 3, "recent_lines": 40, "reason": None},
        },
        "tailora.doctor": {
            "ok": True,
            "message": "1 problems were found",
            "findings": [{"check": "disk", "level": "problem", "message": "full", "advice": "free some"}],
        },
    }
    window = start(answers=answers)
    for command, texts in {
        "": (
            "ready: Ready: base",
            "base (packed, cpu, ready)",
            "not trusted (:Tailora trust)",
            "secrets",
            str(log),
        ),
        "learned": (
            "1 files are learned",
            "a.py",
            ".env  secret  a secret file",
            "3 commits, 40 recent lines",
        ),
        "doctor": ("✗ disk: full", "free some"),
    }.items():
        window.nvim.command(f"Tailora {command}")
        for text in texts:
            window.until(lambda text=text: text in window.text, text)
        window.keys("q")
        window.until(lambda: window.text.startswith("def add"))
    window.nvim.command("Tailora log")
    window.until(lambda: window.line == "last", "the end of the log")


def test_every_command_says_what_came_of_it(start):
    window = start(answers={"tailora.pauseLearning": {"ok": False, "message": "no"}}, old=True)
    window.nvim.command("Tailora train")
    window.says("tailora.trainNow done")
    window.nvim.command("Tailora pause")
    window.says("does not know tailora.pauseLearning; update it")
    window.nvim.command("Tailora nonsense")
    window.says("there is no :Tailora nonsense")
    assert window.nvim.funcs.getcompletion("Tailora t", "cmdline") == ["toggle", "train", "trust"]
    window.nvim.command("enew")
    window.nvim.command("Tailora train")
    assert window.heard("workspace/executeCommand")[-1]["arguments"] == [None]


def test_the_statusline(start):
    window = start(lua="vim.g.changes = 0 vim.cmd('autocmd User TailoraStatus let g:changes += 1')\n")
    model = {"name": "base", "state": "loading", "progress": 0.43}
    project = {"root": "/work", "progress": 0.2}
    for state, text in (
        ("starting", "Tailora: starting"),
        ("loading", "Tailora 43%"),
        ("fetching", "Tailora: fetching 43%"),
        ("training", "Tailora: learning 20%"),
        ("paused", "Tailora: paused"),
        ("model_missing", "Tailora: no model"),
        ("error", "Tailora: error"),
        ("ready", "Tailora"),
    ):
        window.send("tailora/status", {"state": state, "message": state, "model": model, "project": project})
        window.until(lambda text=text: window.statusline() == text, text)
        window.until(lambda text=text: window.lua("return vim.g.tailora_status") == text)
    assert window.status()["state"] == "ready"
    assert window.lua("return vim.g.changes") >= 8
    window.nvim.command("Tailora toggle")
    window.until(lambda: window.statusline() == "Tailora: off here")
    window.nvim.command("new | set buftype=nofile")
    assert window.statusline() == ""


def test_toggling(start):
    window = start(suggest=[RETURN])
    window.nvim.command("Tailora toggle")
    window.type_at_end(2, "re")
    window.until(lambda: window.line.endswith("re"))
    window.heard("any")
    assert window.ghost() is None
    window.keys("<Cmd>Tailora toggle<CR>")
    assert window.suggestion() == "turn left + right"
    window.keys("<Cmd>Tailora toggle filetype<CR>")
    window.until(lambda: window.ghost() is None)
    window.keys("t")
    window.until(lambda: window.line.endswith("ret"))
    window.heard("any")
    assert window.ghost() is None


def test_checkhealth(start):
    lua = "vim.keymap.set('i', '<Tab>', 'x', {desc = 'of mine'})\n"
    finding = {"check": "disk", "level": "warning", "message": "nearly full", "advice": "free some"}
    window = start(lua=lua, answers={"tailora.doctor": {"ok": True, "message": "", "findings": [finding]}})
    project = {"root": "/work", "trusted": False, "message": "Not trusted"}
    window.send("tailora/status", {"state": "model_missing", "message": "No model", "project": project})
    window.until(window.status)
    window.nvim.command("checkhealth tailora")
    for text in (
        "Neovim 0.1",
        "attached to",
        "No model",
        ":Tailora pull",
        "/work is not trusted",
        "<Tab>: accept",
        "disk: nearly full",
        "free some",
    ):
        assert text in window.text, text
    assert "Neovim's own inline completion may" not in window.text
    window.nvim.command("edit! add.py")
    window.lua("vim.keymap.set('i', '<Tab>', 'x', {buffer = 0, desc = 'of mine'})")
    window.nvim.command("checkhealth tailora")
    assert "<Tab> is taken by: of mine" in window.text


# Settings


def test_what_cannot_be_used_is_named_and_the_rest_works(start):
    options = {"nonsense": 1, "filetypes": "python", "keys": {"jump": "x", "accept": "<C-y>"}, "code_lens": 3}
    window = start(options=options, suggest=[RETURN])
    window.says(
        "no option nonsense", "filetypes is a string[]", "no option keys.jump", "code_lens is a boolean"
    )
    window.type_at_end(2, "re")
    window.suggestion()
    window.keys("<C-y>")
    window.until(lambda: window.line == "    return left + right")


def test_only_what_is_set_is_sent_and_trust_goes_by_folder(start, tmp_path):
    window = start()
    assert "initializationOptions" not in window.heard("initialize")[0]
    assert window.heard("initialize")[0]["capabilities"]["experimental"] == {"tailora": {"suggestions": True}}
    folder = (tmp_path / "work").as_uri()
    items = [{"section": "tailora"}, {"section": "tailora", "scopeUri": folder}, {"section": "other"}]
    window.send("workspace/configuration", {"items": items}, id=5)
    window.until(window.answers)
    assert window.answers() == [[None, None, None]]

    settings = {"completion": {"max_lines": 3}}
    window = start(options={"settings": settings, "trusted": [str(tmp_path)]})
    trusted = {**settings, "learning": {"trusted": True}}
    assert window.heard("initialize")[0]["initializationOptions"] == trusted
    items = [{"section": "tailora", "scopeUri": uri} for uri in (folder, "file:///elsewhere")]
    window.send("workspace/configuration", {"items": items}, id=5)
    window.until(window.answers)
    assert window.answers() == [[trusted, {**settings, "learning": {"trusted": False}}]]
    window.lua("require('tailora').setup{trusted = function(root) return root == '/elsewhere' end}")
    assert window.heard("workspace/didChangeConfiguration")[-1] == {"settings": {}}
    window.send("workspace/configuration", {"items": items}, id=6)
    window.until(lambda: len(window.answers()) == 2)
    assert window.answers()[1] == [{"learning": {"trusted": False}}, {"learning": {"trusted": True}}]
    window.nvim.command("Tailora trust")
    window.says("tailora.trustWorkspace done")
    window.send("workspace/configuration", {"items": items}, id=7)
    window.until(lambda: len(window.answers()) == 3)
    assert window.answers()[2][0] == {"learning": {"trusted": True}}


def test_enabling_it_is_all_that_is_needed(program, start, tmp_path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "tailora").write_text(f'#!/bin/sh\n[ "$1" = lsp ] && exec {sys.executable} {SERVER}\n')
    (bin_folder / "tailora").chmod(0o755)
    lua = f"package.loaded['tailora.config'].set(nil) vim.env.PATH = '{bin_folder}:' .. vim.env.PATH\n"
    window = start(lua=lua, suggest=[RETURN])
    window.type_at_end(2, "re")
    assert window.suggestion() == "turn left + right"


# Servers that are missing or end, and buffers that are none of ours


def test_a_missing_server_is_named_once(start, tmp_path):
    window = start(command=["/nowhere/tailora", "lsp"], opened=False)
    for name in ("a.py", "b.py", "c.py"):
        window.nvim.command(f"edit {tmp_path / name}")
    window.says("/nowhere/tailora was not found")
    assert window.messages().count("Tailora") == 1
    assert "checkhealth" in window.messages()
    assert not window.attached()
    window.nvim.command("Tailora train")
    window.says("does not run")


def test_a_server_that_ends_is_started_again(start):
    window = start(lua="require('tailora.supervisor').delays = {1, 1}\n", suggest=[RETURN])
    first = window.lua(f"return {OWN}.id")
    window.play(die=3)
    window.says("ended with exit code 3", ":Tailora log")
    window.until(
        lambda: (
            window.lua(f"local own = {OWN} return own and own.initialized and own.id") not in (None, first)
        )
    )
    window.until(window.attached)
    window.type_at_end(2, "re")
    assert window.suggestion() == "turn left + right"
    assert "quit with exit code" not in window.messages()


def test_a_server_that_keeps_ending_is_left_alone(start, tmp_path):
    lua = "require('tailora.supervisor').delays = {1, 2, 4}\n"
    window = start(opened=False, lua=lua, die=7)
    window.nvim.command("edit add.py")
    window.says("ended with exit code 7, 4 times", ":Tailora restart")
    assert window.messages().count("ended with exit code 7") == 4
    assert window.statusline() == "Tailora: error"
    window.nvim.command(f"edit {tmp_path / 'other.py'}")
    assert not window.attached()
    assert window.messages().count("ended with exit code 7") == 4
    window.nvim.command("Tailora restart")
    window.until(lambda: window.messages().count("ended with exit code 7") == 8, "a new beginning")


def test_restarting(start):
    window = start(suggest=[RETURN])
    first = window.lua(f"return {OWN}.id")
    window.nvim.command("Tailora restart")
    window.says("were restarted")
    window.until(lambda: window.attached() and window.lua(f"return {OWN}.id") != first)
    assert "ended" not in window.messages()
    window.type_at_end(2, "re")
    assert window.suggestion() == "turn left + right"
    window.keys("<Tab>")
    window.until(lambda: window.line == "    return left + right")


def test_only_files_are_attached(start, tmp_path):
    window = start()
    for command in (
        "edit fugitive://repo//0/a.py | set ft=python",
        "enew | set ft=python",
        "new | set buftype=nofile ft=python",
    ):
        window.nvim.command(command)
        window.heard("any")
        assert not window.attached(), command
    window.nvim.command("enew")
    window.nvim.command("set filetype=python")
    window.nvim.command(f"write {tmp_path / 'work' / 'late.py'}")
    window.until(window.attached, "the server, once the buffer has a name")


def test_an_old_neovim_is_refused(start):
    window = start(opened=False)
    window.lua("""
        vim.g.loaded_tailora = nil
        local has = vim.fn.has
        vim.fn.has = function(what) return what == 'nvim-0.11' and 0 or has(what) end
        vim.cmd.runtime('plugin/tailora.lua')
    """)
    window.says("needs Neovim 0.11")
