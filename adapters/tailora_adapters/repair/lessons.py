"""Training examples for repair: the file with something wrong, the suspect lines as comments above a hole, and what
belongs there.

Three kinds: fixes from the history, bugs put into working code (undone), and good lines that stay as they are, so that
a model learns to leave them alone. Deterministic for a seed and what ``notice`` says. Knows nothing of models or
checkers.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tailora_adapters.corpus.bugs import Bug, sample
from tailora_adapters.corpus.examples import FimExample
from tailora_adapters.corpus.select import SourceFile
from tailora_adapters.repair.fixes import Fix
from tailora_adapters.repair.hole import Notes, Span, indentation, make_hole

__all__ = ["NOTICED", "LessonMix", "from_bug", "from_fix", "lessons", "unchanged"]

NOTICED = ", noticed"
"""Ends the kind of a bug that a checker notices."""
_PREFIX_CHARS = 6_000
_SUFFIX_CHARS = 2_000
_MOST_MIDDLE_CHARS = 600

Notice = Callable[[Sequence[tuple[str, str]]], Sequence[str | None]]
"""What a checker says of files with a bug each, by their paths and texts; None where no checker notices."""


@dataclass(frozen=True, slots=True)
class LessonMix:
    """Shares of the examples."""

    bugs: float = 0.6
    unchanged: float = 0.15
    """The rest is fixes, as far as there are any; else bugs."""
    per_file: int = 12
    plain: float = 0.3
    """Of the bugs and fixes so many do not show the lines that stood there."""
    noticed: float = 2 / 3
    """Of the bugs, those that a checker notices, where there are so many; the rest only a test would notice."""
    drawn: float = 2.0
    """So many times as many bugs as are wanted are drawn, to choose from."""


def lessons(
    files: Sequence[SourceFile],
    fixes: Sequence[Fix],
    count: int,
    *,
    seed: int,
    mix: LessonMix = LessonMix(),
    notice: Notice = lambda asked: [None] * len(asked),
) -> list[FimExample]:
    """``count`` examples, or as many as there are."""
    chance = random.Random(seed)
    mended = [one for fix in fixes if (one := from_fix(fix, plain=chance.random() < mix.plain)) is not None]
    chance.shuffle(mended)
    mended = mended[: round(count * (1 - mix.bugs - mix.unchanged))]
    same = round(count * mix.unchanged)
    wanted = count - len(mended) - same
    kept: list[FimExample] = []
    shuffled = [file for file in files if file.language == "python"]
    chance.shuffle(shuffled)
    drawn = list(itertools.islice(_draw(shuffled, mix.per_file, seed), round(mix.drawn * wanted)))
    messages = notice([(file.path, bug.text) for file, bug in drawn])
    broken = [
        one
        for place in _choose(messages, wanted, mix.noticed, chance)
        if (one := from_bug(*drawn[place], messages[place], plain=chance.random() < mix.plain)) is not None
    ]
    for file in shuffled:
        if len(kept) >= same:
            break
        kept += list(unchanged(file, chance))[: max(1, same // max(1, len(shuffled)) + 1)]
    return [*mended, *broken, *kept[:same]]


def _draw(files: Sequence[SourceFile], per_file: int, seed: int) -> Iterator[tuple[SourceFile, Bug]]:
    """Bugs that there is a way back from, file by file."""
    for file in files:
        for bug in sample(file.text, per_file, seed):
            if from_bug(file, bug, None) is not None:
                yield file, bug


def _choose(messages: Sequence[str | None], count: int, noticed: float, chance: random.Random) -> list[int]:
    """The places of up to ``count`` bugs, a share of which has a message where there are enough of both kinds."""
    told = [place for place, message in enumerate(messages) if message is not None]
    silent = [place for place, message in enumerate(messages) if message is None]
    most = min(len(told), max(round(noticed * count), count - len(silent)))
    return sorted([*chance.sample(told, most), *chance.sample(silent, min(len(silent), count - most))])


def from_fix(fix: Fix, *, plain: bool = False) -> FimExample | None:
    """The edit as it was made; None for one that a hole cannot hold."""
    return _example(fix.path, fix.language, fix.before, fix.span, fix.now, Notes(was=not plain), "fix")


def from_bug(file: SourceFile, bug: Bug, message: str | None, *, plain: bool = False) -> FimExample | None:
    """The way back from a bug."""
    lines = bug.text.split("\n")
    span = Span(bug.first, bug.first + len(bug.now))
    notes = Notes((message,) if message else (), was=not plain)
    kind = f"bug {bug.kind}{NOTICED if message else ''}"
    return _example(file.path, file.language, lines, span, bug.was, notes, kind)


def unchanged(file: SourceFile, chance: random.Random) -> Iterator[FimExample]:
    """Good lines, shown as suspect."""
    lines = file.text.split("\n")
    telling = [number for number, line in enumerate(lines) if len(line.strip()) > 8]
    chance.shuffle(telling)
    for number in telling:
        span = Span(number, number + 1)
        one = _example(
            file.path, file.language, lines, span, lines[number : number + 1], Notes(was=True), "same"
        )
        if one is not None:
            yield one


def _example(
    path: str, language: str, lines: Sequence[str], span: Span, now: Sequence[str], notes: Notes, kind: str
) -> FimExample | None:
    given = indentation(lines, span)
    if not now or not now[0].startswith(given):
        given = indentation(now, Span(0, len(now)))
        if not now or not now[0].startswith(given):
            return None
    hole = make_hole(lines, span, language, notes, given=given)
    middle = "\n".join(now)[len(given) :]
    if not middle.strip() or len(middle) > _MOST_MIDDLE_CHARS:
        return None
    return FimExample(
        path,
        language,
        hole.prefix[-_PREFIX_CHARS:],
        middle,
        hole.suffix[:_SUFFIX_CHARS],
        kind,
        span.first,
    )
