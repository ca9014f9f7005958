"""``tailora eval repair…``: how well repairs do, what learning brings them, whether good code is left alone."""

from pathlib import Path
from typing import Annotated, Any

import typer

from tailora.cli.model import default_model
from tailora.cli.output import err, out, print_json, progress_bar

__all__ = ["repair", "repair_clean", "repair_learning", "repair_suite"]


def repair(
    suite: Annotated[
        Path, typer.Option(help="JSON lines, one case each; or HumanEvalFix as it is published.")
    ],
    every: Annotated[int, typer.Option(min=1, help="Take every N-th case.")] = 1,
    candidates: Annotated[int, typer.Option(min=1, max=40, help="At most, for a case.")] = 10,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    adapter: Annotated[str, typer.Option(help="foundation or none.")] = "foundation",
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Broken files, repaired and judged by tests that the repair never sees."""
    from tailora.evaluation import repair as experiment
    from tailora.evaluation import repair_suite as suites

    cases = (
        list(suites.from_humanevalfix(suite)) if "HumanEvalFix" in suite.name else suites.read_suite(suite)
    )
    plan = experiment.Plan(cases[::every], model or default_model(), adapter, candidates)
    with progress_bar() as progress:
        result = experiment.measure(plan, progress)
    if json:
        print_json(result)
        return
    out.print(
        f"{result['count']} cases: first shown right {result['verified_at_1']:.1%}, one of five "
        f"{result['verified_at_5']:.1%}; shown as verified and wrong: {result['wrong_shown']}; nothing shown: "
        f"{result['nothing_shown']}; {result['median_seconds']} s in the median"
    )


def repair_learning(
    package: Annotated[
        list[str] | None, typer.Option(help="A package's releases as NAME==OLD..NEW; may be repeated.")
    ] = None,
    repo: Annotated[
        list[Path] | None, typer.Option(help="A git repository, which is copied; may be repeated.")
    ] = None,
    add: Annotated[
        list[Path] | None, typer.Option(help="What an earlier run printed with --json, to be counted in.")
    ] = None,
    fixes: Annotated[int, typer.Option(min=1, help="Newest small edits to ask about, of each.")] = 24,
    bugs: Annotated[int, typer.Option(min=0, help="Bugs to ask about, of each.")] = 24,
    seconds: Annotated[float, typer.Option(help="For training proper of each; 0: no limit.")] = 0.0,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """What a repository's adapter for repair is worth: its newest edits and new bugs, with it and without it."""
    from tailora.evaluation import repair_learning as experiment

    plan = experiment.LearningPlan(
        [*map(_releases, package or ()), *(repo or ())],
        model or default_model(),
        fixes,
        bugs,
        seconds or None,
        seed=seed,
        earlier=add or (),
    )
    if not plan.sources and not plan.earlier:
        raise typer.BadParameter("give --package NAME==OLD..NEW or --repo")
    with progress_bar() as progress:
        result = experiment.measure(plan, progress)
    if json:
        print_json(result)
        return
    for name, told in result["repositories"].items():
        out.print(f"{name}: {told['decision']}, {told['reason']}")
        for part, sums in told["parts"].items():
            _show_both(f"  {part}", sums)
    for part in ("fixes", "bugs", "all"):
        _show_both(part, result[part])
        out.print(
            f"{'':<8}gained {result[part]['gained']}, lost {result[part]['lost']}; as many gained by chance: "
            f"{result[part]['probability_by_chance']:.3f}"
        )


def _releases(text: str) -> Any:
    from tailora.evaluation.repair_learning import Releases

    name, _, releases = text.partition("==")
    old, _, new = releases.partition("..")
    if not name or not old or not new:
        raise typer.BadParameter(f"{text}: give it as NAME==OLD..NEW")
    return Releases(name, old, new)


def _show_both(name: str, sums: dict[str, Any]) -> None:
    was, now = sums["without"], sums["with"]
    out.print(
        f"{name:<8}of {was['count']}, first shown right: without {was['verified_at_1']:.1%}, with "
        f"{now['verified_at_1']:.1%}; one of five: {was['verified_at_5']:.1%}, {now['verified_at_5']:.1%}"
    )


def repair_clean(
    suite: Annotated[
        Path | None, typer.Option(help="HumanEvalFix as it is published: its functions come first.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The infilling benchmark's file or its folder, for the others.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Functions.")] = 100,
    candidates: Annotated[int, typer.Option(min=1, max=40, help="At most, each time.")] = 10,
    examples: Annotated[
        bool, typer.Option("--examples", help="Also what few tests that pass already let through.")
    ] = False,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Is good code left alone? If an edit that was called verified fails the hidden tests, the exit code is 1."""
    from tailora.evaluation import infilling as benchmark
    from tailora.evaluation import repair_clean as experiment
    from tailora.evaluation.clean_cases import clean_cases

    cases = clean_cases(suite, None)
    if len(cases) < count or data is not None:
        cases = clean_cases(suite, benchmark.find_data(data))
    plan = experiment.Plan(cases, model or default_model(), count, candidates, examples)
    with progress_bar() as progress:
        result = experiment.measure(plan, progress)
    if json:
        print_json(result)
    else:
        for way, row in result["ways"].items():
            out.print(
                f"{way:<14} asked {row['asked']}   offered {row['offered']}   called verified {row['verified']}   "
                f"of these wrong {row['verified_wrong']}   {row['median_seconds']} s in the median"
            )
        out.print(
            f"{result['functions']} functions, {len(result['left_out'])} left out that fail their own tests; told that "
            f"no test fails: {result['told_that_none_fails']}; "
            f"called verified and failing the hidden tests: {result['verified_wrong']} (goal: 0)"
        )
    if result["verified_wrong"]:
        raise typer.Exit(1)


def repair_suite(
    out_file: Annotated[Path, typer.Option("--out", help="The suite that is written.")],
    humanevalfix: Annotated[
        Path | None, typer.Option(help="HumanEvalFix as it is published: its Python part.")
    ] = None,
    packages: Annotated[
        str, typer.Option(help="Installed packages, by commas: bugs are put into them.")
    ] = "",
    count: Annotated[int, typer.Option(min=1, help="Bugs, in all packages together.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed.")] = 1,
) -> None:
    """Makes a suite for `tailora eval repair`: from HumanEvalFix, or of bugs that ruff or pyright notice."""
    from tailora.evaluation import injected
    from tailora.evaluation import repair_suite as suites

    if (humanevalfix is None) == (not packages):
        raise typer.BadParameter("give --humanevalfix or --packages")
    if humanevalfix is not None:
        cases = list(suites.from_humanevalfix(humanevalfix))
    else:
        names = [name.strip() for name in packages.split(",") if name.strip()]
        with progress_bar() as progress:
            cases = injected.inject(names, count, seed=seed, progress=progress)
    suites.write_suite(cases, out_file)
    err.print(f"{len(cases)} cases written to {out_file}")
