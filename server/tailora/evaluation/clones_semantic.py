"""How well functions with the same behaviour and other code are found, by the vectors of the adapted model.

Positives are pairs that were written by hand for this (``semantic_pairs.txt``: a function, and the next one that does
the same another way). Negatives are all other pairs of these functions, and all with and among functions of a real
package. The best threshold is chosen on one half of both and measured on the other; what is reported, too, is what the
threshold in use gives on all.
"""

import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailora.demo.repository import copy_sources
from tailora_adapters import foundation, languages
from tailora_adapters.base import catalogue
from tailora_adapters.clones.alike import counts
from tailora_adapters.clones.functions import functions_of
from tailora_adapters.clones.limits import SEMANTIC_THRESHOLD
from tailora_adapters.clones.semantic import centred

__all__ = ["figures", "measure", "written_pairs"]

_MOST_CHARS = 1_500
"""Of a package's function: longer ones are told from the pairs by their length alone."""

Vectors = NDArray[np.float32]


def written_pairs() -> list[tuple[str, str]]:
    """Functions that do the same another way."""
    text = Path(__file__).with_name("semantic_pairs.txt").read_text(encoding="utf-8")
    lines = text.split("\n")
    top = [one for one in functions_of(text, "python") if lines[one.first].startswith("def ")]
    texts = ["\n".join(lines[one.first : one.last + 1]) for one in top]
    return list(zip(texts[::2], texts[1::2], strict=True))


def measure(
    model: str,
    package: str,
    count: int,
    *,
    seed: int,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
) -> dict[str, Any]:
    """Figures of a model with the foundation adapter.

    Raises:
        TailoraError: the package is not installed.
        ModelMissing, ModelCorrupt, ModelError: the base model.
    """
    from tailora_adapters.clones.embed import embed  # torch

    pairs = written_pairs()
    others = _functions(package, count, seed)
    texts = [text for pair in pairs for text in pair] + others
    shipped = foundation.find(catalogue.find(model).name)
    told = f"asking the model about {len(texts)} functions"
    vectors = embed(
        texts, model, shipped.path if shipped else None, lambda fraction: progress(fraction, told)
    )
    return {
        "model": model,
        "package": package,
        "functions": len(others),
        "seed": seed,
        **figures(vectors, len(pairs)),
    }


def figures(vectors: Vectors, pairs: int) -> dict[str, Any]:
    """Of vectors, (functions, hidden), of which the first 2 x ``pairs`` are the pairs, one behind the other."""
    owner = np.concatenate((np.arange(2 * pairs) // 2, pairs + np.arange(len(vectors) - 2 * pairs)))
    cosines = centred(vectors) @ centred(vectors).T
    left, right = np.triu_indices(len(vectors), 1)
    same, values, half = owner[left] == owner[right], cosines[left, right], owner % 2
    calibration = (half[left] == 0) & (half[right] == 0)
    test = (half[left] == 1) & (half[right] == 1)
    chosen = _best(values[calibration], same[calibration])
    return {
        "pairs": pairs,
        "area_under_roc": round(_area(values, same), 4),
        "chosen_on_half": {"threshold": round(chosen, 3), **_at(values[test], same[test], chosen)},
        "in_use": {"threshold": SEMANTIC_THRESHOLD, **_at(values, same, SEMANTIC_THRESHOLD)},
    }


def _at(values: Vectors, same: NDArray[np.bool_], threshold: float) -> dict[str, Any]:
    called = values >= threshold
    found, false = int((called & same).sum()), int((called & ~same).sum())
    precision = found / (found + false) if found + false else 1.0
    recall = found / max(1, int(same.sum()))
    return {
        "found": found,
        "of": int(same.sum()),
        "false": false,
        "of_negatives": int((~same).sum()),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * precision * recall / (precision + recall), 4) if found else 0.0,
    }


def _best(values: Vectors, same: NDArray[np.bool_]) -> float:
    """The threshold with the highest F1."""
    return float(max(values[same], key=lambda value: (_at(values, same, value)["f1"], value)))


def _area(values: Vectors, same: NDArray[np.bool_]) -> float:
    """Chance that a pair that does the same has a higher value than one that does not (Mann and Whitney 1947)."""
    below = np.searchsorted(np.sort(values[~same]), values[same])
    return float(below.mean() / (~same).sum())


def _functions(package: str, count: int, seed: int) -> list[str]:
    """Texts of functions of an installed package."""
    texts = []
    with TemporaryDirectory(prefix="tailora-clones-") as name:
        for path in sorted(copy_sources(package, Path(name)).rglob("*.py")):
            text = path.read_text(encoding="utf-8", errors="replace")
            known = languages.by_path(path)
            lines = text.split("\n")
            if known is not None:
                texts += [
                    "\n".join(lines[one.first : one.last + 1])
                    for one in functions_of(text, known.id)
                    if counts(one)
                ]
    random.Random(seed).shuffle(texts)
    return [text for text in texts if len(text) < _MOST_CHARS][:count]
