"""How well a model fills held-out holes: loss, exact match and stopping, from one forward pass per batch.

Exact match needs no generation: greedy decoding writes exactly the reference if and only if at every place, given
the reference before it, the most probable token is the reference's next one. Knows nothing of adapters or the gate.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.training.batches import collate, shuffled_batches
from tailora_adapters.training.loop import Kept
from tailora_adapters.training.split import SplitDecoder

__all__ = ["Scores", "evaluate"]

_BATCH = 8


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


@torch.no_grad()
def evaluate(
    decoder: SplitDecoder,
    sequences: Sequence[TokenSequence],
    *,
    kept: Kept | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> Scores:
    """Scores every sequence; ``kept`` holds activations below the cut where several models share them."""
    kept = kept or Kept(decoder, sequences)
    size = len(sequences)
    nll_sums, tokens, exact, stops = [0.0] * size, [0] * size, [True] * size, [False] * size
    done = 0
    for indices in shuffled_batches(sequences, _BATCH, random.Random(0)):
        batch = collate(sequences, indices, decoder.device)
        hidden = decoder.upper(kept.get(batch)).flatten(0, 1)[batch.positions]  # (labels, hidden)
        logits = decoder.logits(hidden)  # (labels, vocabulary)
        losses = F.cross_entropy(logits, batch.labels, reduction="none").tolist()
        right = (logits.argmax(-1) == batch.labels).tolist()
        owners = batch.owners.tolist()
        for place, row in enumerate(owners):
            index = batch.indices[row]
            if place + 1 == len(owners) or owners[place + 1] != row:
                stops[index] = right[place]
                continue
            nll_sums[index] += losses[place]
            tokens[index] += 1
            exact[index] = exact[index] and right[place]
        done += len(indices)
        progress(done / size)
    return Scores(tuple(nll_sums), tuple(tokens), tuple(exact), tuple(stops))
