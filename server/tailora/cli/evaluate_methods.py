"""``tailora eval check`` and ``report``: what runs of a comparison of methods reported, looked through and shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tailora.cli.output import err, out, print_json
from tailora.errors import ReportInvalid

__all__ = ["check", "report"]


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Reports of runs.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Is a run's report whole? One line for each problem, and exit code 1 if there is one."""
    found = {str(path): _problems(path) for path in files}
    if json:
        print_json([{"file": name, "problems": problems} for name, problems in found.items()])
    else:
        for name, problems in found.items():
            for problem in problems:
                out.print(f"{name}: {problem}")
            if not problems:
                out.print(f"{name}: whole")
    if any(found.values()):
        raise typer.Exit(1)


def report(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FOLDER|FILE...", help="Reports of runs, or folders of them.")
    ],
    out_file: Annotated[Path, typer.Option("--out", help="The page that is written.")] = Path("report.html"),
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Exit code 0 though reports were left out.")
    ] = False,
) -> None:
    """One page of a comparison of methods: what they gain, what they cost, and how to do each run again."""
    from tailora.evaluation.methods.aggregate import group_runs
    from tailora.evaluation.methods.page import report_page
    from tailora.evaluation.methods.record import read

    runs: list[dict[str, Any]] = []
    left_out: list[str] = []
    for path in _files(paths):
        try:
            runs.append(read(path))
        except ReportInvalid as error:
            err.print(f"left out: {error}", soft_wrap=True)
            left_out.append(f"{path.name}: {'; '.join(error.problems[:3])}")
    if not runs:
        err.print("no report can be used, so no page was written")
        raise typer.Exit(1)
    out_file.parent.mkdir(parents=True, exist_ok=True)
    out_file.write_text(report_page(group_runs(runs), left_out), encoding="utf-8")
    out.print(f"{len(runs)} runs, {len(left_out)} left out: {out_file}")
    if left_out and not skip_bad:
        raise typer.Exit(1)


def _files(paths: Sequence[Path]) -> list[Path]:
    """The reports that were named; of a folder all JSON files in it. Each once."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*.json") if one.is_file())
            if not inside:
                raise typer.BadParameter(f"{path} has no reports (*.json)")
            found |= dict.fromkeys(inside)
        else:
            found[path] = None
    return list({path.resolve(): path for path in found}.values())


def _problems(path: Path) -> list[str]:
    from tailora.evaluation.methods.record import read

    try:
        read(path)
    except ReportInvalid as error:
        return error.problems
    return []
