"""``tailora adapter import``, ``combine``, ``delete --forget`` and ``remember``: what comes in, and what has to go
again."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tailora.cli.adapter_part import Part, PurposeOption, RepairOption, project_part
from tailora.cli.model import default_model
from tailora.cli.output import out, print_json, progress_bar
from tailora.cli.project import ProjectOption, project_store
from tailora.cli.train import method_for, print_gate
from tailora.options import kept_out
from tailora_adapters.manifest import GateResult
from tailora_adapters.purposes import PARTS, option
from tailora_adapters.store import AdapterVersion, ProjectStore

__all__ = ["combine", "forget_files", "import_", "remember"]

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def import_(
    folder: Annotated[Path, typer.Argument(help="Folder with an adapter in the PEFT format (safetensors).")],
    base: Annotated[str, typer.Option(help="The base model that it belongs to, where it does not say.")] = "",
    project: ProjectOption = Path(),
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
    json: Json = False,
) -> None:
    """Take in an adapter from a folder; it serves if the gate finds it better here."""
    from tailora_adapters.importing import import_adapter

    part, model = project_part(project, purpose, repair), base or default_model()
    version = import_adapter(part.store, folder, model, claimed=bool(base))
    _admit(part, version, model, json=json)


def combine(
    shares: Annotated[
        list[str], typer.Argument(metavar="VERSION=WEIGHT...", help="Two or more, such as 3=0.7 5=0.3.")
    ],
    method: Annotated[
        str,
        typer.Option(
            help="svd (the weighted sum, of the parts' rank), cat (exactly, of the sum of their ranks), linear, "
            "ties, dare_linear, dare_ties, magnitude_prune, and the last four with _svd behind them."
        ),
    ] = "svd",
    density: Annotated[float, typer.Option(help="Share of the values that is kept, where it prunes.")] = 0.5,
    model: Annotated[str, typer.Option(help="The base model that the versions belong to.")] = "",
    project: ProjectOption = Path(),
    purpose: PurposeOption = "completion",
    repair: RepairOption = False,
    json: Json = False,
) -> None:
    """Make one version of several LoRAs, weighted; it serves if the gate finds it better than what serves."""
    from tailora_adapters import combining

    part, model = project_part(project, purpose, repair, learned=True), model or default_model()
    version = combining.combine(part.store, combining.read_shares(shares), model, method, density=density)
    _admit(part, version, model, json=json)


def _admit(part: Part, version: AdapterVersion, model: str, *, json: bool) -> None:
    """Has the gate judge a stored version in a worker, and tells what it said."""
    from tailora_adapters.importing import admit
    from tailora_adapters.training.launch import gate_of, judge_in_worker

    done: dict[str, Any] = {}

    def judge(candidate: AdapterVersion) -> GateResult:
        with progress_bar() as progress:
            done.update(
                judge_in_worker(
                    part.store.root, model, candidate.version, purpose=part.purpose, progress=progress
                )
            )
        return gate_of(done)

    version = admit(part.store, version, judge)
    done["version"] = version.version
    if json:
        print_json(done)
    else:
        print_gate(done)


def forget_files(store: ProjectStore, files: list[Path], *, ask: bool, retrain: bool, json: bool) -> None:
    """``tailora adapter delete --forget``. Relative paths are relative to the current folder."""
    from tailora_adapters.forget import affected, forget, inside

    names = [inside(store.root, path.absolute()) for path in files]
    learned = affected(store.versions(), names)
    what = ", ".join(names)
    versions = [_versions("version", learned)] * bool(learned)
    for purpose in PARTS:
        if found_in := affected(store.part(purpose).versions(), names):
            versions.append(_versions(f"{purpose} version", found_in))
    gone = f"{' and '.join(versions)} learned from it, or may have"
    if ask:
        consequence = f"{gone}: deleted for good" if versions else "no version learned from it"
        typer.confirm(f"Forget {what}? {consequence}.", abort=True)
    result = forget(store, names)
    found: dict[str, Any] = {
        "forgotten": names,
        "deleted": list(result.deleted),
        **{purpose: {"deleted": list(result.parts.get(purpose, ()))} for purpose in PARTS},
        "training": None,
    }
    if not json:
        out.print(f"left out from now on: {what}; `tailora adapter remember` undoes it")
        others = [name for name, deleted in result.parts.items() if deleted]
        out.print(f"deleted: {gone}" if result.deleted or others else "no version learned from it")
        for purpose in others:
            out.print(f"`tailora train {option(purpose)}` learns the rest anew for {purpose}")
    refused = kept_out(store.root) if store.retrain is not None and retrain else None
    if store.retrain is not None and retrain and refused is None:
        found["training"] = _retrain(store, json)
    elif store.retrain is not None and not json:
        out.print("the next training begins from the foundation adapter again, without it")
    if refused is not None:
        found["not_trained"] = refused
    if json:
        print_json(found)
    elif refused is not None:
        out.print(f"the rest was not learned anew: {refused}")


def _versions(noun: str, numbers: list[str]) -> str:
    return f"{noun}{'s' * (len(numbers) > 1)} {', '.join(numbers)}"


def _retrain(store: ProjectStore, json: bool) -> dict[str, Any]:
    from tailora_adapters.training.launch import train_in_worker

    model = default_model()
    how = method_for(store.root)
    with progress_bar() as progress:
        done = train_in_worker(store.root, model, full=True, method=how, progress=progress)
    if not json:
        if done["gate"] is not None:
            print_gate(done)
        else:
            out.print(f"{done['decision'].replace('_', ' ')}: {done['reason']}")
    return done


def remember(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files or folders, relative to --project or else to the current folder."),
    ],
    project: ProjectOption = Path(),
    json: Json = False,
) -> None:
    """Let files be learned again that were forgotten with `delete --forget`."""
    from tailora_adapters import forget

    store = project_store(project)
    names = [forget.inside(store.root, (project / path).absolute()) for path in files]
    found = forget.remember(store, names)
    if json:
        print_json({"remembered": list(found), "forgotten": list(forget.forgotten(store))})
        return
    for name in names:
        out.print(f"{name} may be learned again" if name in found else f"{name} was not forgotten")
