"""A program in a pseudo-terminal, driven by keys, with its screen as text.

Knows as much of terminals as Helix and Emacs use when ``TERM`` is ``xterm-256color``: where the cursor goes, what is
erased, scrolling. Colours are left out. Waits by reading until something holds; the patience only bounds tests that
fail.
"""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ESC", "Terminal"]

ESC = "\x1b"
_CONTROL = re.compile(
    r"\x1b\[([?>=<]?)([0-9;:]*)[ -/]*([@-~])"  # CSI
    r"|\x1b[\]P^_].*?(?:\x07|\x1b\\)"  # OSC, DCS and their like
    r"|\x1b[()*+].|\x1b[#%].|\x1b[0-OQ-Z\\`a-z{|}~]"
    r"|[\x00-\x1f]",
    re.DOTALL,
)
_SLICE_S = 0.05


class Terminal:
    """One program.

    Args:
        size: Lines and columns.
        log: Takes everything that the program writes.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
        log: Path,
        patience_s: float,
        size: tuple[int, int] = (40, 120),
    ) -> None:
        self._patience_s = patience_s
        self._size = size
        self._cells = [[" "] * size[1] for _ in range(size[0])]
        self._row = self._column = 0
        self._saved = (0, 0)
        self._region = (0, size[0] - 1)
        self._pending = b""
        self._log = log.open("wb")
        environment = {**env, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PWD": str(folder)}
        # Not pty.fork, which warns where there are threads.
        controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self._pid = os.posix_spawnp(
            "setsid",
            ["setsid", "--ctty", "--wait", "env", "--chdir", str(folder), *command],
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, terminal, fd) for fd in range(3)],
        )
        os.close(terminal)
        self._fd = controller
        self.exit_code: int | None = None

    def send(self, keys: str) -> None:
        """Types, as one burst."""
        os.write(self._fd, keys.encode())

    def text(self) -> str:
        """The screen."""
        return "\n".join("".join(line).rstrip() for line in self._cells)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Reads the screen until ``condition`` holds, and returns what it says."""
        deadline = time.monotonic() + self._patience_s
        while not (found := condition()):
            assert self.exit_code is None, f"{what}: the program ended\n{self.text()}"
            assert time.monotonic() < deadline, f"{what}: too late\n{self.text()}"
            self._read()
        return found

    def shows(self, text: str) -> None:
        """Waits until the screen has ``text``."""
        self.until(lambda: text in self.text(), f"the screen shows {text!r}")

    def wait(self) -> int:
        """The exit code, once the program has ended."""
        deadline = time.monotonic() + self._patience_s
        while self.exit_code is None:
            assert time.monotonic() < deadline, f"the program does not end\n{self.text()}"
            self._read()
        return self.exit_code

    def end(self) -> None:
        """Ends the program, if it still runs, and closes the terminal."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGHUP)
            os.close(self._fd)  # hangs up
            os.waitpid(self._pid, 0)
            self.exit_code = -1
        else:
            os.close(self._fd)
        self._log.close()

    def _read(self) -> None:
        ready, _, _ = select.select([self._fd], [], [], _SLICE_S)
        data = b""
        if ready:
            with contextlib.suppress(OSError):  # on Linux, how a terminal without programs says that it ended
                data = os.read(self._fd, 65536)
        if data:
            self._log.write(data)
            self._log.flush()
            self._draw(data)
            return
        found, status = os.waitpid(self._pid, os.WNOHANG)
        if found:
            self.exit_code = os.waitstatus_to_exitcode(status)

    def _draw(self, data: bytes) -> None:
        data, self._pending = self._pending + data, b""
        text = data.decode(errors="surrogateescape")
        # What may go on in the next piece waits for it: half a character, or half a control sequence.
        cut = text.rfind(ESC)
        if cut >= 0 and not _CONTROL.match(text, cut):
            text, self._pending = text[:cut], text[cut:].encode(errors="surrogateescape")
        elif (broken := re.search(r"[\udc80-\udcff]{1,3}\Z", text)) is not None:
            text, self._pending = text[: broken.start()], broken[0].encode(errors="surrogateescape")
        place = 0
        for control in _CONTROL.finditer(text):
            self._print(text[place : control.start()])
            self._obey(control)
            place = control.end()
        self._print(text[place:])

    def _print(self, text: str) -> None:
        columns = self._size[1]
        for character in text:
            if unicodedata.combining(character):
                continue
            if self._column >= columns:
                self._column = 0
                self._line_feed()
            self._cells[self._row][self._column] = character
            self._column += 2 if unicodedata.east_asian_width(character) in "WF" else 1

    def _line_feed(self) -> None:
        if self._row == self._region[1]:
            self._scroll(1)
        else:
            self._row = min(self._row + 1, self._size[0] - 1)

    def _scroll(self, count: int, top: int | None = None) -> None:
        """Moves the region's lines up; down where ``count`` is negative."""
        top, bottom = self._region[0] if top is None else top, self._region[1]
        kept = self._cells[top : bottom + 1]
        blank = [[" "] * self._size[1] for _ in range(min(abs(count), len(kept)))]
        moved = kept[len(blank) :] + blank if count > 0 else blank + kept[: len(kept) - len(blank)]
        self._cells[top : bottom + 1] = moved

    def _obey(self, control: re.Match[str]) -> None:
        whole, final = control[0], control[3]
        if final is None:
            self._obey_short(whole)
            return
        numbers = [int(number or 0) for number in re.split("[;:]", control[2])]
        first = numbers[0] or 1
        lines, columns = self._size
        if control[1]:
            if final == "c":  # who are you
                self.send(f"{ESC}[>1;10;0c")
            return
        match final:
            case "H" | "f":
                self._row = min(first, lines) - 1
                self._column = min((numbers[1] if len(numbers) > 1 else 1) or 1, columns) - 1
            case "A" | "B" | "C" | "D":
                step = {"A": (-first, 0), "B": (first, 0), "C": (0, first), "D": (0, -first)}[final]
                self._row = min(max(self._row + step[0], 0), lines - 1)
                self._column = min(max(self._column + step[1], 0), columns - 1)
            case "G":
                self._column = min(first, columns) - 1
            case "d":
                self._row = min(first, lines) - 1
            case "J":
                self._erase_screen(numbers[0])
            case "K":
                begin, end = [(self._column, columns), (0, self._column + 1), (0, columns)][numbers[0]]
                self._cells[self._row][begin:end] = [" "] * (end - begin)
            case "X":
                end = min(self._column + first, columns)
                self._cells[self._row][self._column : end] = [" "] * (end - self._column)
            case "P":
                line = self._cells[self._row]
                line[self._column :] = (line[self._column + first :] + [" "] * columns)[
                    : columns - self._column
                ]
            case "@":
                line = self._cells[self._row]
                line[self._column :] = ([" "] * first + line[self._column :])[: columns - self._column]
            case "L" | "M":
                self._scroll(-first if final == "L" else first, top=self._row)
            case "S" | "T":
                self._scroll(first if final == "S" else -first)
            case "r":
                self._region = (first - 1, (numbers[1] if len(numbers) > 1 else lines) - 1)
                self._row = self._column = 0
            case "c":  # what can you do
                self.send(f"{ESC}[?62;22c")
            case "n":
                if numbers[0] == 6:
                    self.send(f"{ESC}[{self._row + 1};{self._column + 1}R")

    def _obey_short(self, whole: str) -> None:
        match whole:
            case "\r":
                self._column = 0
            case "\n" | "\x0b" | "\x0c" | "\x1bD":
                self._line_feed()
            case "\b":
                self._column = max(self._column - 1, 0)
            case "\t":
                self._column = min(self._column // 8 * 8 + 8, self._size[1] - 1)
            case "\x1bM":
                if self._row == self._region[0]:
                    self._scroll(-1)
                else:
                    self._row -= 1
            case "\x1b7":
                self._saved = (self._row, self._column)
            case "\x1b8":
                self._row, self._column = self._saved

    def _erase_screen(self, how: int) -> None:
        columns = self._size[1]
        row, column = self._row, self._column
        for number, line in enumerate(self._cells):
            if how >= 2 or (how == 0 and number > row) or (how == 1 and number < row):
                line[:] = [" "] * columns
            elif number == row:
                begin, end = (column, columns) if how == 0 else (0, column + 1)
                line[begin:end] = [" "] * (end - begin)
