"""Guesses come from where the same few tokens stood before; they are never control tokens and never too many."""

from tailora.engine.speculation import PromptLookup


def test_guesses_what_followed_last_time() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 9, 1, 2, 3, 4])
    assert lookup.guess(3) == [5, 6, 7]
    assert lookup.guess(1) == [5]
    assert lookup.guess(0) == []
    assert PromptLookup([]).guess(3) == []


def test_guesses_no_further_than_they_are_worth() -> None:
    text = [*range(20), *range(4)]
    counts = [len(PromptLookup(text, worth=worth).guess(9)) for worth in (0.99, 0.9, 0.5, 0.1)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 9)


def test_follows_what_is_written() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 7, 8])
    assert lookup.guess(5) == []
    for token in (2, 3, 4):
        lookup.append(token)
    assert lookup.guess(5)[0] == 7


def test_longer_matches_win_over_more_frequent_ones() -> None:
    lookup = PromptLookup([0, 1, 2, 3, 70, 5, 2, 3, 80, 6, 2, 3, 80, 0, 1, 2, 3])
    assert lookup.guess(1) == [70]
    lookup = PromptLookup([9, 2, 3, 70, 8, 2, 3, 80, 6, 2, 3, 80, 1, 2, 3])
    assert lookup.guess(1) == [80]


def test_does_not_guess_where_anything_may_follow() -> None:
    followers = range(100, 120)
    lookup = PromptLookup([token for follower in followers for token in (7, follower)] + [7])
    assert lookup.guess(3) == []


def test_the_last_suggestion_is_repeated() -> None:
    assert PromptLookup([1, 2, 3], [9, 2, 3, 50, 60]).guess(5)[:1] == [50]
    assert PromptLookup([4, 4, 2, 3], [5, 2, 3]).guess(5) != [4], (
        "the end of one text is not the beginning of the next"
    )


def test_stops_before_control_tokens() -> None:
    assert PromptLookup([1, 2, 3, 4, 5, 0, 6, 1, 2, 3, 4], never={0}).guess(5) == [5]
    assert PromptLookup([1, 2, 3, 0, 5, 1, 2, 3], never={0}).guess(5) == []
