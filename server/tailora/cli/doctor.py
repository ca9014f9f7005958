"""``tailora doctor``: what is wrong with this machine, and what to do about it."""

import importlib.util
import json as json_module
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import psutil
import typer

from tailora.cli.adapter_part import Part
from tailora.cli.model import default_model
from tailora.cli.output import out, print_json
from tailora_adapters import foundation, paths
from tailora_adapters.base import cache, catalogue
from tailora_adapters.errors import AdapterCorrupt, ModelCorrupt, ModelError, ModelMissing, StoreError
from tailora_adapters.purposes import PURPOSES, option
from tailora_adapters.store import Store

if TYPE_CHECKING:
    from tailora.engine.machine import Representation

__all__ = ["Finding", "doctor", "examine"]

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    level: Level
    message: str
    advice: str = ""


def doctor(
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Also check every hash (seconds).")] = False,
) -> None:
    """Look for what is wrong: model, space, processor, GPU, engine, settings, adapters."""
    findings = examine(full=full)
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        colours = {"ok": "green", "warning": "yellow", "problem": "red"}
        for finding in findings:
            colour = colours[finding.level]
            out.print(f"[{colour}]{finding.level:<8}[/{colour}] {finding.check:<9} ", end="", markup=True)
            out.print(finding.message)
            if finding.advice:
                out.print(f"{'':<19}{finding.advice}")
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def examine(*, full: bool = False) -> list[Finding]:
    """Every check, in the order in which one would look. None of them raises."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _settings,
        lambda: _model(full),
        _space,
        _processor,
        _memory,
        _gpu,
        _engine,
        _adapters,
    )
    return [finding for check in checks for finding in check()]


def _settings() -> Iterator[Finding]:
    from tailora.engine.options import read_options

    _, errors = read_options()
    for error in errors:
        if error.startswith("engine.model: 'auto'"):  # a choice that could be better, not a mistake
            yield Finding("settings", "warning", error)
        else:
            yield Finding("settings", "problem", str(error), f"edit {paths.config_dir() / 'config.toml'}")
    if not errors:
        yield Finding("settings", "ok", "no complaints")


def _model(full: bool) -> Iterator[Finding]:
    name = default_model()
    try:
        model = catalogue.find(name)
        folder, record = cache.open_record(model)
        if full:
            cache.verify(folder, record, everything=True)
        yield Finding("model", "ok", f"{name} is in {folder}")
    except (ModelMissing, ModelCorrupt) as error:
        yield Finding("model", "problem", str(error), f"run `tailora model pull {name}`")
    except ModelError as error:
        yield Finding("model", "problem", str(error), "correct `engine.model` in your settings")
    try:
        if foundation.find(name) is None:
            yield Finding(
                "model", "warning", f"no foundation adapter ships for {name}: holes are filled less well"
            )
    except AdapterCorrupt as error:
        yield Finding("model", "problem", f"the shipped adapter is damaged: {error}", "install Tailora again")


def _space() -> Iterator[Finding]:
    for what, place, needed in (("models", paths.models_dir(), 2_000), ("adapters", paths.data_dir(), 200)):
        at = next(folder for folder in (place, *place.parents) if folder.exists())
        free = shutil.disk_usage(at).free >> 20
        if not os.access(at, os.W_OK):
            yield Finding("disk", "problem", f"{at} ({what}) cannot be written", "change its permissions")
        elif free < needed:
            yield Finding(
                "disk", "problem", f"{free} MB free at {at} ({what}), {needed} MB needed", "free some space"
            )
        else:
            yield Finding("disk", "ok", f"{free // 1024} GB free for {what}")


def _processor() -> Iterator[Finding]:
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    measured = _measured()
    if measured is not None:
        level: Level = "ok" if measured.usual else "warning"
        yield Finding("processor", level, f"{cores} cores, measured: {measured.found}")
        return
    flags = _cpu_flags()
    if platform.machine() not in ("x86_64", "AMD64"):
        yield Finding(
            "processor", "warning", f"{platform.machine()}, {cores} cores: speed is not measured on it yet"
        )
    elif not flags:
        yield Finding("processor", "warning", f"{cores} cores, instruction sets unknown")
    elif "avx512f" not in flags and "avx2" not in flags:
        yield Finding(
            "processor", "problem", "no AVX2: completions will take seconds", "use another machine or a GPU"
        )
    elif "avx512f" not in flags:
        yield Finding("processor", "warning", f"{cores} cores, AVX2 but no AVX-512: completions are slower")
    elif "avx512_bf16" not in flags:
        yield Finding("processor", "warning", f"{cores} cores, AVX-512 without bf16: long prompts are slower")
    else:
        yield Finding("processor", "ok", f"{cores} cores, AVX-512 with bf16")


def _measured() -> "Representation | None":
    """What the first load of the default model found."""
    from tailora.engine.machine import kept_representation

    try:
        folder, _ = cache.open_record(catalogue.find(default_model()))
        return kept_representation(json_module.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (ModelError, OSError, ValueError, KeyError):
        return None


def _cpu_flags() -> set[str]:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("flags"):
                return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def _memory() -> Iterator[Finding]:
    available = psutil.virtual_memory().available >> 20
    try:
        needed = catalogue.find(default_model()).memory_mb
    except ModelError:
        return
    if available < needed:
        yield Finding(
            "memory", "warning", f"{available} MB available, about {needed} MB needed", "close something"
        )
    else:
        yield Finding("memory", "ok", f"{available} MB available")


def _gpu() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        if shutil.which("nvidia-smi"):
            advice = "install a CUDA build of torch, see the README"
            yield Finding("gpu", "warning", "there is an NVIDIA driver, but torch cannot use the GPU", advice)
        else:
            yield Finding("gpu", "ok", "none: the processor is used")
        return
    if importlib.util.find_spec("bitsandbytes") is None:
        yield Finding(
            "gpu", "problem", "CUDA without bitsandbytes: NF4 cannot be used", "pip install bitsandbytes"
        )
        return
    name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory >> 20
    yield Finding("gpu", "ok", f"{name}, {memory} MB (speed on CUDA is not measured yet)")


def _engine() -> Iterator[Finding]:
    from tailora.engine import endpoint
    from tailora.engine.client import status_now

    found = status_now()
    if found is not None:
        model = found["model"]
        level: Level = "problem" if model["state"] == "failed" else "ok"
        yield Finding("engine", level, f"process {found['engine']['pid']} answers, model {model['state']}")
        return
    written = endpoint.read()
    if written is not None and psutil.pid_exists(written.pid):
        advice = f"end process {written.pid}; the next request starts another"
        yield Finding("engine", "problem", f"process {written.pid} does not answer", advice)
    else:
        yield Finding("engine", "ok", "not running (an editor starts it)")


def _adapters() -> Iterator[Finding]:
    try:
        projects = Store().projects()
    except StoreError as error:
        yield Finding("adapters", "problem", str(error))
        return
    for part in (Part(project, purpose) for project in projects for purpose in PURPOSES):
        for version in part.store.versions():
            if version.status == "corrupt":
                words = " ".join(filter(None, (version.version, option(part.purpose))))
                advice = f"tailora adapter delete {words} --project {part.store.root}"
                message = f"{part.name(version.version)} of {part.store.root} is damaged: {version.problem}"
                yield Finding("adapters", "warning", message, advice)
    yield Finding("adapters", "ok", f"{len(projects)} repositories learned")
