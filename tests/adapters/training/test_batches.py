"""Batches: sequences one behind the other, whose places predict the tokens of middles, tails and prompts."""

import random
from dataclasses import replace

import pytest
import torch

from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.examples import FimExample
from tailora_adapters.corpus.sequences import TokenSequence, encode
from tailora_adapters.training.batches import Batch, collate, predicting, shuffled_batches

CPU = torch.device("cpu")


@pytest.fixture
def sequences(tokenizer: CodeTokenizer) -> list[TokenSequence]:
    return [
        encode(
            tokenizer,
            FimExample("a.py", "python", f"def f{number}(x):\n    ", "return x", "\n\nprint(1)\n", "line", 1),
            PromptBudget(),
        )
        for number in range(3)
    ]


def places(batch: Batch, sequences: list[TokenSequence], found: torch.Tensor) -> list[tuple[int, int]]:
    """Places in the batch as pairs of a sequence's index and the place in it that is predicted."""
    starts = [sum(batch.lengths[:row]) for row in range(len(batch.lengths))]
    result = []
    for place in found.tolist():
        row = max(row for row, start in enumerate(starts) if start <= place)
        result.append((batch.indices[row], place - starts[row] + 1))
    return result


def test_sequences_lie_one_behind_the_other(sequences: list[TokenSequence]) -> None:
    batch = collate(sequences, [2, 0], CPU)
    assert batch.indices == (2, 0)
    assert batch.lengths == (len(sequences[2].ids) - 1, len(sequences[0].ids) - 1)
    assert batch.ids.tolist() == [*sequences[2].ids[:-1], *sequences[0].ids[:-1]]
    assert batch.tokens == len(batch.ids)
    middles = places(batch, sequences, batch.positions)
    assert middles == [
        (index, place)
        for index in (2, 0)
        for place in range(sequences[index].start, len(sequences[index].ids))
    ]
    assert batch.labels.tolist() == [sequences[index].ids[place] for index, place in middles]


def test_places_predict_the_prompts_own_code(
    tokenizer: CodeTokenizer, sequences: list[TokenSequence]
) -> None:
    batch = collate(sequences, [2, 0], CPU)
    tails = sum(sequences[index].start - sequences[index].tail for index in (2, 0))
    assert tails > 0
    assert len(batch.prompt_labels) == tails + sum(len(sequences[index].code) for index in (2, 0))
    found = places(batch, sequences, batch.prompt_positions)
    for (index, place), label in zip(found, batch.prompt_labels.tolist(), strict=True):
        sequence = sequences[index]
        assert sequence.ids[place] == label
        assert place < sequence.start
        assert label not in tokenizer.stop_ids
        assert place == sequence.tail or sequence.ids[place - 1] not in tokenizer.stop_ids
    code = sum(len(sequences[index].code) for index in (2, 0))
    few = collate(sequences, [2, 0], CPU, prompt_share=0.5, rng=random.Random(0))
    assert abs(len(few.prompt_labels) - tails - code / 2) <= 1
    none = collate(sequences, [2, 0], CPU, prompt_share=0.0, rng=random.Random(0))
    assert len(none.prompt_labels) == tails, "a tail is part of the hole, and always learned from"


def test_an_end_counts_as_often_as_is_wanted(sequences: list[TokenSequence]) -> None:
    once, often = (collate(sequences, [2, 0], CPU, end_times=times) for times in (1, 3))
    end = sequences[0].ids[-1]
    assert [batch.labels.tolist().count(end) for batch in (once, often)] == [2, 6]
    assert len(often.labels) == len(often.positions) == len(once.labels) + 4
    assert often.prompt_labels.tolist() == once.prompt_labels.tolist()


def test_anchors_have_places_and_no_labels(sequences: list[TokenSequence]) -> None:
    usual = collate(sequences, [0], CPU)
    batch = collate(sequences, [2, 0], CPU, anchors={2})
    assert batch.labels.tolist() == usual.labels.tolist()
    assert batch.prompt_labels.tolist() == usual.prompt_labels.tolist()
    anchor = sequences[2]
    predicted = [*anchor.code, *range(anchor.tail, len(anchor.ids))]
    assert places(batch, sequences, batch.anchor_positions) == [(2, place) for place in predicted]
    assert [place + 1 for place in predicting(anchor)] == predicted


def test_every_sequence_once_an_epoch(sequences: list[TokenSequence]) -> None:
    many = [replace(sequences[0], ids=(7,) * (10 + number * 7 % 50)) for number in range(40)]
    batches = list(shuffled_batches(many, 100, random.Random(1)))
    assert sorted(index for batch in batches for index in batch) == list(range(40))
    sizes = [sum(len(many[index].ids) for index in batch) for batch in batches]
    assert all(70 <= size <= 130 for size in sizes[:-1])
    assert batches == list(shuffled_batches(many, 100, random.Random(1)))
    assert batches != list(shuffled_batches(many, 100, random.Random(2)))


def test_a_sequence_longer_than_a_batch_is_one(sequences: list[TokenSequence]) -> None:
    long = [replace(sequences[0], ids=(7,) * 500)] * 3
    assert [len(batch) for batch in shuffled_batches(long, 100, random.Random(1))] == [1, 1, 1]
