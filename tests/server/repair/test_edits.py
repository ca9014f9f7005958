"""Edits make exactly the repaired text, and follow what the user typed meanwhile or give way."""

import random

import pytest

from tailora.repair.edits import TextChange, changes_between, rebased


def apply(text: str, changes: list[TextChange]) -> str:
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for change in reversed(changes):
        begin, end = starts[change.line] + change.column, starts[change.end_line] + change.end_column
        text = text[:begin] + change.new + text[end:]
    return text


def test_one_word() -> None:
    assert changes_between("a = 1\nb = foo(a)\n", "a = 1\nb = bar(a)\n") == [TextChange(1, 4, 1, 7, "bar")]


@pytest.mark.parametrize(
    "before,after",
    [
        ("", "a"),
        ("a", ""),
        ("a\n", "a"),
        ("a", "a\n"),
        ("a\nb\nc", "a\nc"),
        ("a\nb", "a"),
        ("a\nb", "b"),
        ("b", "a\nb"),
        ("a", "a\nb"),
        ("a\nb\nc\nd", "a\nx\nc\ny\nd"),
        ("äöü = 1\n", "äöü = 2\n"),
    ],
)
def test_makes_the_new_text(before: str, after: str) -> None:
    assert apply(before, changes_between(before, after)) == after


def test_makes_any_text_of_any_other() -> None:
    chance = random.Random(1)

    def text() -> str:
        return "".join(chance.choice("ab\n") for _ in range(chance.randrange(12)))

    for _ in range(2000):
        before, after = text(), text()
        assert apply(before, changes_between(before, after)) == after, (before, after)


def test_follows_lines_that_were_added_above() -> None:
    before, after = "one\ntwo\nthree\nfour\n", "one\ntwo\nTHREE\nfour\n"
    now = "zero\none\ntwo\nthree\nfour\nfive\n"
    changes = rebased(before, after, now)
    assert changes is not None
    assert apply(now, changes) == "zero\none\ntwo\nTHREE\nfour\nfive\n"


@pytest.mark.parametrize(
    "now",
    [
        "one\ntwo\nthree!\nfour\n",  # the same line
        "one\ntwo!\nthree\nfour\n",  # the line before
        "one\ntwo\nthree\nfour!\n",  # the line after
        "one\nfour\n",  # gone
        "",
    ],
)
def test_gives_way_to_what_was_typed_there(now: str) -> None:
    assert rebased("one\ntwo\nthree\nfour\n", "one\ntwo\nTHREE\nfour\n", now) is None


def test_moved_edits_change_nothing_else() -> None:
    chance = random.Random(2)
    words = ["a", "b", "c", "d", "e", "f", "g"]
    for _ in range(1000):
        before = [chance.choice(words) + str(number) for number in range(8)]
        place = chance.randrange(8)
        after = [*before[:place], "NEW", *before[place + 1 :]]
        now = list(before)
        other = chance.randrange(8)
        now[other : other + chance.randrange(2)] = ["typed"] * chance.randrange(3)
        changes = rebased("\n".join(before), "\n".join(after), "\n".join(now))
        if changes is None:
            assert abs(other - place) <= 2
            continue
        result = apply("\n".join(now), changes).split("\n")
        assert result.count("NEW") == 1
        assert [line for line in result if line != "NEW"] == [line for line in now if line != before[place]]


def test_one_line_of_many_that_are_alike() -> None:
    """Comparing every line with all that equal it would take minutes."""
    before = "    x = 1\n\n" * 30_000 + "y\n" + "\n" * 30_000
    after = before.replace("y", "z")
    assert changes_between(before, after) == [TextChange(60_000, 0, 60_000, 1, "z")]
    (moved,) = rebased(before, after, "new\n" + before) or []
    assert moved == TextChange(60_001, 0, 60_001, 1, "z")
