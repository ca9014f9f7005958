"""What an edit did to a checker's findings.

Lines shift with an edit, so findings are counted by what they say, not by where. Knows no checker.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tailora.repair.checkers.checker import family
from tailora.repair.problem import Finding

__all__ = ["Comparison", "compare"]

_NEAR = 3
"""Lines that an editor's range may be off."""
_LINE_NUMBER = re.compile(r"\b(lines?) \d+")
_SYNTAX_PREFIX = re.compile(r"^SyntaxError: ")

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an edit did."""

    gone: bool
    """All that it was made for."""
    new: tuple[Finding, ...]
    """What it brought."""


def compare(
    before: Sequence[Finding], after: Sequence[Finding], targets: Sequence[Finding]
) -> Comparison | None:
    """Whether all targets are gone, and what is new; None where ``before`` does not hold all targets.

    Nothing can be said then: the diagnostic is stale, its range is wrong, or the editor runs with other settings.
    """
    found = _locate(before, targets)
    if found is None:
        return None
    was, now = Counter(map(_key, before)), Counter(map(_key, after))
    wanted = Counter(map(_key, found))
    gone = all(now[key] <= was[key] - count for key, count in wanted.items())
    lines = defaultdict(set)
    for finding in before:
        lines[_key(finding)].add(finding.line)
    new: list[Finding] = []
    for key in now:
        if (excess := now[key] - was[key]) > 0:
            same = [finding for finding in after if _key(finding) == key]
            # Those that stand where one stood before are the likeliest to be old.
            same.sort(key=lambda finding: finding.line in lines[key])
            new += same[:excess]
    return Comparison(gone, tuple(sorted(new, key=lambda finding: (finding.line, finding.column))))


def _locate(before: Sequence[Finding], targets: Sequence[Finding]) -> list[Finding] | None:
    """The finding of each target, each another one."""
    left = list(before)
    found: list[Finding] = []
    for target in targets:
        ranked = [(rank, at) for at, it in enumerate(left) if (rank := _likeness(it, target)) is not None]
        if not ranked:
            return None
        found.append(left.pop(min(ranked)[1]))
    return found


def _likeness(finding: Finding, target: Finding) -> tuple[bool, int, int] | None:
    """How far a finding is from being the target, least first; None if it cannot be it."""
    if target.source and finding.source and family(finding.source) != family(target.source):
        return None
    off = abs(finding.line - target.line)
    both = bool(finding.code and target.code)
    if off > _NEAR or (both and finding.code.lower() != target.code.lower()):
        return None
    codes = {finding.code, target.code}
    same = _plain(finding.message, codes) == _plain(target.message, codes)
    # Integrations put messages in their own words; then code and line must do.
    if not same and (not both or off):
        return None
    return not same, off, abs(finding.column - target.column)


def _plain(message: str, codes: set[str]) -> str:
    """A message without what an integration added: the code before or behind it."""
    text = _SYNTAX_PREFIX.sub("", " ".join(message.split()))
    for code in filter(None, codes):
        name = re.escape(code)
        text = re.sub(rf"^\[?{name}\]?:? (?=.)", "", text, flags=re.IGNORECASE)
        text = re.sub(rf" ?(\[{name}\]|\({name}\)| {name})$", "", text, flags=re.IGNORECASE)
    return _LINE_NUMBER.sub(r"\1 #", text).removeprefix("error: ")


def _key(finding: Finding) -> _Key:
    """What a finding says. Lines that a message names shift too."""
    message = _LINE_NUMBER.sub(r"\1 #", " ".join(finding.message.split()))
    return family(finding.source), finding.code, message
