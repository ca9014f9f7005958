"""When everything is learned anew."""

import dataclasses
import math
from typing import Any

import pytest

from tailora_adapters.manifest import (
    Ancestry,
    BaseInfo,
    Check,
    Cost,
    DataInfo,
    FileInfo,
    GateResult,
    Manifest,
)
from tailora_adapters.training.schedule import RetrainFacts, facts_of, full_retrain_reason

DAY = 86_400.0


def manifest(version: int, parent: Manifest | None, *paths: str, norm: float = 1.2) -> Manifest:
    return Manifest(
        version=str(version),
        created=f"2026-11-{version:02}T12:00:00+00:00",
        base=BaseInfo("tiny", "a" * 64, "b" * 64),
        parent=parent.version if parent else "foundation",
        seed=0,
        data=DataInfo(1, 2, 3, files=tuple(FileInfo(path, f"hash of {path}", 1) for path in paths)),
        ancestry=Ancestry.of(parent),
        cost=Cost(1.0, 2.0, 3.0),
        gate=GateResult("promoted", "better", (Check("adapter norm", True, norm, 3.0, ""),)),
    )


def test_without_a_reason_a_run_goes_on() -> None:
    facts = RetrainFacts(runs_since_full=20, full_run_age_s=30 * DAY, gone_share=0.3, norm_ratio=3.0)
    assert full_retrain_reason(facts) is None
    assert full_retrain_reason(RetrainFacts()) is None


@pytest.mark.parametrize(
    "facts, reason",
    [
        ({"runs_since_full": 21}, "21 runs since the last full one"),
        ({"full_run_age_s": 31 * DAY}, "the last full run was 31 days ago"),
        ({"gone_share": 0.5}, "50 % of the learned files are gone"),
        ({"norm_ratio": 3.5}, "the adapter has drifted: its norm grew by a factor of 3.5"),
        ({"norm_ratio": math.nan}, "the adapter has drifted: its norm grew by a factor of nan"),
        ({"asked": "secrets.py was purged"}, "secrets.py was purged"),
        (
            {"tainted": "an access key in deploy.py", "asked": "x", "gone_share": 1.0},
            "a secret was found in what was learned: an access key in deploy.py",
        ),
    ],
)
def test_each_reason_is_enough(facts: dict[str, Any], reason: str) -> None:
    assert full_retrain_reason(RetrainFacts(**facts)) == reason


def test_the_facts_are_in_the_manifest_whatever_became_of_those_before() -> None:
    first = manifest(2, None, "a.py", "b.py")
    second = manifest(3, first, "b.py", "c.py")
    third = manifest(5, second, "d.py", norm=2.5)
    eleventh = 1_794_398_400.0  # 2026-11-11T12:00 UTC
    facts = facts_of(third, {"a.py", "b.py", "c.py"}, eleventh, asked="a purge")
    assert facts == RetrainFacts(
        runs_since_full=2, full_run_age_s=9 * DAY, gone_share=0.25, norm_ratio=2.5, asked="a purge"
    )


def test_a_file_that_was_moved_is_not_gone() -> None:
    assert facts_of(manifest(1, None, "a.py", "b.py"), {"lib/a.py", "hash of a.py"}, 0.0).gone_share == 0.5


def test_a_time_that_cannot_be_read() -> None:
    odd = dataclasses.replace(manifest(1, None), created="yesterday", gate=None)
    assert facts_of(odd, (), 5.0) == RetrainFacts()
