"""``tailora clones``: the functions of a repository that repeat each other, by groups."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailora.cli.output import err, out, print_json, progress_bar
from tailora.cli.project import project_root
from tailora_adapters.clones.groups import Clone, Group, Place, grouped
from tailora_adapters.clones.limits import FLOOR, LEAST_TOKENS, MIN_TOKENS, THRESHOLD
from tailora_adapters.errors import TailoraError
from tailora_adapters.store import ProjectStore, Store

if TYPE_CHECKING:
    from tailora_adapters.clones.index import CloneIndex

__all__ = ["clones"]

_SEMANTIC = 4
_WHAT = {
    1: "the same but for layout and comments",
    2: "the same but for names and literals",
    3: "alike",
    4: "other code that may do the same",
}


def clones(
    path: Annotated[
        Path | None, typer.Argument(help="Only clones of functions in this file or folder.")
    ] = None,
    root: Annotated[Path, typer.Option(help="The project, or a folder in it.")] = Path(),
    kinds: Annotated[
        list[int] | None,
        typer.Option("--type", min=1, max=4, help="Only this type, as often as needed. Default: 1, 2 and 3."),
    ] = None,
    min_tokens: Annotated[
        int, typer.Option(min=LEAST_TOKENS, help="Least size of a function's body.")
    ] = MIN_TOKENS,
    threshold: Annotated[
        float, typer.Option(min=FLOOR, max=1.0, help="Least similarity of type 3.")
    ] = THRESHOLD,
    semantic: Annotated[
        bool, typer.Option("--semantic", help="Type 4, too: asks the model, seconds for each new function.")
    ] = False,
    model: Annotated[str, typer.Option(help="Base model, for type 4.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Functions that repeat each other: copies, renamed and changed ones, and with --semantic other code like it."""
    from tailora_adapters.clones.index import CloneIndex

    wanted = set(kinds or ((1, 2, 3, _SEMANTIC) if semantic else (1, 2, 3)))
    folder = project_root((path if path.is_dir() else path.parent) if path and root == Path() else root)
    below = _below(folder, path) if path is not None else ""
    project = Store().project(folder)
    index = CloneIndex(project)
    with progress_bar() as progress:
        update = index.update(progress)
        found = index.clones(kinds=wanted, threshold=threshold, min_tokens=min_tokens)
        if _SEMANTIC in wanted:
            found += _semantic(index, project, model, min_tokens, progress)
    if below:
        found = [one for one in found if _lies(one.left, below) or _lies(one.right, below)]
    groups = grouped(found)
    if json:
        print_json(_values(folder, update.functions, groups, found))
    else:
        _show(groups, found)


def _semantic(
    index: "CloneIndex",
    project: ProjectStore,
    model: str,
    min_tokens: int,
    progress: Callable[[float, str], None],
) -> list[Clone]:
    """Those of type 4."""
    from tailora.cli.model import default_model
    from tailora_adapters.clones.semantic import semantic_clones

    return semantic_clones(index, project, model or default_model(), min_tokens=min_tokens, progress=progress)


def _below(root: Path, path: Path) -> str:
    whole = path.resolve()
    if not whole.exists():
        raise TailoraError(f"{path} does not exist")
    if not whole.is_relative_to(root):
        raise TailoraError(f"{path} is not in {root}")
    relative = whole.relative_to(root).as_posix()
    return "" if relative == "." else relative


def _lies(place: Place, below: str) -> bool:
    return place.path == below or place.path.startswith(below + "/")


def _values(root: Path, functions: int, groups: list[Group], found: list[Clone]) -> dict[str, Any]:
    """Lines and columns from 1."""
    return {
        "root": str(root),
        "functions": functions,
        "groups": [
            {
                "type": group.kind,
                "similarity": round(group.similarity, 3),
                "functions": [_place(place) for place in group.places],
            }
            for group in groups
        ],
        "pairs": [
            {
                "type": one.kind,
                "similarity": round(one.similarity, 3),
                "functions": [_place(one.left), _place(one.right)],
            }
            for one in found
        ],
    }


def _place(place: Place) -> dict[str, Any]:
    values = asdict(place)
    for key in ("line", "column", "end_column", "first", "last"):
        values[key] += 1
    return values


def _show(groups: list[Group], found: list[Clone]) -> None:
    for group in groups:
        alike = f", {group.similarity:.0%} at least" if group.kind > 2 else ""
        out.print(f"type {group.kind}: {len(group.places)} functions, {_WHAT[group.kind]}{alike}")
        for place in group.places:
            out.print(
                f"    {place.path}:{place.line + 1}  {place.name}  ({place.last - place.first + 1} lines)"
            )
    counts = ", ".join(
        f"{sum(one.kind == kind for one in found)} of type {kind}"
        for kind in sorted({one.kind for one in found})
    )
    err.print(f"{len(found)} pairs in {len(groups)} groups: {counts}" if found else "no clones")
