"""From a problem to what is shown: suspect lines first, an early end, nothing unverified beside what is verified."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

import pytest

from tailora.repair.pipeline import Report, Settings, repair
from tailora.repair.problem import Candidate, Finding, Problem, Span
from tailora.repair.propose import Fill, Score
from tailora.repair.validate import Trial, Verdict
from tailora_adapters.repair.hole import Hole, Notes, make_hole

TEXT = """\
def area(width, height):
    total = width + height
    return total


def other(a):
    return a
"""
FINDING = Finding("Ruff", "X1", "wrong operator", 1, 4, 1, 9)


class ScriptedModel:
    """Judges words as the script says, and fills a hole by the line that stood there."""

    def __init__(self, odd: str = "+", fills: dict[str, list[str]] | None = None) -> None:
        self.odd = odd
        self.was_taught = False
        self.fills = fills or {}
        self.holes: list[Hole] = []
        self.judged: list[str] = []
        self.text = TEXT.split("\n")

    async def taught(self) -> bool:
        return self.was_taught

    async def fill(
        self,
        hole: Hole,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Fill:
        self.holes.append(hole)
        was = "\n".join(self.text[hole.span.first : hole.span.end]).strip()
        answers = self.fills.get(was, [])
        text = answers.pop(0) if answers else "pass"
        return Fill(text, finished=text != "endless")

    async def judge(self, prefix: str, middle: str, suffix: str) -> tuple[Score, ...]:
        self.judged.append(middle)
        scores = []
        for word in re.findall(r"\s*\S+|\s+", middle):
            parts = re.findall(r"\s*\n\s*|[^\n]+", word)  # a line's end is a token of its own
            for part in parts:
                odd = part.strip() == self.odd
                scores.append(
                    Score(part, -9.0 if odd else -0.1, ((" *", -0.01),) if odd else ((part, -0.1),))
                )
        return (*scores, Score("", -0.1))


def problem(*findings: Finding, suspects: tuple[float, ...] = (), imports: tuple[str, ...] = ()) -> Problem:
    return Problem(PurePath("a.py"), TEXT, "python", findings, suspects, imports=imports)


def wants(text: str, passed: int = 1) -> object:
    async def ask(candidate: Candidate) -> Verdict:
        if text in candidate.text:
            return Verdict(True, ("diagnostic cleared",), verified=True, tests_passed=passed)
        return Verdict(False, why="still there")

    return ask


async def run(model: ScriptedModel, found: Problem, *asks: object, **settings: object) -> Report:
    return await repair(found, model, Trial(found, list(asks)), Settings(**settings))  # type: ignore[arg-type]


async def test_the_line_that_the_checker_points_to() -> None:
    model = ScriptedModel(fills={"total = width + height": ["total = width * height"]})
    report = await run(model, problem(FINDING), wants("width * height"))
    assert report.repairs[0].candidate.lines == ("    total = width * height",)
    assert report.repairs[0].verified
    assert report.repairs[0].checks == ("parses", "diagnostic cleared")
    assert "# wrong operator" in model.holes[0].prefix
    assert TEXT.replace("+", "*") == report.repairs[0].candidate.text


async def test_without_a_location_the_odd_line_comes_first() -> None:
    suspects = (0.0, 0.7, 0.7, 0, 0, 0, 0)
    model = ScriptedModel(fills={"total = width + height": ["total = width * height"]})
    report = await run(model, problem(suspects=suspects), wants("width * height"))
    assert report.attempts[0].candidate.span == Span(1, 2)
    assert report.repairs[0].verified
    assert "other" not in model.judged[0]


async def test_suspicion_of_tests_decides_where_the_model_finds_nothing_odd() -> None:
    model = ScriptedModel(odd="nowhere", fills={"return total": ["return width * height"]})
    report = await run(model, problem(suspects=(0.0, 0.3, 1.0, 0, 0, 0, 0)), wants("return width * height"))
    assert report.attempts[0].candidate.span == Span(2, 3)


async def test_the_line_goes_on_as_the_model_would() -> None:
    model = ScriptedModel(fills={"total = width + height": ["nonsense = 1", " height"]})
    report = await run(model, problem(suspects=(0, 1.0, 0.1, 0, 0, 0, 0)), wants("width * height"))
    swerves = [hole for hole in model.holes if hole.given.endswith("width *")]
    assert swerves
    assert swerves[0].given == "    total = width *"
    assert report.attempts


async def test_stops_when_enough_is_verified() -> None:
    fills = {"total = width + height": ["total = width * height", "total = height * width"]}
    report = await run(ScriptedModel(fills=fills), problem(FINDING), wants("total ="), enough=1)
    assert len(report.attempts) == 1


async def test_never_more_than_asked_for() -> None:
    model = ScriptedModel()
    report = await run(model, problem(FINDING), wants("impossible"), candidates=4)
    assert len(model.holes) == 4
    assert report.repairs == ()
    assert all(not attempt.verdict.holds for attempt in report.attempts)


async def test_the_second_round_knows_what_failed() -> None:
    model = ScriptedModel(fills={"total = width + height": ["total = 1"]})
    await run(model, problem(FINDING), wants("impossible"))
    told = [hole.prefix for hole in model.holes if "# not: total = 1" in hole.prefix]
    assert told
    assert "# total = width + height" in told[0]


async def test_verified_ones_push_out_the_others() -> None:
    async def unsure(candidate: Candidate) -> Verdict:
        return Verdict(True, verified="width * height" in candidate.text)

    fills = {"total = width + height": ["total = 1", "1 1", "total = width * height"]}
    report = await run(ScriptedModel(fills=fills), problem(FINDING), unsure)
    assert [found.verified for found in report.repairs] == [True]
    report = await run(
        ScriptedModel(fills={"total = width + height": ["total = 1"]}), problem(FINDING), unsure
    )
    assert report.repairs
    assert not any(found.verified for found in report.repairs)
    assert len(report.repairs) <= 3


async def test_more_tests_passed_come_first() -> None:
    async def counts(candidate: Candidate) -> Verdict:
        return Verdict(True, verified=True, tests_passed=5 if "width * height" in candidate.text else 1)

    fills = {"total = width + height": ["total = 1"], "return total": ["return width * height"]}
    report = await run(ScriptedModel(fills=fills), problem(FINDING), counts)
    assert "width * height" in report.repairs[0].candidate.text


async def test_an_unfinished_answer_is_no_candidate() -> None:
    model = ScriptedModel(fills={"total = width + height": ["endless"]})
    report = await run(model, problem(FINDING), wants("impossible"), candidates=1)
    assert report.attempts == ()


async def test_repeated_suffix_is_cut() -> None:
    model = ScriptedModel(fills={"total = width + height": ["total = width * height\n    return total"]})
    report = await run(model, problem(FINDING), wants("width * height"), enough=1)
    assert report.repairs[0].candidate.text == TEXT.replace("+", "*")


async def test_known_imports_are_tried_without_the_model() -> None:
    model = ScriptedModel()
    report = await run(model, problem(FINDING, imports=("import math",)), wants("import math\n"), enough=1)
    assert model.holes == []
    assert model.judged == []
    assert report.repairs[0].candidate.text == "import math\n\n\n" + TEXT


async def test_where_an_import_is_verified_the_line_is_not_rewritten() -> None:
    model = ScriptedModel(fills={"total = width + height": ["total = 1"]})
    found = problem(FINDING, imports=("import math",))

    async def both(candidate: Candidate) -> Verdict:
        return Verdict(True, verified="total = 1" in candidate.text or "import math" in candidate.text)

    report = await run(model, found, both)
    assert [repair.candidate.lines[0].strip() for repair in report.repairs] == ["import math"]


async def test_an_import_that_no_checker_confirms_goes_before_what_rewrites_the_line() -> None:
    model = ScriptedModel(fills={"total = width + height": ["total = 1"]})
    report = await run(model, problem(FINDING, imports=("import math",)))
    assert [repair.candidate.lines[0].strip() for repair in report.repairs][:2] == [
        "import math",
        "total = 1",
    ]


async def test_lines_are_judged_only_if_the_statement_pointed_to_is_not_enough() -> None:
    inside = replace(FINDING, line=2, end_line=2)
    model = ScriptedModel(fills={"return total": ["return width * height"]})
    report = await run(model, problem(inside), wants("width * height"), enough=1)
    assert report.repairs
    assert model.judged == []
    model = ScriptedModel()
    await run(model, problem(inside), wants("impossible"))
    assert model.judged


async def test_what_a_diagnostic_suggests_needs_no_model_if_it_is_verified() -> None:
    text = TEXT.replace("return total", "return totel")
    finding = Finding("Ruff", "F821", "Undefined name `totel`", 2, 11, 2, 16)
    found = Problem(PurePath("a.py"), text, "python", (finding,))
    model = ScriptedModel()
    report = await run(model, found, wants("return total\n"))
    assert [repair.candidate.lines for repair in report.repairs] == [("    return total",)]
    assert (model.holes, model.judged) == ([], [])


async def test_a_model_that_was_trained_to_repair_sees_what_stood_there_at_once() -> None:
    model = ScriptedModel()
    model.was_taught = True
    await run(model, problem(replace(FINDING, line=2, end_line=2)), wants("impossible"))
    assert "# return total\n" in model.holes[0].prefix
    assert len({(hole.prefix, hole.suffix) for hole in model.holes[:6]}) == len(model.holes[:6])


async def test_all_questions_begin_at_one_place() -> None:
    before = "".join(f"def f{number}():\n    return {number}\n\n\n" for number in range(200))
    text = before + TEXT
    finding = replace(FINDING, line=802, end_line=802)
    found = Problem(PurePath("a.py"), text, "python", (finding,))
    model = ScriptedModel()
    model.text = text.split("\n")
    await run(model, found, wants("impossible"))
    begins = {hole.prefix.partition("\n")[0] for hole in model.holes}
    assert len(begins) == 1
    assert all("def f199" in hole.prefix for hole in model.holes)
    assert max(len(hole.prefix) for hole in model.holes) < 3_000


async def test_only_the_lines_that_may_be_rewritten() -> None:
    within = Span(1, 2)
    marks = tuple(float(line in within) for line in range(8))
    model = ScriptedModel(fills={"total = width + height": ["total = 1", "total = 2", "total = 3"]})
    found = replace(problem(suspects=marks), within=within)
    report = await run(model, found, candidates=40)
    assert {attempt.candidate.span for attempt in report.attempts} == {within}
    assert {hole.span for hole in model.holes} == {within}
    assert report.repairs
    assert not any(repair.verified for repair in report.repairs)


@pytest.mark.parametrize("line", [-5, 99])
async def test_a_wrong_range(line: int) -> None:
    finding = Finding("Ruff", "X1", "wrong", line, 0, line, 3)
    report = await run(ScriptedModel(), problem(finding), wants("impossible"), candidates=3)
    assert report.repairs == ()


async def test_an_empty_file() -> None:
    empty = Problem(PurePath("a.py"), "", "python", (FINDING,))
    model = ScriptedModel()
    model.text = [""]
    assert (await repair(empty, model, Trial(empty, []), Settings(candidates=2))).seconds >= 0


async def test_a_long_function_is_judged_in_part() -> None:
    body = "".join(f"    x{number} = {number}\n" for number in range(2000))
    long = Problem(
        PurePath("a.py"), f"def f():\n{body}", "python", (Finding("R", "", "m", 1000, 0, 1000, 1),)
    )
    model = ScriptedModel()
    model.text = long.text.split("\n")
    await repair(long, model, Trial(long, []), Settings(candidates=2))
    assert model.judged[0].count("\n") <= 24
    assert "x999 = 999" in model.judged[0]


def test_holes() -> None:
    lines = TEXT.split("\n")
    hole = make_hole(lines, Span(1, 2), "python", Notes(("wrong operator",), True, ("total = 1",)))
    assert hole.prefix == (
        "def area(width, height):\n    # wrong operator\n    # total = width + height\n    # not: total = 1\n    "
    )
    assert hole.suffix.startswith("\n    return total\n")
    assert make_hole(["int a;"], Span(0, 1), "c", Notes(was=True)).prefix == "// int a;\n"
    long = make_hole(lines, Span(1, 2), "python", Notes(("x" * 500 + "\n more",)))
    assert max(map(len, long.prefix.split("\n"))) < 180
