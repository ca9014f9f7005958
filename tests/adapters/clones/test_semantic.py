"""Type 4: vectors that are alike, asked of the model once, and no pairs that are known already."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tailora_adapters.clones.index import CloneIndex
from tailora_adapters.clones.semantic import semantic_clones
from tailora_adapters.store import ProjectStore, Store

LOOP = """
def summed(values, limit):
    total = 0
    for value in values:
        if value is not None and value < limit:
            total += value * value
    self.log(total)
    self.last = total
    return total
"""
OTHER = """
def added(values, limit):
    kept = (value for value in values if value is not None)
    result = sum(
        value ** 2
        for value in kept
        if value < limit
    )
    self.log(result)
    self.last = result
    return result
"""
COPY = LOOP.replace("summed", "again")
FAR = """
def written(path, lines):
    with open(path, "w") as file:
        file.write(HEAD)
        while lines:
            line = lines.pop()
            file.write(line.strip())
            file.write(END)
        file.flush()
    return path
"""


class Stub:
    """Vectors by a word in the text."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(
        self, texts: Sequence[str], model: str, adapter: Path | None, progress: Callable[[float], None]
    ) -> np.ndarray:
        self.asked += texts
        return np.array([(0, 1, 0) if "file" in text else (1, 0, 0.1) for text in texts], dtype=np.float32)


@pytest.fixture
def project(tmp_path: Path) -> ProjectStore:
    root = tmp_path / "repository"
    root.mkdir()
    for name, text in {"a": LOOP, "b": OTHER, "c": COPY, "d": FAR}.items():
        (root / f"{name}.py").write_text(text)
    return Store(tmp_path / "store").project(root)


def test_pairs_that_are_alike_and_not_known_already(project: ProjectStore) -> None:
    index = CloneIndex(project)
    index.update()
    stub = Stub()
    found = semantic_clones(index, project, "qwen2.5-coder-0.5b", min_tokens=40, embed=stub)
    assert [(one.kind, one.left.name, one.right.name) for one in found] == [
        (4, "summed", "added"),
        (4, "added", "again"),
    ]
    assert len(stub.asked) == 4


def test_the_model_is_asked_about_new_functions_only(project: ProjectStore) -> None:
    index = CloneIndex(project)
    index.update()
    stub = Stub()
    semantic_clones(index, project, "qwen2.5-coder-0.5b", min_tokens=40, embed=stub)
    stub.asked.clear()
    (project.root / "a.py").write_text("# moved\n" + LOOP)
    (project.root / "e.py").write_text(FAR.replace("lines", "rows"))
    index.update()
    semantic_clones(index, project, "qwen2.5-coder-0.5b", min_tokens=40, embed=stub)
    assert len(stub.asked) == 1
    assert "rows" in stub.asked[0]


def test_a_real_model_gives_the_same_vectors_in_any_batch(
    tiny: object, make_lora: Callable[[int], Path]
) -> None:
    from tailora_adapters.clones.embed import embed

    folder = make_lora(1)
    together = embed([LOOP, FAR, "x"], tiny.name, folder)  # type: ignore[attr-defined]
    alone = embed([FAR], tiny.name, folder)  # type: ignore[attr-defined]
    base = embed([FAR], tiny.name, None)  # type: ignore[attr-defined]
    assert together.shape[0] == 3
    assert np.allclose(together[1], alone[0], atol=0.05 * np.abs(alone).max())
    assert not np.allclose(base[0], alone[0], atol=0.05 * np.abs(alone).max())
