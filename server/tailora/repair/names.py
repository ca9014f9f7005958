"""Names that a checker does not know, as they may have been meant: spelled a little differently, or of the object.

For every language: works on words. Knows nothing of scopes; the checker says which of them holds.
"""

import difflib
import re
from collections import Counter

from tailora.repair.problem import Problem, Span

__all__ = ["respelled"]

_UNKNOWN = re.compile(
    r"undefined|not defined|unresolved|cannot find|unknown|has no (?:attribute|member)|attribute|does not exist"
    r"|is not a known|not declared|did you mean",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d]\w*")
_OBJECTS = {"python": "self.", "javascript": "this.", "typescript": "this.", "typescriptreact": "this."}
_ALIKE = 0.7
"""difflib's ratio: one letter of five is left out."""


def respelled(problem: Problem, most: int = 3) -> list[tuple[Span, tuple[str, ...]]]:
    """Lines in which an unknown name is another one that stands in the file, the likeliest first."""
    found: dict[tuple[Span, tuple[str, ...]], None] = {}
    lines = problem.text.split("\n")
    words = Counter(_WORD.findall(problem.text))
    for finding in problem.findings:
        if not _UNKNOWN.search(finding.message) or not 0 <= finding.line < len(lines):
            continue
        line = lines[finding.line]
        name = _name_at(line, finding.column, finding.message)
        if name is None:
            continue
        span = Span(finding.line, finding.line + 1)
        alone = re.compile(rf"(?<![\w.]){re.escape(name)}\b")
        place = alone if alone.search(line) else re.compile(rf"\b{re.escape(name)}\b")
        for other in _meant(name, words, problem, of_object=place is not alone):
            found[span, (place.sub(other, line),)] = None
    return list(found)[:most]


def _name_at(line: str, column: int, message: str) -> str | None:
    """The word that a finding is about: one of its line that its message quotes, else the one at its place."""
    quoted = set(_WORD.findall(message))
    words = [(match.start(), match[0]) for match in _WORD.finditer(line)]
    named = [word for _, word in words if re.search(rf"[\"'`“‘]{re.escape(word)}[\"'`”’]", message)]
    here = [word for start, word in words if start <= column < start + len(word) and word in quoted]
    return next(iter([*here, *named]), None)


def _meant(name: str, words: Counter[str], problem: Problem, *, of_object: bool) -> list[str]:
    """What ``name`` may stand for. ``of_object``: it is an attribute already."""
    others = [word for word in words if word != name and (words[word] > 1 or len(word) > 3)]
    near = difflib.get_close_matches(name, others, n=3, cutoff=_ALIKE)
    near.sort(key=lambda word: -words[word])
    attribute = _OBJECTS.get(problem.language, "") + name
    if not of_object and attribute != name and re.search(rf"\b{re.escape(attribute)}\b", problem.text):
        near.insert(0, attribute)
    return near
