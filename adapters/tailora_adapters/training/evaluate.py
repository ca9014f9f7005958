"""How well a model fills held-out holes: loss, exact match, similarity and stopping.

Exact match needs no generation: greedy decoding writes exactly the reference if and only if at every place, given
the reference before it, the most probable token is the reference's next one. So only holes that are not filled exactly
are written out, by greedy decoding from the first wrong token on. Knows nothing of adapters or the gate.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import torch
import torch.nn.functional as F
from torch import Tensor

from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.training.decoder import Cache, Decoder
from tailora_adapters.training.memory import give_back

__all__ = ["Prompts", "Scores", "evaluate"]

_BATCH_TOKENS = 2_048
_MORE_TOKENS = 4
"""What an answer may be longer than its reference before it is cut; it has failed to stop by then."""
_MOVED = 0.75
"""Where at most so many of the answers go on, the others leave the cache."""
_MOST_TOKENS = 64
"""Longer answers are cut, too, unless more is asked for: of so many tokens most of the similarity is known."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One entry for each sequence, in their order. The end token is counted in ``stops`` only."""

    nll_sums: tuple[float, ...]
    """Negative log-likelihood of the middle, nats."""
    tokens: tuple[int, ...]
    """Tokens of the middle."""
    exact: tuple[bool, ...]
    """Whether greedy decoding writes the middle, token for token."""
    stops: tuple[bool, ...]
    """Whether the end token is the most probable one right after the middle."""
    similarity: tuple[float, ...] = ()
    """Of the greedy answer and the middle, 0 to 1 (Ratcliff and Obershelp, as ``difflib`` computes it); empty where
    nothing was written out, like ``answers``."""
    answers: tuple[str, ...] = field(default=(), repr=False)

    @property
    def nll(self) -> float:
        """Mean negative log-likelihood of a middle token, nats."""
        return sum(self.nll_sums) / max(1, sum(self.tokens))

    @property
    def exact_match(self) -> float:
        """Share of the holes that are filled exactly."""
        return sum(self.exact) / max(1, len(self.exact))

    @property
    def stop_rate(self) -> float:
        """Share of the holes after which the model stops."""
        return sum(self.stops) / max(1, len(self.stops))

    @property
    def edit_similarity(self) -> float:
        """Mean similarity."""
        return sum(self.similarity) / max(1, len(self.similarity))


@dataclass(slots=True)
class Prompts:
    """The holes' prompts, read through the lower half once for all models that share it."""

    sequences: Sequence[TokenSequence]
    batch_tokens: int = _BATCH_TOKENS
    """Of those that are asked at once: the more, the less it takes to write answers out, and the more memory."""
    _read: dict[int, tuple[Tensor, Cache]] = field(default_factory=dict)

    def batches(self) -> Iterator[tuple[int, ...]]:
        """Indices, by length so that a batch's answers are of like length; the same ones every time."""
        order = sorted(range(len(self.sequences)), key=lambda index: self.sequences[index].labels)
        batch: list[int] = []
        size = 0
        for index in order:
            batch.append(index)
            size += len(self.sequences[index].ids)
            if size >= self.batch_tokens:
                yield tuple(batch)
                batch, size = [], 0
        if batch:
            yield tuple(batch)

    @torch.no_grad()
    def read(self, decoder: Decoder, number: int, indices: Sequence[int]) -> tuple[Tensor, Cache]:
        """Activations at the cut, (tokens, hidden), and a cache of the lower half that may grow, for one batch."""
        if number not in self._read:
            prompts = [self.sequences[index].ids[: self.sequences[index].start] for index in indices]
            cache = Cache()
            x = decoder.lower(_flat(prompts, decoder), [len(prompt) for prompt in prompts], cache)
            self._read[number] = x.to(torch.bfloat16), cache.to(torch.bfloat16)
        x, cache = self._read[number]
        return x, cache.to(torch.float32)


@torch.no_grad()
def evaluate(
    decoder: Decoder,
    prompts: Prompts,
    *,
    write: Callable[[list[int]], str] | None = None,
    end: int = -1,
    most: int = _MOST_TOKENS,
    every: int = 1,
    progress: Callable[[float], None] = lambda _: None,
) -> Scores:
    """Scores holes.

    Args:
        write: Token ids to text; without it nothing is written out, and ``similarity`` is empty.
        end: The token that ends a middle.
        most: Tokens from which an answer is cut.
        every: Scores one batch of so many only, holes with short and with long middles alike.
    """
    sequences = prompts.sequences
    rows: dict[int, _Row] = {}
    for number, indices in itertools.islice(enumerate(prompts.batches()), 0, None, every):
        batch = [sequences[index] for index in indices]
        if decoder.caches:
            scored, cache = _with_cache(decoder, prompts, number, indices)
        else:
            scored, cache = _whole(decoder, batch), None
        if write is not None:
            _write_out(decoder, batch, scored, cache, write, end, most)
        rows.update(zip(indices, scored, strict=True))
        progress(len(rows) * every / len(sequences))
    give_back()
    ordered = [rows[index] for index in sorted(rows)]
    return Scores(
        tuple(row.nll for row in ordered),
        tuple(len(row.right) - 1 for row in ordered),
        tuple(all(row.right[:-1]) for row in ordered),
        tuple(row.right[-1] for row in ordered),
        tuple(row.similarity for row in ordered) if write is not None else (),
        tuple(row.answer for row in ordered) if write is not None else (),
    )


@dataclass(slots=True)
class _Row:
    nll: float
    right: list[bool]
    """For every label, the end token included: whether it is the most probable one."""
    best: list[int]
    similarity: float = 0.0
    answer: str = ""


def _with_cache(
    decoder: Decoder, prompts: Prompts, number: int, indices: Sequence[int]
) -> tuple[list[_Row], Cache]:
    batch = [prompts.sequences[index] for index in indices]
    x, cache = prompts.read(decoder, number, indices)
    lengths = [sequence.start for sequence in batch]
    last = torch.tensor(lengths).cumsum(0) - 1
    hidden = decoder.upper(x, lengths, cache)[last]  # (batch, hidden)
    middles = [sequence.ids[sequence.start : -1] for sequence in batch]
    counts = [len(middle) for middle in middles]
    more = _forward(decoder, middles, cache)
    states = [
        torch.cat((first[None], rest))
        for first, rest in zip(hidden, more.split_with_sizes(counts), strict=True)
    ]
    return _score(decoder, batch, torch.cat(states)), cache


def _whole(decoder: Decoder, batch: Sequence[TokenSequence]) -> list[_Row]:
    hidden = _forward(decoder, [sequence.ids[:-1] for sequence in batch], None)
    parts = hidden.split_with_sizes([len(sequence.ids) - 1 for sequence in batch])
    states = [part[sequence.start - 1 :] for part, sequence in zip(parts, batch, strict=True)]
    return _score(decoder, batch, torch.cat(states))


def _score(decoder: Decoder, batch: Sequence[TokenSequence], hidden: Tensor) -> list[_Row]:
    """hidden (labels, hidden), the batch's labels in order."""
    labels = torch.tensor([token for s in batch for token in s.ids[s.start :]], device=decoder.device)
    chunks = len(labels) // 64 + 1
    logits = torch.cat(
        [_of_logits(decoder, *part) for part in zip(hidden.chunk(chunks), labels.chunk(chunks), strict=True)]
    )
    rows, at = [], 0
    for sequence in batch:
        part = logits[at : at + sequence.labels]
        at += sequence.labels
        best = part[:, 1].long().tolist()
        right = [token == wanted for token, wanted in zip(best, sequence.ids[sequence.start :], strict=True)]
        rows.append(_Row(float(part[:-1, 0].sum()), right, best))
    return rows


def _of_logits(decoder: Decoder, hidden: Tensor, labels: Tensor) -> Tensor:
    """(labels, 2): loss, and the most probable token."""
    logits = decoder.logits(hidden)
    losses = F.cross_entropy(logits, labels, reduction="none")
    return torch.stack((losses.double(), logits.argmax(-1).double()), dim=-1)


def _write_out(
    decoder: Decoder,
    batch: Sequence[TokenSequence],
    rows: Sequence[_Row],
    cache: Cache | None,
    write: Callable[[list[int]], str],
    end: int,
    most: int,
) -> None:
    """Fills in ``similarity``; what is written is right up to the first wrong token, so it goes on from there."""
    written = []
    for sequence, row in zip(batch, rows, strict=True):
        wrong = row.right.index(False) if False in row.right else len(row.right) - 1
        written.append([*sequence.ids[sequence.start : sequence.start + wrong], row.best[wrong]])
    limits = [min(sequence.labels + _MORE_TOKENS, most) for sequence in batch]
    if cache is not None:
        # The last token written has not been read yet.
        cache.crop([s.start + len(answer) - 1 for s, answer in zip(batch, written, strict=True)])
    going = list(range(len(written)))  # whose keys and values are in the cache
    while True:
        alive = {
            place for place in going if written[place][-1] != end and len(written[place]) < limits[place]
        }
        if not alive:
            break
        # A few that ended go along: reading their last token again costs less than moving the cache.
        if cache is None or len(alive) <= _MOVED * len(going):
            if cache is not None:
                cache.keep([row for row, place in enumerate(going) if place in alive])
            going = [place for place in going if place in alive]
        if cache is not None:
            hidden = _forward(decoder, [written[place][-1:] for place in going], cache)
        else:
            whole = [[*batch[place].ids[: batch[place].start], *written[place]] for place in going]
            last = torch.tensor([len(ids) for ids in whole]).cumsum(0) - 1
            hidden = _forward(decoder, whole, None)[last]
        for place, token in zip(going, decoder.logits(hidden).argmax(-1).tolist(), strict=True):
            if place in alive:
                written[place].append(token)
    for sequence, row, answer in zip(batch, rows, written, strict=True):
        row.answer = write(answer[: answer.index(end)] if end in answer else answer)
        row.similarity = SequenceMatcher(None, row.answer, sequence.example.middle, autojunk=False).ratio()


def _forward(decoder: Decoder, ids: Sequence[Sequence[int]], cache: Cache | None) -> Tensor:
    lengths = [len(part) for part in ids]
    below = decoder.lower(_flat(ids, decoder), lengths, cache)
    return decoder.upper(below, lengths, cache)


def _flat(ids: Sequence[Sequence[int]], decoder: Decoder) -> Tensor:
    return torch.tensor([token for part in ids for token in part], dtype=torch.long, device=decoder.device)
