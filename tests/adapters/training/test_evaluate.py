"""Scores from one forward pass are what generation writes and what a plain computation gives."""

import dataclasses
from difflib import SequenceMatcher
from typing import Any

import pytest
import torch

from tailora.engine.decoder import LeanDecoder
from tailora_adapters.base.load import load_model
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.corpus.sequences import TokenSequence, encode
from tailora_adapters.methods import resume
from tailora_adapters.training import lean
from tailora_adapters.training.evaluate import Prompts, Scores, evaluate
from tailora_adapters.training.split import SplitDecoder


@pytest.fixture
def sequences(tokenizer: Any, training_examples: list[Any]) -> list[TokenSequence]:
    """What the trained model knows, and some that it cannot know."""
    strange = [dataclasses.replace(example, middle="zebra()") for example in training_examples[:3]]
    return [encode(tokenizer, example, PromptBudget()) for example in training_examples + strange]


def written(decoder: LeanDecoder, sequence: TokenSequence, tokenizer: Any) -> tuple[str, bool]:
    """What plain greedy decoding answers until it ends or has failed to; and whether it has ended."""
    state = decoder.new_state(600)
    ids, answer = list(sequence.ids[: sequence.start]), list[int]()
    while len(answer) < sequence.labels + 8:
        ids = [int(decoder.forward(ids, state, None).argmax())]
        if ids[0] == tokenizer.end_id:
            return tokenizer.decode(answer), True
        answer += ids
    return tokenizer.decode(answer), False


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


def test_answers_are_what_generation_writes(
    trained: Any, sequences: list[TokenSequence], tokenizer: Any
) -> None:
    model = load_model(trained.name).model
    engine = LeanDecoder(trained.folder, packed=False)
    expected = [written(engine, sequence, tokenizer) for sequence in sequences]
    assert sum(ended for _, ended in expected) > len(sequences) / 2
    for decoder in (SplitDecoder(model, 2), lean.LeanDecoder(model, 2, form=torch.bfloat16)):
        scores = evaluate(decoder, Prompts(sequences), write=tokenizer.decode, end=tokenizer.end_id)
        for answer, (plain, ended) in zip(scores.answers, expected, strict=True):
            # One that has not ended has come to what the model does not know, where rounding may decide.
            assert answer == plain if ended else answer[:4] == plain[:4]
        for sequence, exact, stops, answer, similarity in zip(
            sequences, scores.exact, scores.stops, scores.answers, scores.similarity, strict=True
        ):
            middle = sequence.example.middle
            assert similarity == SequenceMatcher(None, answer, middle, autojunk=False).ratio()
            assert (answer == middle) == (exact and stops)
        assert scores.edit_similarity == pytest.approx(sum(scores.similarity) / len(sequences))
    # What nobody taught it is not filled in exactly, and still written out.
    assert not any(scores.exact[-3:])
    assert all(scores.answers[-3:])
    assert evaluate(decoder, Prompts(sequences)).similarity == ()


def test_models_that_share_their_lower_half_share_its_work(
    tiny: Any, sequences: list[TokenSequence], make_lora: Any
) -> None:
    model = resume(load_model(tiny.name).model, make_lora(1))
    decoder = lean.LeanDecoder(model, 2, form=torch.bfloat16)
    calls = []
    lower = decoder.lower

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return lower(*arguments)

    decoder.lower = counted  # type: ignore[method-assign]
    shared = Prompts(sequences)
    first = evaluate(decoder, shared)
    alone = len(calls)
    for layer in model.get_base_model().model.layers[2:]:
        torch.nn.init.zeros_(layer.mlp.down_proj.lora_B["default"].weight)
    second = evaluate(decoder, shared)
    assert len(calls) < 2 * alone, "the prompts were read once"
    assert first == evaluate(
        lean.LeanDecoder(again(tiny, make_lora), 2, form=torch.bfloat16), Prompts(sequences)
    )
    assert second == evaluate(decoder, Prompts(sequences))
    assert first.nll != second.nll


def again(tiny: Any, make_lora: Any) -> Any:
    return resume(load_model(tiny.name).model, make_lora(1))


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


def test_part_of_the_holes(trained: Any, sequences: list[TokenSequence]) -> None:
    prompts = Prompts(sequences, 200)
    decoder = lean.LeanDecoder(load_model(trained.name).model, 2, form=torch.bfloat16)
    part, again = (evaluate(decoder, prompts, every=3) for _ in range(2))
    chosen = sorted(place for batch in list(prompts.batches())[::3] for place in batch)
    whole = evaluate(decoder, prompts)
    assert 0 < len(chosen) < len(sequences)
    assert part == again
    assert part.nll_sums == pytest.approx([whole.nll_sums[place] for place in chosen], rel=1e-4)
