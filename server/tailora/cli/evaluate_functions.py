"""``tailora eval docstrings`` and ``generation``: a package's own adapter for a task, on files that it has not seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailora.cli.model import default_model
from tailora.cli.output import out, print_json, progress_bar

if TYPE_CHECKING:
    from tailora.evaluation.functions import Task

__all__ = ["docstrings", "generation"]

Package = Annotated[
    list[str] | None,
    typer.Option(
        help="An installed package, by its import name; repeatable. Default: dulwich, fsspec, filelock."
    ),
]
Repo = Annotated[list[Path] | None, typer.Option(help="A repository, as it is; repeatable.")]
Functions = Annotated[int, typer.Option(min=5, help="Asked about, of each package.")]
Tokens = Annotated[int, typer.Option(min=1000, help="Learned of each package.")]
Model = Annotated[str, typer.Option(help="Base model.")]
Earlier = Annotated[
    list[Path] | None,
    typer.Option(help="What this printed with --json for other packages, to be counted in; repeatable."),
]
Seed = Annotated[int, typer.Option(help="Seed.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def docstrings(
    package: Package = None,
    repo: Repo = None,
    functions: Functions = 60,
    tokens: Tokens = 16_000,
    earlier: Earlier = None,
    model: Model = "",
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Docstrings of held-out functions: bare base, foundation adapter, own adapter; chrF and BLEU-4."""
    _measure("docstring", package, repo, functions, tokens, earlier, model, seed, json)


def generation(
    package: Package = None,
    repo: Repo = None,
    functions: Functions = 60,
    tokens: Tokens = 16_000,
    earlier: Earlier = None,
    model: Model = "",
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Bodies of held-out functions from their docstrings: exact match and edit similarity, the same three ways."""
    _measure("generation", package, repo, functions, tokens, earlier, model, seed, json)


def _measure(
    task: "Task",
    names: list[str] | None,
    repositories: list[Path] | None,
    functions: int,
    tokens: int,
    earlier: list[Path] | None,
    model: str,
    seed: int,
    json: bool,
) -> None:
    from tailora.evaluation import functions as experiment

    wanted = names or ([] if repositories or earlier else list(experiment.PACKAGES))
    packages = {name: experiment.files_of_package(name) for name in wanted}
    packages |= {path.resolve().name: experiment.files_of_repository(path) for path in repositories or ()}
    settings = experiment.Settings(model or default_model(), task, functions, tokens, seed, earlier or ())
    with progress_bar() as progress:
        result = experiment.measure(packages, settings, progress)
    if json:
        print_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    for name, part in (*result["packages"].items(), ("all", result)):
        learned = f", {part['examples']} learned" if "examples" in part else ""
        out.print(f"{name}: {part['functions']} functions asked{learned}")
        for way in ("base", "foundation", "adapter"):
            told = "   ".join(f"{figure} {value:.3f}" for figure, value in part[way].items())
            out.print(f"  {way:<11} {told}")
        for figure, found in part["adapter_over_base"].items():
            low, high = found["ci95"]
            out.print(f"  {figure}: adapter over base {found['difference']:+.3f} ({low:+.3f} to {high:+.3f})")
