"""``tailora eval``: benchmarks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tailora.cli.model import default_model
from tailora.cli.output import err, out, print_json, progress_bar

__all__ = ["app"]

app = typer.Typer(help="Benchmarks: infilling.", no_args_is_help=True)


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
