"""``tailora adapter``: see, choose, roll back, switch off, take along, import and delete what was learned."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tailora.cli import adapter_data
from tailora.cli.adapter_tables import facts, outcomes_table, versions_table
from tailora.cli.model import default_base, default_model
from tailora.cli.output import out, print_json
from tailora.cli.project import ProjectOption, project_store
from tailora_adapters.base.cache import base_info
from tailora_adapters.errors import TailoraError
from tailora_adapters.forget import forgotten
from tailora_adapters.outcomes import VersionOutcomes
from tailora_adapters.store import IMPORTED, AdapterVersion, ProjectStore

__all__ = ["app"]

app = typer.Typer(
    help="What was learned of a repository: list, show, use, roll back, disable, delete.",
    no_args_is_help=True,
)

Version = Annotated[str, typer.Argument(help="A version of `tailora adapter list`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


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
        "base": manifest.base.name if manifest else None,
        "base_exact_match": gate.figures.get("base_exact_match") if gate else None,
        "candidate_exact_match": gate.figures.get("candidate_exact_match") if gate else None,
        "peak_rss_mb": manifest.cost.peak_rss_mb if manifest else None,
        "energy_wh_estimated": manifest.cost.energy_wh if manifest else None,
        "scale": manifest.settings.get("scale") if manifest else None,
        "imported": manifest.settings.get(IMPORTED) if manifest else None,
        **_figures(outcomes),
    }


@app.command("list")
def list_(project: ProjectOption = Path(), json: Json = False) -> None:
    """All versions of this repository, with what the gate said."""
    store = project_store(project)
    outcomes = store.outcomes.summary()
    versions = store.versions()
    rows = [_row(version, outcomes.get(version.version)) for version in versions]
    foundation = _figures(outcomes.get("foundation"))
    left_out = forgotten(store)
    if json:
        print_json(
            {
                "project": str(store.root),
                "disabled": store.disabled,
                "paused": store.paused,
                "retrain": store.retrain,
                "forgotten": list(left_out),
                "versions": rows,
                "foundation": foundation,
            }
        )
        return
    if rows:
        out.print(versions_table(rows), soft_wrap=False)
    else:
        out.print(f"nothing was learned of {store.root} yet: the foundation adapter serves")
    shown = [one for one in (*rows, {"version": "foundation", **foundation}) if one["shown"]]
    if shown:
        out.print()
        out.print(outcomes_table(shown), soft_wrap=False)
    for row in rows:
        if row["withdrawn"]:
            out.print(row["withdrawn"])
        elif row["status"] in ("rejected", "corrupt"):
            out.print(f"version {row['version']} {row['status']}: {row['reason']}")
    for version in versions:
        if version.status == "serving" and (models := _other_model(version)):
            out.print(f"version {version.version} serves {models}")
    if store.disabled:
        out.print("disabled: the foundation adapter serves; `tailora adapter enable` undoes it")
    if store.retrain:
        out.print(f"the next training begins from the foundation adapter again: {store.retrain}")
    for name in left_out:
        out.print(f"forgotten: {name}")


@app.command()
def show(version: Version, project: ProjectOption = Path(), json: Json = False) -> None:
    """One version's manifest: data, settings, cost, gate."""
    store = project_store(project)
    found = store.get(version)
    if found.manifest is None:
        raise TailoraError(f"version {version} cannot be read: {found.problem}")
    figures = _figures(store.outcomes.summary().get(version))
    if json:
        about = {"status": found.status, "path": str(found.path), "withdrawn": found.withdrawn}
        print_json({**about, **found.manifest.to_dict(), "outcomes": figures})
        return
    imported = found.manifest.settings.get(IMPORTED)
    out.print(facts(found, found.manifest, imported, figures), soft_wrap=False)
    for file in found.manifest.data.files:
        out.print(f"  {file.path} ({file.examples})")


def _other_model(version: AdapterVersion) -> str | None:
    """With which model a version serves, if that is not the one of the settings."""
    base = base_info(default_model())
    if version.manifest is None or version.manifest.base.fits(base):
        return None
    name = version.manifest.base.name
    return f"with another build of {name}" if name == base.name else f"with {name}, not with {base.name}"


def _tell(store: ProjectStore, version: AdapterVersion | None) -> None:
    """Says what serves now that ``version`` is chosen, or what it takes until that does."""
    if version is None:
        out.print("the foundation adapter serves now")
        return
    lacking = ["after `tailora adapter enable`"] if store.disabled else []
    if models := _other_model(version):
        lacking.append(f"only {models}")
    out.print(
        f"version {version.version} is chosen, and serves {', '.join(lacking)}"
        if lacking
        else f"version {version.version} serves now"
    )


@app.command()
def use(version: Version, project: ProjectOption = Path()) -> None:
    """Serve this version from the next keystroke."""
    store = project_store(project)
    _tell(store, store.use(version))


@app.command()
def rollback(project: ProjectOption = Path()) -> None:
    """Back to the version that served before."""
    store = project_store(project)
    _tell(store, store.rollback(default_base()))


@app.command()
def disable(project: ProjectOption = Path()) -> None:
    """Serve the foundation adapter only; nothing is deleted."""
    project_store(project).disable()
    out.print("the foundation adapter serves now; `tailora adapter enable` undoes it")


@app.command()
def enable(project: ProjectOption = Path()) -> None:
    """Serve the repository's own adapter again."""
    store = project_store(project)
    store.enable()
    if chosen := store.chosen(default_base()) or store.chosen():
        _tell(store, chosen)
    else:
        out.print("the foundation adapter serves: nothing was promoted yet")


@app.command()
def export(version: Version, target: Path, project: ProjectOption = Path()) -> None:
    """Copy a version to a folder that peft, vLLM and others can load."""
    project_store(project).export(version, target)
    out.print(f"version {version} was copied to {target}")


@app.command()
def delete(
    version: Annotated[
        str, typer.Argument(help="A version; without it: everything of this repository.")
    ] = "",
    project: ProjectOption = Path(),
    forget: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file or folder of the repository, relative to --project or else to the current folder: every "
            "version that learned from it goes, and it is left out from now on. Repeatable."
        ),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain/--no-retrain", help="Learn the rest anew at once, after --forget.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete what was learned, for good."""
    store = project_store(project)
    if forget:
        if version:
            raise typer.BadParameter("either a version or --forget")
        adapter_data.forget_files(
            store, [project / path for path in forget], ask=not yes, retrain=retrain, json=json
        )
        return
    what = f"version {version}" if version else f"everything that was learned of {store.root}"
    deleted = [version] if version else [found.version for found in store.versions()]
    if not yes:
        typer.confirm(f"Delete {what}?", abort=True)
    if version:
        store.delete(version)
    else:
        store.delete_all()
    if json:
        print_json({"deleted": deleted})
    else:
        out.print(f"{what} was deleted")


app.command("import")(adapter_data.import_)
app.command("remember")(adapter_data.remember)
