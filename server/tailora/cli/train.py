"""``tailora train``: one training run in the foreground. Whoever serves notices the new version by itself."""

from pathlib import Path
from typing import Annotated

import typer

from tailora.cli.model import default_model
from tailora.cli.output import out, print_json, progress_bar

__all__ = ["print_gate", "train"]


def train(
    path: Annotated[Path, typer.Argument(help="The repository.")] = Path(),
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    seconds: Annotated[float, typer.Option(help="Time for training proper; 0: no limit.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say what would be learned and what not.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Learn this repository now; the gate decides whether the result serves."""
    if explain:
        _explain(path, json)
        return
    from tailora_adapters.training.launch import train_in_worker

    with progress_bar() as progress:
        done = train_in_worker(
            path.resolve(), model or default_model(), seconds=seconds or None, seed=seed, progress=progress
        )
    if json:
        print_json(done)
    elif done["gate"] is not None:
        print_gate(done)
    else:
        out.print(f"{done['decision'].replace('_', ' ')}: {done['reason']}")
    if done["decision"] == "failed":
        raise typer.Exit(1)


def print_gate(done: dict[str, object]) -> None:
    """A finished run, check by check."""
    gate = done["gate"]
    assert isinstance(gate, dict)
    for check in gate["checks"]:
        word = "[green]passed[/green]" if check["passed"] else "[red]failed[/red]"
        out.print(f"  {word}  ", end="", markup=True)
        out.print(check["message"])
    out.print(f"version {done['version']} {done['decision']}: {done['reason']}")


def _explain(path: Path, json: bool) -> None:
    from tailora_adapters.corpus.select import select_files
    from tailora_adapters.forget import forgotten
    from tailora_adapters.store import Store

    selection = select_files(path.resolve(), forgotten=forgotten(Store().project(path)))
    if json:
        print_json(
            {
                "learned": [file.path for file in selection.files],
                "left_out": [{"path": item.path, "reason": item.reason} for item in selection.rejected],
            }
        )
        return
    for file in selection.files:
        out.print(f"learned   {file.path}")
    for item in selection.rejected:
        out.print(f"left out  {item}")
