"""A real Neovim with the plugin, driven as a person would: by keys, looking at the screen.

``nvim --embed`` with a screen of its own. Waits by asking the editor until something holds; the patience only bounds
tests that fail.
"""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nvim_rpc import Nvim

__all__ = ["PLUGIN", "Neovim"]

PLUGIN = Path(__file__).parents[3] / "editors" / "neovim"
_WIDTH, _HEIGHT = 100, 30
_POLL_S = 0.02


class Neovim:
    """One window.

    Args:
        program: ``nvim``.
        command: What starts the language server.
        home: A folder for Neovim's own files.
        env: Environment of the language server and the engine.
        options: For ``require("tailora").setup``.
        lua: Configuration of this window beside that.
        patience_s: Longest wait.
    """

    def __init__(
        self,
        program: Path,
        *,
        command: list[str],
        home: Path,
        env: Mapping[str, str],
        folder: Path,
        options: Mapping[str, Any],
        lua: str = "",
        patience_s: float,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._patience_s = patience_s
        init = home / "init.lua"
        given = json.dumps({"cmd": command, **options})
        init.write_text(
            f"vim.opt.runtimepath:prepend({json.dumps(str(PLUGIN))})\n"
            "vim.opt.swapfile = false\n"
            "vim.g.loaded_python3_provider = 0\n"
            "vim.opt.messagesopt = 'wait:0,history:500'\n"  # a prompt for <Enter> would hold up every request
            f"vim.cmd.cd({json.dumps(str(folder))})\n"
            f"require('tailora').setup(vim.json.decode({json.dumps(given)}))\n"
            "vim.lsp.enable('tailora')\n" + lua,
            encoding="utf-8",
        )
        own = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        wanted = {**env, **own, "NVIM_LOG_FILE": str(home / "nvim.log")}
        arguments = [f"{name}={value}" for name, value in wanted.items()]
        env_program = shutil.which("env")
        assert env_program is not None
        address = home / "socket"
        with (home / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [env_program, "-i", *arguments, program, "--headless", "--listen", address, "-u", init, "-n"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.nvim: Nvim = self.until(lambda: _attached(address), "Neovim")
        self.nvim.api.ui_attach(_WIDTH, _HEIGHT, {"rgb": True})

    def close(self) -> None:
        """Quits without saving, as a person does; the language server ends with it."""
        with contextlib.suppress(OSError, EOFError):
            self.nvim.send("nvim_command", "qall!")
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self.nvim.close()

    def lua(self, code: str, *arguments: Any) -> Any:
        """What a piece of Lua returns."""
        return self.nvim.exec_lua(code, *arguments)

    def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Waits until ``condition`` is true; its value."""
        deadline = time.monotonic() + self._patience_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what or 'it'} did not come; {self._told()}")
            time.sleep(_POLL_S)
        return value

    def open(self, path: Path) -> None:
        """Edits a file, and waits until the server has it."""
        self.nvim.command(f"edit {path}")
        self.until(
            lambda: self.lua("return #vim.lsp.get_clients({bufnr = 0, name = 'tailora'}) > 0"), "the server"
        )

    def keys(self, keys: str) -> None:
        """Presses keys, in Neovim's notation."""
        self.nvim.input(keys)

    def put_cursor(self, line: int, column: int) -> None:
        """Normal mode; ``line`` counts from 1, ``column`` in bytes from 0."""
        self.nvim.input("<Esc>")
        self.until(lambda: self.nvim.api.get_mode()["mode"] == "n", "normal mode")
        self.nvim.api.win_set_cursor(0, (line, column))

    def _told(self) -> str:
        return f"{self.status()}; {self.messages()}" if hasattr(self, "nvim") else "Neovim did not start"

    @property
    def text(self) -> str:
        """The buffer, lines joined by line feeds."""
        return "\n".join(self.nvim.api.buf_get_lines(0, 0, -1, True))

    @property
    def line(self) -> str:
        """The line that the cursor is in."""
        return str(self.nvim.api.get_current_line())

    def status(self) -> dict[str, Any]:
        """What the language server told last."""
        return self.lua("return require('tailora').status() or vim.empty_dict()")

    def statusline(self) -> str:
        """The component."""
        return str(self.lua("return require('tailora').statusline()"))

    def messages(self) -> str:
        """What was shown to the user."""
        return str(self.nvim.command_output("messages"))

    def offered(self) -> str | None:
        """What accepting the ghost text would insert; None where none is shown."""
        found = self.lua(
            "local found = require('tailora').suggestion() return found and found.shown and found.text"
        )
        return found or None

    def ghost(self) -> str | None:
        """The ghost text as drawn: the extmarks' virtual text."""
        marks = self.lua(
            """
            local space = vim.api.nvim_get_namespaces()['tailora']
            return space and vim.api.nvim_buf_get_extmarks(0, space, 0, -1, {details = true}) or {}
            """
        )
        first, more = "", []
        for *_, details in marks:
            first += "".join(chunk[0] for chunk in details.get("virt_text", ()))
            more += ["".join(chunk[0] for chunk in line) for line in details.get("virt_lines", ())]
        return "\n".join([first, *more]) if first or more else None

    def suggestion(self) -> str:
        """The suggestion, as soon as there is one on the screen."""
        offered = self.until(self.offered, "a suggestion")
        assert self.ghost()
        return str(offered)


def _attached(address: Path) -> Nvim | None:
    try:
        return Nvim(address)
    except OSError:  # it does not listen yet
        return None
