"""How much later than the language server was done a suggestion stands on the screen of each editor: `make latency`.

A key is pressed where it is plain what comes next; the time until the editor has drawn ghost text, less what the server
measured for it (`elapsed_ms`), is the editor's own. Real editors, engine and model; the editors take turns. The last
row is what VS Code takes where an extension of a few lines answers at once.
"""

import argparse
import math
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from neovim import Neovim
from places import CHROMIUM, CODE_SERVER, EDITORS, NEOVIMS, VSIX
from playwright.sync_api import TimeoutError as NothingShown
from playwright.sync_api import sync_playwright
from real_model import Home
from recorded import Record, install, load_model, on_an_engine
from vscode import CodeServer, CodeWindow, chromium_arguments

from tailora_adapters.paths import models_dir

_PATIENCE_S = 20.0
_SERVER = (
    "-c",
    "import tailora.lsp.server as server\n"
    "server.TailoraServer.wants_suggestion_reports = True\n"  # VS Code does not ask for what is measured
    "server.main()\n",
)
_SHAPES = (
    ("rectangle", "width, height"),
    ("ellipse", "first_radius, second_radius"),
    ("triangle", "base, height"),
    ("trapezoid", "upper, lower, height"),
    ("rhombus", "first_diagonal, second_diagonal"),
    ("ring", "outer_radius, inner_radius"),
    ("sector", "radius, angle"),
    ("sphere", "radius"),
    ("cube", "side"),
    ("cylinder", "radius, height"),
)
_FIRST_BODY, _LINES_OF_EACH = 11, 5
"""In the file that ``_source`` makes; lines count from 1."""
_VSCODE_CLOCK = """() => {
    const now = () => performance.timeOrigin + performance.now();
    const clock = window.tailoraClock = {pressed: 0, shown: 0};
    const look = () => {
        const ghost = document.querySelector('.ghost-text-decoration');
        if (clock.pressed && !clock.shown && ghost && ghost.innerText) {
            clock.shown = -1;
            requestAnimationFrame(() => setTimeout(() => { clock.shown = now(); }));
        }
    };
    document.addEventListener('keydown', () => { clock.pressed = now(); clock.shown = 0; }, true);
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""
_NEOVIM_CLOCK = """
local clock = {pressed = 0, shown = 0}
_G.tailora_clock = clock
local function now()
  local seconds, microseconds = vim.uv.gettimeofday()
  return 1000 * seconds + microseconds / 1000
end
vim.on_key(function() clock.pressed, clock.shown = now(), 0 end)
vim.api.nvim_set_decoration_provider(vim.api.nvim_create_namespace('clock'), {
  on_end = function()
    local found = require('tailora').suggestion()
    if clock.shown == 0 and found and found.shown then clock.shown = now() end
  end,
})
"""


@dataclass(slots=True)
class _Editor:
    """Where samples of one editor come from, and what they were."""

    name: str
    record: Record | None
    """None: there is no server, everything is the editor's own."""
    press: Callable[[int], tuple[float, float] | None]
    """Presses a key in a line; when it was pressed and when ghost text was drawn, ms of the wall clock."""
    whole: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
    """From the key to the request at the server's door."""
    after: list[float] = field(default_factory=list)
    """From the server's answer to the screen."""
    asked: int = 0

    def sample(self, line: int) -> None:
        """One key."""
        self.asked += 1
        times = self.press(line)
        if times is None:
            return
        pressed, shown = times
        if self.record is None:
            self._note(shown - pressed, 0.0, math.nan, math.nan)
            return
        said = [line for line in self.record.lines() if pressed <= 1000 * line.get("at", 0) <= shown]
        answers = [
            (1000 * line["at"], line["message"]["params"])
            for line in said
            if line["message"].get("method") == "tailora/suggestion" and line["message"]["params"]["shown"]
        ]
        asked = [
            1000 * line["at"]
            for line in said
            if line["message"].get("method") == "textDocument/inlineCompletion"
        ]
        if answers and asked:
            ended, answer = answers[-1]
            self._note(shown - pressed, answer["elapsed_ms"], asked[-1] - pressed, shown - ended)

    def _note(self, whole: float, server: float, before: float, after: float) -> None:
        self.whole.append(whole)
        self.server.append(server)
        self.before.append(before)
        self.after.append(after)

    def forget(self) -> None:
        """What was measured so far."""
        self.asked, self.whole, self.server, self.before, self.after = 0, [], [], [], []

    def row(self) -> str:
        """Medians, and the editor's own share with its spread, ms."""
        own = [whole - server for whole, server in zip(self.whole, self.server, strict=True)]
        if len(own) < 2:
            return f"{self.name:13}{len(own):3} of {self.asked}: too few suggestions to tell"
        low, *_, high = statistics.quantiles(own, n=10, method="inclusive")
        medians = [
            statistics.median(values) for values in (self.whole, self.server, own, self.before, self.after)
        ]
        figures = "".join("         -" if math.isnan(value) else f"{value:10.1f}" for value in medians)
        return f"{self.name:13}{len(own):3} of {self.asked:3}{figures}   {low:.1f} to {high:.1f}"


def _source() -> str:
    """Functions that lack their bodies."""
    functions = [
        f'def {name}_area({arguments}):\n    """The area of a {name}."""\n    \n\n\n'
        for name, arguments in _SHAPES
    ]
    head = 'import math\n\n\ndef circle_area(radius):\n    """The area of a circle."""\n    return math.pi * radius**2'
    return head + "\n\n\n" + "".join(functions)


def _neovim(version: str, home: Home, folder: Path, scratch: Path) -> tuple[_Editor, Callable[[], None]]:
    record, env = install(scratch / "bin", home, _PATIENCE_S, _SERVER)
    window = Neovim(
        NEOVIMS[version],
        command=["tailora", "lsp"],
        home=scratch / "home",
        env=env,
        folder=folder,
        options={},
        patience_s=_PATIENCE_S,
    )
    window.lua(_NEOVIM_CLOCK)
    window.open(folder / "areas.py")

    def press(line: int) -> tuple[float, float] | None:
        window.put_cursor(line, 0)
        window.keys("A")
        window.until(lambda: window.nvim.api.get_mode()["mode"] == "i", "insert mode")
        window.lua("tailora_clock.pressed, tailora_clock.shown = 0, 0")
        window.keys("r")
        try:
            times = window.until(
                lambda: window.lua("return tailora_clock.shown > 0 and tailora_clock or nil"), "ghost text"
            )
        except AssertionError:
            times = None
        window.keys("<C-e><BS><Esc>")
        return times and (times["pressed"], times["shown"])

    return _Editor(f"Neovim {version}", record, press), window.close


def _vscode(name: str, window: CodeWindow, record: Record | None) -> _Editor:
    window.page.evaluate(_VSCODE_CLOCK)

    def press(line: int) -> tuple[float, float] | None:
        window.go(line, 5)
        window.press("r")
        try:
            window.page.wait_for_function("window.tailoraClock.shown > 0")
            times = window.page.evaluate("window.tailoraClock")
        except NothingShown:
            times = None
        window.press("Escape")
        window.press("Backspace")
        window.no_ghost()
        return times and (times["pressed"], times["shown"])

    return _Editor(name, record, press)


def main() -> None:
    """Prints one row for each editor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="over ten places (default: 3)")
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        home = Home(scratch / "h", models_dir(), enabled=False)
        closers: list[Callable[[], None]] = [home.end]
        try:
            _measure(rounds, scratch, home, closers)
        finally:
            for close in reversed(closers):
                close()


def _measure(rounds: int, scratch: Path, home: Home, closers: list[Callable[[], None]]) -> None:
    folder = scratch / "work"
    folder.mkdir()
    (folder / "areas.py").write_text(_source(), encoding="utf-8")
    editors = []
    for version in NEOVIMS:
        editor, close = _neovim(version, home, folder, scratch / version)
        editors.append(editor)
        closers.append(close)
    editors[0].record.until(on_an_engine, "an engine")
    load_model(home)
    record, env = install(scratch / "bin", home, _PATIENCE_S, _SERVER)
    settings = {"tailora.command": [str(scratch / "bin" / "tailora"), "lsp"]}
    server = CodeServer(EDITORS, scratch / "code", VSIX, env, settings)
    bare = CodeServer(EDITORS, scratch / "bare", Path(__file__).parent / "bare_extension", env, {})
    for program in (server, bare):
        program.start()
        closers.append(program.stop)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=chromium_arguments())
        for name, program, told in (("VS Code", server, record), ("VS Code bare", bare, None)):
            window = CodeWindow(program, browser, folder, _PATIENCE_S)
            if told:
                window.wait_status(r"Tailora\s*$")
            window.open(folder / "areas.py")
            editors.append(_vscode(name, window, told))
        for editor in editors:  # the first key of each is not counted: code is compiled, files are read
            editor.sample(_FIRST_BODY)
            editor.forget()
        for _ in range(rounds):
            for place in range(len(_SHAPES)):
                for editor in editors:
                    editor.sample(_FIRST_BODY + _LINES_OF_EACH * place)
        browser.close()
    print("ms, medians   suggestions     whole    server    editor    before     after   editor, 10 to 90 %")
    for editor in editors:
        print(editor.row())


if __name__ == "__main__":
    assert CODE_SERVER.exists(), f"{CODE_SERVER} is missing; `make e2e` brings it"
    main()
