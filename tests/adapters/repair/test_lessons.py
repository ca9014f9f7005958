"""Lessons put the file together again: what stands before the hole, what belongs there, what stands behind."""

import random
from collections.abc import Sequence

import pytest

from tailora_adapters.corpus.bugs import bugs
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.repair.fixes import Fix
from tailora_adapters.repair.hole import Notes, Span, make_hole
from tailora_adapters.repair.lessons import LessonMix, from_bug, from_fix, lessons, unchanged

TEXT = """\
import os


def area(width, height):
    if width is None:
        return None
    total = width * height
    return total + os.getpid()
"""


def source(path: str = "a.py", text: str = TEXT) -> SourceFile:
    return SourceFile(path, "python", text, "0" * 64, 0.0)


def without_comments(text: str) -> str:
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))


def test_every_bug_that_leaves_a_line_has_a_way_back() -> None:
    file, made = source(), 0
    for bug in bugs(TEXT):
        lesson = from_bug(file, bug, "something is wrong")
        if lesson is None:
            continue
        made += 1
        assert without_comments(lesson.prefix + lesson.middle + lesson.suffix).strip() == TEXT.strip()
        assert "# something is wrong\n" in lesson.prefix
        for line in bug.now:
            assert f"# {line.strip()}\n" in lesson.prefix, "what stands there is shown"
    assert made > 10


def test_what_stood_there_may_be_hidden() -> None:
    bug = next(bug for bug in bugs(TEXT) if bug.kind == "operator")
    lesson = from_bug(source(), bug, None, plain=True)
    assert lesson is not None
    assert "#" not in lesson.prefix


def test_a_fix() -> None:
    fix = Fix("a.py", "python", tuple(TEXT.split("\n")), Span(6, 7), ("    total = width + height",), 1, "c")
    lesson = from_fix(fix)
    assert lesson is not None
    assert lesson.middle == "total = width + height"
    assert lesson.prefix.endswith("    # total = width * height\n    ")
    assert lesson.suffix.startswith("\n    return total")


@pytest.mark.parametrize("now", [(), ("",), ("x" * 2000,), ("dedented = 1",)])
def test_what_no_hole_can_hold(now: tuple[str, ...]) -> None:
    fix = Fix("a.py", "python", tuple(TEXT.split("\n")), Span(6, 7), now, 1, "c")
    lesson = from_fix(fix)
    assert lesson is None or lesson.prefix.endswith("\n"), "with its own indentation, or not at all"


def test_good_lines_stay() -> None:
    found = list(unchanged(source(), random.Random(1)))
    assert found
    for lesson in found:
        assert f"# {lesson.middle}\n" in lesson.prefix
        assert without_comments(lesson.prefix + lesson.middle + lesson.suffix).strip() == TEXT.strip()


def test_the_mix() -> None:
    files = [source(f"f{number}.py") for number in range(6)]
    fix = Fix("a.py", "python", tuple(TEXT.split("\n")), Span(6, 7), ("    total = width + height",), 1, "c")
    made = lessons(files, [fix] * 20, 40, seed=1, mix=LessonMix(), notice=lambda asked: ["told"] * len(asked))
    kinds = [lesson.kind.split()[0] for lesson in made]
    assert 34 <= len(made) <= 40
    assert kinds.count("fix") == 10
    assert kinds.count("same") == 6
    assert made == lessons(files, [fix] * 20, 40, seed=1, notice=lambda asked: ["told"] * len(asked))
    assert all("# told\n" in lesson.prefix for lesson in made if lesson.kind.startswith("bug"))


@pytest.mark.parametrize("every,told", [(2, 16), (1, 24), (6, 8), (100, 1)])
def test_two_thirds_of_the_bugs_are_noticed_where_there_are_so_many(every: int, told: int) -> None:
    files = [source(f"f{number}.py") for number in range(12)]
    mix, questions = LessonMix(bugs=1.0, unchanged=0.0), []

    def notice(asked: Sequence[tuple[str, str]]) -> list[str | None]:
        questions.append(asked)
        return [None if number % every else "told" for number in range(len(asked))]

    made = lessons(files, [], 24, seed=1, mix=mix, notice=notice)
    assert len(made) == 24
    assert sum("# told\n" in lesson.prefix for lesson in made) == told
    [asked] = questions
    assert len(asked) == 48, "all are asked about at once"
    assert {path for path, _ in asked} <= {file.path for file in files}
    assert all(text != TEXT for _, text in asked)
    assert made == lessons(files, [], 24, seed=1, mix=mix, notice=notice)


def test_holes_of_training_are_those_of_serving() -> None:
    bug = next(bug for bug in bugs(TEXT) if bug.kind == "operator" and len(bug.now) == 1)
    lesson = from_bug(source(), bug, "message")
    lines = bug.text.split("\n")
    hole = make_hole(lines, Span(bug.first, bug.first + 1), "python", Notes(("message",), was=True))
    assert lesson is not None
    assert (lesson.prefix, lesson.suffix) == (hole.prefix, hole.suffix)
