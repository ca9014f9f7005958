"""``tailora eval``: benchmarks."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tailora.cli import evaluate_clones, evaluate_functions, evaluate_methods, evaluate_repair
from tailora.cli.model import default_model
from tailora.cli.output import err, out, print_json, progress_bar

__all__ = ["app"]

app = typer.Typer(
    help="Benchmarks: infilling, personalization, gate, docstrings, generation, repair, clones, methods.",
    no_args_is_help=True,
)
app.command("methods")(evaluate_methods.methods)
app.command("docstrings")(evaluate_functions.docstrings)
app.command("generation")(evaluate_functions.generation)
app.command("repair")(evaluate_repair.repair)
app.command("repair-learning")(evaluate_repair.repair_learning)
app.command("repair-clean")(evaluate_repair.repair_clean)
app.command("repair-suite")(evaluate_repair.repair_suite)
app.command("check")(evaluate_methods.check)
app.command("report")(evaluate_methods.report)
app.command("clones")(evaluate_clones.clones)
app.command("clones-semantic")(evaluate_clones.clones_semantic)


@app.callback()
def _eval() -> None:
    """Benchmarks of what Tailora writes."""


@app.command()
def infilling(
    every: Annotated[int, typer.Option(min=1, help="Take every N-th problem.")] = 7,
    data: Annotated[Path | None, typer.Option(help="The benchmark's file or its folder.")] = None,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    quantization: Annotated[str, typer.Option(help="auto, packed, nf4, int8 or none.")] = "auto",
    bits: Annotated[
        bool, typer.Option("--also-16-bits", help="The adapter over 16-bit weights, too.")
    ] = False,
    against: Annotated[
        Literal["llama.cpp"] | None, typer.Option(help="llama.cpp's server answers, too.")
    ] = None,
    peer_model: Annotated[
        Path | None, typer.Option(help="llama.cpp's GGUF file. Default: the packaged one.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """HumanEval single-line infilling: the bare base model against the foundation adapter."""
    from tailora.bench.peer_server import peer_model as peer_file
    from tailora.bench.peer_server import require_package
    from tailora.evaluation import infilling as benchmark
    from tailora_adapters.base.device import QUANTIZATIONS

    chosen = next((known for known in QUANTIZATIONS if known == quantization), None)
    if chosen is None:
        raise typer.BadParameter(f"{quantization!r} is not one of {', '.join(QUANTIZATIONS)}")
    problems = benchmark.read_problems(benchmark.find_data(data), every)
    name = model or default_model()
    err.print(f"{len(problems)} problems; about 2 s each and way to answer, on 2 cores")
    with progress_bar() as progress:
        peer = None
        if against is not None:
            require_package()
            peer = peer_file(name, peer_model, progress)
        result = benchmark.evaluate(
            problems, name, quantization=chosen, also_16_bits=bits, peer=peer, progress=progress
        )
    if json:
        print_json(result)
        return
    for way in ("base", "foundation", "foundation_16_bits", "llama.cpp"):
        if (row := result.get(way)) is None:
            continue
        out.print(
            f"{way:<18} first line {row['first_line']:.1%}   uncut {row['uncut']:.1%}   {row['mean_seconds']:.2f} s"
        )


@app.command()
def personalization(
    package: Annotated[str, typer.Option(help="A package of the registry, by two of its releases.")] = "",
    repo: Annotated[Path | None, typer.Option(help="A git repository, by two of its commits.")] = None,
    old: Annotated[str, typer.Option("--from", help="The earlier release or revision.")] = "",
    new: Annotated[str, typer.Option("--to", help="The later one.")] = "HEAD",
    steps: Annotated[int, typer.Option(min=1, help="Parts in which the change is made and learned.")] = 3,
    holes: Annotated[int, typer.Option(min=12, help="Tests, in all steps together.")] = 120,
    seconds: Annotated[
        float, typer.Option(help="Time for training proper, for each run; 0: no limit.")
    ] = 0.0,
    every: Annotated[
        int, typer.Option(min=0, help="HumanEval infilling before and after, every N-th problem; 0: not.")
    ] = 0,
    data: Annotated[Path | None, typer.Option(help="The infilling benchmark's file or its folder.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="At the end, compare with one training from the foundation.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="An SVG file of loss against time.")] = None,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Lines that a newer version added, filled in by what was learned of the older one."""
    from tailora.evaluation import infilling as benchmark
    from tailora.evaluation import personalization as experiment
    from tailora.evaluation import trees

    if bool(package) == bool(repo) or not old:
        raise typer.BadParameter("give --package or --repo, and --from")
    if repo is not None:
        found = trees.between_commits(repo, old, new, steps)
    else:
        found = trees.between_releases(package, old, new, steps, seed=seed)
    settings = experiment.Settings(
        model or default_model(), holes=holes, seconds=seconds or None, fresh=fresh, seed=seed
    )
    problems = benchmark.read_problems(benchmark.find_data(data), every) if every else ()
    with progress_bar() as progress:
        result = experiment.measure(found, settings, problems=problems, progress=progress)
    result = {"package": package or str(repo), "from": old, "to": new, **result}
    if json:
        print_json(result)
    else:
        _show(result)
    if plot is not None:
        plot.write_text(experiment.plot(result), encoding="utf-8")


def _show(result: dict[str, Any]) -> None:
    """What ``personalization`` measured, for people."""
    for row in ("base", "base_context", "shared", "adapter"):
        figures = result[row]
        out.print(
            f"{row:<13} loss {figures['nll']:.3f}   exact {figures['exact_match']:.1%}   "
            f"similarity {figures['edit_similarity']:.1%}   stops {figures['stop_rate']:.1%}"
        )
    for name, value in result["delta"].items():
        low, high = result["delta_ci95"][name]
        out.print(f"{name} against {result['compared_with']}: {value:+.1%} ({low:+.1%} to {high:+.1%})")
    out.print(
        f"{len(result['runs'])} runs, {result['train_seconds']:.0f} s ({result['step_seconds']:.0f} s of training "
        f"proper), {result['train_tokens']:,} tokens, {result['peak_rss_mb']:.0f} MB at most"
    )
    if "fresh" in result:
        told = result["fresh"]
        out.print(
            f"unseen files: loss {told['incremental_nll']:.3f} after {told['increments']} increments, "
            f"{told['fresh_nll']:.3f} after one training, ratio {told['ratio']:.3f}"
        )
    if result["generic_drop"] is not None:
        out.print(f"HumanEval infilling: {result['generic_drop']:+.1%} lost")


@app.command()
def gate(
    package: Annotated[str, typer.Option(help="A package of the registry, as NAME==RELEASE.")] = "",
    repo: Annotated[Path | None, typer.Option(help="A git repository, as its last commit has it.")] = None,
    seconds: Annotated[
        float, typer.Option(help="Time for training proper of the run that is meant well; 0: no limit.")
    ] = 0.0,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Planted secrets, and candidates made bad on purpose: does any get past the gate? Then the exit code is 1."""
    from dataclasses import replace

    from tailora.evaluation import gate as experiment
    from tailora.evaluation import trees
    from tailora_adapters.training.run import RunSettings

    name, _, release = package.partition("==")
    if bool(release) == bool(repo) or bool(package) == bool(repo):
        raise typer.BadParameter("give --package NAME==RELEASE or --repo")
    tree = trees.release(name, release) if repo is None else trees.between_commits(repo, "HEAD", "HEAD", 0)[0]
    usual = RunSettings(seed=seed)
    if seconds:
        usual = replace(usual, train=replace(usual.train, max_seconds=seconds))
    settings = experiment.Settings(model or default_model(), run=usual, seed=seed)
    with progress_bar() as progress:
        result = experiment.measure(tree, settings, progress=progress)
    if json:
        print_json(result)
    else:
        learned = result["learned"]
        out.print(f"learned: {learned['decision']}, {learned['reason']}")
        for name, rows in (("kept", result["stored"]), ("told by the adapter", result["reproduced"])):
            out.print(f"of {result['planted']} secrets {name}: {len(rows)}   {'; '.join(rows)}")
        for name, row in result["candidates"].items():
            out.print(f"{name:<16} {row['decision']}: {', '.join(row['failed'])}")
    if not result["passed"]:
        raise typer.Exit(1)
