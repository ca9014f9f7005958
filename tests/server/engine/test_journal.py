"""When training starts."""

from tailora.engine.journal import Journal, Rules

RULES = Rules(quiet_s=20, min_gap_s=120, min_changed_files=2)


def test_training_waits_for_enough_files_and_for_quiet() -> None:
    journal = Journal()
    assert journal.due_in(0, RULES) is None
    journal.note(["a.py"], 0)
    assert journal.due_in(100, RULES) is None
    journal.note(["b.py"], 100)
    assert journal.due_in(105, RULES) == 15
    journal.note(["a.py"], 110)
    assert journal.due_in(110, RULES) == 20
    journal.disturb(115)  # a rebase goes on
    assert journal.due_in(115, RULES) == 20
    assert journal.due_in(200, RULES) == 0
    assert journal.changed() == ("a.py", "b.py")


def test_a_head_move_alone_is_nothing_to_learn() -> None:
    journal = Journal()
    journal.disturb(0)
    assert journal.due_in(100, RULES) is None


def test_what_changes_during_a_run_is_kept_for_the_next_after_the_gap() -> None:
    journal = Journal()
    journal.note(["a.py", "b.py"], 0)
    journal.began(20)
    journal.note(["b.py", "c.py"], 30)
    journal.ended(50, learned=True)
    assert journal.changed() == ("b.py", "c.py")
    assert journal.due_in(60, RULES) == 110


def test_a_failed_run_is_tried_again_only_after_a_change() -> None:
    journal = Journal()
    journal.note(["a.py", "b.py"], 0)
    journal.began(20)
    journal.ended(21, learned=False)
    assert journal.due_in(1000, RULES) is None
    assert len(journal) == 2
    journal.note(["a.py"], 1000)
    assert journal.due_in(1000, RULES) == 20


def test_a_retry_needs_no_change() -> None:
    journal = Journal()
    journal.note(["a.py", "b.py"], 0)
    journal.began(20)
    journal.ended(21, learned=False)
    journal.retry()
    assert journal.due_in(1000, RULES) == 0
