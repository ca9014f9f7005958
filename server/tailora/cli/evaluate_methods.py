"""``tailora eval methods``, ``check`` and ``report``: methods of fine-tuning compared on one's own repository, and what
the runs reported looked through and shown."""

import json as json_module
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tailora.cli.model import default_model
from tailora.cli.output import err, out, print_json, progress_bar
from tailora.errors import ReportInvalid
from tailora_adapters.errors import MethodError

__all__ = ["check", "methods", "report"]

_DEFAULT = "lora,dora,ia3,pfeiffer,prefix,prompt"


def methods(
    repo: Annotated[Path, typer.Argument(help="The repository.")] = Path(),
    method: Annotated[
        str, typer.Option("--methods", help="Names, separated by commas; see `tailora methods`.")
    ] = _DEFAULT,
    tasks: Annotated[str, typer.Option(help="Separated by commas.")] = "completion",
    baselines: Annotated[
        str, typer.Option(help="Of base, base-context, foundation. `full` is one of the methods.")
    ] = "base,base-context,foundation",
    seeds: Annotated[str, typer.Option(help="Separated by commas.")] = "1,2,3",
    rates: Annotated[
        str, typer.Option(help="Learning rates to choose from, for all methods. Default: each method's own.")
    ] = "",
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="METHOD.NAME=VALUE", help="A method's own setting.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1_024, help="Of training, the same for every run.")] = 3_072,
    max_prompt: Annotated[int, typer.Option(min=64, help="Tokens of a prompt.")] = 160,
    test: Annotated[int, typer.Option(min=12, help="Questions.")] = 24,
    validation: Annotated[int, typer.Option(min=12, help="Questions to choose the learning rate by.")] = 12,
    price_kwh: Annotated[float, typer.Option(min=0, help="Of a kilowatt hour; 0: none is given.")] = 0.30,
    price_hour: Annotated[float, typer.Option(min=0, help="Of an hour of the machine; 0: none.")] = 0.0,
    currency: Annotated[str, typer.Option(help="Of the prices.")] = "EUR",
    repeats: Annotated[int, typer.Option(min=0, help="Turns that measure how fast it serves; 0: not.")] = 5,
    to: Annotated[Path, typer.Option("--out", help="Folder of the results.")] = Path("out/methods"),
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Trains every method for every task with several seeds, and measures quality and costs.

    Interrupted, it goes on where it was when it is started again.
    """
    from tailora.evaluation.methods.compare import compare
    from tailora.evaluation.methods.comparison import Comparison, Prices, Sizes
    from tailora.evaluation.methods.tasks import TASKS

    wanted = _names(tasks)
    if unknown := [name for name in wanted if name not in TASKS]:
        raise typer.BadParameter(f"there is no task '{unknown[0]}'; there are: {', '.join(TASKS)}")
    comparison = Comparison(
        root=repo.resolve(),
        model=model or default_model(),
        methods=tuple(_names(method)),
        tasks=tuple(wanted),
        baselines=tuple(_names(baselines)),
        seeds=tuple(int(value) for value in _numbers(seeds, "--seeds")),
        settings=_settings(given or []),
        rates=tuple(_numbers(rates, "--rates")),
        sizes=Sizes(tokens=tokens, max_prompt=max_prompt, validation=validation, test=test),
        prices=Prices(currency, price_kwh, price_hour),
        latency_repeats=repeats,
    )
    command = ["tailora", *sys.argv[1:]]
    with progress_bar() as progress:
        outcome = compare(comparison, to.resolve(), command, progress)
    documents = [json_module.loads(path.read_text(encoding="utf-8")) for path in outcome.results]
    if json:
        print_json(
            {
                "command": command,
                "begun_before": outcome.begun,
                "failed": list(outcome.failed),
                "results": [str(path) for path in outcome.results],
                "rows": [_row(document) for document in documents],
            }
        )
    else:
        for document in documents:
            out.print(_line(document))
        out.print(
            f"{len(documents)} documents in {to}; a page of them: tailora eval report {shlex.quote(str(to))}"
        )
    for reason in outcome.failed:
        err.print(reason)
    if outcome.failed:
        raise typer.Exit(1)


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
            inside = sorted(one for one in path.rglob("*.json") if one.is_file() and not _hidden(one, path))
            if not inside:
                raise typer.BadParameter(f"{path} has no reports (*.json)")
            found |= dict.fromkeys(inside)
        else:
            found[path] = None
    return list({path.resolve(): path for path in found}.values())


def _hidden(file: Path, folder: Path) -> bool:
    """Whether it is what a comparison goes on from, and no report."""
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _problems(path: Path) -> list[str]:
    from tailora.evaluation.methods.record import read

    try:
        read(path)
    except ReportInvalid as error:
        return error.problems
    return []


def _row(document: dict[str, Any]) -> dict[str, Any]:
    run, trained, tested = document["run_info"], document["train_info"], document["test_info"]
    return {
        "experiment": run["experiment_name"],
        "status": trained["status"],
        "reason": run["error_msg"],
        **tested["metrics"],
        "learning_rate": trained["learning_rate"],
        "trainable": trained["num_trainable_params"],
        "train_seconds": trained["train_time"],
    }


def _line(document: dict[str, Any]) -> str:
    row = _row(document)
    if row["status"] != "success":
        return f"{row['experiment']:<34} {row['status']}: {row['reason']}"
    return (
        f"{row['experiment']:<34} exact {row['exact_match']:.1%}   similarity {row['edit_similarity']:.1%}   "
        f"loss {row['loss']:.3f}   {row['trainable']:>11,} trained in {row['train_seconds']:.0f} s"
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(value) for value in _names(text)]
    except ValueError as error:
        raise typer.BadParameter(f"{option} takes numbers separated by commas, not {text!r}") from error


def _settings(given: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for one in given:
        name, equals, value = one.partition("=")
        method, dot, setting = name.partition(".")
        if not equals or not dot:
            raise MethodError(f"--set is followed by METHOD.NAME=VALUE, not {one!r}")
        found.setdefault(method.strip(), {})[setting.strip()] = value.strip()
    return found
