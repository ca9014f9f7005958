"""When everything is learned anew."""

import dataclasses
import math
from typing import Any

import pytest

from tailora_adapters.manifest import (
    BaseInfo,
    Check,
    Cost,
    DataInfo,
    FileInfo,
    GateResult,
    Manifest,
)
from tailora_adapters.training.schedule import RetrainFacts, facts_of, full_retrain_reason, lineage

DAY = 86_400.0


def manifest(version: int, parent: str | None, *paths: str, norm: float = 1.2) -> Manifest:
    return Manifest(
        version=str(version),
        created=f"2026-11-{version:02}T12:00:00+00:00",
        base=BaseInfo("tiny", "a" * 64, "b" * 64),
        parent=parent,
        seed=0,
        data=DataInfo(1, 2, 3, files=tuple(FileInfo(path, "c" * 64, 1) for path in paths)),
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


def test_the_facts_are_in_the_manifests() -> None:
    manifests = {
        "1": manifest(1, None, "old.py"),  # before the last full run
        "2": manifest(2, "foundation", "a.py", "b.py"),
        "3": manifest(3, "2", "b.py", "c.py"),
        "5": manifest(5, "3", "d.py", norm=2.5),
    }
    runs = lineage("5", manifests)
    assert [run.version for run in runs] == ["5", "3", "2"]
    eleventh = 1_794_398_400.0  # 2026-11-11T12:00 UTC
    facts = facts_of(runs, {"a.py", "b.py", "c.py"}, eleventh, asked="a purge")
    assert facts == RetrainFacts(
        runs_since_full=2, full_run_age_s=9 * DAY, gone_share=0.25, norm_ratio=2.5, asked="a purge"
    )


def test_a_lineage_ends_where_a_manifest_is_gone_or_damaged() -> None:
    assert lineage("7", {}) == []
    assert facts_of([], (), 0.0) == RetrainFacts()
    circle = {"1": manifest(1, "2"), "2": manifest(2, "1")}
    assert [run.version for run in lineage("1", circle)] == ["1", "2"]
    odd = dataclasses.replace(manifest(1, None), created="yesterday", gate=None)
    assert facts_of([odd], (), 5.0) == RetrainFacts()
