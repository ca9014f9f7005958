"""Similarity is exact, by content alone, and finds what is nearly equal among many."""

import random

import pytest

from tailora_adapters.corpus.similarity import Twins, jaccard, shingles


def text(seed: int, lines: int = 60) -> str:
    rng = random.Random(seed)
    return "".join(f"name{rng.randrange(10**6)} = {rng.randrange(10**6)} + x\n" for _ in range(lines))


def edited(original: str, share: float) -> str:
    rng = random.Random(1)
    lines = original.splitlines(keepends=True)
    for number in rng.sample(range(len(lines)), round(share * len(lines))):
        lines[number] = f"other{number} = [{number}]\n"
    return "".join(lines)


def test_similarity_is_exact() -> None:
    left = shingles("a b c d e f g h")
    assert jaccard(left, shingles("a  b c\n\td e f g h\n")) == 1.0
    assert jaccard(left, shingles("a b c d e f g x")) == pytest.approx(3 / 5)
    assert jaccard(left, shingles("q r s t u v")) == 0.0


@pytest.mark.parametrize("text", ["", "a", "a b c d", "\ud800 x"])
def test_short_texts(text: str) -> None:
    assert len(shingles(text)) == 1


def test_nearly_equal_texts_are_found_among_many() -> None:
    twins = Twins(0.85)
    for seed in range(200):
        assert twins.find_or_add(f"f{seed}", text(seed, 20 + 5 * seed)) is None
    for seed in range(0, 200, 10):
        original = text(seed, 20 + 5 * seed)
        assert twins.find(edited(original, 0.02)) == f"f{seed}"
        assert twins.find(edited(original, 0.4)) is None
    assert twins.find_or_add("again", text(3, 35)) == "f3"


def test_of_several_the_first_by_name_is_found() -> None:
    twins = Twins(0.85)
    for name in ("c", "a", "b"):
        twins.add(name, text(0))
    assert twins.find(text(0)) == "a"
