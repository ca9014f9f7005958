"""How much later than the language server was done a suggestion stands on the screen of each editor: `make latency`.

A key is pressed where it is plain what comes next; the time until the editor has drawn ghost text, less what the server
measured for it (`elapsed_ms`), is the editor's own. Real editors, engine and model; the editors take turns.
"""

import argparse
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
from recorded import Record, install, load_model
from vscode import CodeServer, CodeWindow, chromium_arguments

from tailora_adapters.paths import models_dir

_PATIENCE_S = 60.0
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
    record: Record
    press: Callable[[int], tuple[float, float] | None]
    """Presses a key in a line; when it was pressed and when ghost text was drawn, ms of the wall clock."""
    whole: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    asked: int = 0

    def sample(self, line: int) -> None:
        """One key."""
        self.asked += 1
        times = self.press(line)
        if times is None:
            return
        pressed, shown = times
        answers = [
            entry["message"]["params"]
            for entry in self.record.lines()
            if entry.get("message", {}).get("method") == "tailora/suggestion"
            and pressed <= 1000 * entry["at"] <= shown
        ]
        answers = [answer for answer in answers if answer["shown"]]
        if answers:
            self.whole.append(shown - pressed)
            self.server.append(answers[-1]["elapsed_ms"])

    def row(self) -> str:
        """Medians, and the editor's own share with its spread, ms."""
        own = [whole - server for whole, server in zip(self.whole, self.server, strict=True)]
        if len(own) < 2:
            return f"{self.name:14}{len(own):3} of {self.asked}: too few suggestions to tell"
        low, *_, high = statistics.quantiles(own, n=10, method="inclusive")
        return (
            f"{self.name:14}{len(own):3} of {self.asked:3}{statistics.median(self.whole):12.1f}"
            f"{statistics.median(self.server):10.1f}{statistics.median(own):10.1f}   {low:.1f} to {high:.1f}"
        )


def _source() -> str:
    """Functions that lack their bodies."""
    functions = [
        f'def {name}_area({arguments}):\n    """The area of a {name}."""\n    \n\n\n'
        for name, arguments in _SHAPES
    ]
    head = 'import math\n\n\ndef circle_area(radius):\n    """The area of a circle."""\n    return math.pi * radius**2'
    return head + "\n\n\n" + "".join(functions)


def _neovim(version: str, home: Home, folder: Path, scratch: Path) -> tuple[_Editor, Callable[[], None]]:
    record, env = install(scratch / "bin", home, _PATIENCE_S)
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


def _vscode(server: CodeServer, window: CodeWindow, record: Record) -> _Editor:
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

    return _Editor("VS Code", record, press)


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
    record, env = install(scratch / "bin", home, _PATIENCE_S)
    settings = {"tailora.command": ["tailora", "lsp"]}
    server = CodeServer(EDITORS, scratch / "code", VSIX, env, settings)
    server.start()
    closers.append(server.stop)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=chromium_arguments())
        window = CodeWindow(server, browser, folder, _PATIENCE_S)
        window.wait_status(r"Tailora\s*$")
        load_model(home)
        window.open(folder / "areas.py")
        editors.append(_vscode(server, window, record))
        for editor in editors:  # the first key of each is not counted: code is compiled, files are read
            editor.sample(_FIRST_BODY)
            editor.asked, editor.whole, editor.server = 0, [], []
        for _ in range(rounds):
            for place in range(len(_SHAPES)):
                for editor in editors:
                    editor.sample(_FIRST_BODY + _LINES_OF_EACH * place)
        browser.close()
    print("editor        suggestions   key to ghost    server    editor   10 to 90 %, all in ms, medians")
    for editor in editors:
        print(editor.row())


if __name__ == "__main__":
    assert CODE_SERVER.exists(), f"{CODE_SERVER} is missing; `make e2e` brings it"
    main()
