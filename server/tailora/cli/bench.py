"""``tailora bench``: how fast it is, here, beside what one would use instead, while it learns, and how fast it does."""

import json as json_module
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tailora.cli.model import default_model
from tailora.cli.output import err, out, print_json, progress_bar

if TYPE_CHECKING:
    from rich.table import Table

    from tailora.bench.latency import Report

__all__ = ["app"]

app = typer.Typer(
    help="Benchmarks: latency, interference, training, promotion, repair, clones, methods.",
    no_args_is_help=True,
)

_QUICK_PLACES = 8

_Model = Annotated[str, typer.Option(help="Base model. Default: that of your settings.")]
_Package = Annotated[str, typer.Option(help="Installed package whose source is learned. Default: cattrs.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.callback()
def _bench() -> None:
    """Benchmarks of what a person who types waits for, and of learning."""


@app.command()
def latency(
    against: Annotated[
        Literal["llama.cpp"] | None, typer.Option(help="Play the same against llama.cpp's server.")
    ] = None,
    model: _Model = "",
    places: Annotated[int, typer.Option(min=1, help="Places to type at.")] = 30,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the sides take turns.")] = 2,
    seed: Annotated[int, typer.Option(help="Draws places, keys and times.")] = 1,
    adapter: Annotated[
        Literal["serving", "foundation", "none"], typer.Option(help="Whose suggestions.")
    ] = "serving",
    compare_adapter: Annotated[
        bool, typer.Option("--compare-adapter", help="Play without adapter, too.")
    ] = False,
    peer_model: Annotated[
        Path | None, typer.Option(help="llama.cpp's GGUF file. Default: the packaged one.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{_QUICK_PLACES} places, one round.")] = False,
    only: Annotated[str, typer.Option(help="Parts, separated by commas: trace, raw, processes.")] = "",
    moments: Annotated[Path | None, typer.Option(help="File for every single moment, as JSON.")] = None,
    json: _Json = False,
) -> None:
    """Replays typing in real files through the language server: time from keystroke to suggestion."""
    from tailora.bench.latency import PARTS, Plan, measure
    from tailora.bench.report import tables

    parts = frozenset(part.strip() for part in only.split(",") if part.strip()) or frozenset(PARTS)
    if unknown := parts - set(PARTS):
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: parts are {', '.join(PARTS)}", param_hint="--only"
        )
    plan = Plan(
        model=_model(model),
        against_peer=against is not None,
        peer_model=peer_model,
        places=min(places, _QUICK_PLACES) if quick else places,
        rounds=1 if quick else rounds,
        seed=seed,
        adapter=adapter,
        compare_adapter=compare_adapter,
        parts=parts,
        quick=quick,
    )
    with progress_bar() as progress:
        report = measure(plan, progress, lambda text: err.print(text, soft_wrap=True))
    _tell(report, tables, moments=moments, json=json)


@app.command()
def interference(
    model: _Model = "",
    places: Annotated[int, typer.Option(min=1, help="Places to type at, idle and while training.")] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the order is swapped in every other.")] = 2,
    seed: Annotated[int, typer.Option(help="Draws places, keys and times.")] = 1,
    package: Annotated[
        str, typer.Option(help="Installed package whose source is typed in and learned. Default: cattrs.")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help=f"{_QUICK_PLACES} places, one round.")] = False,
    moments: Annotated[Path | None, typer.Option(help="File for every single moment, as JSON.")] = None,
    json: _Json = False,
) -> None:
    """Types at the same places when idle and while training runs: p95 of the one over that of the other."""
    from tailora.bench.interference import Plan, measure
    from tailora.bench.report import interference_tables
    from tailora.demo.repository import DEFAULT_PACKAGE

    plan = Plan(
        model=_model(model),
        places=min(places, _QUICK_PLACES) if quick else places,
        rounds=1 if quick else rounds,
        seed=seed,
        package=package or DEFAULT_PACKAGE,
    )
    with progress_bar() as progress:
        report = measure(plan, progress, lambda text: err.print(text, soft_wrap=True))
    _tell(report, interference_tables, moments=moments, json=json)


@app.command()
def training(
    model: _Model = "",
    package: _Package = "",
    examples: Annotated[int, typer.Option(min=24, help="Training examples.")] = 160,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the order is swapped in every other.")] = 1,
    seed: Annotated[int, typer.Option(help="Draws examples and their order.")] = 1,
    plain_learning_rate: Annotated[
        float, typer.Option(min=0.0, help="Of the plain way. Default: the same as ours.")
    ] = 0.0,
    quick: Annotated[bool, typer.Option("--quick", help="24 examples, one round: does it work?")] = False,
    plot: Annotated[Path | None, typer.Option(help="An SVG file of loss against time.")] = None,
    json: _Json = False,
) -> None:
    """Trains as transformers.Trainer with peft would, then our way: time to the same held-out loss."""
    from tailora.bench import training_figures
    from tailora.bench.report import training_tables
    from tailora.bench.time_to_loss import Plan, measure
    from tailora.demo.repository import DEFAULT_PACKAGE

    plan = Plan(
        _model(model),
        examples=examples,
        rounds=rounds,
        seed=seed,
        package=package or DEFAULT_PACKAGE,
        plain_learning_rate=plain_learning_rate or None,
    )
    with progress_bar() as progress:
        value = measure(
            plan.quickly() if quick else plan, progress, lambda text: err.print(text, soft_wrap=True)
        )
    _print(value, training_tables, json=json)
    if plot is not None:
        plot.write_text(training_figures.plot(value), encoding="utf-8")


@app.command()
def promotion(
    model: _Model = "",
    package: _Package = "",
    saves: Annotated[int, typer.Option(min=1, help="Files that are saved, one after the other.")] = 3,
    json: _Json = False,
) -> None:
    """Saves changed files of a small repository: time until an adapter that has seen them is promoted."""
    from tailora.bench.promotion import Plan, measure
    from tailora.bench.report import promotion_tables
    from tailora.demo.repository import DEFAULT_PACKAGE

    plan = Plan(_model(model), package or DEFAULT_PACKAGE, saves)
    with progress_bar() as progress:
        value = measure(plan, progress, lambda text: err.print(text, soft_wrap=True))
    _print(value, promotion_tables, json=json)


@app.command()
def repair(
    suite: Annotated[
        Path | None,
        typer.Option(
            help="A repair suite whose diagnostics are repaired. Without one, only the menu is timed."
        ),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Take every N-th of its cases.")] = 1,
    menus: Annotated[int, typer.Option(min=1, help="Menus of each kind.")] = 200,
    model: _Model = "",
    json: _Json = False,
) -> None:
    """Times the menu of quick fixes, and fixes that are chosen from it, through the language server."""
    from tailora.bench.repair import Plan, measure
    from tailora.bench.report import repair_tables

    plan = Plan(_model(model), suite, every, menus)
    with progress_bar() as progress:
        value = measure(plan, progress, lambda text: err.print(text, soft_wrap=True))
    _print(value, repair_tables, json=json)


@app.command()
def methods(
    method: Annotated[
        str, typer.Option("--methods", help="Names, separated by commas. Default: all that are served.")
    ] = "",
    repeats: Annotated[int, typer.Option(min=1, help="Turns; all methods take part in each.")] = 7,
    model: _Model = "",
    json: _Json = False,
) -> None:
    """How much slower adapters of each method serve than the base model alone, and than the foundation adapter."""
    from tailora.bench.served_methods import measure_untrained
    from tailora_adapters.methods import METHODS

    names = [name.strip() for name in method.split(",") if name.strip()]
    names = names or [known.name for known in METHODS.values() if known.served]
    with progress_bar() as progress:
        value = measure_untrained(_model(model), names, repeats, progress)
    if json:
        print_json(value)
        return
    for name, row in value["methods"].items():
        low, high = row["spread"]
        beside = row.get("decode_over_foundation")
        out.print(
            f"{name:<14} {row['decode_ms_per_token']:6.2f} ms a token  {row['decode_over_base']:+6.1%} "
            f"({low:+.1%} to {high:+.1%}) over the base"
            + (f"  {beside:+6.1%} over the foundation adapter" if beside is not None else "")
            + f"   prompt {row['prefill_ms']:6.0f} ms {row['prefill_over_base']:+.1%}"
        )


@app.command()
def clones(
    functions: Annotated[int, typer.Option(min=10, help="Of the repository.")] = 10_000,
    changes: Annotated[int, typer.Option(min=1, help="Files that are changed, one after the other.")] = 20,
    json: _Json = False,
) -> None:
    """Times the index of a repository made of installed packages: at first, and after a change of one file."""
    from tailora.bench.clones import measure

    with progress_bar() as progress:
        value = measure(functions, changes, progress)
    if json:
        print_json(value)
        return
    out.print(
        f"{value['functions']:,} functions in {value['files']:,} files, {value['compared']:,} of them compared: "
        f"{value['first_s']} s at first ({value['first_cpu_s']} s of a processor); after a change of one file "
        f"{value['update_median_s']} s in the median, {value['update_max_s']} s at most "
        f"({value['update_cpu_median_s']} and {value['update_cpu_max_s']} s of a processor); "
        f"{value['unchanged_s']} s where nothing changed"
    )
    out.print(
        f"{value['pairs']:,} pairs in {value['groups']:,} groups, read in {value['read_pairs_s']} s; "
        f"index {value['index_mb']} MB, memory {value['rss_mb']} MB"
    )


def _model(name: str) -> str:
    """The model to measure with; a path is made absolute, as the engine runs in another folder."""
    if name and Path(name).exists():
        return str(Path(name).resolve())
    return name or default_model()


def _tell(
    report: "Report",
    tables: "Callable[[dict[str, Any]], Iterable[Table]]",
    *,
    moments: Path | None,
    json: bool,
) -> None:
    _print(report.value, tables, json=json)
    if moments is not None:
        moments.write_text(json_module.dumps(report.moment_rows(), indent=1) + "\n", encoding="utf-8")


def _print(
    value: dict[str, Any], tables: "Callable[[dict[str, Any]], Iterable[Table]]", *, json: bool
) -> None:
    if json:
        print_json(value)
        return
    for table in tables(value):
        out.print(table)
