"""``tailora repair``: a failing test or a diagnostic, repaired and shown as a diff; written only with ``--apply``.

Naming a test is the permission to run it: it runs in a copy, as ``docs/repair.md`` says.
"""

import asyncio
import difflib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer

from tailora.cli.output import err, out, print_json, progress_bar
from tailora.cli.project import project_root
from tailora.engine.client import EngineClient
from tailora.errors import CheckerFailed, RepairError
from tailora.repair.problem import Finding, Problem, Repair
from tailora_adapters import languages
from tailora_adapters.errors import TailoraError
from tailora_adapters.paths import write_atomic

__all__ = ["read_source", "repair", "write_back"]

_Progress = Callable[[float, str], None]


def repair(
    file: Annotated[Path | None, typer.Argument(help="A file with diagnostics.")] = None,
    line: Annotated[
        int, typer.Option(min=0, help="Only diagnostics of this line, from 1; 0: the first.")
    ] = 0,
    test: Annotated[str, typer.Option(help="A failing pytest node, relative to the project's root.")] = "",
    root: Annotated[Path, typer.Option(help="The project, or a folder in it.")] = Path(),
    seconds: Annotated[float, typer.Option(min=1, help="To look for edits.")] = 60.0,
    test_seconds: Annotated[float, typer.Option(min=1, help="For one run of the tests.")] = 60.0,
    candidates: Annotated[int, typer.Option(min=1, max=40, help="Edits that are tried, at most.")] = 10,
    apply: Annotated[bool, typer.Option("--apply", help="Write the best edit, if it is verified.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Look for an edit that holds: of a failing test, or of what a checker reports in a file."""
    from tailora.repair.pipeline import Settings

    if bool(test) == (file is not None):
        raise typer.BadParameter("name a file or --test")
    settings = Settings(candidates=candidates, seconds=seconds)
    with progress_bar() as progress:
        if file is None:
            folder = project_root(root)
            problem, repairs, said = asyncio.run(_of_test(folder, test, settings, test_seconds, progress))
        else:
            folder = project_root(file.parent if root == Path() else root)
            problem, repairs, said = asyncio.run(_of_file(folder, file, line, settings, progress))
    written = bool(apply and repairs and repairs[0].verified)
    if written:
        write_back(folder / problem.path, problem.text, repairs[0].candidate.text)
    if json:
        print_json(_values(problem, repairs, said, written))
    else:
        _show(problem, repairs, said, written, apply)
    if not repairs or (apply and not written):
        raise typer.Exit(1)


async def _of_test(
    root: Path, node: str, settings: Any, test_seconds: float, progress: _Progress
) -> tuple[Problem, tuple[Repair, ...], str]:
    from tailora.repair.failing_test import last_line
    from tailora.repair.session import repair_test
    from tailora.sandbox import Limits

    client = EngineClient()
    try:
        await client.ensure()
        done = await repair_test(
            root,
            [node],
            _model_for(client, root),
            settings=settings,
            limits=Limits(seconds=test_seconds),
            around=_around(root),
            progress=progress,
        )
    finally:
        await client.aclose()
    return done.problem, done.report.repairs, last_line(done.said)


def _model_for(client: EngineClient, root: Path) -> Callable[[Problem], Any]:
    from tailora.repair.propose import EngineModel

    return lambda problem: EngineModel(
        client, root, problem.path.as_posix(), problem.language, context=problem.context
    )


def _around(root: Path) -> Any:
    from tailora.repair.context import Past, Surroundings

    return Surroundings(root, Past())


async def _of_file(
    root: Path, file: Path, line: int, settings: Any, progress: _Progress
) -> tuple[Problem, tuple[Repair, ...], str]:
    from tailora.repair.checkers import find
    from tailora.repair.session import repair_lines

    path, text, language = read_source(root, file)
    relative = PurePath(path.relative_to(root))
    checkers = find(root, language, trusted=True)
    client = EngineClient()
    try:
        finding = await _first(checkers, path, text, line, progress)
        problem = Problem(relative, text, language, (finding,))
        await client.ensure()
        report = await repair_lines(
            problem,
            path,
            checkers,
            _model_for(client, root),
            around=_around(root),
            settings=settings,
            progress=progress,
        )
    finally:
        await asyncio.gather(*(checker.close() for checker in checkers), return_exceptions=True)
        await client.aclose()
    return problem, report.repairs, f"{relative}:{finding.line + 1}: {finding.message} ({finding.source})"


async def _first(checkers: Any, path: Path, text: str, line: int, progress: _Progress) -> Finding:
    """What the quickest checker reports that reports anything.

    Raises:
        RepairError: none does.
    """
    asked: list[str] = []
    for checker in checkers:
        progress(0.0, f"asking {checker.name}")
        try:
            found = await checker.check(path, text)
        except CheckerFailed as error:
            err.print(f"{checker.name}: {error}")
            continue
        asked.append(checker.name)
        for finding in sorted(found, key=lambda finding: finding.line):
            if line in (0, finding.line + 1):
                return Finding(
                    finding.source or checker.name,
                    finding.code,
                    finding.message,
                    finding.line,
                    finding.column,
                    finding.end_line,
                    finding.end_column,
                )
    if not asked:
        raise RepairError(
            "no checker is installed for this file, such as ruff: there is nothing to repair by"
        )
    where = f"in line {line} of {path.name}" if line else f"in {path.name}"
    raise RepairError(f"{', '.join(asked)} find nothing {where}: there is nothing to repair")


def read_source(root: Path, file: Path) -> tuple[Path, str, str]:
    """A file's whole path, its text with LF line ends, and its language.

    Raises:
        TailoraError: it is not in ``root``, in no known language, or no UTF-8 text.
    """
    path = file.resolve()
    known = languages.by_path(path)
    if not path.is_relative_to(root):
        raise TailoraError(f"{file} is not in {root}")
    if known is None:
        raise TailoraError(f"{file} is in no language that is known")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TailoraError(f"{file} is no UTF-8 text") from error
    return path, text, known.id


def write_back(path: Path, before: str, after: str) -> None:
    """Writes the changed text with the file's line ends.

    Raises:
        RepairError: the file is no longer what was changed.
    """
    raw = path.read_bytes().decode("utf-8")
    bom, body = ("\ufeff", raw[1:]) if raw.startswith("\ufeff") else ("", raw)
    if body.replace("\r\n", "\n") != before.removeprefix("\ufeff"):
        raise RepairError(f"{path} was changed meanwhile, so nothing was written")
    text = after.removeprefix("\ufeff")
    newline = "\r\n" if "\r\n" in body else "\n"
    write_atomic(path, (bom + text.replace("\n", newline)).encode(), mode=path.stat().st_mode & 0o777)


def _diff(problem: Problem, repair: Repair) -> str:
    name = problem.path.as_posix()
    return "\n".join(
        difflib.unified_diff(
            problem.text.split("\n"), repair.candidate.text.split("\n"), f"a/{name}", f"b/{name}", lineterm=""
        )
    )


def _values(problem: Problem, repairs: tuple[Repair, ...], said: str, written: bool) -> dict[str, Any]:
    return {
        "path": problem.path.as_posix(),
        "problem": said,
        "applied": written,
        "repairs": [
            {"verified": one.verified, "checks": list(one.checks), "diff": _diff(problem, one)}
            for one in repairs
        ],
    }


def _show(problem: Problem, repairs: tuple[Repair, ...], said: str, written: bool, apply: bool) -> None:
    out.print(said)
    if not repairs:
        err.print("nothing was found that holds")
        return
    for number, one in enumerate(repairs):
        word = "verified" if one.verified else "not verified"
        out.print(f"\n{number + 1}. {word}: {', '.join(one.checks) or 'nothing was asked'}")
        out.print(_diff(problem, one))
    if written:
        out.print(f"\nwritten to {problem.path.as_posix()}")
    elif apply:
        err.print("nothing was written, as nothing is verified")
    elif repairs[0].verified:
        out.print("\n--apply writes the first one")
