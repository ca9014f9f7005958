"""The engine's settings: defaults, then the user's ``config.toml``, then ``TAILORA_ENGINE_*``.

A repository has no say here: one engine serves all of a user's projects. A bad value never stops the engine;
it is named, and its default is used. The model ``auto`` becomes a name here.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from tailora.engine.recommend import auto_model, kept_calibration, recommend
from tailora.engine.schedule import Rules
from tailora.errors import OptionError
from tailora_adapters.base import catalogue
from tailora_adapters.paths import config_dir

__all__ = ["EngineOptions", "Quantization", "read_options", "rules_of"]

Quantization = Literal["auto", "nf4", "int8", "packed", "none"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of ``[engine]``. Times are in seconds."""

    model: str = field(default_factory=catalogue.default_name)
    """A name of the catalogue, or the path of a model folder or GGUF file. ``auto``: what `tailora model recommend`
    found for this machine (``read_options`` puts a name in its place); nothing: by the GPU's memory."""
    latency_ms: int = field(default=0, metadata={"min": 0, "max": 60_000})
    """The longest that a typed suggestion may take by ``auto`` and `tailora model recommend`, in milliseconds; 0: 300
    with a GPU, 800 without."""
    quantization: Quantization = field(default="auto", metadata={"pattern": "|".join(get_args(Quantization))})
    """``auto``, ``nf4`` and ``int8`` (bitsandbytes), ``packed`` (for CPUs), ``none``."""
    device: str = field(default="auto", metadata={"pattern": r"auto|cpu|mps|cuda(:\d+)?"})
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    threads: int = field(default=0, metadata={"min": 0, "max": 1024})
    """Threads for generation; 0: as many as there are cores."""
    idle_unload_s: float = field(default=600.0, metadata={"min": 1})
    """The weights are unloaded after this time without a request."""
    idle_exit_s: float = field(default=1800.0, metadata={"min": 1})
    """The engine ends after this time without requests, open projects and event streams."""
    quiet_s: float = field(default=20.0, metadata={"min": 0})
    """Training starts this long after a project's last change; after a commit, a quarter of it."""
    min_gap_s: float = field(default=120.0, metadata={"min": 0})
    """The least time between two training runs of a project. After runs that came to nothing it doubles, up to an
    hour."""
    max_wait_s: float = field(default=1800.0, metadata={"min": 0})
    """What changed waits no longer than this for quiet or for more."""
    min_new_tokens: int = field(default=200, metadata={"min": 0})
    """Training starts when about so many tokens are new,"""
    min_changed_files: int = field(default=5, metadata={"min": 1})
    """or this many files have changed, or after a commit."""
    max_load: float = field(default=0.7, metadata={"min": 0, "max": 1})
    """Training waits while other programs use a larger share of the cores, averaged over a minute."""
    on_battery: bool = False
    """Whether training starts on battery, too, while that has more than 30 %."""
    budget_s_per_day: float = field(default=3600.0, metadata={"min": 0})
    """How long a project may be trained in a day (of UTC), waiting for completions not counted; 0: no limit. A run
    that was asked for is counted and not held back."""
    train_seconds: float = field(default=600.0, metadata={"min": 10})
    """The time that one run may train, or what the day's budget has left; measuring and the gate come on top."""
    train_resume_s: float = field(default=2.0, metadata={"min": 1})
    """A run that was suspended for a completion goes on this long after the last one, so not between two keystrokes.
    No less than the longest window of ``cores``: else a worker that was just suspended would count as computing."""
    poll_s: float = field(default=120.0, metadata={"min": 1})
    """Where a project is too large for file notifications, it is looked through this often."""
    tcp: bool = False
    """Loopback TCP with a token even where there are Unix sockets."""


def rules_of(options: EngineOptions) -> Rules:
    """When training starts by these settings."""
    return Rules(**{item.name: getattr(options, item.name) for item in fields(Rules)})


def _convert(name: str, value: object, default: object, metadata: Mapping[str, Any]) -> object:
    """``value`` as the type of ``default``.

    Raises:
        OptionError: it is not of that type or out of bounds.
    """
    if isinstance(default, bool):
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        result = value if isinstance(value, bool) else words.get(str(value).strip().lower())
        if result is None:
            raise OptionError(f"engine.{name}", f"{value!r} is neither true nor false; using {default}")
        return result
    if isinstance(default, str):
        pattern = metadata.get("pattern", r"(?s).+")
        if not isinstance(value, str) or not re.fullmatch(pattern, value.strip()):
            raise OptionError(f"engine.{name}", f"{value!r} cannot be used; using {default!r}")
        return value.strip()
    try:
        if isinstance(value, bool):
            raise ValueError
        number = int(str(value)) if isinstance(default, int) else float(str(value))
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise OptionError(f"engine.{name}", f"{value!r} is not {kind}; using {default}") from None
    least, most = metadata.get("min", float("-inf")), metadata.get("max", float("inf"))
    if not least <= number <= most:  # also false for nan
        raise OptionError(f"engine.{name}", f"{value!r} is out of bounds; using {default}")
    return number


def _read_file() -> tuple[dict[str, Any], list[str]]:
    path = config_dir() / "config.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("engine", {})
    except FileNotFoundError:
        return {}, []
    except (OSError, ValueError) as error:
        return {}, [f"{path}: {error}; using the defaults"]
    if not isinstance(table, dict):
        return {}, [f"{path}: [engine] is not a table; using the defaults"]
    return table, []


def read_options(environ: Mapping[str, str] | None = None) -> tuple[EngineOptions, list[str]]:
    """The settings that hold for this user, and one line for each that could not be used."""
    environ = os.environ if environ is None else environ
    table, problems = _read_file()
    known = {option.name: option for option in fields(EngineOptions)}
    problems += [f"engine.{name}: there is no such setting" for name in sorted(set(table) - set(known))]
    defaults = EngineOptions()
    values: dict[str, Any] = {}
    for name, option in known.items():
        raw = environ.get(f"TAILORA_ENGINE_{name.upper()}", table.get(name))
        if raw is None:
            continue
        try:
            values[name] = _convert(name, raw, getattr(defaults, name), option.metadata)
        except OptionError as error:
            problems.append(str(error))
    options = EngineOptions(**values)
    if options.model == "auto":
        options, told = _decide_model(options)
        problems += told
    return options, problems


def _decide_model(options: EngineOptions) -> tuple[EngineOptions, list[str]]:
    """``options`` with the name of a model, by what was measured earlier: nothing is measured here."""
    calibration = kept_calibration(threads=options.threads, device=options.device)
    recommendation = recommend(calibration, options.latency_ms) if calibration else None
    name, told = auto_model(recommendation)
    return replace(options, model=name), [f"engine.model: {told}"] if told else []
