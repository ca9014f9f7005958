"""``tailora adapter``: see, choose, roll back, switch off, take along, combine, import and delete what was learned.

With ``--for`` (or ``--repair``), the versions of the adapter for another purpose. Commands without it are about all
adapters: switching them off and on, and what is not to be learned.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tailora.adapter_report import about, outcome_figures, report, version_row
from tailora.cli import adapter_data
from tailora.cli.adapter_part import Part, PurposeOption, RepairOption, project_part
from tailora.cli.adapter_tables import facts, outcomes_table, versions_table
from tailora.cli.model import default_base, default_model
from tailora.cli.output import out, print_json
from tailora.cli.project import ProjectOption, project_store
from tailora_adapters.base.cache import base_info
from tailora_adapters.errors import TailoraError
from tailora_adapters.purposes import PARTS, option
from tailora_adapters.store import IMPORTED, AdapterVersion, ProjectStore

__all__ = ["app"]

app = typer.Typer(
    help="What was learned of a repository: list, show, use, roll back, disable, delete.",
    no_args_is_help=True,
)

Version = Annotated[str, typer.Argument(help="A version of `tailora adapter list`.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.command("list")
def list_(
    project: ProjectOption = Path(),
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
    json: Json = False,
) -> None:
    """All versions of this repository, with what the gate said."""
    part = project_part(project, purpose, repair)
    store = part.store
    versions = store.versions()
    if part.other:  # suggestions are counted, repairs are not
        told = about(part.project, store) | {"versions": [version_row(version) for version in versions]}
    else:
        told = report(store)
        for other in PARTS:
            serving = _chosen(store.part(other))
            told[other]["serving"] = serving.version if serving else None
    if json:
        print_json(told)
        return
    _list(part, versions, told)
    for other in () if part.other else PARTS:
        if told[other]["versions"]:
            out.print(f"{_state_of(Part(part.project, other))} (`tailora adapter list {option(other)}`)")
    if part.project.disabled:
        out.print("disabled: the foundation adapter serves; `tailora adapter enable` undoes it")
    if store.retrain:
        out.print(f"the next training begins from the foundation adapter again: {store.retrain}")
    for name in told["forgotten"]:
        out.print(f"forgotten: {name}")


def _list(part: Part, versions: Sequence[AdapterVersion], told: Mapping[str, Any]) -> None:
    """The tables, and why versions do not serve."""
    rows = told["versions"]
    if rows:
        out.print(versions_table(rows), soft_wrap=False)
    elif part.other:
        out.print(
            f"nothing was learned for {part.purpose} of {part.store.root} yet: "
            f"`tailora train {option(part.purpose)}` does"
        )
    else:
        out.print(f"nothing was learned of {part.store.root} yet: the foundation adapter serves")
    suggested = () if part.other else (*rows, {"version": "foundation", **told["foundation"]})
    if shown := [one for one in suggested if one["shown"]]:
        out.print()
        out.print(outcomes_table(shown), soft_wrap=False)
    for row in rows:
        if row["withdrawn"]:
            out.print(row["withdrawn"])
        elif row["status"] in ("rejected", "corrupt"):
            out.print(f"{part.name(row['version'])} {row['status']}: {row['reason']}")
    for version in versions:
        if version.status == "serving" and (models := _other_model(version)):
            out.print(f"{part.name(version.version)} serves {models}")


@app.command()
def show(
    version: Version,
    project: ProjectOption = Path(),
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
    json: Json = False,
) -> None:
    """One version's manifest: data, settings, cost, gate."""
    part = project_part(project, purpose, repair, learned=True)
    found = part.store.get(version)
    if found.manifest is None:
        raise TailoraError(f"{part.name(version)} cannot be read: {found.problem}")
    figures = None if part.other else outcome_figures(part.store.outcomes.summary().get(version))
    if json:
        about = {"status": found.status, "path": str(found.path), "withdrawn": found.withdrawn}
        print_json(about | found.manifest.to_dict() | ({} if figures is None else {"outcomes": figures}))
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


def _state(part: Part, version: AdapterVersion) -> str:
    """That a chosen version serves, or what it takes until it does."""
    lacking = ["after `tailora adapter enable`"] if part.project.disabled else []
    if models := _other_model(version):
        lacking.append(f"only {models}")
    name = part.name(version.version)
    return f"{name} is chosen, and serves {', '.join(lacking)}" if lacking else f"{name} serves now"


def _state_of(part: Part) -> str:
    """Which version serves a purpose beside completion, or what is used instead."""
    chosen = _chosen(part.store)
    return _no_other(part) if chosen is None else _state(part, chosen)


def _no_other(part: Part) -> str:
    kind = PARTS[part.purpose]
    if kind.otherwise == "none":
        return f"no {kind.name} version serves now: {kind.used} with the base model"
    other = part.project.serving(default_base())
    instead = "the foundation adapter" if other is None else f"version {other.version}"
    return f"no {kind.name} version serves now: {kind.used} with {instead}"


def _chosen(store: ProjectStore) -> AdapterVersion | None:
    """What serves with the model of the settings, or else would with another one."""
    return store.chosen(default_base()) or store.chosen()


def _tell(part: Part, version: AdapterVersion | None) -> None:
    """Says what serves now that ``version`` is chosen, or what it takes until that does."""
    if version is not None:
        out.print(_state(part, version))
    elif part.other:
        out.print(_no_other(part))
    else:
        out.print("the foundation adapter serves now")


@app.command()
def use(
    version: Version,
    project: ProjectOption = Path(),
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
) -> None:
    """Serve this version from the next keystroke, or for another purpose from the next time it is asked for."""
    part = project_part(project, purpose, repair, learned=True)
    _tell(part, part.store.use(version))


@app.command()
def rollback(
    project: ProjectOption = Path(), purpose: PurposeOption = "completion", repair: RepairOption = False
) -> None:
    """Back to the version that served before."""
    part = project_part(project, purpose, repair, learned=True)
    _tell(part, part.store.rollback(default_base()))


@app.command()
def disable(project: ProjectOption = Path()) -> None:
    """Serve the foundation adapter only, for every purpose; nothing is deleted."""
    project_store(project).disable()
    out.print("the foundation adapter serves now; `tailora adapter enable` undoes it")


@app.command()
def enable(project: ProjectOption = Path()) -> None:
    """Serve the repository's own adapters again, for every purpose."""
    store = project_store(project)
    store.enable()
    if chosen := _chosen(store):
        _tell(Part(store), chosen)
    else:
        out.print("the foundation adapter serves: nothing was promoted yet")
    for purpose in store.parts():
        if store.part(purpose).versions():
            out.print(_state_of(Part(store, purpose)))


@app.command()
def export(
    version: Version,
    target: Path,
    project: ProjectOption = Path(),
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
) -> None:
    """Copy a version to a folder that peft, vLLM and others can load."""
    part = project_part(project, purpose, repair, learned=True)
    part.store.export(version, target)
    out.print(f"{part.name(version)} was copied to {target}")


@app.command()
def delete(
    version: Annotated[
        str, typer.Argument(help="A version; without it: everything of this repository.")
    ] = "",
    project: ProjectOption = Path(),
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
    forget: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file or folder of the repository, relative to --project or else to the current folder: every "
            "version that learned from it goes, of all adapters, and it is left out from now on. Repeatable."
        ),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain/--no-retrain", help="Learn the rest anew at once, after --forget.")
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Delete what was learned, for good: for every purpose, or with --for for one alone."""
    part = project_part(project, purpose, repair, learned=bool(version))
    store = part.store
    if forget:
        if version:
            raise typer.BadParameter("either a version or --forget")
        if part.other:
            raise typer.BadParameter(f"--forget is about all adapters: leave {option(part.purpose)} out")
        adapter_data.forget_files(
            store, [project / path for path in forget], ask=not yes, retrain=retrain, json=json
        )
        return
    deleted: dict[str, Any] = {"deleted": [version] if version else _numbers(store)}
    if version:
        what = part.name(version)
    elif part.other:
        what = f"everything that was learned for {part.purpose} of {store.root}"
    else:
        what = f"everything that was learned of {store.root}"
        deleted |= {name: {"deleted": _numbers(store.part(name))} for name in PARTS}
    if not yes:
        typer.confirm(f"Delete {what}?", abort=True)
    if version:
        store.delete(version)
    else:
        store.delete_all()
    if json:
        print_json(deleted)
    else:
        out.print(f"{what} was deleted")


def _numbers(store: ProjectStore) -> list[str]:
    """Of all versions, oldest first."""
    return [found.version for found in store.versions()]


app.command("combine")(adapter_data.combine)
app.command("import")(adapter_data.import_)
app.command("remember")(adapter_data.remember)
