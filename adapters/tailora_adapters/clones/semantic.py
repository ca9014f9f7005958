"""Clones of type 4: other code that may do the same, by the vectors that the adapted model gives functions.

Vectors are ``centred`` among the repository's and compared by cosine. They are kept in the index
by the text's hash, the model and its adapter. What it finds is a guess: ``docs/clones.md`` has how often it is right.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailora_adapters import foundation
from tailora_adapters.base import cache, catalogue
from tailora_adapters.clones.groups import Clone, Place
from tailora_adapters.clones.index import CloneIndex
from tailora_adapters.clones.limits import SEMANTIC_THRESHOLD
from tailora_adapters.store import ProjectStore

__all__ = ["Embed", "adapter_of", "centred", "semantic_clones", "vectors_of"]

Progress = Callable[[float, str], None]
Embed = Callable[[Sequence[str], str, Path | None, Callable[[float], None]], NDArray[np.float32]]
"""As ``embed.embed``."""

_SEMANTIC = 4
_ROWS = 1_000
_FEWEST = 20
"""Functions, below which their mean says more of them than of code."""


def semantic_clones(
    index: CloneIndex,
    project: ProjectStore,
    model: str,
    *,
    min_tokens: int,
    threshold: float = SEMANTIC_THRESHOLD,
    embed: Embed | None = None,
    progress: Progress = lambda _fraction, _message: None,
) -> list[Clone]:
    """Pairs of the index's functions with vectors alike that are no clones of types 1 to 3, by place.

    Raises:
        ModelMissing, ModelCorrupt, ModelError: the base model.
        AdapterCorrupt: the serving adapter.
        StoreUnwritable: the vectors cannot be kept.
    """
    places, texts = _texts(index, project.root, min_tokens)
    if len(places) < 2:
        return []
    vectors = vectors_of(texts, index, project, model, embed=embed, progress=progress)
    vectors = centred(vectors) if len(places) >= _FEWEST else _unit(vectors)
    known = {(clone.left, clone.right) for clone in index.clones(min_tokens=min_tokens)}
    found = []
    for begin in range(0, len(places), _ROWS):
        alike = vectors[begin : begin + _ROWS] @ vectors.T
        for row, column in np.argwhere(alike >= threshold).tolist():
            left, right = places[begin + row], places[column]
            if left < right and (left, right) not in known and not _nested(left, right):
                found.append(Clone(left, right, _SEMANTIC, float(alike[row, column])))
    return sorted(found, key=lambda clone: (clone.left, clone.right))


def adapter_of(project: ProjectStore, model: str) -> tuple[Path | None, str]:
    """The folder of the adapter that serves a project with a model, and the hash of its weights; the foundation
    adapter where it has none, nothing where there is none either."""
    version = project.serving(cache.base_info(model))
    if version is not None and version.manifest is not None:
        return version.path, version.manifest.weights_sha256
    shipped = foundation.find(catalogue.find(model).name)
    return (shipped.path, shipped.sha256) if shipped is not None else (None, "none")


def vectors_of(
    texts: Sequence[str],
    index: CloneIndex,
    project: ProjectStore,
    model: str,
    *,
    embed: Embed | None = None,
    progress: Progress = lambda _fraction, _message: None,
) -> NDArray[np.float32]:
    """The vectors of some functions, (texts, hidden); computed are those that the index does not have."""
    folder, sha256 = adapter_of(project, model)
    name = f"{model}:{sha256}"
    keys = [hashlib.sha256(text.encode()).digest() for text in texts]
    known = index.vectors(name)
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    if missing:
        told = f"asking the model about {len(missing):,} functions"
        progress(0.0, told)
        new = (embed or _ask)(
            list(missing.values()), model, folder, lambda fraction: progress(fraction, told)
        )
        known |= dict(zip(missing, new, strict=True))
    # What is left out belongs to functions that are gone.
    index.keep_vectors(name, {key: known[key] for key in keys})
    return np.stack([known[key] for key in keys])


def _ask(
    texts: Sequence[str], model: str, adapter: Path | None, progress: Callable[[float], None]
) -> NDArray[np.float32]:
    cache.open_record(catalogue.find(model))  # says that it is missing before torch loads
    from tailora_adapters.clones.embed import embed

    return embed(texts, model, adapter, progress)


def centred(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Less their mean and the directions in which they differ most, of unit length: what all code has in common says
    nothing, and those are of length and layout. One of a hundred directions (Mu and Viswanath 2018, "All-but-the-top").
    (n, hidden)"""
    rest = vectors - vectors.mean(axis=0)
    directions = np.linalg.svd(rest, full_matrices=False)[2][: min(rest.shape[1] // 100, len(rest) // 10)]
    return _unit(rest - (rest @ directions.T) @ directions)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)


def _texts(index: CloneIndex, root: Path, min_tokens: int) -> tuple[list[Place], list[str]]:
    """The functions whose files are as the index has them."""
    places, texts = [], []
    files: dict[str, list[str] | None] = {}
    hashes = index.known_files()
    for place in index.places(min_tokens):
        if place.path not in files:
            files[place.path] = _lines(root / place.path, hashes.get(place.path, ""))
        lines = files[place.path]
        if lines is not None:
            places.append(place)
            texts.append("\n".join(lines[place.first : place.last + 1]))
    return places, texts


def _lines(path: Path, sha256: str) -> list[str] | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != sha256:
        return None  # changed since; the next update has it
    return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _nested(left: Place, right: Place) -> bool:
    return left.path == right.path and (
        left.first <= right.first <= right.last <= left.last
        or right.first <= left.first <= left.last <= right.last
    )
