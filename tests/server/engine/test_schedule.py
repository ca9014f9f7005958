"""The decision when a run starts, and what it says while none does."""

import math
from typing import Any

import pytest

from tailora.engine.schedule import Conditions, Rules, decide

RULES = Rules()
READY: dict[str, Any] = {
    "now": 10_000.0,
    "changed_files": 3,
    "resting_files": 3,
    "new_tokens": 500,
    "fresh_tokens": 500,
    "waiting_since": 9_900.0,
    "quiet_since": 9_900.0,
}


def conditions(**changes: Any) -> Conditions:
    return Conditions(**{**READY, **changes})


def test_enough_and_quiet_starts() -> None:
    decision = decide(conditions(), RULES)
    assert (decision.start, decision.why) == (True, "3 changed files; training starts")


def test_changes_that_nobody_named_start_a_run() -> None:
    decision = decide(Conditions(now=1_000.0, many=True, quiet_since=900.0), RULES)
    assert (decision.start, decision.why) == (True, "more changed files than were looked at; training starts")


def test_nothing_changed_is_nothing_to_wait_for() -> None:
    decision = decide(Conditions(now=0.0), RULES)
    assert (decision.start, decision.in_s, decision.why) == (False, None, "nothing new to learn")


@pytest.mark.parametrize(
    "changes, in_s, why",
    [
        ({"quiet_since": 9_995.0}, 15, "3 changed files; waits for 20 s of quiet"),
        ({"quiet_since": 9_997.0, "committed": True}, 2, "3 changed files; waits for 5 s of quiet"),
        (
            {"changed_files": 1, "new_tokens": 20, "waiting_since": 9_400.0},
            1_200,
            "1 changed file; waits for more that is new, at most 20 min",
        ),
        ({"git_at_work": "the rebase"}, 5, "3 changed files; waits for the rebase to end"),
        (
            {"load": 0.83},
            15,
            "3 changed files; the machine is busy (83 % of its cores); training waits",
        ),
        (
            {"battery_percent": 90.0},
            15,
            "3 changed files; paused: on battery, goes on when back on mains "
            "(set engine.on_battery to learn on it, too)",
        ),
        ({"trained_today_s": 3_595.0}, 15, "3 changed files; today's budget of 60 min is used up"),
        ({"last_run": 9_967.0}, 87, "3 changed files; the next training is 87 s away"),
        (
            {"last_run": 9_900.0, "failures": 3, "fresh_tokens": 0},
            860,
            "3 changed files; the last run came to nothing; the next is tried in 14 min",
        ),
        (
            {"changed_files": 4_812, "quiet_since": 10_000.0},
            20,
            "4,812 changed files; waits for 20 s of quiet",
        ),
        (
            {"changed_files": 5_000, "many": True, "quiet_since": 10_000.0},
            20,
            "more than 5,000 changed files; waits for 20 s of quiet",
        ),
        (
            {"changed_files": 0, "many": True, "waiting_since": math.inf, "quiet_since": 9_995.0},
            15,
            "more changed files than were looked at; waits for 20 s of quiet",
        ),
        (
            {"waiting_since": 0.0, "resting_files": 0, "quiet_since": 10_000.0},
            5,
            "3 changed files; changes all the time; waits for 5 s without",
        ),
    ],
)
def test_every_no_says_why_and_when_to_ask_again(changes: dict[str, Any], in_s: float, why: str) -> None:
    decision = decide(conditions(**changes), RULES)
    assert (decision.start, decision.in_s, decision.why) == (False, in_s, why)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"new_tokens": 1, "committed": True}, id="a commit"),
        pytest.param({"new_tokens": 1, "changed_files": 5}, id="many files"),
        pytest.param({"new_tokens": 1, "many": True}, id="more than are counted"),
        pytest.param({"new_tokens": 1, "waiting_since": 8_200.0}, id="a long wait"),
        pytest.param({"quiet_since": 10_000.0, "waiting_since": 8_200.0}, id="never quiet"),
        pytest.param({"changed_files": 0, "new_tokens": 0, "waiting_since": math.inf,
                      "quiet_since": -math.inf, "full_retrain": "a purge"}, id="asked by the store"),
        pytest.param({"failures": 9, "last_run": 9_800.0, "fresh_tokens": 800}, id="failed, much is new"),
    ],
)  # fmt: skip
def test_what_is_enough(changes: dict[str, Any]) -> None:
    assert decide(conditions(**changes), RULES).start


@pytest.mark.parametrize(
    "changes, rules",
    [
        ({"battery_percent": 30.0}, Rules(on_battery=True)),
        ({"trained_today_s": 1e6}, Rules(budget_s_per_day=0)),
        ({"load": 1.0}, Rules(max_load=1.0)),
        ({"changed_files": 2, "new_tokens": 1}, Rules(min_changed_files=2)),
    ],
)
def test_settings_lift_their_limit(changes: dict[str, Any], rules: Rules) -> None:
    assert decide(conditions(**changes), rules).start


def test_an_empty_battery_holds_even_where_batteries_may_be_used() -> None:
    decision = decide(conditions(battery_percent=29.0), Rules(on_battery=True))
    assert decision.why == "3 changed files; paused: the battery is at 29 %, goes on when back on mains"


def test_the_pause_after_failures_doubles_up_to_an_hour() -> None:
    waits = [
        decide(conditions(last_run=10_000.0, failures=failures, fresh_tokens=0), RULES).in_s
        for failures in (0, 1, 2, 3, 4, 5, 50)
    ]
    assert waits == [120, 240, 480, 960, 1920, 3600, 3600]


def test_a_longer_gap_of_the_users_is_never_shortened() -> None:
    rules = Rules(min_gap_s=7_200)
    assert decide(conditions(last_run=10_000.0, failures=2, fresh_tokens=0), rules).in_s == 7_200


def test_a_retrain_that_was_tried_waits_for_enough_that_is_new() -> None:
    tried: dict[str, Any] = {"full_retrain": "a purge", "retrain_tried": True}
    idle = decide(Conditions(now=0.0, **tried), RULES)
    assert (idle.start, idle.in_s) == (False, None)
    assert idle.why == "everything is learned anew when something changes (a purge)"
    little = decide(conditions(changed_files=1, new_tokens=20, **tried), RULES)
    assert "waits for more that is new" in little.why
    assert decide(conditions(**tried), RULES).start


def repair(**changes: Any) -> Conditions:
    """Repairs were asked for a while ago, and nothing waits to be learned."""
    return Conditions(**{"now": 10_000.0, "quiet_since": 9_900.0, "repair_asked": True, **changes})


def test_repair_is_learned_where_it_was_asked_for() -> None:
    decision = decide(repair(), RULES)
    assert (decision.start, decision.purpose) == (True, "repair")
    assert decision.why == "the adapter for repair is to be trained; training starts"
    assert decide(repair(repair_asked=False), RULES).why == "nothing new to learn"


def test_repair_is_learned_once_a_day() -> None:
    early = decide(repair(repaired_s_ago=86_399.0), RULES)
    assert (early.start, early.in_s, early.why) == (False, None, "nothing new to learn")
    assert decide(repair(repaired_s_ago=86_400.0), RULES).start


@pytest.mark.parametrize(
    "changes, start",
    [
        pytest.param({}, True, id="due"),
        pytest.param({"changed_files": 1, "new_tokens": 1}, False, id="waits for more"),
        pytest.param({"quiet_since": 9_999.0}, False, id="waits for quiet"),
        pytest.param({"changed_files": 0, "full_retrain": "a purge"}, True, id="asked by the store"),
    ],
)
def test_what_waits_to_be_learned_goes_before_repair(changes: dict[str, Any], start: bool) -> None:
    decision = decide(conditions(repair_asked=True, **changes), RULES)
    assert (decision.start, decision.purpose) == (start, "completion")


def test_repair_does_not_wait_for_a_retrain_that_waits_for_changes() -> None:
    assert decide(repair(full_retrain="a purge", retrain_tried=True), RULES).purpose == "repair"


@pytest.mark.parametrize(
    "changes, in_s, why",
    [
        ({"git_at_work": "the rebase"}, 5, "waits for the rebase to end"),
        ({"battery_percent": 90.0}, 15, "paused: on battery, goes on when back on mains "
         "(set engine.on_battery to learn on it, too)"),
        ({"trained_today_s": 3_595.0}, 15, "today's budget of 60 min is used up"),
        ({"last_run": 9_967.0}, 87, "the next training is 87 s away"),
        ({"last_run": 9_900.0, "failures": 3}, 860, "the last run came to nothing; the next is tried in 14 min"),
        ({"quiet_since": 9_995.0}, 15, "waits for 20 s of quiet"),
        ({"load": 0.83}, 15, "the machine is busy (83 % of its cores); training waits"),
    ],
)  # fmt: skip
def test_the_same_hindrances_hold_for_repair(changes: dict[str, Any], in_s: float, why: str) -> None:
    decision = decide(repair(**changes), RULES)
    assert (decision.start, decision.in_s, decision.purpose) == (False, in_s, "repair")
    assert decision.why == f"the adapter for repair is to be trained; {why}"


def test_after_a_run_for_repair_what_changes_waits_for_the_gap_alone() -> None:
    held = decide(conditions(repaired_s_ago=33.0), RULES)
    assert (held.in_s, held.why) == (87, "3 changed files; the next training is 87 s away")
    failed: dict[str, Any] = {"last_run": 6_000.0, "failures": 9, "fresh_tokens": 0}
    assert decide(conditions(repaired_s_ago=33.0, **failed), RULES).in_s == 87
    assert decide(conditions(repaired_s_ago=120.0, **failed), RULES).start


def test_a_retrain_is_named() -> None:
    held = decide(conditions(full_retrain="a purge", git_at_work="the merge"), RULES)
    assert held.why == "3 changed files; everything is learned anew (a purge); waits for the merge to end"
