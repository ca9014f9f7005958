"""``tailora eval clones`` and ``clones-semantic``: how well clones are found."""

from typing import Annotated, Any

import typer

from tailora.cli.output import out, print_json, progress_bar
from tailora_adapters.clones.limits import FLOOR, LEAST_TOKENS, MIN_TOKENS, THRESHOLD

__all__ = ["clones", "clones_semantic"]


def clones(
    packages: Annotated[str, typer.Option(help="Installed packages, by commas. Default: five.")] = "",
    count: Annotated[int, typer.Option(min=1, help="Clones of each type in each package.")] = 40,
    share: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Type 3: most of a function's statements that are changed."),
    ] = 0.25,
    threshold: Annotated[float, typer.Option(min=FLOOR, max=1.0, help="Least similarity.")] = THRESHOLD,
    min_tokens: Annotated[int, typer.Option(min=LEAST_TOKENS, help="Least size of a body.")] = MIN_TOKENS,
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Clones planted in real packages: how many are found, and what else is taken for one."""
    from tailora.evaluation import clones as experiment

    names = tuple(name.strip() for name in packages.split(",") if name.strip()) or experiment.PACKAGES
    settings = experiment.Settings(names, count, share, threshold, min_tokens, seed)
    with progress_bar() as progress:
        result = experiment.measure(settings, progress)
    if json:
        print_json(result)
        return
    for name, row in result["types"].items():
        out.print(_line("all" if name == "all" else f"type {name}", row))
    for name, row in result["packages"].items():
        out.print(
            f"{_line(name, row)}   of {row['functions']} functions; {len(row['existing'])} pairs before"
        )


def _line(name: str, row: dict[str, Any]) -> str:
    figures = "   ".join(
        f"{label} {row[key]['value']:.3f} ({row[key]['ci95'][0]:.3f} to {row[key]['ci95'][1]:.3f})"
        for label, key in (("precision", "precision"), ("recall", "recall"), ("F1", "f1"))
    )
    return (
        f"{name:<15} {figures}   {row['found']} of {row['planted']} found, {row['false']} false, "
        f"{row['set_aside']} set aside, type right {row['type_right']}"
    )


def clones_semantic(
    package: Annotated[
        str, typer.Option(help="Installed package of the functions that differ.")
    ] = "starlette",
    count: Annotated[int, typer.Option(min=20, help="Functions of it.")] = 80,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Type 4: pairs written by hand that do the same another way, among functions of a real package."""
    from tailora.cli.model import default_model
    from tailora.evaluation import clones_semantic as experiment

    with progress_bar() as progress:
        result = experiment.measure(model or default_model(), package, count, seed=seed, progress=progress)
    if json:
        print_json(result)
        return
    out.print(f"{result['pairs']} pairs, area under ROC {result['area_under_roc']:.3f}")
    for name, label in (("chosen_on_half", "chosen on one half, other half"), ("in_use", "in use")):
        row = result[name]
        out.print(
            f"{label}: threshold {row['threshold']}   precision {row['precision']:.3f}   recall {row['recall']:.3f}   "
            f"F1 {row['f1']:.3f}   {row['found']} of {row['of']} found, {row['false']} false of {row['of_negatives']}"
        )
