"""What an adapter version is made of: its base model, its data, its cost and what the gate said.

Plain data with a JSON form; knows nothing of where versions live (``store``) nor of how they are trained.
A manifest that was written can always be read again: fields that this version of Tailora does not know are
ignored, a required one that is missing or of the wrong type is ``AdapterCorrupt``, named with its full path.
"""

import json
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from tailora_adapters.errors import AdapterCorrupt

__all__ = [
    "SCHEMA",
    "Ancestry",
    "BaseInfo",
    "Check",
    "Combination",
    "Cost",
    "DataInfo",
    "FileInfo",
    "GateResult",
    "Manifest",
    "Share",
    "Source",
    "decode",
    "encode",
    "utc_now",
]

SCHEMA = 1
"""The form of manifests written by this version of Tailora."""


def utc_now() -> str:
    """The time, as manifests write it: ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class BaseInfo:
    """The base model that the adapter belongs to. Hashes are sha256 in hexadecimal."""

    name: str
    sha256: str
    tokenizer_sha256: str

    def fits(self, loaded: "BaseInfo") -> bool:
        """Whether an adapter of this base may serve on the ``loaded`` one; hashes that it leaves empty are unknown."""
        return (
            self.name == loaded.name
            and loaded.sha256 in ("", self.sha256)
            and loaded.tokenizer_sha256 in ("", self.tokenizer_sha256)
        )


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One source file that was trained on."""

    path: str
    """Relative to the project, with ``/``."""
    sha256: str
    """Of the file's bytes at that time."""
    examples: int


@dataclass(frozen=True, slots=True)
class DataInfo:
    """What the adapter was trained on. Never source text, only names, hashes and counts."""

    examples: int
    tokens: int
    held_out_examples: int
    files: tuple[FileInfo, ...] = ()
    rejected: dict[str, int] = field(default_factory=dict)
    """Number of files left out, by reason."""


@dataclass(frozen=True, slots=True)
class Ancestry:
    """The runs that a version goes on from, back to the one that began from the foundation: their own manifests may be
    gone."""

    runs: int = 0
    since: str = ""
    """When the first of them ended, as ``Manifest.created``; empty without any."""
    files: tuple[FileInfo, ...] = ()
    """What they learned, each file as the last of them saw it."""

    @classmethod
    def of(cls, parent: "Manifest | None") -> "Ancestry":
        """Of a version that goes on from ``parent``; None: the foundation."""
        if parent is None:
            return cls()
        before = parent.ancestry
        return cls(before.runs + 1, before.since or parent.created, tuple(parent.learned()))

    @classmethod
    def of_all(cls, parts: Sequence["Manifest"]) -> "Ancestry":
        """Of a version that is made of ``parts``; a file is as the newest of them saw it."""
        before = [cls.of(part) for part in sorted(parts, key=lambda part: part.created)]
        files = {file.path: file for one in before for file in one.files}
        return cls(
            max(one.runs for one in before),
            min(one.since for one in before),
            tuple(files[path] for path in sorted(files)),
        )


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a combination."""

    version: str
    weight: float


@dataclass(frozen=True, slots=True)
class Combination:
    """What a version is the weighted sum of, instead of the result of a run."""

    how: str
    """As peft calls it: ``svd``, ``cat``, ``linear``, …"""
    parts: tuple[Share, ...]
    density: float | None = None
    """Share of the values that was kept, where it prunes."""
    known: bool = True
    """Whether ``Manifest.ancestry`` has all that the parts learned: not where one came from elsewhere."""
    resumes: bool = True
    """Whether training can go on from it: where the parts have one form, and their weights the sum 1."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the training run took."""

    seconds: float
    peak_rss_mb: float
    tokens_per_second: float
    energy_wh: float | None = None
    """None where the machine does not tell."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the gate."""

    name: str
    passed: bool
    value: float | None
    limit: float | None
    message: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """Why a candidate was promoted or rejected."""

    decision: Literal["promoted", "rejected"]
    reason: str
    checks: tuple[Check, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    """``base_nll``, ``candidate_nll``, ``serving_nll`` (nats a token), ``base_exact_match``, …"""


@dataclass(frozen=True, slots=True)
class Source:
    """A body of code that a foundation adapter was trained on."""

    name: str
    version: str
    licence: str
    url_or_ref: str


_ON_DISK = {"required": True}
"""Marks fields that may be left out in Python (the store fills them in) but not in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``manifest.json`` of one adapter version."""

    schema: int = field(default=SCHEMA, metadata=_ON_DISK)
    version: str = field(default="", metadata=_ON_DISK)
    """Given by the store at commit."""
    created: str = field(default_factory=utc_now, metadata=_ON_DISK)
    """UTC, ISO 8601."""
    task: str = "completion"
    method: str = "lora"
    below: str | None = None
    """sha256 of the foundation adapter's weights where this one stands above it, instead of going on from it."""
    base: BaseInfo
    parent: str | None = None
    """``foundation``, a version of the same project, or None: what training started from."""
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int
    data: DataInfo
    """Of its own run."""
    ancestry: Ancestry = Ancestry()
    cost: Cost
    combined: Combination | None = None
    gate: GateResult | None = None
    weights_sha256: str = field(default="", metadata=_ON_DISK)
    """Of ``adapter_model.safetensors``; filled in by the store at commit."""
    sources: tuple[Source, ...] = ()
    """Foundation adapters only."""
    figures: dict[str, Any] = field(default_factory=dict)

    def learned(self) -> list[FileInfo]:
        """Every file that it learned, in its own run or in those before, by path; each as it was seen last."""
        files = {file.path: file for file in (*self.ancestry.files, *self.data.files)}
        return [files[path] for path in sorted(files)]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serializable dictionary. Numbers that JSON cannot write (NaN, infinities) become null."""
        value = encode(self)
        assert isinstance(value, dict)
        return value

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, value: object) -> "Manifest":
        """Reads what ``to_dict`` wrote.

        Raises:
            AdapterCorrupt: a required field is missing or of the wrong type, or the schema is newer.
        """
        if isinstance(value, Mapping):
            schema = value.get("schema")
            if isinstance(schema, int) and schema > SCHEMA:
                raise AdapterCorrupt(
                    f"the manifest has schema {schema}, this Tailora reads up to {SCHEMA}: update Tailora"
                )
        return decode(cls, value)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Reads the text of ``manifest.json``.

        Raises:
            AdapterCorrupt: not JSON, or as in ``from_dict``.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise AdapterCorrupt(f"the manifest is not JSON: {error}") from error
        return cls.from_dict(value)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Reads a manifest file.

        Raises:
            AdapterCorrupt: missing, unreadable, or as in ``from_json``; the message names the file.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, AdapterCorrupt) as error:
            raise AdapterCorrupt(f"{path}: {error}") from error


T = TypeVar("T")


def encode(value: object) -> Any:
    """Turns dataclasses, tuples and dictionaries into JSON data; non-finite numbers become null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: encode(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def decode(cls: type[T], value: object) -> T:
    """Builds the dataclass ``cls`` from JSON data by its type hints; the reverse of ``encode``.

    Raises:
        AdapterCorrupt: names the first field that is missing or of the wrong type.
    """
    result: T = _decode(cls, value, "")
    return result


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _wrong(where: str, expected: str, value: object) -> AdapterCorrupt:
    return AdapterCorrupt(
        f"the manifest's field '{where or '(top)'}' must be {expected}, not {type(value).__name__}"
    )


def _decode(hint: Any, value: object, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return _decode_dataclass(hint, value, where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):  # only ``T | None`` occurs
        return None if value is None else _decode(arguments[0], value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(where, "a list", value)
        return tuple(_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(where, "an object", value)
        return {str(key): _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is Literal:
        if value not in arguments:
            raise AdapterCorrupt(
                f"the manifest's field '{where}' must be one of {', '.join(arguments)}, not {value!r}"
            )
        return value
    return _decode_scalar(hint, value, where)


def _decode_dataclass(cls: type, value: object, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(where, "an object", value)
    found: dict[str, Any] = {}
    for item in fields(cls):
        path = f"{where}.{item.name}" if where else item.name
        if item.name in value:
            found[item.name] = _decode(_hints(cls)[item.name], value[item.name], path)
        elif item.metadata.get("required") or (item.default is MISSING and item.default_factory is MISSING):
            raise AdapterCorrupt(f"the manifest's field '{path}' is missing")
    return cls(**found)


def _decode_scalar(hint: Any, value: object, where: str) -> Any:
    if hint is Any:
        return value
    if hint is float:
        if value is None:  # what ``encode`` writes for a number that JSON has not
            return math.nan
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        raise _wrong(where, "a number", value)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise _wrong(
        where, {str: "text", int: "a whole number", bool: "true or false"}.get(hint, str(hint)), value
    )
