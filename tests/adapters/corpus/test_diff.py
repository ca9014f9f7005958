"""The lines that two versions share, in order, within bounds."""

import random

import pytest

from tailora_adapters.corpus.diff import shared_lines


@pytest.mark.parametrize(
    "old, new, shared",
    [
        ("", "", {}),
        ("abc", "abc", {0: 0, 1: 1, 2: 2}),
        ("", "ab", {}),
        ("ab", "", {}),
        ("abc", "axbc", {0: 0, 2: 1, 3: 2}),
        ("axbc", "abc", {0: 0, 1: 2, 2: 3}),
        ("abcdef", "aXcdYf", {0: 0, 2: 2, 3: 3, 5: 5}),
        ("aa", "aaa", {0: 0, 1: 1}),
    ],
)
def test_shared_lines(old: str, new: str, shared: dict[int, int]) -> None:
    assert shared_lines(old, new) == shared


def test_what_is_shared_is_equal_and_in_order() -> None:
    rng = random.Random(0)
    for _ in range(200):
        old, new = (rng.choices("abcdefgh", k=rng.randrange(40)) for _ in range(2))
        pairs = sorted(shared_lines(old, new).items())
        assert all(new[left] == old[right] for left, right in pairs)
        assert [right for _, right in pairs] == sorted({right for _, right in pairs})


def test_texts_of_any_length_are_bounded_work() -> None:
    old = [f"l{number}" for number in range(100_000)]
    assert len(shared_lines(old, ["first", *old])) == 100_000
    assert shared_lines(old, ["x", *reversed(old), "y"]) == {}
