"""``tailora engine``, ``status``, ``stop`` and ``demo``."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tailora.cli.output import err, out, print_json
from tailora.cli.project import project_root

__all__ = ["demo", "engine", "status", "stop"]


def engine() -> None:
    """The process that holds the model. `tailora lsp` starts it by itself."""
    from tailora.engine import endpoint
    from tailora.engine.process import run

    if not run():
        found = endpoint.read()
        err.print("an engine runs already" + (f": process {found.pid}" if found else ""))


def status(
    path: Annotated[Path, typer.Argument(help="The repository, or a folder in it.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """What the engine is doing, and what it knows of this project."""
    from tailora.engine.client import status_now

    root = project_root(path)
    found = status_now(root)
    if json:
        print_json(found or {"engine": None})
        return
    if found is None:
        out.print("no engine is running: an editor with `tailora lsp` starts it")
        return
    held, model, project = found["engine"], found["model"], found["project"]
    out.print(f"engine   process {held['pid']}, {held['rss_mb']:.0f} MB, up {held['uptime_s']:.0f} s")
    out.print(
        f"model    {model['name']}: {model['state']}" + (f" ({model['message']})" if model["message"] else "")
    )
    if project is None:
        out.print(f"project  {root} is not open in an editor")
    else:
        served = project["serving"] or "the foundation adapter"
        out.print(f"project  {project['root']}: {project['state']}, {project['message']}; serving {served}")


def stop() -> None:
    """Ends the engine. The next editor request starts it again."""
    from tailora.engine.client import EngineClient

    async def end() -> None:
        client = EngineClient(autostart=False)
        try:
            await client.ensure()
            await client.shutdown()
        finally:
            await client.aclose()

    asyncio.run(end())
    err.print("the engine was told to end")


def demo(
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    seconds: Annotated[float, typer.Option(help="Time for training proper.")] = 140.0,
    package: Annotated[str, typer.Option(help="Installed package whose source is the repository.")] = "",
) -> None:
    """The main job on a real repository: complete, learn, compare, roll back. About five minutes."""
    from tailora.demo import run_demo

    result = run_demo(package=package, seconds=seconds, quiet=json)
    if json:
        print_json(result)
