"""What becomes of suggestions: shown, accepted (all or in part), and how much is still there 30 and 180 s later.

Acceptance is seen twice: editors run the item's command after a full accept, and any accept is an edit that inserts the
beginning of what is left of the suggestion at its place, in one go and up to a boundary. Knows documents as texts with
edits, nothing of how suggestions are made or where the figures go. Invariants: a suggestion counts as shown
once, whoever types through it; no character of it counts as accepted twice; and no event holds any text.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tailora.lsp.edits import Edit, Stretch, common_length

__all__ = ["COMMAND", "Event", "Offer", "Outcomes"]

COMMAND = "tailora.accepted"
"""Run by the editor after it inserted a suggestion, with the suggestion's id."""

Event = dict[str, Any]
"""As ``POST /v1/projects/outcomes`` takes it."""

_REMEMBERED = 8
"""Suggestions of a document that may still be accepted or shown again."""
_LATER_S = (30, 180)
_PAIRS = frozenset(("()", "[]", "{}", "<>", '""', "''", "``"))
"""What editors insert when one bracket or quote is typed."""


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> object:
        """It does not come."""


@dataclass(slots=True, kw_only=True)
class Offer:
    """A suggestion: ``text`` in place of what stands from ``origin`` to ``end`` in the document."""

    root: Path
    """Of the project whose adapter made it."""
    language: str
    adapter: str
    text: str
    origin: int
    end: int
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    at: float = 0.0
    given: int = 0
    """Characters of ``text`` that stood there before."""
    accepted: int = 0
    lost: bool = False
    """Its place is gone."""
    kept: list[Stretch] = field(default_factory=list)
    """What was accepted."""
    timers: dict[int, Timer] = field(default_factory=dict)

    @property
    def characters(self) -> int:
        """How many were suggested."""
        return len(self.text) - self.given

    def stands(self, source: str, length: int) -> bool:
        """Whether the document has the first ``length`` characters in place."""
        return source.startswith(self.text[:length], self.origin)


class Outcomes:
    """Of the open documents. Event loop only.

    Args:
        emit: Takes what happened in a project.
        source: Text of a document as it is now, None if it is not open.
        call_later: Seconds, and what to call then.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        emit: Callable[[Path, Event], None],
        source: Callable[[str], str | None],
        call_later: Callable[[float, Callable[[], None]], Timer],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._emit = emit
        self._source = source
        self._call_later = call_later
        self._clock = clock
        self._offers: dict[str, list[Offer]] = {}
        """By document, oldest first."""

    def shown(self, uri: str, offer: Offer) -> str | None:
        """A suggestion is shown in a document as it is now. The id that it goes by, that of an earlier one if it is the
        same; None where the document is not open."""
        source = self._source(uri)
        if source is None:
            return None
        offers = self._offers.setdefault(uri, [])
        for known in reversed(offers):
            typed = offer.origin - known.origin
            if known.lost or not 0 <= typed < len(known.text) or not known.stands(source, typed):
                continue
            whole = known.text[:typed] + offer.text
            if known.text.startswith(whole):
                return known.id
            if whole.startswith(known.text):
                known.text = whole
                self._tell_shown(known)
                return known.id
        offer.given = common_length(source[offer.origin : offer.end], offer.text)
        offer.at = self._clock()
        offers.append(offer)
        self._forget_old(uri)
        self._tell_shown(offer)
        return offer.id

    def edited(self, uri: str, edit: Edit) -> None:
        """A document has been edited."""
        offers, source = self._offers.get(uri), self._source(uri)
        if not offers or source is None:
            return
        edit = edit.trimmed()
        for offer in offers:
            offer.kept = [stretch.moved(edit) for stretch in offer.kept]
            _move(offer, edit)
        for offer in reversed(offers):
            begun = edit.start - offer.origin
            if offer.lost or not 0 <= begun < len(offer.text) or not offer.stands(source, begun):
                continue
            if taken := _taken(edit.inserted, offer.text[begun:]):
                self._keep(uri, offer, edit.inserted[:taken], edit.start)
                self._accept(offer, offer.accepted + taken)
                return

    def accepted(self, ident: str) -> None:
        """The editor says that it inserted all of a suggestion. Its edit may have been seen before, or come later."""
        for uri, offers in self._offers.items():
            for offer in offers:
                if offer.id == ident:
                    source = self._source(uri)
                    if not offer.kept and not offer.lost and source and offer.stands(source, len(offer.text)):
                        self._keep(uri, offer, offer.text[offer.given :], offer.origin + offer.given)
                    self._accept(offer, offer.characters)
                    return

    def closing(self, uri: str) -> None:
        """A document is about to be closed: what was to be measured later is measured now."""
        for offer in self._offers.get(uri, ()):
            for seconds in sorted(offer.timers):
                self._measure(uri, offer, seconds)
        self._offers.pop(uri, None)

    def close(self) -> None:
        """All documents are about to be closed."""
        for uri in list(self._offers):
            self.closing(uri)

    def _accept(self, offer: Offer, characters: int) -> None:
        characters = min(characters, offer.characters)
        if characters > offer.accepted:
            offer.accepted = characters
            self._emit(offer.root, {"event": "accepted", "id": offer.id, "characters": characters})

    def _keep(self, uri: str, offer: Offer, text: str, start: int) -> None:
        """Follows an accepted part. The time runs from the last one."""
        end = start + len(text)
        others = [other for other in offer.kept if other.end <= start or end <= other.start]
        offer.kept = [*others, Stretch(text, start, end)]
        for seconds in _LATER_S:
            if (timer := offer.timers.pop(seconds, None)) is not None:
                timer.cancel()
            offer.timers[seconds] = self._call_later(seconds, partial(self._measure, uri, offer, seconds))

    def _measure(self, uri: str, offer: Offer, seconds: int) -> None:
        offer.timers.pop(seconds).cancel()
        source = self._source(uri)
        if source is not None:
            total = sum(len(stretch.text) for stretch in offer.kept)
            left = sum(stretch.share(source) * len(stretch.text) for stretch in offer.kept)
            ratio = round(left / total, 4) if total else 0.0
            self._emit(
                offer.root, {"event": "kept", "id": offer.id, "after_s": seconds, "ratio": min(1.0, ratio)}
            )
        if not offer.timers:
            offer.kept = []

    def _tell_shown(self, offer: Offer) -> None:
        told = {
            "event": "shown",
            "id": offer.id,
            "at": round(offer.at, 3),
            "adapter": offer.adapter,
            "language": offer.language,
            "multiline": "\n" in offer.text,
            "characters": offer.characters,
        }
        self._emit(offer.root, told)

    def _forget_old(self, uri: str) -> None:
        """Keeps the newest, and those that are to be measured yet."""
        offers = self._offers[uri]
        recent = len(offers) - _REMEMBERED
        self._offers[uri] = [offer for number, offer in enumerate(offers) if number >= recent or offer.timers]


def _move(offer: Offer, edit: Edit) -> None:
    """An insertion at its very place may be the suggestion, and so leaves the place where it is."""
    if edit.start >= offer.origin:
        return
    if edit.end <= offer.origin:
        offer.origin += edit.delta
    else:
        offer.lost = True


def _taken(inserted: str, rest: str) -> int:
    """How many characters of ``rest`` were accepted by an insertion; 0 if it is something else, or was typed."""
    rest = rest.replace("\r\n", "\n")
    if "\r\n" in inserted:  # the editor's line endings hold
        rest = rest.replace("\n", "\r\n")
    same = common_length(inserted, rest)
    if same < min(len(inserted), len(rest)):
        return 0
    if same < 2 or inserted in _PAIRS or not inserted.strip():  # blanks: a new line with its indentation
        return 0
    inside_word = same < len(rest) and _in_word(rest[same - 1]) and _in_word(rest[same])
    return 0 if inside_word else same


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"
