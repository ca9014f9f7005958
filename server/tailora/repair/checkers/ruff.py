"""Ruff, by its command line."""

import json
from collections.abc import Sequence
from pathlib import Path

from tailora.errors import CheckerFailed
from tailora.repair.checkers.checker import family
from tailora.repair.checkers.process import Answer, environment, run
from tailora.repair.problem import Finding

__all__ = ["Ruff"]

_SECONDS = 20.0


class Ruff:
    """Ruff; reads the settings that hold for the path, and looks at files that the project excludes too."""

    name = "ruff"
    languages = frozenset({"python"})

    def __init__(self, executable: Path, root: Path, *, trusted: bool, seconds: float = _SECONDS) -> None:
        self._executable, self._root, self._seconds = executable, root, seconds
        self._env = environment(root, trusted=trusted)

    def reports(self, source: str) -> bool:
        """See ``Checker``."""
        return family(source) == "ruff"

    async def check(self, path: Path, text: str, *, codes: Sequence[str] = ()) -> tuple[Finding, ...]:
        """See ``Checker``."""
        # A rule that this version does not know, or knows as a name of a syntax error, would be all that it says.
        rules = sorted({code for code in codes if code.isalnum() and code[-1:].isdigit() and code.isascii()})
        answer = await self._ask(path, text, rules)
        if answer.code and rules:
            answer = await self._ask(path, text, [])
        if answer.code:
            raise CheckerFailed(f"ruff ended with code {answer.code}: {answer.complaint}")
        try:
            return tuple(
                Finding(
                    "Ruff",
                    item["code"] or "",
                    item["message"],
                    item["location"]["row"] - 1,
                    item["location"]["column"] - 1,
                    item["end_location"]["row"] - 1,
                    item["end_location"]["column"] - 1,
                )
                for item in json.loads(answer.output)
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CheckerFailed("ruff's answer cannot be read") from error

    async def _ask(self, path: Path, text: str, rules: Sequence[str]) -> Answer:
        more = ["--extend-select", ",".join(rules)] if rules else []
        options = ["--output-format", "json", "--no-fix", "--exit-zero", "--quiet", *more]
        command: list[str | Path] = [self._executable, "check", *options, "--stdin-filename", path, "-"]
        return await run(command, text, name="ruff", cwd=self._root, env=self._env, seconds=self._seconds)

    async def close(self) -> None:
        """Nothing is kept."""
