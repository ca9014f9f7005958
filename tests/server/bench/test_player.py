import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tailora.bench.places import Document, Hole
from tailora.bench.player import Edit, Moment, Screen, agreed_length, play
from tailora.bench.trace import Step, Trace, Visit

TEXT = "first = 1\nresult = compute(alpha, beta)\nprint(result)\nlast = other_call(gamma)\nend\n"
DOCUMENT = Document(Path("/p/pack/a.py"), Path("/p/pack"), "python", TEXT)
MIDDLE = Hole(TEXT.index("compute"), "compute(alpha, beta)")
BELOW = Hole(TEXT.index("other_call"), "other_call(gamma)")


def keys(text: str, begin_s: float, hole: int = 0, place: int = 0, gap_s: float = 0.2) -> list[Step]:
    return [
        Step(begin_s + number * gap_s, "key", hole, letter, place + number)
        for number, letter in enumerate(text)
    ]


def visit(*steps: Step, end_s: float, holes: tuple[Hole, ...] = (MIDDLE,)) -> Visit:
    return Visit(DOCUMENT, holes, steps, end_s)


class Scripted:
    """Shows, some time after it was asked, what ``answer`` gives for the text before the cursor."""

    def __init__(self, answer: Callable[[str], str | None], delay_s: float = 0.05) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.texts: dict[Document, str] = {}
        self.asked: list[str] = []
        self.left = 0

    def open(self, document: Document, text: str) -> None:
        assert document not in self.texts
        self.texts[document] = text

    def edit(self, document: Document, edit: Edit) -> None:
        assert edit.before == self.texts[document]
        assert edit.after == edit.before[: edit.start] + edit.text + edit.before[edit.end :]
        self.texts[document] = edit.after

    def ask(self, document: Document, text: str, cursor: int, screen: Screen) -> None:
        assert text == self.texts[document]
        self.asked.append(text[:cursor].split("\n")[-1])
        suggestion = self.answer(text[:cursor])
        loop = asyncio.get_running_loop()
        if suggestion is None:
            loop.call_later(self.delay_s, screen.nothing, "no idea")
        else:
            loop.call_later(
                self.delay_s, lambda: screen.show(suggestion, cached=False, figures={"prompt_tokens": 7})
            )

    def leave(self) -> None:
        self.left += 1


Play = Callable[..., tuple[list[Moment], Scripted]]


@pytest.fixture
def played(in_no_time: Callable[..., Any]) -> Play:
    def run(client: Scripted, *visits: Visit) -> tuple[list[Moment], Scripted]:
        return in_no_time(play(Trace(visits, 1), client)), client

    return run


def rest(before: str) -> str:
    """What really stands behind, of the hole in the middle."""
    return MIDDLE.text[len(before.split("= ")[-1]) :]


def test_the_latency_is_the_time_until_something_is_on_screen(played: Play) -> None:
    moments, client = played(Scripted(rest), visit(Step(0.5, "arrive", 0), *keys("com", 1.0), end_s=3.0))
    assert client.asked == ["result = ", "result = c", "result = co", "result = com"]
    assert [moment.latency_ms for moment in moments] == pytest.approx([50] * 4, abs=0.2)
    assert [moment.agreed for moment in moments] == [20, 19, 18, 17]
    assert all(moment.shown and moment.exact_line and not moment.unanswered for moment in moments)
    assert client.left == 1


def test_the_clock_goes_on_over_the_next_keys(played: Play) -> None:
    slow = Scripted(rest, delay_s=0.3)
    moments, _ = played(slow, visit(Step(0.0, "arrive", 0), *keys("com", 1.0), end_s=3.0))
    # Keys come every 200 ms, so only the last one is answered: 300 ms after it.
    assert [moment.shown for moment in moments] == [True, False, False, True]
    assert [moment.latency_ms for moment in moments] == pytest.approx([300, 700, 500, 300], abs=0.2)
    assert [moment.shown_ms for moment in moments] == pytest.approx([300, None, None, 300], abs=0.2)
    assert [moment.agreed for moment in moments] == [20, 0, 0, 17]


def test_silence_counts_until_the_end_of_the_visit(played: Play) -> None:
    moments, _ = played(Scripted(lambda _: None), visit(Step(0.5, "arrive", 0), *keys("c", 1.0), end_s=3.0))
    assert [moment.latency_ms for moment in moments] == pytest.approx([2500, 2000], abs=0.2)
    assert all(moment.unanswered and not moment.shown and moment.reason == "no idea" for moment in moments)


def test_what_happens_around_a_visit_takes_none_of_its_time(in_no_time: Callable[..., Any]) -> None:
    told: list[str] = []

    @contextlib.asynccontextmanager
    async def around(number: int) -> AsyncIterator[None]:
        await asyncio.sleep(100)
        told.append(f"begin {number}")
        yield
        told.append(f"end {number}")
        await asyncio.sleep(100)

    visits = [visit(Step(0.5, "arrive", 0), end_s=3.0) for _ in range(2)]
    moments = in_no_time(play(Trace(tuple(visits), 1), Scripted(rest), around=around))
    assert [moment.at_ms for moment in moments] == pytest.approx([500] * 2, abs=0.2)
    assert [moment.latency_ms for moment in moments] == pytest.approx([50] * 2, abs=0.2)
    assert told == ["begin 0", "end 0", "begin 1", "end 1"]


def test_what_comes_after_the_next_key_is_lost(played: Play) -> None:
    moments, _ = played(
        Scripted(rest, delay_s=0.25), visit(Step(0.0, "arrive", 0), *keys("com", 0.1), end_s=0.6)
    )
    assert not any(moment.shown for moment in moments)
    assert all(moment.unanswered for moment in moments)


def test_an_accepted_suggestion_is_typed_on_behind(played: Play) -> None:
    half = Scripted(lambda before: "compute(alpha, beta)\nnonsense" if before.endswith("= ") else None)
    steps = [Step(0.5, "arrive", 0), Step(1.5, "accept", 0), *keys("comp", 2.0)]
    moments, client = played(half, visit(*steps, end_s=4.0))
    assert [moment.kind for moment in moments] == ["arrive", "accept"]
    assert moments[1].accepted == 20
    assert moments[1].left == 0
    assert client.texts[DOCUMENT] == TEXT
    assert client.asked[-1] == "result = compute(alpha, beta)"


def test_only_right_lines_are_accepted(played: Play) -> None:
    steps = [Step(0.5, "arrive", 0), Step(1.5, "accept", 0), *keys("comp", 2.0)]
    moments, _ = played(Scripted(lambda _: "compute(alpha)"), visit(*steps, end_s=4.0))
    assert [moment.kind for moment in moments] == ["arrive", "key", "key", "key", "key"]
    assert not any(moment.accepted for moment in moments)
    assert moments[0].agreed == len("compute(alpha")
    assert not moments[0].exact_line


def test_an_accepted_first_line_of_two(played: Play) -> None:
    hole = Hole(TEXT.index("compute"), "compute(alpha, beta)\nprint(result)")
    steps = [Step(0.5, "arrive", 0), Step(1.5, "accept", 0), *keys(hole.text[:23], 2.0)]
    moments, client = played(
        Scripted(lambda before: "compute(alpha, beta)" if before.endswith("= ") else "?"),
        visit(*steps, end_s=9.0, holes=(hole,)),
    )
    assert [moment.kind for moment in moments] == ["arrive", "accept", "key", "key", "key"]
    assert client.asked[2:] == ["", "p", "pr"]


def test_in_a_mistake_nothing_agrees(played: Play) -> None:
    steps = [Step(0.5, "arrive", 0), Step(1.0, "typo", 0, "x"), Step(1.5, "delete", 0), *keys("c", 2.0)]
    moments, client = played(Scripted(lambda _: "compute(alpha, beta)"), visit(*steps, end_s=3.0))
    assert client.asked == ["result = ", "result = x", "result = ", "result = c"]
    assert [moment.agreed for moment in moments] == [20, 0, 20, 0]
    assert [moment.right for moment in moments] == [True, False, True, True]


@pytest.mark.parametrize("holes", [(MIDDLE, BELOW), (BELOW, MIDDLE)])
def test_a_jump_and_a_jump_back(played: Play, holes: tuple[Hole, Hole]) -> None:
    steps = [
        Step(0.5, "arrive", 0),
        *keys(holes[0].text[:3], 1.0),
        Step(2.0, "jump", 1),
        *keys(holes[1].text[:2], 3.0, hole=1),
        Step(4.0, "jump", 0),
        *keys(holes[0].text[3:5], 5.0, place=3),
    ]
    _, client = played(Scripted(lambda _: None), visit(*steps, end_s=6.0, holes=holes))
    lines = {MIDDLE: "result = ", BELOW: "last = "}
    one, two = lines[holes[0]], lines[holes[1]]
    assert client.asked[4:7] == [two, two + holes[1].text[:1], two + holes[1].text[:2]]
    assert client.asked[7:] == [one + holes[0].text[:count] for count in (3, 4, 5)]


def test_a_document_is_whole_again_at_the_next_visit(played: Play) -> None:
    one = visit(Step(0.5, "arrive", 0), *keys("com", 1.0), end_s=2.0)
    two = visit(Step(0.5, "arrive", 0), *keys("oth", 1.0), end_s=2.0, holes=(BELOW,))
    moments, client = played(Scripted(lambda _: None), one, two)
    assert client.texts[DOCUMENT] == TEXT.replace("other_call(gamma)", "oth")
    assert {moment.visit for moment in moments} == {0, 1}
    assert client.left == 2


@pytest.mark.parametrize(
    "suggestion, real, length",
    [("abc", "abd", 2), ("abc", "abcdef", 3), ("abcdef", "abc", 3), ("x", "y", 0), ("", "y", 0)],
)
def test_agreed_length(suggestion: str, real: str, length: int) -> None:
    assert agreed_length(suggestion, real) == length
