"""``tailora.repairTest``: repairs a failing test, and asks the editor to apply the edit that holds.

The tests run in a copy of the project that has the open documents as they are in the editor. Invariants: nothing runs
unless the workspace is trusted and ``repair.run_tests`` is on; and an edit is applied to just the lines that were
tried, or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from tailora.errors import RepairError
from tailora.lsp.code_action import title_of
from tailora.lsp.repairs import settings_of
from tailora.lsp.text import Document, path_of, plain_lines
from tailora.lsp.works import Report, Stopped
from tailora.lsp.workspace_edits import workspace_edit
from tailora.repair.edits import rebased
from tailora.repair.failing_test import last_line
from tailora.repair.problem import Candidate, Problem
from tailora.repair.session import TestRepair, repair_test
from tailora.sandbox import Limits
from tailora_adapters.corpus.secrets import is_secret_file

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["COMMAND", "refusal", "run"]

COMMAND = "tailora.repairTest"


def refusal(ls: TailoraServer, root: Path) -> str | None:
    """Why tests of ``root`` may not be run, if so; names the setting."""
    options = ls.settings.for_root(root)
    if not options.repair.enabled:
        return "repair.enabled is false in the settings"
    if not options.repair.run_tests:
        return "repair.run_tests is false in the settings: tests are not run"
    if not options.learning.trusted:
        return (
            f"learning.trusted is false in the settings: {root.name} is not trusted, so its tests are not run"
        )
    return None


async def run(ls: TailoraServer, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Repairs the test that the arguments, the URI of its file and its node id, name.

    Raises:
        RepairError: it cannot be repaired; says why.
        EngineError: the model cannot be asked.
    """
    uri, node = arguments if len(arguments) == 2 else (None, None)
    path = path_of(uri) if isinstance(uri, str) else None
    if path is None or not isinstance(uri, str) or not isinstance(node, str):
        raise RepairError("the arguments are the URI of a file and the node id of a test in it")
    place = ls.folders.place(path)
    if place.root is None or node.partition("::")[0] != place.relative:
        raise RepairError(f"{node} is no test in a file of this workspace")
    if (why := refusal(ls, place.root)) is not None:
        raise RepairError(why)
    await ls.link.ensure()
    try:
        done = await _search(ls, uri, place.root, node)
    except Stopped:
        return {"ok": False, "message": "The repair was ended"}
    if not done.report.repairs:
        raise RepairError(
            f"nothing was found that holds ({len(done.report.attempts)} tried); {node}: {last_line(done.said)}"
        )
    best = done.report.repairs[0]
    await _apply(ls, place.root, done.problem, best.candidate, title_of(best))
    message = f"{title_of(best)} ({done.problem.path.as_posix()})"
    return {"ok": True, "message": message, "path": done.problem.path.as_posix(), "tests": list(done.failing)}


async def _search(ls: TailoraServer, uri: str, root: Path, node: str) -> TestRepair:
    options = ls.settings.for_root(root)

    async def work(report: Report) -> TestRepair:
        return await repair_test(
            root,
            [node],
            lambda problem: ls.repairs.model(root, problem),
            settings=settings_of(options.repair),
            limits=Limits(seconds=options.repair.test_deadline_ms / 1000),
            texts={
                relative: plain_lines(document.source) for relative, document in _opened(ls, root).items()
            },
            around=ls.repairs.around(root),
            progress=report,
        )

    return await ls.works.run(uri, f"Repairing {node.rpartition('::')[2]}", work)


def _opened(ls: TailoraServer, root: Path) -> dict[str, Document]:
    """The open documents of a folder, by their paths in it."""
    found: dict[str, Document] = {}
    for uri in list(ls.workspace.text_documents):
        document, path = ls.workspace.opened(uri), path_of(uri)
        place = ls.folders.place(path) if path is not None else None
        if document is None or document.oversize or place is None or place.root != root:
            continue
        if place.relative is not None and not is_secret_file(place.relative):
            found[place.relative] = document
    return found


async def _apply(ls: TailoraServer, root: Path, problem: Problem, candidate: Candidate, title: str) -> None:
    """Has the editor apply what ``candidate`` changes.

    Raises:
        RepairError: the lines were changed meanwhile, or the editor does not take the edit.
    """
    relative = problem.path.as_posix()
    document = _opened(ls, root).get(relative)
    if document is not None:
        uri, version, source = document.uri, document.version, document.source
        changes = rebased(problem.text, candidate.text, plain_lines(source))
    else:
        uri, version, source = (root / relative).as_uri(), None, _on_disk(root / relative)
        unchanged = plain_lines(source) == problem.text
        changes = rebased(problem.text, candidate.text, problem.text) if unchanged else None
    if changes is None:
        raise RepairError(f"{relative} was changed meanwhile, so the fix was withdrawn")
    params = types.ApplyWorkspaceEditParams(workspace_edit(ls, uri, version, source, changes), label=title)
    try:
        answer = await ls.workspace_apply_edit_async(params)
    except JsonRpcException as error:
        raise RepairError(f"the editor takes no edits: {error.message}") from error
    if not answer.applied:
        raise RepairError(
            f"the editor did not apply the edit: {answer.failure_reason or 'it does not say why'}"
        )


def _on_disk(path: Path) -> str:
    """A file's text with its line ends; empty if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""
