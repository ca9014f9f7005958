"""``tailora train``: one training run in the foreground. Whoever serves notices the new version by itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailora.cli.adapter_part import PurposeOption, RepairOption, chosen_purpose
from tailora.cli.model import default_model
from tailora.cli.output import err, out, print_json, progress_bar
from tailora.cli.project import project_root
from tailora.options import for_root, kept_out
from tailora_adapters.errors import MethodError, TailoraError

if TYPE_CHECKING:
    from tailora_adapters.corpus.history import History

__all__ = ["method_for", "methods", "print_gate", "train"]


def train(
    path: Annotated[Path, typer.Argument(help="The repository, or a folder in it.")] = Path(),
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    seconds: Annotated[float, typer.Option(help="Time for training proper; 0: no limit.")] = 0.0,
    full: Annotated[
        bool,
        typer.Option("--full", help="Begin from the foundation adapter again, over the whole repository."),
    ] = False,
    scale: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="Of the adapter; 0: what measures best.")
    ] = 0.0,
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
    method: Annotated[
        str,
        typer.Option(help="Method of fine-tuning, instead of learning.method; `tailora methods` lists them."),
    ] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of the method, as often as needed."),
    ] = None,
    learning_rate: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="0: the one of the settings, or the method's usual one.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say what would be learned and what not.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Learn this repository now; the gate decides whether the result serves."""
    root = project_root(path)
    if reason := kept_out(root):
        raise TailoraError(reason)
    if explain:
        _explain(root, json)
        return
    from tailora_adapters.training.launch import train_in_worker

    model = model or default_model()
    how = method_for(root, method, _settings(setting or []), learning_rate or None)
    with progress_bar() as progress:
        done = train_in_worker(
            root,
            model,
            seconds=seconds or None,
            seed=seed,
            full=full,
            scale=scale or None,
            purpose=chosen_purpose(purpose, repair),
            method=how,
            progress=progress,
        )
    if json:
        print_json(done)
    elif done["gate"] is not None:
        print_gate(done)
    else:
        out.print(f"{done['decision'].replace('_', ' ')}: {done['reason']}")
    if done["decision"] == "failed":
        raise typer.Exit(1)


def method_for(
    root: Path,
    method: str = "",
    given: Mapping[str, object] | None = None,
    learning_rate: float | None = None,
) -> list[str]:
    """A worker's arguments for the method of the settings, or the one that was named, with what was ``given``.

    Raises:
        MethodError: there is no such method, or not with such settings.
    """
    from tailora.method_options import arguments

    options, problems = for_root(root)
    for problem in problems:
        err.print(f"settings: {problem}")
    learning = options.learning
    return arguments(method or learning.method, learning.methods, given, learning_rate)


def methods(json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """The methods of fine-tuning, and their settings with the defaults."""
    from dataclasses import asdict

    from tailora_adapters.methods import METHODS

    if json:
        print_json(
            [
                {
                    "name": method.name,
                    "title": method.title,
                    "source": method.source or None,
                    "learning_rate": method.learning_rate,
                    "settings": asdict(method.defaults),
                    "served": method.served,
                }
                for method in METHODS.values()
            ]
        )
        return
    for method in METHODS.values():
        served = "" if method.served else "  (compared only, not served)"
        out.print(f"{method.name:<14}{method.title:<22}{method.source}{served}")
        values = {
            name: ",".join(value) if isinstance(value, tuple) else value
            for name, value in asdict(method.defaults).items()
        }
        out.print(f"    learning rate {method.learning_rate:g}")
        for name, value in values.items():
            out.print(f"    {name}={value}")


def _settings(given: list[str]) -> dict[str, object]:
    """``NAME=VALUE`` each.

    Raises:
        MethodError: one is not of that form.
    """
    found: dict[str, object] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise MethodError(f"--set is followed by NAME=VALUE, not {one!r}")
        found[name.strip()] = value.strip()
    return found


def print_gate(done: dict[str, object]) -> None:
    """A finished run, check by check."""
    gate = done["gate"]
    assert isinstance(gate, dict)
    for check in gate["checks"]:
        word = "[green]passed[/green]" if check["passed"] else "[red]failed[/red]"
        out.print(f"  {word}  ", end="", markup=True)
        out.print(check["message"])
    out.print(f"version {done['version']} {done['decision']}: {done['reason']}")


def _explain(root: Path, json: bool) -> None:
    from tailora_adapters.corpus.learnable import read_learnable
    from tailora_adapters.corpus.select import tally
    from tailora_adapters.forget import forgotten
    from tailora_adapters.store import Store

    left_alone = forgotten(Store().project(root))
    with progress_bar() as progress:
        found = read_learnable(root, forgotten=left_alone, progress=progress)
    files, rejected, history = found.selection.files, found.selection.rejected, found.history
    counts = tally(rejected)
    if json:
        left_out = [
            {"path": item.path, "reason": item.reason, "detail": item.detail, "count": item.count}
            for item in rejected
        ]
        told = {"commits": history.commits, "recent_lines": history.lines, "reason": history.reason}
        learned = [file.path for file in files]
        print_json({"counts": counts, "history": told, "learned": learned, "left_out": left_out})
        return
    out.print(f"{len(files):>7,}  learned")
    for reason, count in counts.items():
        out.print(f"{count:>7,}  left out: {reason}")
    out.print(_history(history))
    for file in files:
        out.print(f"learned   {file.path}")
    for item in rejected:
        out.print(f"left out  {item}")


def _history(history: "History") -> str:
    ended = f"; {history.reason}" if history.reason else ""
    if not history.edits:
        return f"no recent lines in the history, so all count alike ({history.commits:,} commits{ended})"
    return f"{history.lines:,} recent lines count more, from the history ({history.commits:,} commits{ended})"
