"""Every setting, its default and its bounds, written once.

Layers, each over the one before: the defaults, the user's ``config.toml``, the repository's ``tailora.toml``
(only keys that are safe to take from a repository), the editor. Knows nothing of LSP or of what a setting
does; the engine's settings are its own (``engine.options``). Invariant: ``merge`` never fails; a bad value is
named and the value of the layer below stays.
"""

import ast
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tailora.errors import OptionError
from tailora_adapters.clones import limits
from tailora_adapters.paths import config_dir

__all__ = [
    "REPOSITORY_FILE",
    "USER_FILE",
    "CloneOptions",
    "CompletionOptions",
    "DocstringOptions",
    "GenerationOptions",
    "LearningOptions",
    "ModelOptions",
    "Options",
    "OutcomeOptions",
    "RepairOptions",
    "attribute_docstrings",
    "for_root",
    "kept_out",
    "load",
    "merge",
    "settings_table",
    "snake_case",
]

USER_FILE = "config.toml"
REPOSITORY_FILE = "tailora.toml"
_OTHERS_SECTIONS = {USER_FILE: {"engine"}}
"""Sections of the files that are read elsewhere."""
_REPOSITORY_RULES = {False: "no", True: "yes", "off": "only `false`", "add": "adds to yours"}
_METHODS = (
    "lora", "qlora", "rslora", "dora", "adalora", "vera", "ia3", "norms", "houlsby", "pfeiffer", "prefix",
    "p-tuning-v2", "prompt", "p-tuning", "lora+prefix", "lora+adapter",
)  # fmt: skip
"""Those that make something that serves; the registry of methods takes a while to import."""


def _setting(
    default: Any,
    *,
    low: int = 0,
    high: int = 0,
    choices: tuple[str, ...] = (),
    repository: bool | str = False,
) -> Any:
    """A field. ``repository``: whether ``tailora.toml`` may set it; "off": only to false; "add": may add."""
    metadata = {"low": low, "high": high, "choices": choices, "repository": repository}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class CompletionOptions:
    """What is suggested, and when."""

    enabled: bool = _setting(True, repository="off")
    """Whether anything is suggested."""
    debounce_ms: int = _setting(15, high=5000)
    """Pause in typing, in milliseconds, before an automatic suggestion is computed."""
    max_lines: int = _setting(12, low=1, high=100, repository=True)
    """Most lines of one suggestion."""
    max_tokens: int = _setting(64, low=1, high=1024)
    """Most tokens that the model generates for one suggestion."""
    multiline: str = _setting("auto", choices=("auto", "never", "always"), repository=True)
    """Whether a suggestion may go on past the end of the line: `auto` decides by syntax."""
    deadline_ms: int = _setting(8000, low=100, high=60_000)
    """Longest wait for a suggestion, in milliseconds; whole lines that are there by then are shown."""
    languages_off: tuple[str, ...] = _setting((), repository="add")
    """LSP language identifiers in which nothing is suggested."""
    context_chars: int = _setting(6000, high=50_000)
    """Most characters of other files that go into a prompt."""
    max_file_kb: int = _setting(1024, low=1, high=8192)
    """Documents larger than this, in KiB of text, get no suggestions and no quick fixes."""
    ahead: bool = _setting(True)
    """Whether the engine goes on while you read a suggestion: with its next lines, and with what would follow it."""
    adapter: str = _setting("serving", choices=("serving", "foundation", "none"))
    """Which adapter answers: the project's own where there is one, always the shipped one, or the bare base model."""
    popup: bool = _setting(False)
    """Whether suggestions are served as `textDocument/completion` too, for editors without inline completion.
    Read once, at start."""


@dataclass(frozen=True, slots=True)
class LearningOptions:
    """Whether a repository is learned."""

    enabled: bool = _setting(True, repository="off")
    """Whether repositories are learned."""
    trusted: bool = _setting(False)
    """Whether the workspace is trusted; nothing is learned before. Editors with a notion of trust set it
    themselves."""
    method: str = _setting("lora", choices=_METHODS, repository=True)
    """How it is learned: a method of fine-tuning, see [methods.md](methods.md)."""
    methods: Mapping[str, Mapping[str, Any]] = _setting({}, repository=True)
    """Parameters of methods, each method's in a table of its name; see [methods.md](methods.md). All have bounds."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The base model."""

    download: str = _setting("ask", choices=("ask", "auto", "never"))
    """What happens when the base model is not on this machine."""


@dataclass(frozen=True, slots=True)
class OutcomeOptions:
    """What becomes of suggestions."""

    enabled: bool = _setting(True, repository="off")
    """Whether it is counted, on this machine only, which suggestions of each adapter version are accepted and kept.
    Without it, no version is rolled back by itself."""


@dataclass(frozen=True, slots=True)
class RepairOptions:
    """Quick fixes that were tried before they are offered."""

    enabled: bool = _setting(True, repository="off")
    """Whether quick fixes are offered for diagnostics."""
    run_tests: bool = _setting(False, repository="off")
    """Whether a repair may run the repository's own tests: in a copy, with limits and, where the system allows it,
    without network. In trusted workspaces only."""
    candidates: int = _setting(10, low=1, high=40)
    """Most edits that are tried for one repair."""
    deadline_ms: int = _setting(20_000, low=1000, high=300_000)
    """After this time, in milliseconds, a repair tries no further edits. For a failing test it begins when the test has
    run."""
    test_deadline_ms: int = _setting(60_000, low=1000, high=3_600_000)
    """Longest time, in milliseconds, for one run of the tests."""


@dataclass(frozen=True, slots=True)
class CloneOptions:
    """Hints at functions that repeat others."""

    enabled: bool = _setting(True, repository="off")
    """Whether functions that repeat another one of the repository are marked by a hint, when a document is opened or
    saved."""
    min_tokens: int = _setting(limits.MIN_TOKENS, low=limits.LEAST_TOKENS, high=1000)
    """Least size of a function's body, in tokens, to be marked."""
    threshold: int = _setting(round(100 * limits.THRESHOLD), low=round(100 * limits.FLOOR), high=100)
    """Least similarity, in percent, of functions that are not the same but for names and literals."""


@dataclass(frozen=True, slots=True)
class DocstringOptions:
    """Docstrings that are written or updated on request."""

    enabled: bool = _setting(True, repository="off")
    """Whether code actions for docstrings are offered."""
    max_tokens: int = _setting(192, low=16, high=1024)
    """Most tokens that the model generates for one docstring."""
    deadline_ms: int = _setting(30_000, low=1000, high=300_000)
    """Longest time, in milliseconds, for one docstring."""


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """Whole functions from their docstring or a comment, on request."""

    enabled: bool = _setting(True, repository="off")
    """Whether a whole function is written where a suggestion is asked for by command behind its docstring, comment or
    signature, and offered as a code action there."""
    max_tokens: int = _setting(256, low=16, high=1024)
    """Most tokens that the model generates for one function."""
    deadline_ms: int = _setting(30_000, low=1000, high=300_000)
    """Longest time, in milliseconds, for one function."""


@dataclass(frozen=True, slots=True)
class Options:
    """All settings."""

    completion: CompletionOptions = CompletionOptions()
    learning: LearningOptions = LearningOptions()
    model: ModelOptions = ModelOptions()
    outcomes: OutcomeOptions = OutcomeOptions()
    repair: RepairOptions = RepairOptions()
    clones: CloneOptions = CloneOptions()
    docstring: DocstringOptions = DocstringOptions()
    generation: GenerationOptions = GenerationOptions()


def load(path: Path) -> tuple[Mapping[str, Any], list[OptionError]]:
    """The settings in a TOML file; empty if there is none, empty with an error if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        import tomllib  # takes a while, and most often there is no such file

        return tomllib.loads(text), []
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except (OSError, ValueError) as error:  # ValueError: no UTF-8 or no TOML
        return {}, [OptionError(path.name, f"cannot be read ({error}); all of it is ignored")]


def for_root(root: Path) -> tuple[Options, list[OptionError]]:
    """The settings of the files alone: the user's, and over it that of the repository at ``root``."""
    user, problems = load(config_dir() / USER_FILE)
    repository, more = load(root / REPOSITORY_FILE)
    options, errors = merge(user, repository, {})
    return options, [*problems, *more, *errors]


def kept_out(root: Path) -> str | None:
    """Why nobody is to learn the repository at ``root``, if its own file says so."""
    path = root / REPOSITORY_FILE
    options, _ = merge({}, load(path)[0], {})
    if options.learning.enabled:
        return None
    return f"this repository is not learned: {path} sets learning.enabled = false"


def merge(
    user: Mapping[str, Any], repository: Mapping[str, Any], client: Mapping[str, Any]
) -> tuple[Options, list[OptionError]]:
    """Lays ``user``, ``repository`` and ``client`` over the defaults, in this order.

    Keys are ``section.key`` as nested mappings, in snake_case or camelCase; a value of None means not set.
    """
    options, errors = Options(), list[OptionError]()
    for layer, source in ((user, USER_FILE), (repository, REPOSITORY_FILE), (client, "")):
        options = _lay_over(options, layer, source, errors)
    return options, errors


def _lay_over(options: Options, layer: Any, source: str, errors: list[OptionError]) -> Options:
    where = f" in {source}" if source else ""
    if not isinstance(layer, Mapping):
        errors.append(
            OptionError(source or "settings", f"{_show(layer)} is not a table of settings; ignored")
        )
        return options
    sections = {section.name for section in fields(options)}
    for given, values in layer.items():
        name = snake_case(given)
        if name in _OTHERS_SECTIONS.get(source, ()):
            continue
        if name not in sections:
            errors.append(OptionError(str(given), f"unknown{where}; ignored"))
        elif isinstance(values, Mapping):
            section = _lay_section(name, getattr(options, name), values, source, errors)
            options = replace(options, **{name: section})
        elif values is not None:
            errors.append(OptionError(name, f"{_show(values)}{where} is not a table of settings; ignored"))
    return options


def _lay_section(
    name: str, section: Any, values: Mapping[str, Any], source: str, errors: list[OptionError]
) -> Any:
    where = f" in {source}" if source else ""
    known = {item.name: item for item in fields(section)}
    for given, value in values.items():
        key = snake_case(given)
        dotted = f"{name}.{key}"
        if key not in known:
            errors.append(OptionError(f"{name}.{given}", f"unknown{where}; ignored"))
            continue
        if value is None:
            continue
        metadata, current = known[key].metadata, getattr(section, key)
        if isinstance(current, Mapping) and isinstance(value, Mapping):
            if not value:
                continue
            from tailora.method_options import (
                lay_over,
            )  # takes a while, and most often there is no such table

            section = replace(section, **{key: lay_over(current, value, where, errors)})
            continue
        accepted, expected = _check(value, current, metadata)
        if expected:
            problem = f"{_show(value)}{where} is not {expected}; using {_show(current)}"
            errors.append(OptionError(dotted, problem))
        elif source == REPOSITORY_FILE and not _safe(accepted, metadata["repository"]):
            limit = (
                "a repository can only turn this off"
                if metadata["repository"]
                else "not taken from a repository"
            )
            errors.append(OptionError(dotted, f"{limit}; {_show(value)}{where} is ignored"))
        else:
            if source == REPOSITORY_FILE and metadata["repository"] == "add":
                accepted = tuple(dict.fromkeys((*current, *accepted)))
            section = replace(section, **{key: accepted})
    return section


def _check(value: Any, current: Any, metadata: Mapping[str, Any]) -> tuple[Any, str]:
    """The value to store, and what was expected instead if it cannot be used (else "")."""
    if isinstance(current, bool):
        return value, "" if isinstance(value, bool) else "true or false"
    if isinstance(current, int):
        low, high = metadata["low"], metadata["high"]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return value, "" if whole else f"a whole number from {low} to {high}"
    if isinstance(current, Mapping):
        return value, "a table of settings"
    if isinstance(current, tuple):
        listed = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return (tuple(value), "") if listed else (value, "a list of texts")
    choices = metadata["choices"]
    return value, "" if value in choices else "one of " + ", ".join(choices)


def _safe(value: Any, repository: bool | str) -> bool:
    return value is False if repository == "off" else bool(repository)


def snake_case(key: Any) -> str:
    """A key that may be in camelCase."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match[1].lower(), str(key))


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def settings_table() -> str:
    """The table of ``docs/settings.md``, in Markdown."""
    rows = ["| setting | default | values | from `tailora.toml` | what it does |", "|---|---|---|---|---|"]
    for section in fields(Options):
        group = getattr(Options(), section.name)
        texts = attribute_docstrings(type(group))
        for item in fields(group):
            cells = (
                f"`{section.name}.{item.name}`",
                f"`{_show(getattr(group, item.name))}`",
                _values(getattr(group, item.name), item.metadata),
                _REPOSITORY_RULES[item.metadata["repository"]],
                texts[item.name],
            )
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _values(default: Any, metadata: Mapping[str, Any]) -> str:
    if isinstance(default, bool):
        return "`true`, `false`"
    if isinstance(default, int):
        return f"{metadata['low']} to {metadata['high']}"
    if isinstance(default, tuple):
        return "list of texts"
    if isinstance(default, Mapping):
        return "tables"
    return ", ".join(f"`{choice}`" for choice in metadata["choices"])


def attribute_docstrings(owner: type) -> dict[str, str]:
    """The text below each attribute of a class, on one line, by the attribute's name."""
    (definition,) = ast.parse(inspect.getsource(owner)).body
    assert isinstance(definition, ast.ClassDef)
    texts: dict[str, str] = {}
    for target, text in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(target, ast.AnnAssign)
            and isinstance(target.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
        ):
            texts[target.target.id] = " ".join(str(text.value.value).split())
    return texts
