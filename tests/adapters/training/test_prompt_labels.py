"""Labels of the prompt: only code that follows from what stands before it, never a control token."""

import random

import torch

from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.base.tokenizer import CodeTokenizer
from tailora_adapters.corpus.examples import FimExample
from tailora_adapters.corpus.sequences import encode
from tailora_adapters.training.batches import collate, prompt_labels


def test_places_predict_the_prompts_own_code(tokenizer: CodeTokenizer) -> None:
    sequences = [
        encode(
            tokenizer,
            FimExample("a.py", "python", f"def f{number}(x):\n    ", "return x", "\n\nprint(1)\n", "line", 1),
            PromptBudget(),
        )
        for number in range(3)
    ]
    batch = collate(sequences, [2, 0], torch.device("cpu"))
    places, labels = prompt_labels(sequences, batch, 1_000, random.Random(0))
    width = batch.ids.shape[1]
    tails = sum(sequences[index].start - sequences[index].tail for index in (2, 0))
    assert tails > 0
    assert len(places) == tails + sum(len(sequences[index].code) for index in (2, 0))
    for place, label in zip(places.tolist(), labels.tolist(), strict=True):
        row, column = divmod(place, width)
        sequence = sequences[batch.indices[row]]
        assert sequence.ids[column + 1] == label
        assert column + 1 < sequence.start
        assert label not in tokenizer.stop_ids
        assert column + 1 == sequence.tail or sequence.ids[column] not in tokenizer.stop_ids
    few, _ = prompt_labels(sequences, batch, 5, random.Random(0))
    assert len(few) == tails + 5
    none, _ = prompt_labels(sequences, batch, 0, random.Random(0))
    assert len(none) == tails, "a tail is part of the hole, and always learned from"
