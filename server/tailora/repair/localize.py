"""Which lines are suspect: where the checker points, what failing tests ran, and what the model finds unlikely.

The last needs nothing but the file: a line that the model would not have written there stands out (Ray et al., "On the
Naturalness of Buggy Code", ICSE 2016). Suspicion of tests and of the model are multiplied. Knows nothing of candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tailora.repair.problem import Problem, Span
from tailora.repair.propose import Score
from tailora.repair.syntax import Syntax

__all__ = ["Oddity", "oddities", "pointed", "regions", "suspects"]

_NEAR = 3
_MOST_REGIONS = 3
_LONGEST = 120
"""Lines of a function that are judged as a whole; of a longer one, those around the suspect lines."""
_AROUND = 24
"""The same where a checker points into a body."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """A line and what the model would rather have written in it."""

    line: int
    surprise: float
    """Nats: how much likelier the likeliest token was than the one that is there, at the worst place of the line."""
    kept: str
    """The line up to there."""
    rather: tuple[str, ...]
    """What the model would go on with instead, best first."""


def regions(problem: Problem, syntax: Syntax) -> list[Span]:
    """The lines that are judged together: the bodies of the functions that a finding or a failing test points to, the
    most suspect first; without either, of the last functions of the file."""
    if problem.findings:
        last = len(syntax.lines) - 1
        lines = [min(max(finding.line, 0), last) for finding in problem.findings]
    elif any(problem.suspects):
        lines = sorted(
            (line for line, value in enumerate(problem.suspects[: len(syntax.lines)]) if value),
            key=lambda line: -problem.suspects[line],
        )
    else:
        lines = [syntax.body(function).first for function in reversed(syntax.functions())] or [0]
    found: list[Span] = []
    for line in lines:
        if len(found) < _MOST_REGIONS and not any(line in span for span in found):
            inside = bool(problem.findings) and _head(syntax, line) is None
            found.append(_around(syntax, line, _AROUND if inside else _LONGEST))
    return found


def _around(syntax: Syntax, line: int, most: int) -> Span:
    """The body of the function around ``line``, or ``most`` lines of it."""
    function = syntax.function(line)
    whole = Span(0, len(syntax.lines)) if function is None else syntax.body(function)
    if line not in whole and function is not None and line in function and len(whole):
        return Span(whole.first, min(whole.end, whole.first + most))
    if line not in whole:
        whole = Span(line, line + 1)
    if len(whole) > most:
        whole = Span(max(whole.first, line - most // 2), min(whole.end, line + most // 2))
    return whole


def oddities(lines: Sequence[str], region: Span, scores: Sequence[Score]) -> dict[int, Oddity]:
    """For each judged line its most surprising place, by line."""
    found: dict[int, Oddity] = {}
    line, kept = region.first, ""
    for score in scores:
        if line >= region.end:
            break
        best = max((value for _, value in score.top), default=score.logprob)
        surprise = max(0.0, best - score.logprob)
        known = found.get(line)
        if known is None or surprise > known.surprise:
            rather = tuple(text for text, value in score.top if text != score.text and value > score.logprob)
            found[line] = Oddity(line, surprise, kept, rather)
        kept += score.text
        if "\n" in score.text:
            line += score.text.count("\n")
            kept = kept.rpartition("\n")[2]
    return {line: oddity for line, oddity in found.items() if lines[line].strip()}


def suspects(problem: Problem, syntax: Syntax, odd: dict[int, Oddity]) -> list[Span]:
    """Statements to rewrite, the most suspect first.

    With findings: the statements that they point to, then odd ones near them, nearest first. With suspicion from tests:
    by its product with the model's surprise.
    """
    if problem.findings:
        places = [syntax.statement(_inside(finding.line, syntax)) for finding in problem.findings]
        lines = [span.first for span in places]
        heads = [span for line in lines if (span := _head(syntax, line)) is not None]
        near = sorted(
            (
                line
                for line in odd
                if min(abs(line - other) for other in lines) <= _NEAR or any(line in head for head in heads)
            ),
            key=lambda line: -odd[line].surprise,
        )
        others = [syntax.statement(line) for line in near]
        # What is said of a function's head is mostly the fault of its body.
        return _distinct([*others[:2], *places, *others[2:]] if heads else [*places, *others])
    chances: dict[Span, float] = {}
    for line, oddity in odd.items():
        span = syntax.statement(line)
        tested = problem.suspects[line] if line < len(problem.suspects) else 1.0
        chances[span] = max(chances.get(span, 0.0), (0.05 + tested) * (0.1 + oddity.surprise))
    return sorted(chances, key=lambda span: (-chances[span], span.first))


def pointed(problem: Problem, syntax: Syntax) -> Span | None:
    """The statement that is first among ``suspects`` whatever is odd; None where that depends on it."""
    places = [syntax.statement(_inside(finding.line, syntax)) for finding in problem.findings]
    return places[0] if places and all(_head(syntax, place.first) is None for place in places) else None


def _head(syntax: Syntax, line: int) -> Span | None:
    """The function whose first lines ``line`` is among."""
    span = syntax.function(line)
    return span if span is not None and line <= span.first + 1 else None


def _inside(line: int, syntax: Syntax) -> int:
    """A line that exists, whatever range a diagnostic has; from a blank one the next that is not."""
    line = min(max(line, 0), len(syntax.lines) - 1)
    while line + 1 < len(syntax.lines) and not syntax.lines[line].strip():
        line += 1
    return line


def _distinct(spans: Sequence[Span]) -> list[Span]:
    return list(dict.fromkeys(spans))
