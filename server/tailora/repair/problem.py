"""What is to be repaired, and what was found: the values that the stages of a repair hand on.

Lines and columns count from 0, columns in characters (code points). Line endings in texts are LF.
"""

from dataclasses import dataclass, field
from pathlib import PurePath

from tailora_adapters.repair.hole import Span

__all__ = ["Candidate", "Finding", "Problem", "Repair", "Span"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnostic, whoever published it."""

    source: str
    """The checker's name as it calls itself, such as ``Ruff``; empty where it is not known."""
    code: str
    message: str
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that something is wrong with."""

    path: PurePath
    """Relative to the project's root."""
    text: str
    language: str
    """LSP language identifier."""
    findings: tuple[Finding, ...] = ()
    """What must be gone. None where a test fails instead."""
    suspects: tuple[float, ...] = ()
    """Suspicion of each line from 0 to 1, from tests (see ``spectrum``); empty where there are none."""
    said: tuple[str, ...] = ()
    """What a failing test said."""
    imports: tuple[str, ...] = ()
    """Import lines that may be missing, the likeliest first."""
    context: tuple[tuple[str, str], ...] = ()
    """Pieces of other files that tell more, as paths and texts."""
    within: Span | None = None
    """The lines that alone may be rewritten; None where any may."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """New lines for a span."""

    span: Span
    lines: tuple[str, ...]
    text: str
    """The whole file with them."""
    round: int = 1
    """When it was asked for; 0: it was known without the model, as a missing import."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A candidate that held, and what was asked of it."""

    candidate: Candidate
    checks: tuple[str, ...]
    """What was verified, in words for a title, such as ``diagnostic cleared``."""
    verified: bool
    """Whether the checker that complained, or the test that failed, was asked again and is satisfied."""
    tests_passed: int = 0
    notes: tuple[str, ...] = field(default=())
    """Why it is less than verified."""
