"""What changed, and that nothing of it is lost between runs."""

import math

from tailora.engine.journal import LIMIT, Change, Journal, Kept

HOT_S = 5.0


def test_changes_are_counted_until_a_run_learned_them() -> None:
    journal = Journal()
    assert journal.news(0, HOT_S).waiting_since == math.inf
    journal.note({"b.py": 350, "a.py": 35}, 0)
    journal.note({"a.py": 70}, 10)
    news = journal.news(12, HOT_S)
    assert (news.files, news.resting, news.new_tokens, news.fresh_tokens) == (2, 1, 120, 120)
    assert (news.waiting_since, news.quiet_since) == (0, 10)
    assert journal.begin(20, HOT_S) == ("a.py", "b.py")
    assert (journal.news(20, HOT_S).files, len(journal)) == (0, 2)
    journal.end(learned=True)
    assert len(journal) == 0


def test_what_changes_during_a_run_is_kept_for_the_next() -> None:
    journal = Journal()
    journal.note({"a.py": 1, "b.py": 1}, 0)
    journal.begin(20, HOT_S)
    journal.note({"b.py": 2, "c.py": 1}, 30)
    journal.end(learned=True)
    assert journal.changed() == ("b.py", "c.py")
    assert journal.news(30, HOT_S).waiting_since == 30


def test_a_failed_run_gives_back_what_it_had_and_it_is_not_fresh() -> None:
    journal = Journal()
    journal.note({"a.py": 350, "b.py": 350}, 0)
    journal.commit()
    journal.begin(20, HOT_S)
    journal.end(learned=False)
    news = journal.news(30, HOT_S)
    assert (news.files, news.new_tokens, news.fresh_tokens, news.committed) == (2, 200, 0, True)
    journal.note({"a.py": 385}, 40)
    news = journal.news(50, HOT_S)
    assert (news.files, news.new_tokens, news.fresh_tokens, news.waiting_since) == (2, 210, 10, 0)
    assert journal.begin(50, HOT_S) == ("a.py", "b.py")


def test_only_what_is_added_or_taken_away_counts_where_the_size_is_known() -> None:
    journal = Journal()
    journal.know({"a.py": 7_000, "b.py": 7_000, "c.py": 7_000})
    journal.note({"a.py": 7_035, "b.py": 6_965, "c.py": 7_000}, 0)
    assert journal.news(10, HOT_S).new_tokens == 21
    journal.begin(10, HOT_S)
    journal.end(learned=True)
    journal.note({"a.py": 7_070}, 20)
    assert journal.news(30, HOT_S).new_tokens == 10


def test_a_hot_file_is_left_for_the_next_run_and_waits_anew() -> None:
    journal = Journal()
    journal.note({"hot.py": 1, "a.py": 1}, 0)
    for second in range(1, 100):
        journal.note({"hot.py": 1}, second)
    assert journal.begin(100, HOT_S) == ("a.py",)
    journal.end(learned=True)
    assert journal.changed() == ("hot.py",)
    assert journal.news(100, HOT_S).waiting_since == 100
    assert journal.begin(110, HOT_S) == ("hot.py",)


def test_a_commit_counts_once_and_only_with_changes() -> None:
    journal = Journal()
    journal.commit()
    journal.note({"a.py": 1}, 0)
    assert not journal.news(0, HOT_S).committed
    journal.commit()
    assert journal.news(0, HOT_S).committed
    journal.begin(10, HOT_S)
    journal.end(learned=True)
    journal.note({"b.py": 1}, 20)
    assert not journal.news(20, HOT_S).committed


def test_a_head_move_prolongs_the_quiet_and_is_nothing_to_learn() -> None:
    journal = Journal()
    journal.disturb(7)
    news = journal.news(100, HOT_S)
    assert (news.files, news.quiet_since) == (0, 7)


def test_a_branch_switch_is_bounded_by_the_limit_whatever_fails() -> None:
    journal = Journal()
    for attempt in range(3):
        journal.note({f"{attempt}/{number}.py": 1 for number in range(LIMIT)}, attempt)
        assert journal.news(attempt, 0).quiet_since == attempt
        journal.begin(attempt, 0)
        journal.end(learned=False)
    assert (len(journal), journal.many) == (LIMIT, True)
    journal.begin(10, 0)
    assert journal.many
    journal.end(learned=True)
    assert (len(journal), journal.many) == (0, False)


def test_edits_during_a_run_on_a_large_branch_are_the_next_runs() -> None:
    journal = Journal()
    journal.note({f"{number}.py": 1 for number in range(LIMIT + 1)}, 0)
    journal.begin(10, HOT_S)
    journal.note({"edited.py": 1, "0.py": 1}, 20)
    assert {"edited.py", "0.py"} <= set(journal.kept().changes)
    assert (len(journal.kept().changes), journal.kept().many) == (LIMIT, True)
    journal.end(learned=True)
    assert (journal.changed(), journal.many) == (("0.py", "edited.py"), False)


def test_what_a_failed_run_gives_back_displaces_no_newer_edit() -> None:
    journal = Journal()
    journal.note({f"{number}.py": 1 for number in range(LIMIT)}, 0)
    journal.begin(10, HOT_S)
    journal.note({"edited.py": 1}, 20)
    journal.end(learned=False)
    assert "edited.py" in journal.begin(30, HOT_S)
    assert (len(journal), journal.many) == (LIMIT, True)


def test_that_there_may_be_more_is_something_to_learn() -> None:
    journal = Journal()
    journal.note({}, 7, many=True)
    news = journal.news(10, HOT_S)
    assert (news.files, news.many, news.quiet_since) == (0, True, 7)


def test_what_is_kept_includes_a_run_on_its_way() -> None:
    journal = Journal()
    journal.note({"a.py": 3}, 0)
    journal.commit()
    journal.begin(10, HOT_S)
    journal.note({"b.py": 4}, 20)
    kept = journal.kept()
    assert (set(kept.changes), kept.many, kept.committed) == ({"a.py", "b.py"}, False, True)
    other = Journal()
    other.restore(kept, 100)
    news = other.news(100, HOT_S)
    assert (news.files, news.committed, news.waiting_since, news.quiet_since) == (2, True, 0, 100)
    # What the file is later adds to what was waiting.
    other.know({"a.py": 3})
    other.note({"a.py": 3}, 110)
    assert other.kept().changes["a.py"] == Change(0, 110, 4, 3)


def test_every_change_of_what_is_kept_shows() -> None:
    journal = Journal()
    seen = [journal.revision]
    for change in (
        lambda: journal.note({"a.py": 1}, 0),
        journal.commit,
        lambda: journal.begin(10, HOT_S),
        lambda: journal.end(learned=False),
    ):
        change()
        seen.append(journal.revision)
    assert seen == sorted(set(seen))
    journal.restore(Kept({}), 0)
    assert journal.revision == seen[-1]
