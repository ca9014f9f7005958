import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tailora.bench.places import Document, find_holes
from tailora.bench.trace import Step, Trace, make_trace, split_keys
from tailora_adapters.errors import TailoraError


@pytest.fixture(scope="module")
def trace() -> Trace:
    """Of the packages that are installed here."""
    try:
        return make_trace(30, 5)
    except TailoraError as error:
        pytest.skip(f"NOT TESTED, this environment lacks code in enough languages: {error}")


def test_the_same_seed_gives_the_same_trace(trace: Trace) -> None:
    assert make_trace(30, 5) == trace
    assert make_trace(30, 6) != trace


def test_thirty_places_in_three_languages_and_twenty_documents_in_turn(trace: Trace) -> None:
    assert len(trace.visits) == 30
    assert len(trace.languages) >= 3
    first = [visit.document for visit in trace.visits[:20]]
    assert len(set(first)) == 20
    assert {visit.document for visit in trace.visits[20:]} <= set(first)


def test_everything_that_a_person_does_is_in_it(trace: Trace) -> None:
    kinds = {step.kind for visit in trace.visits for step in visit.steps}
    assert kinds == {"arrive", "key", "typo", "delete", "jump", "accept"}
    assert any(gap > 1.0 for visit in trace.visits for gap in gaps(visit.steps))


def gaps(steps: Sequence[Step]) -> list[float]:
    return [after.at_s - before.at_s for before, after in pairwise(steps)]


def test_steps_are_in_order_and_end_before_the_visit_does(trace: Trace) -> None:
    for visit in trace.visits:
        assert visit.steps[0].kind == "arrive"
        assert all(gap > 0 for gap in gaps(visit.steps))
        assert visit.end_s > visit.steps[-1].at_s
    assert 4 < trace.seconds / len(trace.visits) < 14


def test_keys_type_the_beginning_of_what_really_stands_there_and_leave_something(trace: Trace) -> None:
    for visit in trace.visits:
        for number, hole in enumerate(visit.holes):
            keys = [step for step in visit.steps if step.kind == "key" and step.hole == number]
            typed = "".join(step.text for step in keys)
            assert hole.text.startswith(typed)
            assert visit.document.text[hole.start : hole.end] == hole.text
            assert len(hole.text) > len(typed)
            assert [step.place for step in keys] == [
                len("".join(step.text for step in keys[:count])) for count in range(len(keys))
            ]


def test_mistakes_are_taken_back(trace: Trace) -> None:
    for visit in trace.visits:
        wrong = 0
        for step in visit.steps:
            wrong += {"typo": 1, "delete": -1}.get(step.kind, 0)
            assert wrong == 0 or step.kind in ("typo", "delete")
        assert wrong == 0


def test_a_line_break_is_one_key_with_the_indentation_behind_it() -> None:
    assert split_keys("a(\n    b\n)") == ["a", "(", "\n    ", "b", "\n", ")"]


def test_holes_end_where_a_line_does_and_keep_apart(document: Document) -> None:
    holes = find_holes(document, random.Random(1))
    assert len(holes) == 8
    for hole in holes:
        assert document.text[hole.end] == "\n"
        assert document.text[hole.start : hole.end] == hole.text != ""
    rows = sorted(document.text.count("\n", 0, hole.start) for hole in holes)
    assert all(after - before >= 8 for before, after in pairwise(rows))


def test_comments_and_docstrings_are_not_typed() -> None:
    lines = [
        *["x = 1"] * 20,
        '"""Words, words, words, words.',
        "Words that are long enough to be a hole.",
        '"""',
        "# a comment that is long enough to be a hole",
        "/* one more comment, long enough",
        "words in there, long enough */",
        "code = that(is_long, enough, to_be_a_hole)",
        *["x = 1"] * 20,
    ]
    document = Document(Path("/p/a.py"), Path("/p"), "python", "\n".join(lines) + "\n")
    (hole,) = find_holes(document, random.Random(1), lines=(1,))
    assert hole.text.endswith("to_be_a_hole)")


def test_too_few_languages_are_named(monkeypatch: pytest.MonkeyPatch, document: Document) -> None:
    monkeypatch.setattr("tailora.bench.trace.find_documents", lambda *_: [document])
    with pytest.raises(TailoraError, match="3 languages"):
        make_trace(5, 1)
