"""Token sequences to padded batches. Right padding needs no attention mask under causal attention.

Knows nothing of models.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tailora_adapters.corpus.sequences import TokenSequence

__all__ = ["Batch", "collate", "prompt_labels", "shuffled_batches"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Several sequences, padded on the right to the longest."""

    indices: tuple[int, ...]
    """Which sequences, by their place in the list that they came from."""
    ids: Tensor  # (batch, seq)
    positions: Tensor  # (labels,) places in the flattened (batch * seq) hidden states that predict a label
    labels: Tensor  # (labels,)
    owners: Tensor  # (labels,) row in the batch that a label belongs to

    @property
    def tokens(self) -> int:
        """Positions computed, padding included."""
        return self.ids.numel()


def prompt_labels(
    sequences: Sequence[TokenSequence], batch: Batch, count: int, rng: random.Random
) -> tuple[Tensor, Tensor]:
    """The places of the batch's tails and up to ``count`` others of its prompts, drawn at random, and the code tokens
    that they predict."""
    width = batch.ids.shape[1]
    drawn: list[tuple[int, int]] = []
    others: list[tuple[int, int]] = []
    for row, index in enumerate(batch.indices):
        sequence = sequences[index]
        for part, places in ((others, sequence.code), (drawn, range(sequence.tail, sequence.start))):
            part += [(row * width + place - 1, sequence.ids[place]) for place in places]
    drawn += rng.sample(others, min(count, len(others)))
    device = batch.ids.device
    return (
        torch.tensor([place for place, _ in drawn], dtype=torch.long, device=device),
        torch.tensor([label for _, label in drawn], dtype=torch.long, device=device),
    )


def collate(sequences: Sequence[TokenSequence], indices: Sequence[int], device: torch.device) -> Batch:
    """One batch of the sequences with these indices, on the model's device."""
    chosen = [sequences[i] for i in indices]
    # The last token is only ever a label, so that it need not be computed.
    width = max(len(sequence.ids) for sequence in chosen) - 1
    ids = torch.zeros((len(chosen), width), dtype=torch.long)
    positions, labels, owners = [], [], []
    for row, sequence in enumerate(chosen):
        ids[row, : len(sequence.ids) - 1] = torch.tensor(sequence.ids[:-1])
        for place in range(sequence.start, len(sequence.ids)):
            positions.append(row * width + place - 1)
            labels.append(sequence.ids[place])
            owners.append(row)
    return Batch(
        tuple(indices),
        ids.to(device),
        torch.tensor(positions, device=device),
        torch.tensor(labels, device=device),
        torch.tensor(owners),
    )


def shuffled_batches(
    sequences: Sequence[TokenSequence], size: int, rng: random.Random
) -> Iterator[list[int]]:
    """Index lists of ``size``, each of similar lengths so that little is padding, in random order."""
    order = list(range(len(sequences)))
    rng.shuffle(order)
    window = size * 8
    batches = []
    for begin in range(0, len(order), window):
        part = sorted(order[begin : begin + window], key=lambda i: len(sequences[i].ids))
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(batches)
    yield from batches
