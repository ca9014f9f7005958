"""``tailora poc``: the staged proof of concept, and its page for those who decide."""

import shlex
import sys
from dataclasses import replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailora.cli.model import default_model
from tailora.cli.output import err, out, print_json, progress_bar
from tailora.cli.project import project_root
from tailora.options import kept_out
from tailora_adapters.errors import TailoraError

if TYPE_CHECKING:
    from tailora.poc.costs import Prices

__all__ = ["poc"]


class Language(StrEnum):
    """Of the page."""

    en = "en"
    ja = "ja"


Price = Annotated[
    float | None, typer.Option(min=0, help="0: none is given. Default: an assumption, see the page.")
]


def poc(
    context: typer.Context,
    repo: Annotated[Path, typer.Argument(help="The repository.")] = Path(),
    minutes: Annotated[
        float, typer.Option(min=1, max=10_000, help="For all that is tried; what was begun is finished.")
    ] = 30.0,
    lang: Annotated[Language, typer.Option(help="Of the page.")] = Language.en,
    to: Annotated[Path, typer.Option("--out", help="The page that is written.")] = Path("poc.html"),
    work: Annotated[
        Path, typer.Option(help="Folder of the runs; what is there is not trained again.")
    ] = Path("out/poc"),
    users: Annotated[int, typer.Option(min=1, help="People who would use it.")] = 10,
    users_per_machine: Annotated[int, typer.Option(min=1, help="Who share a machine.")] = 1,
    price_kwh: Price = None,
    price_hardware: Price = None,
    price_gpu_hour: Price = None,
    price_seat: Price = None,
    currency: Annotated[str, typer.Option(help="Of the prices. Default: EUR, in Japanese JPY.")] = "",
    watts: Annotated[float, typer.Option(min=1, help="Of a machine under load.")] = 65.0,
    months: Annotated[int, typer.Option(min=1, help="That a machine is used.")] = 36,
    hours: Annotated[float, typer.Option(min=1, max=744, help="That a machine is on, a month.")] = 160.0,
    days: Annotated[int, typer.Option(min=1, max=31, help="Of work, a month.")] = 20,
    retrainings: Annotated[float, typer.Option(min=0, help="Of a user, a day.")] = 4.0,
    model: Annotated[str, typer.Option(help="Base model.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Is it worth while to learn this repository? Tries it within a time, and writes a page for those who decide.

    Interrupted, it goes on where it was when it is started again.
    """
    from tailora.poc.costs import Inputs
    from tailora.poc.measure import measure
    from tailora.poc.page import poc_page
    from tailora.poc.result import conclude
    from tailora.poc.stages import run
    from tailora.poc.texts import LANGUAGES
    from tailora.poc.usage import usage

    root = project_root(repo)
    if reason := kept_out(root):
        raise TailoraError(reason)
    code = (currency or LANGUAGES[lang][1].currency).upper()
    inputs = Inputs(
        currency=code,
        prices=_prices(
            code, kwh=price_kwh, hardware=price_hardware, gpu_hour=price_gpu_hour, seat=price_seat
        ),
        users=users,
        users_per_machine=users_per_machine,
        watts=watts,
        months=months,
        hours=hours,
        retrainings=retrainings,
        days=days,
        given=_given(context),
    )
    command = ("tailora", *sys.argv[1:])
    with progress_bar() as progress:
        measured = measure(root, model or default_model(), progress=progress)
        tried = None
        if not measured.too_small:
            tried = run(root, measured, work.resolve(), minutes, command, progress)
    result = conclude(
        measured,
        tried,
        inputs,
        usage(root),
        minutes=minutes,
        work=work,
        command=command,
        day=date.today(),
    )
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(poc_page(result, lang), encoding="utf-8")
    if json:
        print_json(result.as_dict())
    else:
        against = "; ".join(rule.value for rule in result.decision.against)
        out.print(f"{result.decision.verdict.value}{f': {against}' if against else ''}")
        out.print(f"the page: {shlex.quote(str(to))}")
    if measured.too_small:
        err.print(measured.too_small, soft_wrap=True)
        raise typer.Exit(1)


def _prices(currency: str, **given: float | None) -> "Prices":
    """The prices that were given, else the assumptions for this currency, which others do not have."""
    from tailora.poc.costs import DEFAULTS, Prices

    known = {name: price for name, price in given.items() if price is not None}
    return replace(DEFAULTS.get(currency, Prices()), **known)


def _given(context: typer.Context) -> frozenset[str]:
    """Names of the inputs that are no defaults."""
    return frozenset(
        name.removeprefix("price_")
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    )
