"""What is typed, where and when: the same for whoever is measured.

A trace is a row of visits to places in documents. All texts and times are drawn beforehand from a seed. Knows no
client. Invariant: a visit never types its hole to the end, so that at every moment there is something that could be
suggested (unless a suggestion was accepted to the hole's end).
"""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tailora.bench.places import Document, Hole, find_documents, find_holes
from tailora_adapters.errors import TailoraError

__all__ = ["Kind", "Step", "Trace", "Visit", "make_trace", "split_keys"]

Kind = Literal["arrive", "key", "typo", "delete", "jump", "accept"]

_KEY_S, _KEY_SPREAD = 0.16, 0.35
"""Median time between two keys and the standard deviation of its logarithm."""
_KEY_LIMITS_S = (0.06, 0.7)
_WORD_END = 1.6
"""Factor for the key behind a word's end."""
_PAUSE_S = (1.2, 2.5)
_READING_S = (2.5, 5.0)
"""From the cursor's arrival to the first key: one looks at a place before one types there."""
_OPENING_S = (0.3, 0.6)
"""From the opening of a document, or the return to it, to the cursor's arrival at the place."""
_DWELL_S = (0.7, 1.2)
"""After the last key of a visit."""
_KEYS = (12, 22)
_LEFT = 6
"""Characters of a hole that are never typed."""
_JUMP_KEYS = (3, 6)
_FAR = 1_500
"""Characters between a place and the one that is jumped to, where the document is long enough."""
_SHARES = {"reading": 0.85, "pause": 0.8, "typo": 0.35, "jump": 0.25, "accept": 0.6}
_LEAST_LANGUAGES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a person does."""

    at_s: float
    """Since the visit's start."""
    kind: Kind
    """``arrive``, ``jump``: the cursor comes to a hole; ``key``: the next of its characters; ``typo``: a wrong one;
    ``delete``: that is taken back; ``accept``: the suggestion on screen is taken if its first line is right."""
    hole: int
    """Index in the visit's holes."""
    text: str = ""
    """What is typed: one character, or a line break and the next line's indentation."""
    place: int = 0
    """Of a ``key``: how much of the hole stands before it."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Some seconds in a document that stands as on disk but for its holes."""

    document: Document
    holes: tuple[Hole, ...]
    """The place, and perhaps the one that is jumped to."""
    steps: tuple[Step, ...]
    end_s: float
    """When the person leaves."""

    @property
    def line(self) -> int:
        """Of the place, counted from 1."""
        return self.document.text.count("\n", 0, self.holes[0].start) + 1


@dataclass(frozen=True, slots=True)
class Trace:
    """All visits, in turn."""

    visits: tuple[Visit, ...]
    seed: int

    @property
    def seconds(self) -> float:
        """How long it takes to play."""
        return sum(visit.end_s for visit in self.visits)

    @property
    def documents(self) -> list[Document]:
        """Each document once, in the order of its first visit."""
        return list(dict.fromkeys(visit.document for visit in self.visits))

    @property
    def languages(self) -> dict[str, int]:
        """Number of visits by language."""
        result: dict[str, int] = {}
        for visit in self.visits:
            result[visit.document.language] = result.get(visit.document.language, 0) + 1
        return dict(sorted(result.items()))


def make_trace(places: int, seed: int, documents: Sequence[Document] | None = None) -> Trace:
    """A trace of ``places`` visits: two thirds of them to new documents in turn, the others back to some of these.

    Args:
        documents: Where to type. Default: files of installed packages.

    Raises:
        TailoraError: too few files or languages are installed.
    """
    rng = random.Random(f"trace {seed}")
    if documents is None:
        documents = find_documents(max(min(places, _LEAST_LANGUAGES), math.ceil(places * 2 / 3)), seed)
        if len({document.language for document in documents}) < min(_LEAST_LANGUAGES, places):
            raise TailoraError(
                f"files of {_LEAST_LANGUAGES} languages are needed to type in; the packages that Tailora"
                " requires bring too few of them here"
            )
    if not documents:
        raise TailoraError("no files to type in were found")
    order = list(documents[:places])
    while len(order) < places:
        order.append(rng.choice(documents))
    return Trace(tuple(_visit(document, rng) for document in order), seed)


def split_keys(text: str) -> list[str]:
    """The keys that type ``text``: a line break brings the next line's indentation with it, as in any editor."""
    return re.findall(r"\n[ \t]*|.", text)


def _visit(document: Document, rng: random.Random) -> Visit:
    accepts = rng.random() < _SHARES["accept"]
    holes = find_holes(document, rng, lines=(2, 1) if accepts else (1, 1, 2))
    chosen = [hole for hole in holes if len(hole.text) >= _KEYS[0] + _LEFT] or holes
    if not chosen:
        raise TailoraError(f"{document.name} has no place to type at")
    hole = next((hole for hole in chosen if accepts and "\n" in hole.text), chosen[0])
    others = [other for other in holes if other is not hole and len(other.text) >= _JUMP_KEYS[1] + _LEFT]
    far = [other for other in others if abs(other.start - hole.start) >= _FAR] or others
    typing = _Typing(rng)
    typing.wait(*_OPENING_S)
    typing.do("arrive", 0)
    if rng.random() < _SHARES["reading"]:
        typing.wait(*_READING_S)
    keys = split_keys(hole.text)
    while len(keys) > 1 and sum(map(len, keys)) > len(hole.text) - _LEFT:
        keys.pop()
    keys = keys[: rng.randint(*_KEYS)]
    pause = _word_border(keys, rng) if rng.random() < _SHARES["pause"] else None
    typo = rng.randrange(2, len(keys)) if len(keys) > 3 and rng.random() < _SHARES["typo"] else None
    jump = rng.randrange(3, len(keys)) if len(keys) > 4 and far and rng.random() < _SHARES["jump"] else None
    place = 0
    for number, key in enumerate(keys):
        if number == pause:
            typing.wait(*_PAUSE_S)
            if accepts:
                typing.do("accept", 0)
        if number == typo:
            typing.mistake(0, keys[number])
        if number == jump:
            typing.detour(1, far[0])
        typing.key(0, key, place)
        place += len(key)
    typing.wait(*_DWELL_S)
    return Visit(document, (hole, *([far[0]] if jump is not None else ())), tuple(typing.steps), typing.now)


def _word_border(keys: Sequence[str], rng: random.Random) -> int | None:
    """A key in the middle that begins a word, before which one may pause."""
    middle = range(len(keys) // 4, len(keys) - 3)
    borders = [
        number for number in middle if number and not keys[number - 1].isalnum() and keys[number].isalnum()
    ]
    return rng.choice(borders or list(middle)) if middle else None


class _Typing:
    """Puts steps in a row at a person's pace."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.now = 0.0
        self.steps: list[Step] = []
        self._last = ""

    def wait(self, low: float, high: float) -> None:
        self.now += self._rng.uniform(low, high)

    def do(self, kind: Kind, hole: int, text: str = "", place: int = 0) -> None:
        self.steps.append(Step(round(self.now, 4), kind, hole, text, place))

    def key(self, hole: int, text: str, place: int) -> None:
        self._pace()
        self.do("key", hole, text, place)
        self._last = text

    def mistake(self, hole: int, right: str) -> None:
        """One or two wrong letters, noticed and taken back."""
        wrong = [letter for letter in "etaoinsrhl" if letter != right.lower()]
        count = self._rng.randint(1, 2)
        for _ in range(count):
            self._pace()
            self.do("typo", hole, self._rng.choice(wrong))
        self.wait(0.25, 0.5)
        for _ in range(count):
            self.do("delete", hole)
            self.wait(0.1, 0.2)

    def detour(self, hole: int, target: Hole) -> None:
        """To another place of the document, a few keys there, and back."""
        self.wait(0.5, 1.0)
        self.do("jump", hole)
        self.wait(0.5, 1.2)
        place = 0
        for key in split_keys(target.text)[: self._rng.randint(*_JUMP_KEYS)]:
            self.key(hole, key, place)
            place += len(key)
        self.wait(0.5, 1.0)
        self.do("jump", 0)
        self.wait(0.3, 0.8)

    def _pace(self) -> None:
        low, high = _KEY_LIMITS_S
        gap = min(max(self._rng.lognormvariate(math.log(_KEY_S), _KEY_SPREAD), low), high)
        self.now += gap * (_WORD_END if self._last and not self._last.isalnum() else 1.0)
