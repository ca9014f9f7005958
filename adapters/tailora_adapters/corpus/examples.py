"""Source files to fill-in-the-middle examples: where a person's cursor would stand, and what they would type there.

Spans follow the syntax tree: the rest of a line, a whole line, a statement or block of several lines, and some
random ones; a few have nothing behind them, as at the end of a file that is being written. The first examples of a
file lie far apart, so that together their surroundings cover it. Knows nothing of tokenizers or models. Deterministic
for a seed.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tree_sitter import Node

from tailora_adapters import languages

__all__ = [
    "KINDS",
    "FimExample",
    "LineWeights",
    "Source",
    "SpanMix",
    "first_lines",
    "last_lines",
    "make_examples",
]

KINDS = ("line_end", "line", "block", "random")

_MAX_PREFIX_CHARS = 6_000
_MAX_SUFFIX_CHARS = 2_000
_MAX_MIDDLE_CHARS = 800
_MAX_BLOCK_LINES = 10
_STRIDE = 24
"""Lines: about what a training prompt shows before and behind its hole."""
_BLOCK_BOOST = 4.0
_PROSE = frozenset(
    {"string", "comment", "block_comment", "line_comment", "template_string", "raw_string_literal"}
)


class Source(Protocol):
    """What is needed of a source file."""

    @property
    def path(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def text(self) -> str: ...


LineWeights = Mapping[str, Mapping[int, float]]
"""By path and line (from 0): how much more often a hole begins there than at a line that is not named."""


@dataclass(frozen=True, slots=True)
class FimExample:
    """One hole: ``prefix + middle + suffix`` is a stretch of a file, line endings LF."""

    path: str
    language: str
    prefix: str
    middle: str
    suffix: str
    kind: str
    line: int
    """Line of the file where the middle begins, from 0."""


@dataclass(frozen=True, slots=True)
class SpanMix:
    """Relative frequencies of the kinds of spans, in the order of ``KINDS``."""

    line_end: float = 0.40
    line: float = 0.30
    block: float = 0.22
    random: float = 0.08
    from_margin: float = 0.3
    """Share of whole lines and blocks whose indentation is part of the hole (cursor at the left margin)."""
    with_newline: float = 0.25
    """Share of middles that end behind the newline, so that the suffix begins with the next line's text; a model
    that knows only the other kind joins two lines there."""

    open_ended: float = 0.0
    """Share of examples with no suffix."""

    def weights(self, block_factor: float = 1.0) -> tuple[float, ...]:
        """In the order of ``KINDS``; ``block_factor`` makes up for lines at which no block begins."""
        return (self.line_end, self.line, self.block * block_factor, self.random)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    start: int
    """Offset of the first character that is not white space."""
    end: int
    """Offset behind the last character, before the newline."""


def make_examples(
    sources: Sequence[Source],
    count: int,
    *,
    seed: int,
    mix: SpanMix = SpanMix(),
    max_per_file: int = 24,
    weights: LineWeights | None = None,
    only_weighted: bool = False,
) -> list[FimExample]:
    """``count`` examples at most, spread over the files by their number of lines, in shuffled order.

    No two examples of a file overlap. Fewer come back when the files are small.

    Args:
        weights: Lines at which holes begin more often; a weight of 0 keeps a line free of them.
        only_weighted: No hole begins at a line that ``weights`` does not name.
    """
    rng = random.Random(seed)
    per_file: list[list[FimExample]] = []
    favoured: list[Mapping[int, float]] = [(weights or {}).get(source.path, {}) for source in sources]
    sizes = [
        sum(named.values()) + (0 if only_weighted else max(0, source.text.count("\n") + 1 - len(named)))
        for source, named in zip(sources, favoured, strict=True)
    ]
    total = sum(sizes) or 1
    for source, size, named in zip(sources, sizes, favoured, strict=True):
        wanted = min(max_per_file, max(1, round(count * size / total * 1.5)))

        def weight(line: int, named: Mapping[int, float] = named) -> float:
            return named.get(line, 0.0 if only_weighted else 1.0)

        per_file.append(
            list(_examples_of(source, wanted, random.Random(f"{seed}:{source.path}"), mix, weight))
        )
    # Round robin, so that a cut to ``count`` keeps every file.
    result: list[FimExample] = []
    while any(per_file) and len(result) < count:
        for examples in per_file:
            if examples and len(result) < count:
                result.append(examples.pop())
    rng.shuffle(result)
    return result


def _examples_of(
    source: Source, wanted: int, rng: random.Random, mix: SpanMix, weight: Callable[[int], float]
) -> Iterator[FimExample]:
    text = source.text
    language = languages.by_id(source.language)
    blocks, prose = _syntax(text, language)
    lines = [
        line for line in _code_lines(text, language.comment if language else "#") if line.number not in prose
    ]
    used: set[int] = set()
    made = 0
    for line in _order(lines, weight, rng):
        if made >= wanted:
            return
        if line.number in used:
            continue
        ends = blocks.get(line.start, ())
        kind = rng.choices(KINDS, mix.weights(_BLOCK_BOOST if ends else 0.0))[0]
        span = _span(text, line, kind, ends, rng)
        if span is None:
            kind = "line_end"
            span = _span(text, line, kind, (), rng)
        if span is None:
            continue
        start, end = _vary(text, span, kind, mix, rng)
        used.update(range(line.number, line.number + text.count("\n", start, end) + 1))
        made += 1
        yield FimExample(
            path=source.path,
            language=source.language,
            prefix=last_lines(text[:start]),
            middle=text[start:end],
            suffix="" if rng.random() < mix.open_ended else first_lines(text[end:]),
            kind=kind,
            line=line.number,
        )


def _order(lines: list[_Line], weight: Callable[[int], float], rng: random.Random) -> list[_Line]:
    """A weighted shuffle (Efraimidis and Spirakis 2006) in which stretches of the file take turns."""
    keys = [
        (rng.random() ** (1 / weight(line.number)), place)
        for place, line in enumerate(lines)
        if weight(line.number) > 0
    ]
    shuffled = [lines[place] for _, place in sorted(keys, reverse=True)]
    turns: dict[int, int] = {}
    turn_of: dict[int, int] = {}
    for line in shuffled:
        stretch = line.number // _STRIDE
        turn_of[line.number] = turns[stretch] = turns.get(stretch, 0) + 1
    return sorted(shuffled, key=lambda line: turn_of[line.number])


def _code_lines(text: str, comment: str) -> Iterator[_Line]:
    offset = 0
    for number, raw in enumerate(text.split("\n")):
        body = raw.strip()
        if len(body) >= 4 and not body.startswith((comment, "*", "/*", '"""', "'''")) and len(raw) <= 200:
            start = offset + len(raw) - len(raw.lstrip())
            yield _Line(number, start, offset + len(raw.rstrip()))
        offset += len(raw) + 1


def _syntax(text: str, language: languages.Language | None) -> tuple[dict[int, tuple[int, ...]], set[int]]:
    """Ends of the syntax nodes that fill whole lines, by the character offset where they begin; and the numbers
    of the lines inside comments and strings of several lines, where a suggestion is prose and not code."""
    parser = languages.parser(language) if language else None
    if parser is None:
        return {}, set()
    data = text.encode("utf-8")
    offset = _char_offsets(text, data)
    found: dict[int, set[int]] = {}
    prose: set[int] = set()
    stack: list[Node] = [parser.parse(data).root_node]
    while stack:
        node = stack.pop()
        first, last = node.start_point[0], node.end_point[0]
        if first == last and node.parent is not None:
            continue
        if node.type in _PROSE:
            prose.update(range(first, last + 1))
            continue
        stack.extend(node.named_children)
        if node.parent is None or node.has_error or not 1 <= last - first < _MAX_BLOCK_LINES:
            continue
        end = offset(node.end_byte)
        if text[end : end + 1] in ("\n", "") and end - offset(node.start_byte) <= _MAX_MIDDLE_CHARS:
            found.setdefault(offset(node.start_byte), set()).add(end)
    return {start: tuple(sorted(ends)) for start, ends in found.items()}, prose


def _char_offsets(text: str, data: bytes) -> Callable[[int], int]:
    """From byte offsets, in which tree-sitter counts, to character offsets."""
    if len(text) == len(data):
        return lambda byte: byte
    return lambda byte: len(data[:byte].decode("utf-8", "ignore"))


def _span(
    text: str, line: _Line, kind: str, block_ends: tuple[int, ...], rng: random.Random
) -> tuple[int, int] | None:
    """Character range of the middle, or None where this kind does not fit here."""
    if kind == "line":
        return line.start, line.end
    if kind == "line_end":
        # Somewhere inside the line, at least two characters before its end; half the time where a word or
        # operator begins, since that is where people pause.
        if line.end - line.start < 6:
            return None
        start = rng.randrange(line.start + 2, line.end - 2)
        if rng.random() < 0.5:
            while start < line.end - 2 and text[start - 1].isalnum():
                start += 1
        return start, line.end
    if kind == "block":
        if not block_ends:
            return None
        return line.start, rng.choice(block_ends)
    length = rng.randrange(4, 120)
    start = rng.randrange(line.start, line.end)
    end = min(start + length, len(text))
    return (start, end) if text[start:end].strip() else None


def _vary(text: str, span: tuple[int, int], kind: str, mix: SpanMix, rng: random.Random) -> tuple[int, int]:
    start, end = span
    if kind in ("line", "block") and rng.random() < mix.from_margin:
        start = text.rfind("\n", 0, start) + 1
    if kind != "random" and text[end : end + 1] == "\n" and rng.random() < mix.with_newline:
        end += 1
    return start, end


def last_lines(prefix: str) -> str:
    """As much of what stands before a hole as an example keeps, in whole lines."""
    if len(prefix) <= _MAX_PREFIX_CHARS:
        return prefix
    cut = prefix[-_MAX_PREFIX_CHARS:]
    return cut[cut.find("\n") + 1 :]


def first_lines(suffix: str) -> str:
    """As much of what stands behind a hole as an example keeps, in whole lines."""
    if len(suffix) <= _MAX_SUFFIX_CHARS:
        return suffix
    cut = suffix[:_MAX_SUFFIX_CHARS]
    return cut[: cut.rfind("\n") + 1] or cut
