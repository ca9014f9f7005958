"""Token sequences to batches without padding: one behind the other, with the places that carry loss.

Knows nothing of models.
"""

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tailora_adapters.corpus.sequences import TokenSequence

__all__ = ["Batch", "collate", "predicting", "shuffled_batches"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Several sequences. The last token of each is only ever a label, and not among ``ids``."""

    indices: tuple[int, ...]
    """Which sequences, by their place in the list that they came from."""
    ids: Tensor  # (tokens,)
    lengths: tuple[int, ...]
    positions: Tensor  # (labels,) places in ``ids`` that predict a token of a middle
    labels: Tensor  # (labels,)
    prompt_positions: Tensor  # (prompt labels,) the same for the tails, and for some of the prompts' own code
    prompt_labels: Tensor
    anchor_positions: Tensor
    """(anchor labels,) the same for all labels of the anchors, which are not among the others."""

    @property
    def tokens(self) -> int:
        """Positions computed."""
        return len(self.ids)


def collate(
    sequences: Sequence[TokenSequence],
    indices: Sequence[int],
    device: torch.device,
    *,
    prompt_share: float = 1.0,
    rng: random.Random | None = None,
    anchors: Collection[int] = (),
    end_times: int = 1,
) -> Batch:
    """One batch of the sequences with these indices, on the model's device.

    ``prompt_share`` of the prompts' code, drawn by ``rng``, is among the prompt labels; the tails always are.
    ``anchors`` are indices of sequences that have no labels, as they are compared with another model's answers.
    A middle's end is ``end_times`` among its labels.
    """
    ids: list[int] = []
    lengths: list[int] = []
    middles: list[tuple[int, int]] = []
    prompts: list[tuple[int, int]] = []
    anchored: list[int] = []
    for index in indices:
        sequence = sequences[index]
        offset = len(ids) - 1  # a token is predicted by the one before it
        if index in anchors:
            anchored += [offset + 1 + place for place in predicting(sequence)]
        else:
            places = [*range(sequence.start, len(sequence.ids)), *[len(sequence.ids) - 1] * (end_times - 1)]
            middles += [(offset + at, sequence.ids[at]) for at in places]
            code: Sequence[int] = sequence.code
            if prompt_share < 1:
                code = rng.sample(code, round(prompt_share * len(code))) if rng is not None else ()
            for part in (code, range(sequence.tail, sequence.start)):
                prompts += [(offset + at, sequence.ids[at]) for at in part]
        ids += sequence.ids[:-1]
        lengths.append(len(sequence.ids) - 1)

    def tensor(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=device)

    return Batch(
        tuple(indices),
        tensor(ids),
        tuple(lengths),
        tensor([place for place, _ in middles]),
        tensor([label for _, label in middles]),
        tensor([place for place, _ in prompts]),
        tensor([label for _, label in prompts]),
        tensor(anchored),
    )


def predicting(sequence: TokenSequence) -> list[int]:
    """Places of a sequence that predict a token of its code or of its middle."""
    return [at - 1 for at in (*sequence.code, *range(sequence.tail, len(sequence.ids)))]


def shuffled_batches(
    sequences: Sequence[TokenSequence], tokens: int, rng: random.Random
) -> Iterator[list[int]]:
    """Index lists in random order, each of so many that the next one would be nearer to ``tokens`` from above."""
    order = list(range(len(sequences)))
    rng.shuffle(order)
    batch: list[int] = []
    size = 0
    for index in order:
        length = len(sequences[index].ids)
        if batch and size + length / 2 > tokens:
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += length
    if batch:
        yield batch
