"""When a run does not go on from the serving adapter but learns everything anew from the base.

Pure: knows manifests and numbers, no files, no clock, no models. Invariant: after a purge and after a found secret
the answer is always yes.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tailora_adapters.manifest import Manifest

__all__ = ["RetrainFacts", "RetrainLimits", "facts_of", "full_retrain_reason"]

_DAY_S = 86_400.0
_NORM_CHECK = "adapter norm"


@dataclass(frozen=True, slots=True)
class RetrainLimits:
    """Beyond any of them everything is learned anew."""

    runs: int = 20
    """Runs in a row that went on from each other: each adds a little drift."""
    age_days: float = 30.0
    gone_share: float = 0.3
    norm_ratio: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainFacts:
    """What the decision is made from."""

    runs_since_full: int = 0
    full_run_age_s: float = 0.0
    gone_share: float = 0.0
    """Of the files that were trained on since the last full run, those that are gone."""
    norm_ratio: float | None = None
    """Norm of the serving adapter, over that of what it started from; None: not known."""
    asked: str | None = None
    """Why the store wants it, after a purge for example."""
    tainted: str | None = None
    """Which secret the serving adapter was trained on, in words fit to show."""


def full_retrain_reason(facts: RetrainFacts, limits: RetrainLimits | None = None) -> str | None:
    """Why everything is to be learned anew, for the manifest and the status; None: go on from what serves."""
    limits = limits or RetrainLimits()
    if facts.tainted is not None:
        return f"a secret was found in what was learned: {facts.tainted}"
    if facts.asked is not None:
        return facts.asked
    if facts.gone_share > limits.gone_share:
        return f"{100 * facts.gone_share:.0f} % of the learned files are gone"
    if facts.norm_ratio is not None and not facts.norm_ratio <= limits.norm_ratio:  # nan, too
        return f"the adapter has drifted: its norm grew by a factor of {facts.norm_ratio:.1f}"
    if facts.runs_since_full > limits.runs:
        return f"{facts.runs_since_full} runs since the last full one"
    if facts.full_run_age_s > limits.age_days * _DAY_S:
        return f"the last full run was {facts.full_run_age_s / _DAY_S:.0f} days ago"
    return None


def facts_of(
    manifest: Manifest,
    existing: Collection[str],
    now: float,
    *,
    asked: str | None = None,
    tainted: str | None = None,
) -> RetrainFacts:
    """Facts from the manifest of what serves.

    Args:
        existing: Paths and hashes of the repository's files: one that was moved, or changed, is not gone.
        now: Seconds since the epoch. A full run that lies in the future has the age 0.
        asked, tainted: As in ``RetrainFacts``.
    """
    learned = manifest.learned()
    gone = sum(file.path not in existing and file.sha256 not in existing for file in learned)
    gate = manifest.gate
    norms = [check.value for check in gate.checks if check.name == _NORM_CHECK] if gate else []
    return RetrainFacts(
        runs_since_full=manifest.ancestry.runs,
        full_run_age_s=max(0.0, now - _time(manifest.ancestry.since or manifest.created, now)),
        gone_share=gone / len(learned) if learned else 0.0,
        norm_ratio=norms[0] if norms else None,
        asked=asked,
        tainted=tainted,
    )


def _time(text: str, now: float) -> float:
    try:
        found = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return now
    return found if math.isfinite(found) else now
