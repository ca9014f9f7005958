"""``tailora bench repair``: how long the menu of quick fixes takes, and a fix that is chosen from it.

Both through the language server as a process of its own, as an editor speaks to it. The menu needs no model and is
measured without an engine; the fixes are those of a repair suite, each asked of the checkers and the model as for a
user. Knows nothing of how figures are shown, and nothing of whether a fix is right (see ``evaluation.repair``).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tailora.bench.figures import percentile
from tailora.bench.home import bench_home, end_engine, require_model
from tailora.bench.host import describe_host
from tailora.bench.latency import Progress
from tailora.bench.ours import LanguageServer, position_of
from tailora.bench.places import Document, language_of
from tailora.bench.player import Edit
from tailora.bench.warm_up import warm_up
from tailora.evaluation.injected import lay_package
from tailora.evaluation.repair_suite import Case, read_suite
from tailora.repair.problem import Finding
from tailora_adapters.errors import TailoraError

__all__ = ["MENU_GOAL_MS", "RESOLVE_GOAL_S", "Plan", "faulty", "measure"]

MENU_GOAL_MS = 50.0
"""For the 95th percentile."""
RESOLVE_GOAL_S = 8.0
"""For the median."""
_DIAGNOSTICS = (1, 20, 500)
_FUNCTIONS = 500
_FUNCTION = """\
def area_{number}(width, height):
    total = width * height
    return total + {name}


"""
_INVOKED = 1
"""``CodeActionTriggerKind``."""
_ERROR = 1
"""``DiagnosticSeverity``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    model: str
    suite: Path | None = None
    """Whose diagnostics are repaired; None: only the menu is measured, without a model."""
    every: int = 1
    """Of the suite's cases with a diagnostic."""
    menus: int = 200
    """Of each kind."""


def measure(plan: Plan, progress: Progress, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Measures what the plan says.

    Args:
        say: Told what is about to happen, once.

    Raises:
        TailoraError: something is missing or failed; says what.
    """
    cases = _cases(plan.suite, plan.every) if plan.suite is not None else []
    if cases:
        require_model(plan.model)
    say(f"{len(_DIAGNOSTICS) + 1} kinds of menus, {plan.menus} of each; {len(cases)} fixes")
    with bench_home(plan.model) as folder:
        return asyncio.run(_measure(plan, cases, folder, progress))


def _cases(suite: Path, every: int) -> list[Case]:
    found = [case for case in read_suite(suite) if case.diagnostic is not None][::every]
    if not found:
        raise TailoraError(
            f"{suite} has no case with a diagnostic: make one with `tailora eval repair-suite --packages NAMES`"
        )
    return found


async def _measure(plan: Plan, cases: Sequence[Case], folder: Path, progress: Progress) -> dict[str, Any]:
    root = folder / "menu"
    root.mkdir()
    menu = await _menus(root, plan.menus, progress)
    resolve = None
    if cases:
        try:
            resolve = await _fixes(cases, folder, progress)
        finally:
            await end_engine()
    return {
        "menu": menu,
        "resolve": resolve,
        "goals": {"menu_p95_ms": MENU_GOAL_MS, "resolve_median_s": RESOLVE_GOAL_S},
        "machine": describe_host(plan.model),
    }


# The menu


def faulty(count: int) -> tuple[str, list[Finding]]:
    """A file of 500 functions, about 2,500 lines, of which ``count`` use a name that nothing defines; and what ruff
    would say of them."""
    text, findings = "", []
    for number in range(_FUNCTIONS):
        broken = number < count
        name = f"margin_{number}" if broken else "width"
        if broken:
            line, column = 5 * number + 2, len("    return total + ")
            message = f"Undefined name `{name}`"
            findings.append(Finding("Ruff", "F821", message, line, column, line, column + len(name)))
        text += _FUNCTION.format(number=number, name=name)
    return text + "# end", findings


async def _menus(root: Path, count: int, progress: Progress) -> dict[str, dict[str, Any]]:
    """By the number of diagnostics, and for a selection."""
    server = LanguageServer(engine=False)
    result = {}
    try:
        await server.start([root])
        for place, diagnostics in enumerate((*_DIAGNOSTICS, 0)):
            name = str(diagnostics) if diagnostics else "selection"
            text, findings = faulty(diagnostics)
            document = Document(root / f"menu_{name}.py", root, "python", text)
            document.path.write_text(text, encoding="utf-8")

            def asked(done: int, place: int = place) -> None:
                progress((place + done / count) / (len(_DIAGNOSTICS) + 1), "menus")

            result[name] = await _menu(server, document, findings, count, asked)
    finally:
        await server.stop()
    return result


async def _menu(
    server: LanguageServer,
    document: Document,
    findings: Sequence[Finding],
    count: int,
    asked: Callable[[int], None],
) -> dict[str, Any]:
    """Asks ``count`` times, each time right behind a key at the file's end; without findings, for a function's body."""
    text = document.text
    diagnostics = [_diagnostic(text, finding) for finding in findings]
    if diagnostics:
        there = {"start": diagnostics[0]["range"]["start"], "end": diagnostics[-1]["range"]["end"]}
    else:
        there = {"start": {"line": 1, "character": 0}, "end": {"line": 3, "character": 0}}
    server.open(document, text)
    times, offered = [], 0
    for number in range(count):
        server.edit(document, Edit(len(text), len(text), "x", text, text + "x"))
        text += "x"
        began = time.perf_counter()
        offered = len(await _actions(server, document, there, diagnostics))
        times.append(1000 * (time.perf_counter() - began))
        if not offered:
            raise TailoraError(f"the language server offered nothing for {document.path.name}")
        asked(number + 1)
    server.close(document)
    p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
    assert p50 is not None
    assert p95 is not None
    return {
        "requests": count,
        "actions": offered,
        "p50_ms": round(p50, 2),
        "p95_ms": round(p95, 2),
        "max_ms": round(max(times), 2),
    }


async def _actions(
    server: LanguageServer,
    document: Document,
    there: dict[str, Any],
    diagnostics: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    params = {
        "textDocument": {"uri": document.path.as_uri()},
        "range": there,
        "context": {"diagnostics": diagnostics, "triggerKind": _INVOKED},
    }
    return await server.request("textDocument/codeAction", params) or []


def _diagnostic(text: str, finding: Finding) -> dict[str, Any]:
    """As LSP has it."""
    return {
        "range": {
            "start": _position(text, finding.line, finding.column),
            "end": _position(text, finding.end_line, finding.end_column),
        },
        "message": finding.message,
        "code": finding.code,
        "source": finding.source,
        "severity": _ERROR,
    }


def _position(text: str, line: int, column: int) -> dict[str, int]:
    lines = text.split("\n", line + 1)
    return position_of("\n" * line + (lines[line] if line < len(lines) else ""), line + column)


# Fixes


async def _fixes(cases: Sequence[Case], folder: Path, progress: Progress) -> dict[str, Any]:
    warm, projects = folder / "warm", folder / "projects"
    warm.mkdir()
    projects.mkdir()
    places = _lay(cases, projects)
    server = LanguageServer()
    rows: list[dict[str, Any]] = []
    try:
        await server.start([warm, *dict.fromkeys(places)])
        await warm_up(server, warm, server.ready)
        for number, (case, root) in enumerate(zip(cases, places, strict=True)):
            progress(number / len(cases), f"fix {number + 1} of {len(cases)}: {case.id}")
            rows.append(await _fix(server, case, root))
    finally:
        await server.stop()
    seconds = [row["seconds"] for row in rows]
    return {
        "cases": len(rows),
        "median_s": round(median(seconds), 2),
        "spread_s": [min(seconds), max(seconds)],
        "with_edit": sum(row["edit"] for row in rows),
        "verified": sum(row["verified"] for row in rows),
        "rows": rows,
    }


def _lay(cases: Sequence[Case], folder: Path) -> list[Path]:
    """The root of each case's project: each package is laid once, each other case has a folder of its own."""
    packages: dict[str, Path] = {}
    roots = []
    for number, case in enumerate(cases):
        if case.package is None:
            root = folder / f"case-{number}"
            root.mkdir()
        else:
            root = packages.get(case.package) or lay_package(case.package, folder)
            packages[case.package] = root
        roots.append(root)
    return roots


async def _fix(server: LanguageServer, case: Case, root: Path) -> dict[str, Any]:
    """Opens the case's file, asks for the menu and chooses the fix; the clock is for the last.

    Raises:
        TailoraError: the menu has no fix, or the server fails.
    """
    assert case.diagnostic is not None
    text = case.files[case.target]
    document = Document(root / case.target, root, language_of(Path(case.target)) or "plaintext", text)
    diagnostic = _diagnostic(text, case.diagnostic)
    with _written({root / path: content for path, content in case.files.items()}):
        server.open(document, text)
        menu = await _actions(server, document, diagnostic["range"], [diagnostic])
        if not menu:
            raise TailoraError(f"{case.id}: the language server offers no fix")
        began = time.perf_counter()
        done = await server.request("codeAction/resolve", menu[0])
        seconds = time.perf_counter() - began
        server.close(document)
    return {
        "id": case.id,
        "kind": case.kind,
        "seconds": round(seconds, 2),
        "edit": bool(done.get("edit")),
        "verified": bool(done.get("isPreferred")),
        "title": done["title"],
    }


@contextlib.contextmanager
def _written(files: Mapping[Path, str]) -> Iterator[None]:
    """Meanwhile the files hold these texts; afterwards they are as they were."""
    before = {path: path.read_bytes() if path.is_file() else None for path in files}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    try:
        yield
    finally:
        for path, data in before.items():
            if data is None:
                path.unlink()
            else:
                path.write_bytes(data)
