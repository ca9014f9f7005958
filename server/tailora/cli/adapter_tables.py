"""How adapter versions read in a terminal of 80 columns. Knows nothing of commands."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from tailora_adapters.manifest import Combination, Cost, GateResult, Manifest
from tailora_adapters.store import AdapterVersion

__all__ = ["facts", "outcomes_table", "versions_table"]

_STYLES = {"serving": "green", "rejected": "red", "corrupt": "red", "candidate": "yellow"}


def versions_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows of ``tailora adapter list``; why one does not serve stands below it."""
    table = _table("")
    for name in ("status", "created", "loss", "exact"):
        table.add_column(name, no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("examples", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["version"],
            Text(row["status"], _STYLES.get(row["status"], "")),
            _minute(row["created"]),
            _change(row["base_nll"], row["candidate_nll"], "{:.3f}"),
            _change(row["base_exact_match"], row["candidate_exact_match"], "{:.1%}"),
            "" if row["seconds"] is None else _duration(row["seconds"]),
            "" if row["examples"] is None else str(row["examples"]),
        )
    return table


def outcomes_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What became of the suggestions of each version, and of the foundation adapter."""
    table = _table("suggestions of")
    for name in ("shown", "accepted", "", "kept 30 s", "kept 180 s"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shares = (row["acceptance"], row["kept_30"], row["kept_180"])
        accepted, *kept = ("" if share is None else f"{share:.0%}" for share in shares)
        table.add_row(row["version"], f"{row['shown']:,}", f"{row['accepted']:,}", accepted, *kept)
    return table


def _table(first: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(first, justify="right", no_wrap=True)
    return table


def facts(
    version: AdapterVersion,
    manifest: Manifest,
    imported: Mapping[str, Any] | None,
    outcomes: Mapping[str, Any] | None,
) -> Table:
    """What ``tailora adapter show`` says above the list of files."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(version, manifest, imported):
        table.add_row(name, value)
    if outcomes and outcomes["shown"]:
        table.add_row("outcomes", _outcomes(outcomes))
    return table


def _facts(
    version: AdapterVersion, manifest: Manifest, imported: Mapping[str, Any] | None
) -> Iterator[tuple[str, str | Text]]:
    yield "version", Text.assemble(f"{version.version}, ", (version.status, _STYLES.get(version.status, "")))
    if version.problem:
        yield "damaged", version.problem
    if version.withdrawn:
        yield "withdrawn", version.withdrawn
    yield "created", manifest.created
    yield "base", f"{manifest.base.name} ({manifest.base.sha256[:12]})"
    if imported is None:
        yield "method", _method(manifest)
    if manifest.combined is not None:
        yield "combined", _combined(manifest.combined)
    elif imported is not None:
        yield "imported", f"from {imported.get('from')}; the base model is {imported.get('base')}"
    else:
        yield "from", _origin(manifest.parent)
    if (purpose := manifest.settings.get("purpose", "completion")) != "completion":
        yield "for", str(purpose)
    if (scale := manifest.settings.get("scale")) is not None:
        yield "scale", f"{scale} of what was trained"
    data = manifest.data
    yield (
        "learned",
        f"{data.examples} examples ({data.tokens:,} tokens) from {_count(len(data.files), 'file')}, "
        f"{data.held_out_examples} held out",
    )
    if runs := manifest.ancestry.runs:
        files = _count(len(manifest.ancestry.files), "file")
        yield (
            "before",
            f"{files} in {_count(runs, 'run')} that it goes on from, since {manifest.ancestry.since}",
        )
    if data.rejected:
        yield "left out", ", ".join(f"{count:,} {reason}" for reason, count in data.rejected.items())
    yield "cost", _cost(manifest.cost)
    if manifest.gate is None:
        yield "gate", "not judged"
    else:
        yield from _gate(manifest.gate)


def _gate(gate: GateResult) -> Iterator[tuple[str, str | Text]]:
    yield (
        "gate",
        Text.assemble((gate.decision, "green" if gate.decision == "promoted" else "red"), f": {gate.reason}"),
    )
    for check in gate.checks:
        word = ("passed  ", "green") if check.passed else ("failed  ", "red")
        limit = "" if check.limit is None else f" (limit {check.limit:g})"
        yield "", Text.assemble(word, check.message, (limit, "dim"))


def _outcomes(figures: Mapping[str, Any]) -> str:
    kept = [
        f"{figures[f'kept_{seconds}']:.0%} after {seconds} s"
        for seconds in (30, 180)
        if figures[f"kept_{seconds}"] is not None
    ]
    parts = [
        f"shown {figures['shown']:,}",
        f"accepted {figures['accepted']:,} ({figures['acceptance']:.0%})",
        *([f"kept {', '.join(kept)}"] if kept else []),
    ]
    return ", ".join(parts)


def _cost(cost: Cost) -> str:
    parts = [
        _duration(cost.seconds),
        f"{cost.peak_rss_mb:,.0f} MB at most",
        f"{cost.tokens_per_second:.0f} tokens/s",
    ]
    if cost.energy_wh is not None:
        parts.append(f"{cost.energy_wh:.2g} Wh (estimated)")
    return ", ".join(parts)


def _method(manifest: Manifest) -> str:
    settings = manifest.settings.get("method")
    if not isinstance(settings, dict):
        return manifest.method
    values = [
        f"{name}={','.join(value) if isinstance(value, list) else value}"
        for name, value in settings.items()
        if name != "name"
    ]
    return " ".join([manifest.method, *values])


def _combined(combined: Combination) -> str:
    parts = " + ".join(f"{part.weight:g} of version {part.version}" for part in combined.parts)
    density = "" if combined.density is None else f", density {combined.density:g}"
    return f"{parts} (by {combined.how}{density})"


def _origin(parent: str | None) -> str:
    if parent is None:
        return "the bare base model"
    return "the foundation adapter" if parent == "foundation" else f"version {parent}"


def _change(before: float | None, after: float | None, form: str) -> str:
    return "" if before is None or after is None else f"{form.format(before)} → {form.format(after)}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _minute(created: str | None) -> str:
    return (created or "")[:16].replace("T", " ")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
