"""A failing test is repaired in a copy: its cause in another module is found, and nothing else breaks."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tailora.errors import RepairError
from tailora.repair import pipeline
from tailora.repair.failing_test import last_line, look_at
from tailora.repair.pipeline import Report, Settings
from tailora.repair.problem import Candidate, Problem, Span
from tailora.repair.propose import Fill, Score
from tailora.repair.scratch import ScratchCopy
from tailora.repair.session import TestRepair, repair_test
from tailora.sandbox import Limits
from tailora_adapters.repair.hole import Hole

PYTHON = Path(sys.executable)
SHOP = """\
from rates import rate


def net(gross):
    return gross - rate()


def twice(value):
    return value * 2
"""
RATES = "def rate():\n    return 10 + 9\n"
TESTS = """\
from shop import net, twice


def test_net():
    assert net(100) == 90


def test_twice():
    assert twice(2) == 4
"""
OTHERS = "from rates import rate\n\n\ndef test_rate():\n    assert rate() > 5\n"


class Lines:
    """Writes the line that it is told for the line that stood in the hole; judges all lines alike."""

    async def taught(self) -> bool:
        return False

    def __init__(self, problem: Problem, fills: dict[str, list[str]]) -> None:
        self.lines = problem.text.split("\n")
        self.fills = fills

    async def fill(
        self,
        hole: Hole,
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Fill:
        answers = self.fills.get("\n".join(self.lines[hole.span.first : hole.span.end]).strip(), [])
        text = answers.pop(0) if answers else "pass"
        return Fill(text, finished=True)

    async def judge(self, prefix: str, middle: str, suffix: str) -> tuple[Score, ...]:
        return tuple(Score(line, -0.5) for line in middle.splitlines(keepends=True))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project whose test fails for what stands in another module than the one it names."""
    root = tmp_path / "project"
    root.mkdir()
    for name, text in {
        "shop.py": SHOP,
        "rates.py": RATES,
        "test_shop.py": TESTS,
        "test_rates.py": OTHERS,
    }.items():
        (root / name).write_text(text)
    return root


async def repaired(root: Path, fills: dict[str, list[str]], **more: object) -> TestRepair:
    fills = {line: list(answers) for line, answers in fills.items()}
    return await repair_test(
        root,
        ["test_shop.py::test_net"],
        lambda problem: Lines(problem, fills),
        settings=Settings(seconds=120, seconds_held=60, enough=1, candidates=6),
        limits=Limits(seconds=40),
        **more,  # type: ignore[arg-type]
    )


def contents(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.iterdir()}


def left_behind() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("tailora-tests-*"))


async def test_the_cause_in_another_module(shop: Path) -> None:
    before = contents(shop)
    told: list[tuple[float, str]] = []
    done = await repaired(shop, {"return 10 + 9": ["return 10"]}, progress=lambda *step: told.append(step))
    assert done.problem.path.as_posix() == "rates.py"
    best = done.report.repairs[0]
    assert best.candidate.text == RATES.replace("10 + 9", "10")
    assert best.verified
    assert best.checks == ("parses", "3 tests pass")
    assert done.failing == ("test_shop.py::test_net",)
    assert "assert 81 == 90" in done.said
    assert contents(shop) == before
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)


async def test_a_candidate_that_breaks_another_test_of_the_file(shop: Path) -> None:
    (shop / "test_shop.py").write_text(TESTS + "\n\ndef test_more():\n    assert net(119) > net(100)\n")
    breaks = {"return gross - rate()": ["return 90", "return gross - 10"]}
    done = await repaired(shop, breaks)
    assert [repair.candidate.lines for repair in done.report.repairs] == [("    return gross - 10",)]


async def test_a_candidate_that_breaks_a_test_of_another_file(shop: Path) -> None:
    (shop / "test_rates.py").write_text(OTHERS + "\n\ndef test_exact():\n    assert rate() == 19\n")
    fixes = {"return 10 + 9": ["return 10"], "return gross - rate()": ["return gross - rate() + 9"]}
    done = await repaired(shop, fixes)
    assert done.problem.path.as_posix() == "shop.py"
    assert done.report.repairs[0].checks == ("parses", "2 tests pass")


async def test_nothing_that_holds(shop: Path) -> None:
    done = await repaired(shop, {})
    assert done.report.repairs == ()
    assert done.report.attempts
    assert "assert 81 == 90" in done.said


async def test_texts_that_are_not_saved(shop: Path) -> None:
    unsaved = {"shop.py": SHOP.replace("gross - rate()", "gross - rate() - 1")}
    done = await repaired(shop, {"return 10 + 9": ["return 10", "return 9"]}, texts=unsaved)
    assert done.report.repairs[0].candidate.lines == ("    return 9",)


async def test_texts_that_are_not_saved_stay_while_another_file_is_tried(shop: Path) -> None:
    """What was tried in vain in a file gives way to its unsaved text, not to the one on disk."""
    unsaved = {"shop.py": SHOP.replace("gross - rate()", "gross - rate() - 1")}
    with ScratchCopy(shop) as copy:
        copy.put("shop.py", unsaved["shop.py"])
        failing = await look_at(copy, ["test_shop.py::test_net"], python=PYTHON, limits=Limits(seconds=40))
        (problem,) = (it for it in failing.problems if it.path.name == "shop.py")
        await failing.ask(problem)(Candidate(Span(4, 5), (), problem.text + "x = 1\n"))
        assert (copy.root / "shop.py").read_text() == unsaved["shop.py"]


async def test_a_test_that_passes(shop: Path) -> None:
    with pytest.raises(RepairError, match="test_twice passes: there is nothing to repair"):
        await repair_test(shop, ["test_shop.py::test_twice"], lambda problem: Lines(problem, {}))


async def test_a_test_that_is_not_there(shop: Path) -> None:
    with pytest.raises(RepairError, match="no such test"):
        await repair_test(shop, ["test_shop.py::test_nothing"], lambda problem: Lines(problem, {}))


async def test_an_innocent_suspect_leaves_time_for_the_others(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []

    async def fruitless(*_arguments: object, settings: Settings, **_more: object) -> Report:
        seconds.append(settings.seconds)
        return Report((), (), 0.0)

    monkeypatch.setattr(
        pipeline, "repair", lambda *given, **more: fruitless(*given[:3], settings=given[3], **more)
    )
    times = iter([0.0, 10.0, 100.0])
    done = await repaired(shop, {}, clock=lambda: next(times))
    assert seconds == [55.0, 20.0]
    assert done.report.repairs == ()


async def test_cancelled(shop: Path) -> None:
    before, asked = left_behind(), asyncio.Event()

    class Endless(Lines):
        async def fill(self, hole: Hole, **more: object) -> Fill:  # type: ignore[override]
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    task = asyncio.create_task(
        repair_test(shop, ["test_shop.py::test_net"], lambda problem: Endless(problem, {}))
    )
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_behind() <= before


def test_what_a_failure_says_in_one_line() -> None:
    said = """\
test_shop.py:5: in test_net
    assert net(100) == 90
E   AssertionError: first
E   assert 1

During handling of the above exception, another exception occurred:
E   assert 81 == 90
E    +  where 81 = net(100)
test_shop.py:5: AssertionError
"""
    assert last_line(said) == "assert 81 == 90"
    assert last_line("one\n  two\n\n") == "two"
    assert last_line("") == ""


async def test_the_model_is_told_what_the_test_said(shop: Path) -> None:
    with ScratchCopy(shop) as copy:
        failing = await look_at(copy, ["test_shop.py"], python=PYTHON, limits=Limits(seconds=40))
    assert {problem.said for problem in failing.problems} == {("assert 81 == 90",)}


async def test_a_candidate_has_less_time_than_a_run_may_take(shop: Path) -> None:
    limits = Limits(seconds=600)
    with ScratchCopy(shop) as copy:
        found = await look_at(copy, ["test_shop.py::test_net"], python=PYTHON, limits=limits)
        assert found.again.seconds < limits.seconds / 2, "or an endless loop would cost all of it"
        assert found.limits == limits, "other tests may take longer"
        (copy.root / "rates.py").write_text("def rate():\n    while True:\n        pass\n")
        slow = await look_at(copy, ["test_shop.py::test_net"], python=PYTHON, limits=Limits(seconds=8))
        assert slow.again.seconds == 8
