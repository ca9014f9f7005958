"""What a schedule remembers: over restarts, damaged files, clocks that jump and disks that are full."""

import errno
import json
from pathlib import Path

import pytest

from tailora.engine import agenda as agenda_module
from tailora.engine.agenda import CHANGED, SCHEDULE, Agenda
from tailora.engine.schedule import Conditions, Rules, decide
from tailora.engine.surroundings import Moment

RULES = Rules()
WALL = 1_795_608_000.0  # 2026-11-25T12:00 UTC


def at(now: float, wall: float | None = None) -> Moment:
    return Moment(now, WALL + now if wall is None else wall)


def conditions(agenda: Agenda, moment: Moment) -> Conditions:
    return agenda.conditions(moment, RULES, git_at_work=None, full_retrain=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store" / "project"


@pytest.fixture
def agenda(folder: Path) -> Agenda:
    """With changes, a commit, and a run that failed after 100 s."""
    result = Agenda.read(folder, at(0))
    result.journal.note({"a.py": 350, "old/b.py": 70}, 10)
    result.journal.commit()
    result.journal.begin(40, 0)
    result.charge(100, at(140))
    result.end("failed", at(140))
    return result


def test_nothing_is_written_before_there_is_something(folder: Path) -> None:
    assert not Agenda.read(folder, at(0)).is_dirty
    assert not folder.exists()


def test_all_of_it_survives_the_engine(agenda: Agenda, folder: Path) -> None:
    assert agenda.is_dirty
    agenda.save(at(150))
    assert not agenda.is_dirty
    # The next engine's steady clock begins elsewhere.
    again = Agenda.read(folder, Moment(5.0, WALL + 200))
    found = conditions(again, Moment(5.0, WALL + 200))
    assert again.journal.changed() == ("a.py", "old/b.py")
    assert (found.new_tokens, found.fresh_tokens, found.committed) == (120, 0, True)
    assert found.now - found.waiting_since == pytest.approx(190)
    assert found.now - found.last_run == pytest.approx(60)
    assert (found.failures, found.trained_today_s, found.quiet_since) == (1, 100, 5.0)
    assert again.watched_until == WALL + 150
    assert not again.is_dirty
    assert folder.stat().st_mode & 0o777 == 0o700


def test_names_that_are_not_utf8_survive(folder: Path) -> None:
    agenda = Agenda.read(folder, at(0))
    agenda.journal.note({"bad\udcff.py": 1}, 0)
    agenda.save(at(1))
    assert agenda.problem is None
    assert Agenda.read(folder, at(2)).journal.changed() == ("bad\udcff.py",)


@pytest.mark.parametrize("name", [CHANGED, SCHEDULE])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"null",
        b'{"files": {"a.py": 1}, "watched_until": 0, "many": false, "committed": false}',
        b'{"files": {"a.py": ["x", 1, 1]}, "watched_until": 0, "many": false, "committed": false}',
        b'{"files": {}, "watched_until": Infinity, "many": false, "committed": false}',
        b'{"day": "tomorrow", "seconds": 1, "ended": 1, "failures": 1}',
        b'{"day": "2026-11-25", "seconds": NaN, "ended": 1, "failures": 1}',
        b'{"day": "2026-11-25", "seconds": 1, "ended": 1, "failures": 1, "repaired": Infinity}',
        b'{"day": "2026-11-25", "seconds": 1, "ended": 1, "failures": 1, "repaired": "today"}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_an_empty_one(agenda: Agenda, folder: Path, name: str, content: bytes) -> None:
    agenda.save(at(150))
    (folder / name).write_bytes(content)
    found = conditions(Agenda.read(folder, at(200)), at(200))
    assert (found.changed_files, found.failures) == ((0, 1) if name == CHANGED else (2, 0))


def test_paths_out_of_the_project_are_not_taken_from_disk(agenda: Agenda, folder: Path) -> None:
    agenda.save(at(150))
    content = json.loads((folder / CHANGED).read_text())
    content["files"] |= {"../x.py": [1, 1, 1], "/etc/x.py": [1, 1, 1], ".git/x.py": [1, 1, 1]}
    (folder / CHANGED).write_text(json.dumps(content))
    assert Agenda.read(folder, at(200)).journal.changed() == ("a.py", "old/b.py")


@pytest.mark.parametrize("wall", [WALL - 3600, WALL + 10 * 365 * 86_400])
def test_a_clock_that_was_set_meanwhile_neither_blocks_nor_breaks(
    agenda: Agenda, folder: Path, wall: float
) -> None:
    agenda.save(at(150))
    moment = Moment(5.0, wall)
    again = Agenda.read(folder, moment)
    found = conditions(again, moment)
    assert found.changed_files == 2
    assert found.waiting_since <= 5.0
    assert found.last_run <= 5.0
    assert again.watched_until is not None
    assert again.watched_until <= wall


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_cannot_be_written_is_told_and_tried_again(
    agenda: Agenda, folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    agenda.save(at(150))
    agenda.journal.note({"c.py": 1}, 160)

    def refuse(*_: object) -> None:
        raise OSError(number, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(agenda_module, "write_atomic", refuse)
        agenda.save(at(170))
        assert agenda.is_dirty
        assert agenda.problem == "what waits to be learned cannot be written to disk: No space left on device"
    assert Agenda.read(folder, at(170)).journal.changed() == ("a.py", "old/b.py")
    assert agenda.journal.changed() == ("a.py", "c.py", "old/b.py")
    agenda.save(at(180))
    assert (agenda.problem, agenda.is_dirty) == (None, False)


def test_a_run_lasts_no_longer_than_the_budget(folder: Path) -> None:
    agenda = Agenda.read(folder, at(0))
    assert agenda.run_seconds(at(0), RULES) == 600
    agenda.charge(3_300, at(0))
    assert agenda.run_seconds(at(0), RULES) == 300
    assert agenda.run_seconds(at(86_400), RULES) == 600
    assert agenda.run_seconds(at(0), Rules(budget_s_per_day=0)) == 600


def test_endings(folder: Path) -> None:
    agenda = Agenda.read(folder, at(0))
    for ending, failures, left in (
        ("failed", 1, 1),
        ("stopped", 1, 1),
        ("rejected", 2, 0),
        ("learned", 0, 0),
    ):
        agenda.journal.note({"a.py": 1}, 0)
        agenda.journal.begin(1, 0)
        agenda.end(ending, at(2))  # type: ignore[arg-type]
        assert (agenda.failures, len(agenda.journal)) == (failures, left)


def test_that_repairs_were_asked_for_survives_the_engine(folder: Path) -> None:
    agenda = Agenda.read(folder, at(0))
    assert agenda.ask_repair(10)
    agenda.save(at(20))
    assert not agenda.ask_repair(30)
    assert not agenda.is_dirty, "a request costs no writing"
    again = Agenda.read(folder, at(40))
    found = conditions(again, at(40))
    assert (found.repair_asked, found.repaired_s_ago, found.quiet_since) == (True, float("inf"), 40)
    assert not again.is_dirty


def test_a_repair_disturbs_the_quiet(folder: Path) -> None:
    agenda = Agenda.read(folder, at(0))
    for now in (10, 30):
        agenda.ask_repair(now)
    assert conditions(agenda, at(40)).quiet_since == 30


def test_that_repair_was_learned_survives_the_engine(folder: Path) -> None:
    agenda = Agenda.read(folder, at(0))
    agenda.ask_repair(10)
    agenda.end_repair("learned", at(100))
    agenda.save(at(110))
    # The steady clock stands still while the machine sleeps: a day is one of the wall clock.
    moment = Moment(5.0, WALL + 100 + 86_400)
    again = Agenda.read(folder, moment)
    found = conditions(again, moment)
    assert (found.repair_asked, found.repaired_s_ago) == (False, 86_400)
    again.ask_repair(6)
    assert decide(conditions(again, Moment(50.0, moment.wall + 45)), RULES).purpose == "repair"
    assert decide(conditions(again, Moment(50.0, moment.wall - 100)), RULES).purpose == "completion"


@pytest.mark.parametrize("ending", ["learned", "rejected", "failed", "stopped"])
def test_a_run_for_repair_leaves_what_waits_and_what_failed(
    agenda: Agenda, ending: agenda_module.Ending
) -> None:
    agenda.ask_repair(150)
    before = conditions(agenda, at(1_000))
    agenda.end_repair(ending, at(1_000))
    after = conditions(agenda, at(1_000))
    had_its_say = ending != "stopped"
    assert (after.repair_asked, after.repaired_s_ago == 0) == (not had_its_say, had_its_say)
    for name in ("changed_files", "new_tokens", "waiting_since", "committed", "last_run", "failures"):
        assert getattr(after, name) == getattr(before, name)
    assert agenda.journal.changed() == ("a.py", "old/b.py")


@pytest.mark.parametrize("wall", [WALL - 3_600, WALL + 10 * 365 * 86_400])
@pytest.mark.parametrize("restart", [False, True])
def test_a_clock_that_was_set_holds_up_no_repair(folder: Path, wall: float, restart: bool) -> None:
    agenda = Agenda.read(folder, at(0))
    agenda.end_repair("rejected", at(0))
    agenda.ask_repair(10)
    agenda.save(at(10))
    if restart:
        agenda = Agenda.read(folder, Moment(20.0, wall))
    assert decide(conditions(agenda, Moment(60.0, wall + 40)), RULES).start


def test_what_an_engine_before_repair_was_learned_left_is_read(agenda: Agenda, folder: Path) -> None:
    agenda.save(at(150))
    content = json.loads((folder / SCHEDULE).read_text())
    del content["repair_asked"], content["repaired"]
    (folder / SCHEDULE).write_text(json.dumps(content))
    found = conditions(Agenda.read(folder, at(200)), at(200))
    assert (found.failures, found.trained_today_s, found.last_run) == (1, 100, 140)
    assert (found.repair_asked, found.repaired_s_ago) == (False, float("inf"))


def test_a_file_that_changes_every_second_holds_up_no_other(folder: Path) -> None:
    agenda = Agenda.read(folder, at(0))
    agenda.journal.note({"a.py": 1_000}, 0)
    starts: list[tuple[int, tuple[str, ...]]] = []
    for second in range(4_000):
        agenda.journal.note({"log.py": second}, second)
        if second == 2_500:
            agenda.journal.note({"b.py": 10}, second)
        if decide(conditions(agenda, at(second)), RULES).start:
            starts.append((second, agenda.journal.begin(second, RULES.hot_s)))
            agenda.end("learned", at(second))
    assert starts == [(1_800, ("a.py",)), (3_600, ("b.py",))]
    assert agenda.journal.changed() == ("log.py",)
    assert decide(conditions(agenda, at(4_020)), RULES).start
