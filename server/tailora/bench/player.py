"""Plays a trace in real time against a client and records what a person would have seen.

A *moment* is whenever an editor would ask for a suggestion: the cursor arrives, a key, a deletion, a jump, an accepted
suggestion. The **latency** of a moment is the time from it until a suggestion that fits the text of that time is on
screen. If the next moment comes first, the clock goes on, until a suggestion is on screen in this visit, or the visit
ends; then the time until its end counts, a lower bound, so that silence is not cheap.

Time is the event loop's. Knows neither side: a client is told what changes and where the cursor is, and says when it
shows something. Invariant: nothing is on screen that the client did not show for the text as it is.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from tailora.bench.places import Document, Hole
from tailora.bench.trace import Kind, Step, Trace, Visit

__all__ = ["Client", "Edit", "Moment", "Screen", "agreed_length", "play"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a document."""

    start: int
    """Offset in characters in ``before``."""
    end: int
    text: str
    """What stands there instead."""
    before: str
    after: str


@dataclass(slots=True)
class Screen:
    """What a client shows at the cursor; one for each moment, so that a late word for an earlier one is lost."""

    clock: Callable[[], float]
    text: str | None = None
    """The suggestion on screen."""
    first_s: float | None = None
    """When the first one of this moment came on screen."""
    cached: bool = False
    """Whether the first one was answered from a cache of the client or server, without the model."""
    figures: dict[str, Any] | None = None
    """``prompt_tokens``, ``cached_tokens``, ``completion_tokens``, ``prefill_ms``, ``decode_ms``, ``first_token_ms``,
    where the model was asked and the client knows."""
    answered_s: float | None = None
    """When the client first said anything."""
    reason: str | None = None
    """Why nothing is shown."""
    over: bool = False
    """The next moment has come: whatever is said now is lost."""

    def show(self, text: str, *, cached: bool, figures: dict[str, Any] | None = None) -> None:
        """Puts a suggestion on screen; it must fit the text as it is now."""
        if self.over:
            return
        now = self.clock()
        self.text = text
        if self.first_s is None:
            self.first_s, self.cached, self.figures = now, cached, figures
        self._answered(now)

    def nothing(self, reason: str | None, figures: dict[str, Any] | None = None) -> None:
        """There will be no suggestion."""
        if self.over:
            return
        self.reason = reason
        self.figures = self.figures or figures
        self._answered(self.clock())

    def _answered(self, now: float) -> None:
        if self.answered_s is None:
            self.answered_s = now


class Client(Protocol):
    """An editor with a completion service. No method waits for anything."""

    def open(self, document: Document, text: str) -> None:
        """A document is opened, for the first time."""

    def edit(self, document: Document, edit: Edit) -> None:
        """A document changes."""

    def ask(self, document: Document, text: str, cursor: int, screen: Screen) -> None:
        """The cursor is at ``cursor`` (offset in characters): what was on screen is gone; ``screen`` is the new one."""

    def leave(self) -> None:
        """The person looks elsewhere; nothing is to be shown any more."""


@dataclass(slots=True)
class Moment:
    """One moment and what came of it. Times in milliseconds."""

    visit: int
    file: str
    line: int
    language: str
    kind: Kind
    at_ms: float
    """Since the visit's start."""
    left: int
    """Characters of the real text that are still to come here; 0: nothing to suggest, so the moment counts nowhere."""
    right: bool
    """Whether the text so far is the real one; false inside a typing mistake."""
    accepted: int = 0
    """Characters that were accepted to get here."""
    shown: bool = False
    """Whether a suggestion was on screen before the next moment."""
    shown_ms: float | None = None
    """Time until then."""
    latency_ms: float = 0.0
    """See the module."""
    unanswered: bool = False
    """The visit ended without any suggestion: ``latency_ms`` is a lower bound."""
    cached: bool = False
    text: str | None = None
    agreed: int = 0
    """Characters that the suggestion has in common with the real text."""
    exact_line: bool = False
    """Whether its first line is the real one."""
    reason: str | None = None
    figures: dict[str, Any] | None = None


@dataclass(slots=True)
class _Place:
    """A hole, as far as it is filled."""

    hole: Hole
    typed: int = 0
    wrong: int = 0

    @property
    def missing(self) -> int:
        return len(self.hole.text) - self.typed - self.wrong

    @property
    def rest(self) -> str:
        return self.hole.text[self.typed :]


@dataclass(slots=True)
class _Open:
    """A document as the editor has it."""

    document: Document
    text: str
    places: list[_Place] = field(default_factory=list)

    def cursor(self, place: _Place) -> int:
        before = sum(other.missing for other in self.places if other.hole.start < place.hole.start)
        return place.hole.start - before + place.typed + place.wrong

    def edit(self, start: int, end: int, text: str) -> Edit:
        before = self.text
        self.text = before[:start] + text + before[end:]
        return Edit(start, end, text, before, self.text)


def agreed_length(suggestion: str, real: str) -> int:
    """Length of the common beginning, in characters."""
    pairs = zip(suggestion, real, strict=False)
    return next(
        (number for number, (one, other) in enumerate(pairs) if one != other), min(len(suggestion), len(real))
    )


async def play(
    trace: Trace,
    client: Client,
    progress: Callable[[int], None] = lambda _: None,
    *,
    around: Callable[[int], AbstractAsyncContextManager[None]] = lambda _: nullcontext(),
) -> list[Moment]:
    """Plays all visits and returns their moments.

    Args:
        progress: Told how many visits are over.
        around: Makes what each visit, by its number, happens in; time spent there is none of the visit's.
    """
    player = _Player(client)
    for number, visit in enumerate(trace.visits):
        async with around(number):
            await player.visit(number, visit)
        progress(number + 1)
    return player.moments


class _Player:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._documents: dict[Document, _Open] = {}
        self.moments: list[Moment] = []

    async def visit(self, number: int, visit: Visit) -> None:
        """One visit, from the opening of the document on."""
        self._start = self._loop.time()
        self._number, self._visit = number, visit
        self._seen: list[tuple[Moment, Screen]] = []
        self._prepare(visit)
        for step in visit.steps:
            await self._until(step.at_s)
            self._do(step)
        await self._until(visit.end_s)
        self._finish()
        self._client.leave()

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, self._start + at_s - self._loop.time()))

    def _prepare(self, visit: Visit) -> None:
        """Opens the document with its holes, or fills those of the visit before and makes the new ones."""
        places = [_Place(hole) for hole in visit.holes]
        document = visit.document
        if document not in self._documents:
            text = document.text
            for hole in sorted(visit.holes, key=lambda hole: -hole.start):
                text = text[: hole.start] + text[hole.end :]
            self._open = self._documents[document] = _Open(document, text, places)
            self._client.open(document, text)
            return
        self._open = self._documents[document]
        for place in self._open.places:
            self._change(place, place.wrong, place.rest)
            place.typed, place.wrong = len(place.hole.text), 0
        for place in sorted(places, key=lambda place: -place.hole.start):
            self._client.edit(document, self._open.edit(place.hole.start, place.hole.end, ""))
        self._open.places = places

    def _change(self, place: _Place, back: int, text: str) -> None:
        """Replaces the ``back`` characters before the place's cursor."""
        cursor = self._open.cursor(place)
        if back or text:
            self._client.edit(self._open.document, self._open.edit(cursor - back, cursor, text))

    def _do(self, step: Step) -> None:
        place = self._open.places[step.hole]
        accepted = 0
        if step.kind == "key":
            if step.place < place.typed or place.wrong:
                return  # it came with an accepted suggestion
            self._change(place, 0, step.text)
            place.typed += len(step.text)
        elif step.kind == "typo":
            if not place.rest:
                return
            self._change(place, 0, step.text)
            place.wrong += 1
        elif step.kind == "delete":
            if not place.wrong:
                return
            self._change(place, 1, "")
            place.wrong -= 1
        elif step.kind == "accept":
            taken = self._acceptable(place)
            if not taken:
                return
            accepted = len(taken)
            self._change(place, 0, taken)
            place.typed += accepted
        self._ask(step, place, accepted)

    def _acceptable(self, place: _Place) -> str:
        """As many whole lines of the suggestion on screen as are right; empty unless the first one is."""
        shown = self._seen[-1][1].text if self._seen else None
        if shown is None or place.wrong:
            return ""
        taken = 0
        for line, real in zip(shown.split("\n"), place.rest.split("\n"), strict=False):
            if line != real:
                break
            taken += len(line) + 1
        return place.rest[: taken - 1] if taken > 1 else ""

    def _ask(self, step: Step, place: _Place, accepted: int) -> None:
        document = self._open.document
        moment = Moment(
            visit=self._number,
            file=document.name,
            line=self._visit.line,
            language=document.language,
            kind=step.kind,
            at_ms=round((self._loop.time() - self._start) * 1000, 1),
            left=len(place.rest),
            right=not place.wrong,
            accepted=accepted,
        )
        if self._seen:
            self._close(*self._seen[-1])
        screen = Screen(self._loop.time)
        self._real = place.rest if not place.wrong else ""
        self._asked_s = self._loop.time()
        self._seen.append((moment, screen))
        self._client.ask(document, self._open.text, self._open.cursor(place), screen)

    def _close(self, moment: Moment, screen: Screen) -> None:
        """The moment is over: what was on screen last is what the person had of it."""
        screen.over = True
        moment.shown = screen.first_s is not None
        moment.cached, moment.figures, moment.reason = screen.cached, screen.figures, screen.reason
        moment.text = screen.text
        if screen.first_s is not None:
            moment.shown_ms = round((screen.first_s - self._asked_s) * 1000, 2)
        if screen.text is not None and moment.right:
            moment.agreed = agreed_length(screen.text, self._real)
            moment.exact_line = screen.text.split("\n")[0] == self._real.split("\n")[0] != ""

    def _finish(self) -> None:
        if not self._seen:
            return
        self._close(*self._seen[-1])
        next_shown_s: float | None = None
        end_s = self._loop.time()
        for moment, screen in reversed(self._seen):
            next_shown_s = screen.first_s if screen.first_s is not None else next_shown_s
            moment.unanswered = next_shown_s is None
            until_s = end_s if next_shown_s is None else next_shown_s
            moment.latency_ms = round((until_s - self._start) * 1000 - moment.at_ms, 2)
        self.moments += [moment for moment, _ in self._seen]
