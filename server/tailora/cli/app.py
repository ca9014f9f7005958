"""All commands in one tree; errors that a user can act on become one line and exit code 1."""

import logging
import sys
from typing import Annotated

import typer

from tailora import __version__
from tailora.cli import adapter, bench, clones, docstring, doctor, evaluate, model, poc, repair, serve, train
from tailora.cli.output import err
from tailora_adapters.errors import TailoraError

__all__ = ["app", "run"]

_log = logging.getLogger(__name__)

app = typer.Typer(
    name="tailora",
    help="A language server that tailors a code model to your repository. Nothing leaves this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log to stderr.")] = False,
) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, stream=sys.stderr)


@app.command("lsp", help="The language server, over stdio. Editors start it.")
def _lsp() -> None:
    from tailora.lsp.server import main

    raise typer.Exit(main([]))


app.command("engine")(serve.engine)
app.command("status")(serve.status)
app.command("stop")(serve.stop)
app.command("doctor")(doctor.doctor)
app.command("demo")(serve.demo)
app.command("train")(train.train)
app.command("methods")(train.methods)
app.command("repair")(repair.repair)
app.command("clones")(clones.clones)
app.command("docstring")(docstring.docstring)
app.command("poc")(poc.poc)
app.add_typer(model.app, name="model")
app.add_typer(adapter.app, name="adapter")
app.add_typer(evaluate.app, name="eval")
app.add_typer(bench.app, name="bench")


def _failed(why: str) -> int:
    err.print("[red]error:[/red] ", end="", markup=True)
    err.print(why, soft_wrap=True)
    return 1


def run() -> int:
    """Runs the command in ``sys.argv``; returns the exit code."""
    try:
        app(standalone_mode=True)
    except TailoraError as error:
        return _failed(str(error))
    except OSError as error:  # mostly of a path that the user gave
        _log.info("failed", exc_info=True)
        return _failed(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        err.print("interrupted")
        return 130
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 1
    return 0
