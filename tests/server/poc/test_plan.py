"""Cheap first, what fits, and nothing twice."""

from tailora.poc.plan import BASELINES, estimate, following, steps_for

STEPS = steps_for()


def names(budget: float, unit: float = 60.0) -> list[str]:
    """What is done where everything takes its weight times ``unit`` seconds."""
    done: dict[str, float] = {}
    while step := following(STEPS, done, {}, budget):
        done[step.name] = unit * step.weight
    return list(done)


def test_the_order_is_cheap_first() -> None:
    first = [BASELINES, "lora", "ia3", "pfeiffer"]
    more = ["lora-seeds", "lora-rates", "ia3-seeds", "ia3-rates", "pfeiffer-seeds", "pfeiffer-rates"]
    assert names(10**6) == [*first, *more]


def test_the_first_candidate_is_tried_whatever_the_time() -> None:
    assert names(1.0) == [BASELINES, "lora"]


def test_what_does_not_fit_is_left_out_and_the_sum_stays_within() -> None:
    weights = {step.name: 60 * step.weight for step in STEPS}
    budget = sum(weights[name] for name in (BASELINES, "lora", "ia3")) + 1
    found = names(budget)
    assert found == [BASELINES, "lora", "ia3"]
    assert sum(weights[name] for name in found) <= budget


def test_an_estimate_follows_what_was_measured() -> None:
    seeds = next(step for step in STEPS if step.name == "lora-seeds")
    assert estimate(seeds, {}, STEPS) is None
    assert estimate(seeds, {BASELINES: 300.0}, STEPS) == 100.0 * seeds.weight


def test_what_was_begun_needs_only_the_rest() -> None:
    done = {BASELINES: 300.0, "lora": 150.0}
    needed = estimate(STEPS[2], done, STEPS)
    assert needed is not None
    assert following(STEPS, done, {}, 450 + needed - 1) != STEPS[2]
    assert following(STEPS, done, {"ia3": 100.0}, 450 + needed + 1) == STEPS[2]


def test_later_steps_are_about_the_best_candidate_first() -> None:
    later = steps_for(("ia3", "lora"))[4:]
    assert [step.name for step in later] == ["ia3-seeds", "ia3-rates", "lora-seeds", "lora-rates"]
    assert later[1].seeds == (1, 2, 3)
