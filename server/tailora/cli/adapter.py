"""``tailora adapter``: see, choose, roll back, switch off, export and delete what was learned."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tailora.cli.output import out, print_json
from tailora_adapters.errors import TailoraError
from tailora_adapters.outcomes import VersionOutcomes
from tailora_adapters.store import AdapterVersion, ProjectStore, Store

__all__ = ["app"]

app = typer.Typer(
    help="What was learned of a repository: list, show, use, roll back, disable, delete.",
    no_args_is_help=True,
)

Project = Annotated[Path, typer.Option("--project", "-p", help="The repository.")]
Version = Annotated[str, typer.Argument(help="A version of `tailora adapter list`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def _store(path: Path) -> ProjectStore:
    return Store().project(path.resolve())


def _figures(outcomes: VersionOutcomes | None) -> dict[str, Any]:
    """What became of a version's suggestions, for programs."""
    found = outcomes or VersionOutcomes()
    return {
        "shown": found.shown,
        "accepted": found.accepted,
        "acceptance": found.acceptance,
        "kept_30": found.kept_30,
        "kept_180": found.kept_180,
    }


def _told(figures: dict[str, Any]) -> str:
    """The same for people; empty where nothing was shown."""
    if not figures["shown"]:
        return ""
    parts = [f"shown {figures['shown']}", f"accepted {figures['accepted']} ({figures['acceptance']:.0%})"]
    kept = [
        f"{figures[f'kept_{seconds}']:.0%} after {seconds} s"
        for seconds in (30, 180)
        if figures[f"kept_{seconds}"] is not None
    ]
    return ", ".join([*parts, *([f"kept {', '.join(kept)}"] if kept else [])])


def _row(version: AdapterVersion, outcomes: VersionOutcomes | None) -> dict[str, Any]:
    manifest = version.manifest
    gate = manifest.gate if manifest else None
    return {
        "version": version.version,
        "status": version.status,
        "created": manifest.created if manifest else None,
        "parent": manifest.parent if manifest else None,
        "examples": manifest.data.examples if manifest else None,
        "files": len(manifest.data.files) if manifest else None,
        "seconds": manifest.cost.seconds if manifest else None,
        "base_nll": gate.figures.get("base_nll") if gate else None,
        "candidate_nll": gate.figures.get("candidate_nll") if gate else None,
        "reason": version.problem or version.withdrawn or (gate.reason if gate else None),
        "withdrawn": version.withdrawn,
        **_figures(outcomes),
    }


@app.command("list")
def list_(project: Project = Path(), json: Json = False) -> None:
    """All versions of this repository, with what the gate said."""
    store = _store(project)
    outcomes = store.outcomes.summary()
    rows = [_row(version, outcomes.get(version.version)) for version in store.versions()]
    foundation = _figures(outcomes.get("foundation"))
    if json:
        print_json(
            {
                "project": str(store.root),
                "disabled": store.disabled,
                "paused": store.paused,
                "versions": rows,
                "foundation": foundation,
            }
        )
        return
    if not rows:
        out.print(f"nothing was learned of {store.root} yet: the foundation adapter serves")
    for row in rows:
        loss = f"loss {row['base_nll']} -> {row['candidate_nll']}" if row["base_nll"] is not None else ""
        out.print(
            f"{row['version']:>4}  {row['status']:<10} {row['created'] or '':<26} {loss}  {row['reason'] or ''}"
        )
        if told := _told(row):
            out.print(f"      {told}")
    if told := _told(foundation):
        out.print(f"the foundation adapter: {told}")
    if store.disabled:
        out.print("disabled: the foundation adapter serves; `tailora adapter enable` undoes it")


@app.command()
def show(version: Version, project: Project = Path(), json: Json = False) -> None:
    """One version's manifest: data, settings, cost, gate."""
    store = _store(project)
    found = store.get(version)
    if found.manifest is None:
        raise TailoraError(f"version {version} cannot be read: {found.problem}")
    figures = _figures(store.outcomes.summary().get(version))
    if json:
        about = {"status": found.status, "path": str(found.path), "withdrawn": found.withdrawn}
        print_json({**about, **found.manifest.to_dict(), "outcomes": figures})
        return
    manifest = found.manifest
    out.print(f"version {version}, {found.status}, {manifest.created}, from {manifest.parent}")
    for line in filter(None, (found.withdrawn, _told(figures))):
        out.print(line)
    out.print(f"trained on {manifest.data.examples} examples from {len(manifest.data.files)} files:")
    for file in manifest.data.files:
        out.print(f"  {file.path} ({file.examples})")
    for reason, count in manifest.data.rejected.items():
        out.print(f"  left out: {count} {reason}")
    cost = manifest.cost
    out.print(
        f"cost: {cost.seconds:.0f} s, {cost.peak_rss_mb:.0f} MB at most, {cost.tokens_per_second:.0f} tokens/s"
    )
    for check in manifest.gate.checks if manifest.gate else ():
        out.print(f"  {'passed' if check.passed else 'failed'}  {check.message}")


@app.command()
def use(version: Version, project: Project = Path()) -> None:
    """Serve this version from the next keystroke."""
    _store(project).use(version)
    out.print(f"version {version} serves now")


@app.command()
def rollback(project: Project = Path()) -> None:
    """Back to the version that served before."""
    served = _store(project).rollback()
    out.print(f"version {served.version} serves now" if served else "the foundation adapter serves now")


@app.command()
def disable(project: Project = Path()) -> None:
    """Serve the foundation adapter only; nothing is deleted."""
    _store(project).disable()
    out.print("the foundation adapter serves now; `tailora adapter enable` undoes it")


@app.command()
def enable(project: Project = Path()) -> None:
    """Serve the repository's own adapter again."""
    store = _store(project)
    store.enable()
    served = store.serving()
    out.print(
        f"version {served.version} serves now"
        if served
        else "the foundation adapter serves: nothing was promoted yet"
    )


@app.command()
def export(version: Version, target: Path, project: Project = Path()) -> None:
    """Copy a version to a folder that peft, vLLM and others can load."""
    _store(project).export(version, target)
    out.print(f"version {version} was copied to {target}")


@app.command()
def delete(
    version: Annotated[
        str, typer.Argument(help="A version; without it: everything of this repository.")
    ] = "",
    project: Project = Path(),
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete what was learned, for good."""
    store = _store(project)
    what = f"version {version}" if version else f"everything that was learned of {store.root}"
    if not yes:
        typer.confirm(f"Delete {what}?", abort=True)
    if version:
        store.delete(version)
    else:
        store.delete_all()
    out.print(f"{what} was deleted")
