"""The settings of fine-tuning methods: the table ``learning.methods``, and what a training run is told of it.

``tailora.options`` lays the layers over each other and calls ``lay_over`` for that table; the registry of methods
says what there is and which values are possible. Knows nothing of LSP, of the engine or of files. Invariant: a bad
value is named and what was below stays.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailora.errors import OptionError
from tailora.options import attribute_docstrings, for_root, snake_case
from tailora_adapters.errors import MethodError
from tailora_adapters.methods import METHODS, Method, method_named, parameters_of
from tailora_adapters.training.launch import method_arguments

__all__ = ["How", "Methods", "arguments", "how_by_files", "how_of", "lay_over", "methods_table"]

_log = logging.getLogger(__name__)

Methods = Mapping[str, Mapping[str, Any]]
"""Parameters that are not the default, by method and name."""


@dataclass(frozen=True, slots=True)
class How:
    """How a repository is trained."""

    method: str = "lora"
    arguments: tuple[str, ...] = ()
    """A training worker's."""


def lay_over(below: Methods, given: Any, where: str, errors: list[OptionError]) -> Methods:
    """``given`` laid over ``below``, parameter by parameter; what cannot be used is added to ``errors``."""
    found = {name: dict(values) for name, values in below.items()}
    for name, values in given.items():
        place = f"learning.methods.{name}"
        if name not in METHODS or not METHODS[name].served:
            errors.append(OptionError(place, f"there is no such method{where}; ignored"))
        elif isinstance(values, Mapping):
            found[name] = _parameters(name, found.get(name, {}), values, where, errors)
        elif values is not None:
            errors.append(OptionError(place, f"{values!r}{where} is not a table of settings; ignored"))
    return {name: values for name, values in found.items() if values}


def _parameters(
    method: str, below: Mapping[str, Any], given: Mapping[str, Any], where: str, errors: list[OptionError]
) -> dict[str, Any]:
    known, found = parameters_of(METHODS[method]), dict(below)
    for name, value in ((snake_case(key), value) for key, value in given.items()):
        place = f"learning.methods.{method}.{name}"
        if name not in known:
            have = ", ".join(known)
            errors.append(OptionError(place, f"unknown{where}; ignored ({method} has: {have})"))
        elif value is not None:
            try:
                found[name] = known[name].read(value)
            except ValueError:
                using = found.get(name, known[name].default)
                problem = f"{value!r:.80}{where} is not {known[name].expected}; using {using!r:.80}"
                errors.append(OptionError(place, problem))
    return found


def arguments(
    method: str, methods: Methods, given: Mapping[str, Any] | None = None, learning_rate: float | None = None
) -> list[str]:
    """A training worker's arguments for ``method`` with its part of ``methods``, and over that what was ``given``.

    Raises:
        MethodError: there is no such method, it makes nothing that can serve, or not with such settings.
    """
    if not method_named(method).served:
        raise MethodError(
            f"{method_named(method).title} makes a whole model and no adapter: it can be compared, not served; "
            "choose another method (`tailora methods`)"
        )
    values = {**methods.get(method, {}), **(given or {})}
    usual = values.pop("learning_rate", None)
    return method_arguments(method, values, learning_rate or usual)


def how_of(method: str, parameters: Mapping[str, Any]) -> How:
    """By a method with its parameters.

    Raises: as ``arguments``.
    """
    return How(method, tuple(arguments(method, {method: parameters})))


def how_by_files(root: Path) -> How:
    """By the user's and the repository's files; bad values are left out, and logged."""
    options, problems = for_root(root)
    for problem in problems:
        _log.warning("%s: %s", root, problem)
    learning = options.learning
    return how_of(learning.method, learning.methods.get(learning.method, {}))


def methods_table() -> str:
    """The table of parameters in ``docs/methods.md``, in Markdown."""
    rows = [
        "| method | parameter | default | values | what it is, and where the default comes from |",
        "|---|---|---|---|---|",
    ]
    alike: dict[type, list[Method]] = {}
    for method in METHODS.values():
        if method.served:
            alike.setdefault(type(method.defaults), []).append(method)
    for settings, methods in alike.items():
        texts = attribute_docstrings(settings)
        texts["learning_rate"] = "Of AdamW, for small data."
        for name in parameters_of(methods[0]):
            defaults: dict[str, list[str]] = {}
            for method in methods:
                defaults.setdefault(_shown(parameters_of(method)[name].default), []).append(method.name)
            cells = (
                ", ".join(f"`{method.name}`" for method in methods),
                f"`{name}`",
                _by_method(defaults),
                parameters_of(methods[0])[name].expected,
                texts[name],
            )
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _by_method(defaults: Mapping[str, list[str]]) -> str:
    """The most frequent default, and those of the other methods by name."""
    usual = max(defaults, key=lambda value: len(defaults[value]))
    others = [
        f"{', '.join(f'`{name}`' for name in names)}: `{value}`"
        for value, names in defaults.items()
        if value != usual
    ]
    return "; ".join([f"`{usual}`", *others])


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default).strip()
