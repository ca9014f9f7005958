"""ESLint, by its command line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailora.errors import CheckerFailed
from tailora.repair.checkers.checker import column, family
from tailora.repair.checkers.process import environment, run
from tailora.repair.problem import Finding

__all__ = ["Eslint"]

_SECONDS = 20.0


class Eslint:
    """ESLint. Its configuration is code: for trusted workspaces only."""

    name = "eslint"

    def __init__(
        self, executable: Path, root: Path, languages: frozenset[str], *, seconds: float = _SECONDS
    ) -> None:
        self.languages = languages
        self._executable, self._root, self._seconds = executable, root, seconds
        self._env = environment(root, trusted=True)

    def reports(self, source: str) -> bool:
        """See ``Checker``."""
        return family(source) == "eslint"

    async def check(self, path: Path, text: str, *, codes: Sequence[str] = ()) -> tuple[Finding, ...]:
        """See ``Checker``."""
        command: list[str | Path] = [
            self._executable,
            "--stdin",
            "--stdin-filename",
            path,
            "--format",
            "json",
        ]
        answer = await run(
            command, text, name="eslint", cwd=self._folder(path), env=self._env, seconds=self._seconds
        )
        if answer.code not in (0, 1):
            raise CheckerFailed(f"eslint ended with code {answer.code}: {answer.complaint}")
        lines = text.split("\n")
        try:
            messages = [message for file in json.loads(answer.output) for message in file["messages"]]
            if any(it.get("fatal") is False and it["message"].startswith("File ignored") for it in messages):
                raise CheckerFailed(f"eslint ignores {path.name}")
            return tuple(_finding(message, lines) for message in messages)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            said = f": {answer.complaint}" if answer.complaint else ""
            raise CheckerFailed(f"eslint's answer cannot be read{said}") from error

    def _folder(self, path: Path) -> Path:
        """Where it is to run: version 9 looks for its configuration from there."""
        for folder in path.parents:
            if folder == self._root or any(folder.glob("eslint.config.*")):
                return folder if folder.is_relative_to(self._root) else self._root
        return self._root

    async def close(self) -> None:
        """Nothing is kept."""


def _finding(message: dict[str, Any], lines: Sequence[str]) -> Finding:
    line = max(message.get("line") or 1, 1) - 1
    end_line = (message.get("endLine") or line + 1) - 1
    start = max(message.get("column") or 1, 1)
    end = message.get("endColumn") or start

    def at(row: int, units: int) -> int:
        return column(lines[row], units - 1) if row < len(lines) else 0

    code = message["ruleId"] or ""
    return Finding("eslint", code, message["message"], line, at(line, start), end_line, at(end_line, end))
