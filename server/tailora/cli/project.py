"""Which project a command is about. Looks only: nothing is stored for a folder that was looked at."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tailora.cli.output import err
from tailora_adapters.store import ProjectStore, Store

__all__ = ["ProjectOption", "project_root", "project_store"]

ProjectOption = Annotated[
    Path,
    typer.Option(
        "--project",
        "-p",
        help="A folder of the repository: the nearest one from there upwards of which something is stored, or that "
        "has .git, is the project; without any, the folder itself.",
    ),
]


def project_root(path: Path) -> Path:
    """The project that ``path`` is in, as its real path; says on stderr where that is another folder.

    A git repository inside a project is no part of it and is not learned with it, so the first one ends the search.
    The home folder and ``/`` are projects only where they are named.
    """
    start = Path(os.path.realpath(path))
    root = _above(start)
    if root != start:
        err.print(f"project: {root}", soft_wrap=True)
    return root


def project_store(path: Path) -> ProjectStore:
    """The adapters of the project that ``path`` is in."""
    return Store().project(project_root(path))


def _above(start: Path) -> Path:
    if not start.is_dir():
        return start  # what was learned of a folder that is gone can still be named; a wrong name means no other one
    store, home = Store(), Path.home().resolve()
    for folder in (start, *start.parents):
        if folder != start and folder in (home, Path(folder.anchor)):
            break
        if os.path.lexists(folder / ".git") or store.knows(folder):
            return folder
    return start
