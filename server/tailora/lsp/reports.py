"""Reports that the command line makes, for editors: what would be learned, and what is wrong with the machine.

Each runs the command line in a process of its own, so nothing of it weighs on the language server. Also says where the
log is, and why a document gets no suggestions.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailora.lsp.silence import reason_for
from tailora.lsp.text import path_of
from tailora_adapters.errors import TailoraError
from tailora_adapters.paths import log_file

if TYPE_CHECKING:
    from tailora.lsp.server import TailoraServer

__all__ = ["doctor", "here", "learned", "log"]

_PATIENCE_S = 300


async def here(ls: TailoraServer, uri: Any = None, *_: Any) -> dict[str, Any]:
    """Why nothing is suggested in the document at ``uri`` at all; null if nothing stands against it."""
    if not isinstance(uri, str):
        raise TailoraError("the argument is the URI of a document")
    path = path_of(uri)
    options = ls.settings.for_root(ls.folders.place(path).root).completion
    reason = reason_for(ls.workspace.opened(uri), uri, path, options)
    return {"ok": True, "message": reason or "Suggestions are made here", "reason": reason}


async def learned(ls: TailoraServer, root: Path, *_: Any) -> dict[str, Any]:
    """The files that a training run would read now, and those that are left out, each with its reason."""
    told = await _run("train", str(root), "--explain", "--json")
    message = f"{len(told['learned'])} files are learned, {len(told['left_out'])} left out"
    return {"ok": True, "message": message, **told}


async def doctor(ls: TailoraServer, *_: Any) -> dict[str, Any]:
    """What ``tailora doctor`` finds."""
    findings = await _run("doctor", "--json")
    wrong = sum(finding["level"] == "problem" for finding in findings)
    message = f"{wrong} problems were found" if wrong else "No problem was found"
    return {"ok": True, "message": message, "findings": findings}


async def log(ls: TailoraServer, *_: Any) -> dict[str, Any]:
    """Where the engine writes its log."""
    path = log_file()
    return {"ok": True, "message": f"The engine's log is {path}", "path": str(path)}


async def _run(*arguments: str) -> Any:
    """The document that ``tailora ARGUMENTS`` prints.

    Raises:
        TailoraError: it printed none; says what it said instead.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tailora", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            stdout, stderr = await process.communicate()
        return json.loads(stdout)
    except TimeoutError as error:
        raise TailoraError(f"tailora {arguments[0]} did not end within {_PATIENCE_S} s") from error
    except ValueError as error:
        said = stderr.decode(errors="replace").strip().splitlines()
        raise TailoraError(said[-1] if said else f"tailora {arguments[0]} said nothing") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
