"""What commands print: tables and sentences for people, one JSON document for programs.

Knows nothing of what the commands do.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["err", "out", "print_json", "progress_bar"]

out = Console(highlight=False, soft_wrap=True, markup=False)
"""Results. Paths and messages may hold brackets, so markup is only for what asks for it."""
err = Console(stderr=True, highlight=False, markup=False)
"""Progress, warnings, errors."""
_LINE_EVERY_S = 60.0


def print_json(value: Any) -> None:
    """One document on stdout, for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)


@contextmanager
def progress_bar() -> Iterator[Callable[[float, str], None]]:
    """A bar on stderr; the value is called with a fraction from 0 to 1 and what is being done.

    Where stderr is no terminal, each new message is a line instead, and so is the newest one once a minute.
    """
    if not err.is_terminal:
        last, told = "", 0.0

        def line(fraction: float, message: str) -> None:
            nonlocal last, told
            head, now = message.split(",")[0].split(" step")[0], time.monotonic()
            if (head != last and not head.startswith("step")) or now - told >= _LINE_EVERY_S:
                last, told = head, now
                err.print(f"{fraction:4.0%} {message}")

        yield line
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=message)
