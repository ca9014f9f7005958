"""One problem from beginning to end: suspect lines, what the model writes there, what of it holds, what is shown first.

What needs no model comes first, and is all if it is verified; then the statement that a checker points to; only then
the model judges the lines around. It is asked up to ``Settings.candidates`` times in two rounds; the second is told
what was tried in vain. Stops early when enough was verified. Knows nothing of LSP, of the engine or of how a candidate
is tried.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

from tailora.repair import localize
from tailora.repair.import_edits import import_edits
from tailora.repair.localize import Oddity
from tailora.repair.problem import Candidate, Problem, Repair, Span
from tailora.repair.propose import Model, Score
from tailora.repair.rank import ranked
from tailora.repair.suggestions import suggested
from tailora.repair.syntax import Syntax
from tailora.repair.validate import Trial, Verdict
from tailora_adapters.base.prompt import ANCHOR_LINES
from tailora_adapters.repair.hole import Notes, make_hole

__all__ = ["Attempt", "Report", "Settings", "repair"]

_TOKENS = 48
"""To write, beside twice as many as the suspect lines have characters by four."""
_MOST_TOKENS = 256
_TRIED_SHOWN = 2
_BEHIND = 8
"""Lines behind new ones that are to go with them."""
_BEFORE_CHARS = 1_000
"""What the model reads before the suspect lines begins at one place for all questions, about so far before them: what
was read for one is not read again for the next."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is tried."""

    candidates: int = 10
    enough: int = 2
    """Verified candidates to choose from; then no more are asked for."""
    seconds: float = 20.0
    """After these no more candidates are asked for. Not counted is the time in which the model judges the lines, and in
    which the checkers look at the file as it is."""
    seconds_held: float = 6.0
    """The same once one holds."""
    shown: int = 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate and what came of it."""

    candidate: Candidate
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a problem."""

    repairs: tuple[Repair, ...]
    """Best first."""
    attempts: tuple[Attempt, ...]
    seconds: float


_NOTHING = Notes()


@dataclass(frozen=True, slots=True)
class _Idea:
    """One question to the model."""

    span: Span
    notes: Notes = _NOTHING
    given: str | None = None
    temperature: float = 0.0
    lines: tuple[str, ...] | None = None
    """New lines that are known already: the model is not asked."""
    round: int = 1


async def repair(
    problem: Problem,
    model: Model,
    trial: Trial,
    settings: Settings = Settings(),
    *,
    progress: Callable[[float, str], None] = lambda _fraction, _message: None,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Looks for edits of ``problem.text`` that hold.

    Raises:
        EngineError: the model cannot be asked.
    """
    began = clock()
    work = _Work(problem, model, clock)
    progress(0.0, "looking for suspect lines")
    prepared = asyncio.create_task(trial.prepare())
    attempts: list[Attempt] = []
    waited = 0.0
    ideas = work.ideas(attempts)
    try:
        for asked in range(settings.candidates):
            verified = sum(attempt.verdict.verified for attempt in attempts)
            some = any(attempt.verdict.holds for attempt in attempts)
            spent = clock() - began - waited - work.looked
            if verified >= settings.enough or spent > (settings.seconds_held if some else settings.seconds):
                break
            idea = await anext(ideas, None)
            if idea is None:
                break
            progress(asked / settings.candidates, f"trying candidate {asked + 1} of {settings.candidates}")
            candidate = await work.ask(idea)
            now = clock()
            await prepared
            waited += clock() - now
            if candidate is not None:
                attempts.append(Attempt(candidate, await trial(candidate)))
    finally:
        prepared.cancel()
        await ideas.aclose()
    held = [attempt for attempt in attempts if attempt.verdict.holds]
    if any(attempt.verdict.verified for attempt in held):
        held = [attempt for attempt in held if attempt.verdict.verified]
    compared = sum(attempt.candidate.round > 0 for attempt in held) > 1
    changes = [
        await work.entropy_change(attempt.candidate) if compared and attempt.candidate.round else 0.0
        for attempt in held
    ]
    repairs = ranked(
        [
            Repair(
                attempt.candidate,
                attempt.verdict.checks,
                attempt.verdict.verified,
                attempt.verdict.tests_passed,
                attempt.verdict.notes,
            )
            for attempt in held
        ],
        changes,
        problem,
    )
    return Report(tuple(repairs[: settings.shown]), tuple(attempts), clock() - began)


class _Work:
    """What is known of one problem while it is worked on."""

    def __init__(self, problem: Problem, model: Model, clock: Callable[[], float]) -> None:
        self._problem = problem
        self._model = model
        self._clock = clock
        self._syntax = Syntax(problem.text, problem.language)
        self._lines = self._syntax.lines
        self._odd: dict[int, Oddity] = {}
        self._spans: list[Span] = []
        self._regions = localize.regions(problem, self._syntax)
        """What is judged."""
        self._begin = self._beginning(min(region.first for region in self._regions))
        self._nats: dict[Span, float] = {}
        self.looked = 0.0
        """Seconds in which lines were judged."""

    def _beginning(self, line: int) -> int:
        """The first line that the model reads before ``line``."""
        begin, chars = line, 0
        while begin and chars + len(self._lines[begin - 1]) < _BEFORE_CHARS:
            begin -= 1
            chars += len(self._lines[begin]) + 1
        return begin - begin % ANCHOR_LINES

    def _before(self, line: int) -> int:
        """Characters before the first line that the model reads before ``line``."""
        begin = self._begin if line >= self._begin else self._beginning(line)
        return sum(len(text) + 1 for text in self._lines[:begin])

    async def _look(self) -> None:
        """Has the model judge the lines around, and orders the suspect statements."""
        began = self._clock()
        for region in self._regions:
            scores = await self._judge(self._lines, region)
            self._odd |= localize.oddities(self._lines, region, scores)
        self.looked += self._clock() - began
        self._spans = localize.suspects(self._problem, self._syntax, self._odd)
        within = self._problem.within
        if within is not None:
            self._odd = {line: oddity for line, oddity in self._odd.items() if line in within}
            inner = [span for span in self._spans if self._may(span) and span != within]
            self._spans = [within, *inner]

    def _may(self, span: Span) -> bool:
        """Whether a span may be rewritten."""
        within = self._problem.within
        return within is None or (within.first <= span.first and span.end <= within.end)

    async def _judge(self, lines: Sequence[str], span: Span) -> tuple[Score, ...]:
        head = "".join(line + "\n" for line in lines[: span.first])[self._before(span.first) :]
        tail = "".join("\n" + line for line in lines[span.end :]) or "\n"
        return await self._model.judge(head, "\n".join(lines[span.first : span.end]), tail)

    async def ideas(self, attempts: Sequence[Attempt]) -> AsyncGenerator[_Idea]:
        """What to ask, in turn; ``attempts`` grows meanwhile."""
        for line in self._problem.imports:
            for span, lines in import_edits(self._problem.text, line)[:2]:
                yield _Idea(span, lines=lines, round=0)
                if attempts[-1].verdict.holds:
                    break
        if not any(attempt.verdict.verified for attempt in attempts):
            for span, lines in suggested(self._problem):
                if self._may(span):
                    yield _Idea(span, lines=lines)
        if any(attempt.verdict.verified for attempt in attempts):
            return  # the model has nothing to add (docs/experiments.md)
        taught = await self._model.taught()
        messages = (*(finding.message for finding in self._problem.findings[:2]), *self._problem.said)
        first = Notes(messages)
        shown: list[_Idea] = []
        if (pointed := self._pointed()) is not None:
            shown = [_Idea(pointed, Notes(messages, was=True) if taught else first)]
            yield shown[0]
        await self._look()
        spans = self._spans
        begin = [_Idea(span, first if place == 0 else _NOTHING) for place, span in enumerate(spans[:3])]
        if taught:
            seen = [
                _Idea(span, Notes(messages if place == 0 else (), was=True))
                for place, span in enumerate(spans[:3])
            ]
            begin = [*seen, *begin]
        for idea in begin:
            if idea not in shown:
                yield idea
        odd = sorted(
            (oddity for oddity in self._odd.values() if oddity.rather), key=lambda oddity: -oddity.surprise
        )
        for oddity in odd[:2]:
            yield self._swerve(oddity)
        for span in spans[3:5]:
            yield _Idea(span, round=2)
        for span in spans[:2]:
            tried = [
                " ".join(attempt.candidate.lines)
                for attempt in attempts
                if attempt.candidate.span == span and not attempt.verdict.verified
            ]
            yield _Idea(span, Notes(messages, True, tried[-_TRIED_SHOWN:]), round=2)
        if spans:
            wider = self._wider(spans[0])
            if self._may(wider):
                yield _Idea(wider, first, round=2)
            yield _Idea(spans[0], temperature=0.8, round=2)
        for span in spans[5:]:
            yield _Idea(span, round=2)

    def _pointed(self) -> Span | None:
        """The statement to rewrite first if it is known before the lines are judged."""
        return None if self._problem.within is not None else localize.pointed(self._problem, self._syntax)

    def _swerve(self, oddity: Oddity) -> _Idea:
        """The line as it is up to its oddest place, and what the model would rather go on with."""
        return _Idea(Span(oddity.line, oddity.line + 1), given=oddity.kept + oddity.rather[0])

    def _wider(self, span: Span) -> Span:
        """A span with the statement behind it, or before it, in the same function."""
        region = self._region(span)
        if span.end < region.end:
            return Span(span.first, self._syntax.statement(span.end).end)
        if span.first > region.first:
            return Span(self._syntax.statement(span.first - 1).first, span.end)
        return span

    def _region(self, span: Span) -> Span:
        """What was judged around ``span``, else the span itself."""
        return next((region for region in self._regions if span.first in region), span)

    async def ask(self, idea: _Idea) -> Candidate | None:
        """What the model makes of an idea; None if it did not come to an end."""
        if idea.lines is not None:
            return self._candidate(idea, idea.lines)
        hole = make_hole(self._lines, idea.span, self._problem.language, idea.notes, given=idea.given)
        size = sum(len(line) for line in self._lines[idea.span.first : idea.span.end])
        fill = await self._model.fill(
            replace(hole, prefix=hole.prefix[self._before(idea.span.first) :]),
            max_tokens=min(_TOKENS + size // 2, _MOST_TOKENS),
            temperature=idea.temperature,
            seed=idea.round,
        )
        if not fill.finished:
            return None
        return self._candidate(idea, self._tidy(hole.given + fill.text, idea.span))

    def _candidate(self, idea: _Idea, lines: Sequence[str]) -> Candidate:
        text = "\n".join([*self._lines[: idea.span.first], *lines, *self._lines[idea.span.end :]])
        return Candidate(idea.span, tuple(lines), text, idea.round)

    def _tidy(self, text: str, span: Span) -> list[str]:
        """New lines, without those at the end that repeat what follows."""
        lines = text.rstrip().split("\n") if text.strip() else []
        after = [line for line in self._lines[span.end : span.end + 4] if line.strip()]
        for count in range(min(len(lines) - 1, len(after)), 0, -1):
            if lines[-count:] == after[:count]:
                return lines[:-count]
        return lines

    async def entropy_change(self, candidate: Candidate) -> float:
        """By how many nats the new lines and some behind them in the function are less likely than the old ones;
        negative: likelier. What stands before is as it was."""
        span, lines = candidate.span, candidate.text.split("\n")
        end = max(span.end, min(self._region(span).end, span.end + _BEHIND))
        was = Span(span.first, end)
        if was not in self._nats:
            self._nats[was] = await self._cost(self._lines, was)
        now = Span(span.first, end + len(lines) - len(self._lines))
        return await self._cost(lines, now) - self._nats[was]

    async def _cost(self, lines: Sequence[str], span: Span) -> float:
        """In nats."""
        return -sum(score.logprob for score in await self._judge(lines, span)) if len(span) else 0.0
