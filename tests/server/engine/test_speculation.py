"""Guesses come from where the same few tokens stood before; they are never control tokens and never too many."""

import pytest

from tailora.engine.speculation import PromptLookup


def test_guesses_what_followed_last_time() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 9, 1, 2, 3])
    assert lookup.guess(5)[:3] == [4, 5, 9]
    assert lookup.guess(2) == [4, 5]
    assert lookup.guess(0) == []


def test_follows_what_is_written() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 7, 8])
    assert lookup.guess(5) == []
    lookup.append(2)
    lookup.append(3)
    assert lookup.guess(5)[:2] == [4, 7]


def test_longer_matches_and_newer_places_win() -> None:
    lookup = PromptLookup([5, 1, 2, 3, 70, 6, 1, 2, 3, 80, 0, 5, 1, 2, 3])
    assert lookup.guess(1) == [70]
    lookup = PromptLookup([2, 3, 70, 6, 2, 3, 80, 0, 2, 3])
    assert lookup.guess(1) == [80]


def test_looks_into_other_texts_too() -> None:
    lookup = PromptLookup([1, 2, 3], [[7, 2, 3, 40], [9, 1, 2, 3, 50, 60]])
    assert lookup.guess(5)[:2] == [50, 60]
    assert PromptLookup([2, 3], [[7, 2, 3, 40], [2, 3, 50]]).guess(5) == [40]
    assert PromptLookup([4, 4, 2, 3], [[2, 3]]).guess(5) == [], "nothing stands behind it"


def test_stops_before_control_tokens() -> None:
    assert PromptLookup([1, 2, 3, 4, 0, 5, 1, 2, 3], never={0}).guess(5) == [4]
    assert PromptLookup([1, 2, 0, 5, 1, 2], never={0}).guess(5) == []


@pytest.mark.parametrize("token", [1, 255, 256, 65_536, 151_643])
def test_matches_whole_tokens_only(token: int) -> None:
    # 0x01000000 and 0x00000001 next to each other hold each other's bytes at odd places.
    lookup = PromptLookup([16_777_216, 1, 5, 256, 65_536, 9, token])
    assert all(guess in (16_777_216, 1, 5, 256, 65_536, 9, token) for guess in lookup.guess(5))
    assert PromptLookup([0x0201, 0x0403, 0x0605, 0x0102]).guess(5) == []
