"""What is told of a repository's adapters, for programs: by ``tailora adapter list --json`` and to editors.

Reads the store; knows nothing of how it is shown, and changes nothing.
"""

from typing import Any

from tailora_adapters.forget import forgotten
from tailora_adapters.manifest import encode
from tailora_adapters.outcomes import VersionOutcomes
from tailora_adapters.purposes import PARTS
from tailora_adapters.store import IMPORTED, AdapterVersion, ProjectStore

__all__ = ["about", "outcome_figures", "report", "version_row"]


def outcome_figures(outcomes: VersionOutcomes | None) -> dict[str, Any]:
    """What became of a version's suggestions. Shares are from 0 to 1, None where nothing was counted."""
    found = outcomes or VersionOutcomes()
    return {
        "shown": found.shown,
        "accepted": found.accepted,
        "acceptance": found.acceptance,
        "kept_30": found.kept_30,
        "kept_180": found.kept_180,
    }


def version_row(version: AdapterVersion) -> dict[str, Any]:
    """A version's state, data, cost and gate. Losses are in nats a token, exact matches shares from 0 to 1."""
    manifest = version.manifest
    gate = manifest.gate if manifest else None
    return {
        "version": version.version,
        "status": version.status,
        "created": manifest.created if manifest else None,
        "parent": manifest.parent if manifest else None,
        "examples": manifest.data.examples if manifest else None,
        "files": len(manifest.data.files) if manifest else None,
        "left_out": dict(manifest.data.rejected) if manifest else {},
        "seconds": manifest.cost.seconds if manifest else None,
        "base_nll": gate.figures.get("base_nll") if gate else None,
        "candidate_nll": gate.figures.get("candidate_nll") if gate else None,
        "reason": version.problem or version.withdrawn or (gate.reason if gate else None),
        "withdrawn": version.withdrawn,
        "base": manifest.base.name if manifest else None,
        "base_exact_match": gate.figures.get("base_exact_match") if gate else None,
        "candidate_exact_match": gate.figures.get("candidate_exact_match") if gate else None,
        "checks": encode(gate.checks) if gate else [],
        "peak_rss_mb": manifest.cost.peak_rss_mb if manifest else None,
        "energy_wh_estimated": manifest.cost.energy_wh if manifest else None,
        "scale": manifest.settings.get("scale") if manifest else None,
        "combined": encode(manifest.combined) if manifest else None,
        "imported": manifest.settings.get(IMPORTED) if manifest else None,
    }


def report(project: ProjectStore) -> dict[str, Any]:
    """The versions for completion, oldest first, with what became of their suggestions; others by number.

    ``days`` has the suggestions of each day (of UTC) and version, oldest first.
    """
    summary = project.outcomes.summary()
    rows = [version_row(version) for version in project.versions()]
    for row in rows:
        row |= outcome_figures(summary.get(row["version"]))
    return {
        **about(project, project),
        "versions": rows,
        "foundation": outcome_figures(summary.get("foundation")),
        "days": [encode(day) for day in project.outcomes.days()],
        **{purpose: _part(project.part(purpose)) for purpose in PARTS},
    }


def _part(store: ProjectStore) -> dict[str, Any]:
    chosen = store.chosen()
    return {
        "serving": chosen.version if chosen else None,
        "versions": [found.version for found in store.versions()],
    }


def about(project: ProjectStore, part: ProjectStore) -> dict[str, Any]:
    """What holds for a project, or for ``part`` of it: its adapters for one purpose."""
    return {
        "project": str(part.root),
        "disabled": project.disabled,
        "paused": project.paused,
        "retrain": part.retrain,
        "forgotten": list(forgotten(part)),
    }
