"""What a diagnostic itself suggests: an unknown name meant another one, arguments changed places, a word is missing.

Each is one line and costs no answer of the model. Knows nothing of scopes or types; the checker says which holds.
"""

import difflib
import re
from collections import Counter

from tailora.repair.problem import Problem, Span
from tailora_adapters.corpus.bugs import bugs

__all__ = ["suggested"]

_UNKNOWN = re.compile(
    r"undefined|not defined|unresolved|cannot find|unknown|has no (?:attribute|member)|attribute|does not exist"
    r"|is not a known|not declared|did you mean",
    re.IGNORECASE,
)
_ARGUMENTS = re.compile(r"argument|overload|parameter|not assignable|incompatible", re.IGNORECASE)
_LEADS = (
    (
        re.compile(
            r"useless expression|not accessed|unused expression|expression value is unused", re.IGNORECASE
        ),
        "return ",
    ),
    (re.compile(r"coroutine|not awaited|never awaited|awaitable", re.IGNORECASE), "await "),
)
Suggestion = tuple[Span, tuple[str, ...]]
_WORD = re.compile(r"[^\W\d]\w*")
_OBJECTS = {"python": "self.", "javascript": "this.", "typescript": "this.", "typescriptreact": "this."}
_ALIKE = 0.7
"""difflib's ratio: one letter of five is left out."""


def suggested(problem: Problem) -> list[Suggestion]:
    """New lines, the likeliest first; a few."""
    found = [*_respelled(problem)[:3], *_missing_words(problem)[:2], *_swapped(problem)[:3]]
    return list(dict.fromkeys(found))


def _respelled(problem: Problem) -> list[Suggestion]:
    """Lines in which an unknown name is another one that stands in the file, or of the object."""
    found: dict[Suggestion, None] = {}
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
    return list(found)


def _missing_words(problem: Problem) -> list[Suggestion]:
    """A value that nobody uses: it was to be returned, or waited for."""
    lines = problem.text.split("\n")
    found: list[Suggestion] = []
    for finding in problem.findings:
        if not 0 <= finding.line < len(lines):
            continue
        line = lines[finding.line]
        text = line.lstrip()
        for pattern, word in _LEADS:
            if pattern.search(finding.message) and text and not text.startswith(word):
                new = line[: len(line) - len(text)] + word + text
                found.append((Span(finding.line, finding.line + 1), (new,)))
    return found


def _swapped(problem: Problem) -> list[Suggestion]:
    """Calls around a finding with two neighbouring arguments the other way round. Python only."""
    if problem.language != "python" or not any(
        _ARGUMENTS.search(found.message) for found in problem.findings
    ):
        return []
    found = []
    for finding in problem.findings:
        near = range(finding.line - 2, max(finding.line, finding.end_line) + 3)
        for bug in bugs(problem.text, ("arguments",), near):
            found.append((Span(bug.first, bug.first + len(bug.was)), bug.now))
    return sorted(found, key=lambda one: abs(one[0].first - problem.findings[0].line))


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
