"""TypeScript before version 7, by ``tsserver``: what editors ask too, so that it answers as they show it."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailora.errors import CheckerFailed
from tailora.repair.checkers.checker import column, family
from tailora.repair.checkers.process import end, environment, frame, start
from tailora.repair.problem import Finding

__all__ = ["TypeScript"]

_SECONDS = 60.0
"""It reads the project every time."""
_ASKED = ("syntacticDiagnosticsSync", "semanticDiagnosticsSync")


class TypeScript:
    """TypeScript, with the project's ``tsconfig.json``; started for every check."""

    name = "tsc"

    def __init__(
        self,
        executable: Path,
        root: Path,
        languages: frozenset[str],
        *,
        trusted: bool,
        seconds: float = _SECONDS,
    ) -> None:
        self.languages = languages
        self._executable, self._root, self._seconds = executable, root, seconds
        self._env = environment(root, trusted=trusted)

    def reports(self, source: str) -> bool:
        """See ``Checker``."""
        return family(source) == "ts"

    async def check(self, path: Path, text: str, *, codes: Sequence[str] = ()) -> tuple[Finding, ...]:
        """See ``Checker``."""
        command: list[str | Path] = [
            self._executable,
            "--disableAutomaticTypingAcquisition",
            "--suppressDiagnosticEvents",
        ]
        process = await start(command, name="tsserver", cwd=self._root, env=self._env)
        try:
            async with asyncio.timeout(self._seconds):
                bodies = await _ask(process, path, text, self._root)
            lines = text.split("\n")
            return tuple(
                _finding(it, lines) for body in bodies for it in body if it["category"] != "suggestion"
            )
        except TimeoutError:
            raise CheckerFailed(f"tsserver took longer than {self._seconds:g} s and was stopped") from None
        except (EOFError, ConnectionError) as error:
            raise CheckerFailed("tsserver ended before it answered") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CheckerFailed("tsserver's answer cannot be read") from error
        finally:
            await end(process)

    async def close(self) -> None:
        """Nothing is kept."""


async def _ask(process: asyncio.subprocess.Process, path: Path, text: str, root: Path) -> list[Any]:
    """The bodies of the answers to ``_ASKED``."""
    assert process.stdin is not None
    assert process.stdout is not None
    file = path.as_posix()
    opened = {"file": file, "fileContent": text, "projectRootPath": root.as_posix()}
    requests = [("open", opened), *((command, {"file": file}) for command in _ASKED)]
    for number, (command, arguments) in enumerate(requests):
        request = {"seq": number, "type": "request", "command": command, "arguments": arguments}
        process.stdin.write(json.dumps(request).encode() + b"\n")
    bodies: dict[int, Any] = {}
    while len(bodies) < len(_ASKED):
        message = await frame(process.stdout)
        if message["type"] == "response" and message["command"] in _ASKED:
            if not message["success"]:
                raise CheckerFailed(f"tsserver refuses: {str(message.get('message'))[:300]}")
            bodies[message["request_seq"]] = message["body"]
    return [bodies[number] for number in sorted(bodies)]


def _finding(it: dict[str, Any], lines: Sequence[str]) -> Finding:
    def at(place: dict[str, int]) -> tuple[int, int]:
        row = place["line"] - 1
        return row, column(lines[row], place["offset"] - 1) if row < len(lines) else 0

    return Finding("ts", str(it["code"]), it["text"], *at(it["start"]), *at(it["end"]))
