"""Scores from one forward pass are what generation writes and what a plain computation gives."""

import dataclasses
from typing import Any

import pytest
import torch

from tailora.engine.decoder import LeanDecoder
from tailora_adapters.base.load import load_model
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.corpus.sequences import TokenSequence, encode
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate
from tailora_adapters.training.split import SplitDecoder


@pytest.fixture
def sequences(tokenizer: Any, training_examples: list[Any]) -> list[TokenSequence]:
    """What the trained model knows, and some that it cannot know."""
    strange = [dataclasses.replace(example, middle="zebra()") for example in training_examples[:3]]
    return [encode(tokenizer, example, PromptBudget()) for example in training_examples + strange]


def greedy(decoder: LeanDecoder, sequence: TokenSequence) -> list[int]:
    state = decoder.new_state(600)
    ids = list(sequence.ids[: sequence.start])
    written: list[int] = []
    for _ in range(sequence.labels):
        logits = decoder.forward(ids, state, None)
        ids = [int(logits.argmax())]
        written += ids
    return written


def test_exact_match_is_what_generation_writes(trained: Any, sequences: list[TokenSequence]) -> None:
    scores = evaluate(SplitDecoder(load_model(trained.name).model, 2), Prompts(sequences))
    decoder = LeanDecoder(trained.folder, packed=False)
    assert 0.5 < scores.exact_match < 1
    for sequence, exact, stops in zip(sequences, scores.exact, scores.stops, strict=True):
        written, expected = greedy(decoder, sequence), list(sequence.ids[sequence.start :])
        assert exact == (written[:-1] == expected[:-1])
        if exact:
            assert stops == (written[-1] == expected[-1])


@torch.no_grad()
def test_loss_is_the_plain_one(tiny: Any, sequences: list[TokenSequence]) -> None:
    model = load_model(tiny.name).model
    fractions: list[float] = []
    scores = evaluate(SplitDecoder(model, 1), Prompts(sequences), progress=fractions.append)
    for place, sequence in enumerate(sequences):
        logits = model(input_ids=torch.tensor([sequence.ids])).logits[0].float().log_softmax(-1)
        places = range(sequence.start, len(sequence.ids) - 1)  # without the end token
        plain = -sum(float(logits[i - 1, sequence.ids[i]]) for i in places)
        assert scores.nll_sums[place] == pytest.approx(plain, rel=0.01)
        assert scores.tokens[place] == sequence.labels - 1
    assert scores.nll == pytest.approx(sum(scores.nll_sums) / sum(scores.tokens))
    assert fractions[-1] == 1.0


def test_stop_is_counted_apart(tiny: Any, sequences: list[TokenSequence]) -> None:
    decoder = SplitDecoder(load_model(tiny.name).model, 0)
    before = evaluate(decoder, Prompts(sequences))
    other = [dataclasses.replace(s, ids=(*s.ids[:-1], 17)) for s in sequences]
    after = evaluate(decoder, Prompts(other))
    assert after.nll == pytest.approx(before.nll)
    assert after.exact == before.exact
    assert after.tokens == before.tokens


def test_nothing_to_score() -> None:
    empty = Scores((), (), (), ())
    assert (empty.nll, empty.exact_match, empty.stop_rate) == (0.0, 0.0, 0.0)
