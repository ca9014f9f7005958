"""``tailora docstring``: docstrings of a file written or updated, shown as a diff; written only with ``--write``."""

import asyncio
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailora.cli.output import err, out, print_json, progress_bar
from tailora.cli.project import project_root
from tailora_adapters.errors import TailoraError

if TYPE_CHECKING:
    from tailora.docstrings import Target

__all__ = ["docstring"]


def docstring(
    place: Annotated[
        str,
        typer.Argument(
            metavar="FILE[:LINE|NAME]",
            help="A function by a line of it or its name; without: all of the file that lack one or no longer fit.",
        ),
    ],
    write: Annotated[bool, typer.Option("--write", help="Change the file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Write docstrings in the repository's own style, checked against the signatures."""
    file, where = _split(place)
    root = project_root(file.parent)
    with progress_bar() as progress:
        made = asyncio.run(_make(root, file, where, progress))
    from tailora.cli.repair import write_back

    changed = made.after != made.before
    if write and changed:
        write_back(file.resolve(), made.before, made.after)
    if json:
        print_json(made.values(file, bool(write and changed)))
    else:
        made.show(file, bool(write and changed))
    if not changed and made.failed:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Made:
    before: str
    after: str
    done: tuple[tuple[str, str], ...]
    """What was done, and the function."""
    failed: tuple[str, ...]

    @property
    def diff(self) -> str:
        return "\n".join(
            difflib.unified_diff(
                self.before.split("\n"), self.after.split("\n"), "before", "after", lineterm=""
            )
        )

    def values(self, file: Path, written: bool) -> dict[str, Any]:
        return {
            "path": str(file),
            "docstrings": [{"function": name, "what": what} for what, name in self.done],
            "failed": list(self.failed),
            "written": written,
            "diff": self.diff,
        }

    def show(self, file: Path, written: bool) -> None:
        if self.done:
            out.print(self.diff)
        for name in self.failed:
            err.print(f"{name}: no docstring came that agrees with the signature")
        if not self.done and not self.failed:
            out.print("every docstring is there and fits")
        if written:
            out.print(f"\nwritten to {file}")
        elif self.done:
            out.print("\n--write changes the file")


def _split(place: str) -> tuple[Path, str]:
    file, colon, where = place.rpartition(":")
    if colon and not Path(place).exists():
        return Path(file), where
    return Path(place), ""


async def _make(root: Path, file: Path, where: str, progress: Callable[[float, str], None]) -> _Made:
    from tailora.cli.repair import read_source
    from tailora.docstrings import Styles, make_docstring
    from tailora.engine.client import EngineClient
    from tailora.infill import EngineFiller, Limits
    from tailora.options import for_root

    path, text, language = read_source(root, file)
    wanted = _wanted(text, language, where)
    style, limits = Styles().of(root, text, language), Limits.of(for_root(root)[0].docstring)
    client, before = EngineClient(), text
    done, failed = list[tuple[str, str]](), list[str]()
    try:
        await client.ensure()
        filler = EngineFiller(client, root, path.relative_to(root).as_posix(), language, "docstring")
        # From below: the functions above stay where they are.
        for number, target in enumerate(reversed(wanted)):
            name = target.function.name
            progress(number / len(wanted), name)
            made = await make_docstring(text, target, style, filler, limits)
            if made is None:
                failed.append(name)
            else:
                text = made.text
                done.append((target.what, name))
    finally:
        await client.aclose()
    return _Made(before, text, tuple(reversed(done)), tuple(reversed(failed)))


def _wanted(text: str, language: str, where: str) -> "list[Target]":
    """The functions that are meant.

    Raises:
        TailoraError: there is none.
    """
    from tailora.docstrings import find_target, targets

    found = list(targets(text, language))
    if where.isdigit():
        one = find_target(text, language, int(where) - 1)
        found = [one] if one is not None else []
    elif where:
        found = [target for target in found if target.function.name == where]
    if where and not found:
        raise TailoraError(f"{where} is no function that lacks a docstring, or has one that no longer fits")
    return found
