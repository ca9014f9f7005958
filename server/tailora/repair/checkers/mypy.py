"""mypy, by its command line: the text is a file elsewhere that shadows the real one."""

import asyncio
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tailora.errors import CheckerFailed
from tailora.repair.checkers.checker import family
from tailora.repair.checkers.process import environment, run
from tailora.repair.problem import Finding
from tailora_adapters.paths import cache_dir

__all__ = ["Mypy"]

_FIRST_SECONDS, _SECONDS = 60.0, 20.0
"""The first time, its cache may be empty."""


class Mypy:
    """mypy. Without trust it reads no configuration, as that may name plugins and interpreters.

    Notes are no findings: they belong to an error. Columns are as mypy gives them, which after other characters than
    ASCII are off by a few.
    """

    name = "mypy"
    languages = frozenset({"python"})

    def __init__(
        self,
        executable: Path,
        root: Path,
        interpreter: Path | None,
        *,
        trusted: bool,
        seconds: float | None = None,
    ) -> None:
        self._root = root
        self._first_seconds, self._seconds = seconds or _FIRST_SECONDS, seconds or _SECONDS
        self._env = environment(root, trusted=trusted)
        self._lock = asyncio.Lock()  # one at a time in the cache
        cache = cache_dir() / "mypy" / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
        # Its own environment is what mypy looks at by itself.
        other = interpreter is not None and interpreter.parent != executable.parent
        self._command = [
            str(executable), "--output", "json", "--no-error-summary", "--show-column-numbers", "--show-error-end",
            "--cache-dir", str(cache),
            *(["--python-executable", str(interpreter)] if other else []),
            *([] if trusted else ["--config-file="]),
        ]  # fmt: skip

    def reports(self, source: str) -> bool:
        """See ``Checker``."""
        return family(source) == "mypy"

    async def check(self, path: Path, text: str, *, codes: Sequence[str] = ()) -> tuple[Finding, ...]:
        """See ``Checker``."""
        if not _is_saved(path):
            raise CheckerFailed(f"mypy looks at saved files only, and {path.name} is none")
        with tempfile.TemporaryDirectory(prefix="tailora-mypy-", ignore_cleanup_errors=True) as folder:
            shadow = Path(folder) / path.name
            shadow.write_bytes(text.encode("utf-8", "replace"))
            command = [*self._command, "--shadow-file", str(path), str(shadow), str(path)]
            async with self._lock:
                answer = await run(
                    command, None, name="mypy", cwd=self._root, env=self._env, seconds=self._first_seconds
                )
                self._first_seconds = self._seconds
        findings: list[Finding] = []
        try:
            for line in answer.output.splitlines():
                item = json.loads(line)
                if item["severity"] == "note" or not self._is(item["file"], path):
                    continue
                first, last = item["line"] - 1, (item.get("end_line") or item["line"]) - 1
                start, end = max(item["column"], 0), item.get("end_column")
                end = start + 1 if end is None else end
                findings.append(Finding("mypy", item["code"] or "", item["message"], first, start, last, end))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if answer.code != 2:
                raise CheckerFailed("mypy's answer cannot be read") from error
            raise CheckerFailed(f"mypy failed: {answer.output.strip()[:300] or answer.complaint}") from error
        # 1: there are findings, be it in other files, but an interpreter that failed ends with 1 too. 2: it went no
        # further than syntax errors, or not even that far.
        if answer.code and not (findings or (answer.code == 1 and answer.output.strip())):
            raise CheckerFailed(f"mypy ended with code {answer.code}: {answer.complaint}")
        return tuple(findings)

    def _is(self, name: str, path: Path) -> bool:
        return os.path.realpath(self._root / name) == os.path.realpath(path)

    async def close(self) -> None:
        """Nothing is kept."""


def _is_saved(path: Path) -> bool:
    return path.is_file()
