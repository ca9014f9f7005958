"""What every checker offers, and the names under which checkers publish."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tailora.repair.problem import Finding

__all__ = ["Checker", "column", "family"]

_FAMILIES = {
    "pylance": "pyright", "basedpyright": "pyright", "dmypy": "mypy", "typescript": "ts", "tsc": "ts", "tsserver": "ts",
    "javascript": "ts", "js": "ts",
}  # fmt: skip


class Checker(Protocol):
    """A static checker, for one project."""

    @property
    def name(self) -> str:
        """Its command, such as ``ruff``."""

    @property
    def languages(self) -> frozenset[str]:
        """LSP identifiers."""

    def reports(self, source: str) -> bool:
        """Whether a diagnostic of this ``source`` comes from this checker, or from one that it can stand in for."""

    async def check(self, path: Path, text: str, *, codes: Sequence[str] = ()) -> tuple[Finding, ...]:
        """Findings in ``text`` as if it stood at the absolute ``path``, which is never written and may not exist.

        Args:
            codes: Rules to report even where the project's settings leave them out, if the checker can: the editor may
                run with other settings.

        Raises:
            CheckerFailed: it cannot be run, crashes, takes too long, or answers what cannot be read.
        """

    async def close(self) -> None:
        """Ends what was kept running."""


def family(source: str) -> str:
    """One name for all integrations of a checker; empty for an unknown source."""
    name = source.strip().lower()
    return _FAMILIES.get(name, name)


def column(line: str, units: int, encoding: str = "utf-16") -> int:
    """The code point at an offset in code units of ``encoding``, as LSP names encodings."""
    if encoding == "utf-32" or line.isascii():
        return min(units, len(line))
    if encoding == "utf-8":
        return len(line.encode("utf-8", "replace")[:units].decode("utf-8", "ignore"))
    return len(line.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "ignore"))
