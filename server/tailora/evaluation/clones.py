"""How well planted clones are found: precision, recall and F1, by type, in the sources of installed packages.

Each package is indexed as it is; then clones are planted in a copy of it (``clones.plant``) and the index is updated.
Positives are the pairs of a planted function and its source. Every other pair that is reported of a planted function
is false, with one exception: where the source itself was reported as a clone of the other function before, the pair is
set aside, as it says no more than that. The strict precision counts those as false, too. Pairs among functions that
were not planted are told (``existing``), and judged by nobody.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailora.demo.repository import copy_sources
from tailora_adapters.clones.groups import Clone, Place
from tailora_adapters.clones.index import CloneIndex
from tailora_adapters.clones.limits import MIN_TOKENS, THRESHOLD
from tailora_adapters.clones.plant import Planted, plant
from tailora_adapters.store import Store

__all__ = ["PACKAGES", "Settings", "measure"]

PACKAGES = ("starlette", "uvicorn", "typer", "dulwich", "detect_secrets")
"""Pure Python packages that Tailora depends on, and on which nothing of the detector was chosen."""

_SAMPLES = 2_000
_Spot = tuple[str, int]
"""Path and line of a function's name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured."""

    packages: tuple[str, ...] = PACKAGES
    count: int = 40
    """Clones of each type in each package, where it has functions enough."""
    share: float = 0.25
    """Type 3: the largest share of statements that are changed."""
    threshold: float = THRESHOLD
    min_tokens: int = MIN_TOKENS
    seed: int = 1


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was reported of one planted clone."""

    kind: int
    found: bool
    right_kind: bool
    false: int
    aside: int


def measure(
    settings: Settings, progress: Callable[[float, str], None] = lambda _fraction, _message: None
) -> dict[str, Any]:
    """The figures of all packages together and of each.

    Raises:
        TailoraError: a package is not installed.
    """
    rows: dict[str, Any] = {}
    outcomes: list[_Outcome] = []
    for number, package in enumerate(settings.packages):
        progress(number / len(settings.packages), package)
        with tempfile.TemporaryDirectory(prefix="tailora-clones-") as folder:
            found, row = _package(package, Path(folder), settings)
        outcomes += found
        rows[package] = {**row, **_figures(found, settings.seed)["all"]}
    return {
        "threshold": settings.threshold,
        "min_tokens": settings.min_tokens,
        "share": settings.share,
        "seed": settings.seed,
        "types": _figures(outcomes, settings.seed),
        "packages": rows,
    }


def _package(package: str, folder: Path, settings: Settings) -> tuple[list[_Outcome], dict[str, Any]]:
    root = copy_sources(package, folder)
    index = CloneIndex(Store(folder / "store").project(root))
    index.update()
    existing = _reported(index, settings)
    places = index.places(settings.min_tokens)
    files = {
        path: (root / path).read_text(encoding="utf-8-sig")
        for path in index.known_files()
        if path.endswith(".py")
    }
    spots = [(place.path, place.line) for place in places]
    changed, planted = plant(files, spots, count=settings.count, seed=settings.seed, share=settings.share)
    for path, text in changed.items():
        if text != files[path]:
            (root / path).write_text(text, encoding="utf-8")
    index.update()
    outcomes = _judge(planted, existing, _reported(index, settings))
    row = {
        "functions": len(places),
        "existing": [
            {
                "type": clone.kind,
                "similarity": round(clone.similarity, 3),
                "functions": [_told(clone.left), _told(clone.right)],
            }
            for clone in existing
        ],
    }
    return outcomes, row


def _reported(index: CloneIndex, settings: Settings) -> list[Clone]:
    return index.clones(threshold=settings.threshold, min_tokens=settings.min_tokens)


def _told(place: Place) -> str:
    return f"{place.path}:{place.line + 1} {place.name}"


def _spots(clone: Clone) -> tuple[_Spot, _Spot]:
    return (clone.left.path, clone.left.line), (clone.right.path, clone.right.line)


def _judge(
    planted: Sequence[Planted], existing: Sequence[Clone], reported: Sequence[Clone]
) -> list[_Outcome]:
    source_of = {(one.path, one.line): (one.source_path, one.source_line) for one in planted}
    known = {frozenset(_spots(clone)) for clone in existing}
    partners: dict[_Spot, dict[_Spot, int]] = {spot: {} for spot in source_of}
    for clone in reported:
        left, right = _spots(clone)
        for spot, other in ((left, right), (right, left)):
            if spot in partners:
                partners[spot][other] = clone.kind
    outcomes = []
    for one in planted:
        found = partners[one.path, one.line]
        source = (one.source_path, one.source_line)
        others = [source_of.get(other, other) for other in found if other != source]
        aside = sum(frozenset((source, other)) in known for other in others)
        right_kind = found.get(source) == one.kind
        outcomes.append(_Outcome(one.kind, source in found, right_kind, len(others) - aside, aside))
    return outcomes


def _figures(outcomes: Sequence[_Outcome], seed: int) -> dict[str, Any]:
    """Of each type and of all, with 95 % intervals by bootstrap over the planted clones (Efron and Tibshirani 1993)."""
    result = {}
    for name, kinds in (("1", {1}), ("2", {2}), ("3", {3}), ("all", {1, 2, 3})):
        chosen = [one for one in outcomes if one.kind in kinds]
        if not chosen:
            continue
        table = np.array([(one.found, one.false, one.aside) for one in chosen], dtype=np.float64)
        picks = np.random.default_rng(seed).integers(0, len(chosen), (_SAMPLES, len(chosen)))
        spread = np.array([_scores(table[pick]) for pick in picks])
        low, high = np.quantile(spread, (0.025, 0.975), axis=0)
        names = ("precision", "recall", "f1", "strict_precision")
        result[name] = {
            "planted": len(chosen),
            "found": int(table[:, 0].sum()),
            "false": int(table[:, 1].sum()),
            "set_aside": int(table[:, 2].sum()),
            "type_right": sum(one.right_kind for one in chosen),
            **{
                key: {"value": round(float(value), 4), "ci95": [round(float(a), 4), round(float(b), 4)]}
                for key, value, a, b in zip(names, _scores(table), low, high, strict=True)
            },
        }
    return result


def _scores(table: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """(clones, 3) of found, false, set aside -> precision, recall, F1, strict precision."""
    found, false, aside = table.sum(axis=0)
    precision = found / (found + false) if found + false else 1.0
    recall = found / len(table)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    strict = found / (found + false + aside) if found + false + aside else 1.0
    return float(precision), float(recall), float(f1), float(strict)
