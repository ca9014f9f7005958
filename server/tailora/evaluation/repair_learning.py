"""What a repository's own adapter for repair is worth: the same repairs with it and without it.

Each repository is taken back to before its newest small edits, and a part of its files is set aside; what is left is
learned. Asked are then those edits (the lines that were changed are selected, and right is what was written) and bugs
put into the files that were set aside (right is what ``evaluation.repair`` says). The two are compared case by case
with an exact sign test over all repositories, those of earlier runs too; an adapter that the gate does not promote
serves nobody, so there the two are the same.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tailora.bench.home import bench_home, end_engine, require_model
from tailora.engine.client import EngineClient
from tailora.evaluation import injected
from tailora.evaluation.histories import Past, copy_repository, cut, repository_of_releases
from tailora.evaluation.repair import Plan, Projects, repair_case, sums_of
from tailora.evaluation.repair_suite import Case
from tailora.repair.imports import project_texts
from tailora_adapters.corpus.chance import luck
from tailora_adapters.errors import TailoraError
from tailora_adapters.repair.fixes import Fix
from tailora_adapters.training.gate import probability_by_chance
from tailora_adapters.training.launch import train_in_worker

__all__ = ["LearningPlan", "Releases", "measure"]

_ASIDE = 1 / 3
"""Of a repository's files."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Releases:
    """A package's releases from one to another, as a repository."""

    package: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class LearningPlan:
    """What to measure."""

    sources: Sequence[Releases | Path]
    """Packages and git repositories."""
    model: str
    fixes: int = 24
    """Asked about, of each repository."""
    bugs: int = 24
    seconds: float | None = None
    """For training proper of each; None: no limit."""
    candidates: int = 10
    seed: int = 1
    earlier: Sequence[Path] = ()
    """What this printed for other repositories, as JSON, to be counted in."""


Rows = dict[str, list[dict[str, Any]]]
"""What ``repair_case`` told of each case: ``without`` the adapter and ``with`` it."""


def measure(plan: LearningPlan, progress: Progress) -> dict[str, Any]:
    """Trains for each repository and repairs its cases twice.

    Raises:
        TailoraError: the model or a repository is missing, what was printed earlier cannot be read, a training fails,
            or the engine does.
    """
    repositories = _earlier(plan)
    if not plan.sources:
        return _told(plan, repositories)
    require_model(plan.model)
    with (
        bench_home(plan.model),
        TemporaryDirectory(prefix="tailora-cases-", ignore_cleanup_errors=True) as name,
    ):
        repositories |= asyncio.run(_measure(plan, Path(name).resolve(), progress))
    return _told(plan, repositories)


def _earlier(plan: LearningPlan) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in plan.earlier:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            model, repositories = told["model"], dict(told["repositories"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TailoraError(f"{path} is not what an earlier run printed with --json: {error!r}") from error
        if model != plan.model:
            raise TailoraError(f"{path} is about {model}, this is about {plan.model}")
        found |= repositories
    return found


def _told(plan: LearningPlan, repositories: Mapping[str, Any]) -> dict[str, Any]:
    rows: Rows = {"without": [], "with": []}
    for repository in repositories.values():
        for which, found in repository["cases"].items():
            rows[which] += found
    compared = {name: _comparison(part) for name, part in _parts(rows).items()}
    return {"model": plan.model, **compared, "repositories": dict(repositories)}


async def _measure(plan: LearningPlan, folder: Path, progress: Progress) -> dict[str, Any]:
    """What each repository came to, by its name."""
    client = EngineClient()
    projects = Projects(folder)
    repositories: dict[str, Any] = {}
    try:
        for place, source in enumerate(plan.sources):

            def step(fraction: float, message: str, place: int = place) -> None:
                progress((place + fraction) / len(plan.sources), message)

            past = await asyncio.to_thread(_lay, source, folder, plan, step)
            repositories[past.root.name] = await _of_repository(past, plan, projects, client, step)
    finally:
        await projects.close()
        await client.aclose()
        await end_engine()
    return repositories


def _lay(source: Releases | Path, folder: Path, plan: LearningPlan, progress: Progress) -> Past:
    if isinstance(source, Path):
        root = copy_repository(source, folder)
    else:
        root = repository_of_releases(
            source.package, source.old, source.new, folder, lambda message: progress(0.0, message)
        )
        injected.add_settings(root)
    return cut(root, plan.fixes)


async def _of_repository(
    past: Past, plan: LearningPlan, projects: Projects, client: EngineClient, progress: Progress
) -> dict[str, Any]:
    root, name = past.root, past.root.name
    projects.add(name, root)
    progress(0.05, f"{name}: putting bugs into files")
    aside = [
        (root / path, text) for path, text in project_texts(root) if luck(plan.seed, "aside", path) < _ASIDE
    ]
    cases = [_case(name, fix) for fix in past.later]
    cases += await injected.of_files(name, root, aside, plan.bugs, plan.seed)
    if not cases:
        raise TailoraError(f"{name} has nothing to ask about")
    await end_engine()  # it would hold memory and processors that training needs
    done = await asyncio.to_thread(
        _learn,
        root,
        [path for path, _ in aside],
        plan,
        lambda share, text: progress(0.05 + 0.45 * share, text),
    )
    await client.ensure()
    rows: Rows = {"without": [], "with": []}
    for number, case in enumerate(cases):
        row = await repair_case(
            case, projects, client, Plan((case,), plan.model, "foundation", plan.candidates)
        )
        rows["without"].append(row)
        if done["decision"] == "promoted":
            row = await repair_case(
                case, projects, client, Plan((case,), plan.model, "repair", plan.candidates)
            )
        rows["with"].append(row)
        progress(0.5 + 0.5 * (number + 1) / len(cases), f"{name}: {_line(rows)}")
    parts = {
        part: {which: sums_of(found) for which, found in of_part.items()}
        for part, of_part in _parts(rows).items()
    }
    return {
        "decision": done["decision"],
        "reason": done["reason"],
        "gate": done["gate"],
        "parts": parts,
        "cases": rows,
    }


def _learn(root: Path, aside: Sequence[Path], plan: LearningPlan, progress: Progress) -> dict[str, Any]:
    """Trains without the files that are set aside. Blocks for minutes."""
    texts = {path: path.read_bytes() for path in aside}
    for path in aside:
        path.unlink()
    try:
        done = train_in_worker(
            root,
            plan.model,
            purpose="repair",
            seconds=plan.seconds,
            seed=plan.seed,
            progress=lambda share, text: progress(share, f"{root.name}: {text}"),
        )
    finally:
        for path, text in texts.items():
            path.write_bytes(text)
    if done["decision"] == "failed":
        raise TailoraError(f"{root.name}: {done['reason']}")
    return done


def _case(name: str, fix: Fix) -> Case:
    lines = [*fix.before[: fix.span.first], *fix.now, *fix.before[fix.span.end :]]
    return Case(
        f"{name}/{fix.path}:{fix.span.first + 1}/{fix.commit[:8]}",
        {fix.path: "\n".join(fix.before)},
        fix.path,
        answer="\n".join(lines),
        package=name,
        kind="fix",
        lines=fix.span,
    )


def _parts(rows: Rows) -> dict[str, Rows]:
    """All cases, and each kind of them."""

    def kind(fix: bool) -> Rows:
        return {
            which: [row for row in found if (row["kind"] == "fix") == fix] for which, found in rows.items()
        }

    return {"all": rows, "fixes": kind(True), "bugs": kind(False)}


def _comparison(rows: Rows) -> dict[str, Any]:
    was, now = ([row["right"][:1] == [True] for row in rows[which]] for which in ("without", "with"))
    return {
        **{which: sums_of(found) for which, found in rows.items()},
        "gained": sum(after and not before for before, after in zip(was, now, strict=True)),
        "lost": sum(before and not after for before, after in zip(was, now, strict=True)),
        "probability_by_chance": round(probability_by_chance(was, now), 4),
    }


def _line(rows: Rows) -> str:
    told = (f"{which} {sums_of(found)['verified_at_1']:.0%}" for which, found in rows.items())
    return "first shown right: " + ", ".join(told)
