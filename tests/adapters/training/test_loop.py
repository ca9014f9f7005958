"""Training lowers the loss, repeats itself for a seed, keeps to its time, and stops when the loss is lost."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch

from tailora_adapters.base.load import load_model
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.corpus.sequences import TokenSequence, encode
from tailora_adapters.errors import TrainingFailed
from tailora_adapters.methods import LoraSettings, attach, freeze_below
from tailora_adapters.training import loop
from tailora_adapters.training.batches import collate
from tailora_adapters.training.decoder import make_decoder
from tailora_adapters.training.head import frozen_divergence
from tailora_adapters.training.loop import Anchors, StepReport, TrainReport, TrainSettings, train

TOKENS = 240
"""About four of the sequences."""
BUDGET = PromptBudget(prefix=40, suffix=12, tail=0)
SETTINGS = TrainSettings(
    learning_rate=5e-3, batch_tokens=TOKENS, max_steps=30, max_epochs=100, prompt_weight=0
)


@pytest.fixture
def sequences(tokenizer: Any, training_examples: list[Any]) -> list[TokenSequence]:
    return [encode(tokenizer, example, BUDGET) for example in training_examples[:8]]


def new(tiny: Any, first_layer: int = 0) -> Any:
    torch.manual_seed(5)
    model = attach(load_model(tiny.name).model, LoraSettings(rank=4, alpha=16))
    freeze_below(model, first_layer)
    return model


def learn(model: Any, sequences: list[TokenSequence], settings: TrainSettings, **more: Any) -> TrainReport:
    return train(model, make_decoder(model, settings.first_layer), sequences, settings, **more)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if "lora_" in name}


def put(model: Any, values: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in values:
                parameter.copy_(values[name])


def holding(model: Any, values: dict[str, torch.Tensor]) -> Callable[[], AbstractContextManager[None]]:
    @contextlib.contextmanager
    def hold() -> Iterator[None]:
        now = weights(model)
        put(model, values)
        yield
        put(model, now)

    return hold


def answers(decoder: Any, sequences: list[TokenSequence], known: range) -> torch.Tensor:
    """What the model makes of these sequences now."""
    batch = collate(sequences, known, decoder.device, anchors=known)
    return Anchors(decoder, sequences, known).states(batch, decoder.lower(batch.ids, batch.lengths))


@pytest.mark.parametrize("first_layer", [0, 2])
def test_loss_falls(tiny: Any, sequences: list[TokenSequence], first_layer: int) -> None:
    model = new(tiny, first_layer)
    before = weights(model)
    steps: list[StepReport] = []
    settings = dataclasses.replace(SETTINGS, first_layer=first_layer)
    report = learn(model, sequences, settings, seed=1, on_step=steps.append)
    assert report.steps == len(steps) == 30
    assert sum(step.loss for step in steps[-4:]) < 0.75 * sum(step.loss for step in steps[:4])
    assert [step.step for step in steps] == list(range(1, 31))
    assert all(a.fraction <= b.fraction for a, b in itertools.pairwise(steps))
    assert not model.training
    changed = {name for name, weight in weights(model).items() if not torch.equal(weight, before[name])}
    assert {int(name.split(".layers.")[1].split(".")[0]) for name in changed} == set(range(first_layer, 4))


def test_anchors_keep_what_was_known(tiny: Any, sequences: list[TokenSequence]) -> None:
    """What is trained on drives the answers to the anchors away, and the anchors hold them."""
    known = range(4, 8)

    def drift(weight: float) -> float:
        model = new(tiny)
        decoder = make_decoder(model, 0)
        before = answers(decoder, sequences, known)
        settings = dataclasses.replace(SETTINGS, anchor_weight=weight)
        anchors = Anchors(decoder, sequences, known, holding(model, weights(model)))
        train(model, decoder, sequences, settings, seed=1, anchors=anchors)
        after = answers(decoder, sequences, known)
        return frozen_divergence(after.float(), decoder.head_weight, before.float()).item()

    assert drift(10.0) < 0.5 * drift(1e-6)


def test_an_anchor_is_asked_with_the_values_of_the_start(tiny: Any, sequences: list[TokenSequence]) -> None:
    """However late it is first trained on."""
    known = range(4, 8)
    model = new(tiny)
    decoder = make_decoder(model, 0)
    before = answers(decoder, sequences, known)
    at_start = holding(model, weights(model))
    learn(model, sequences[:4], SETTINGS, seed=1)
    trained = weights(model)
    assert not torch.equal(answers(decoder, sequences, known), before)
    batch = collate(sequences, known, decoder.device, anchors=known)
    below = decoder.lower(batch.ids, batch.lengths)
    assert torch.equal(Anchors(decoder, sequences, known, at_start).states(batch, below), before)
    assert all(torch.equal(weight, trained[name]) for name, weight in weights(model).items())


def test_deterministic(tiny: Any, sequences: list[TokenSequence]) -> None:
    settings = dataclasses.replace(SETTINGS, max_steps=6, batch_tokens=TOKENS // 2)
    results = []
    for seed in (1, 1, 2):
        model = new(tiny)
        results.append((learn(model, sequences, settings, seed=seed).final_loss, weights(model)))
    (loss, first), (again, second), (other, _) = results
    assert loss == again != other
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_kept_activations_change_nothing(
    tiny: Any, sequences: list[TokenSequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(SETTINGS, max_steps=6, first_layer=2)
    kept = learn(new(tiny, 2), sequences, settings, seed=1)
    monkeypatch.setattr(loop, "Kept", lambda sequences: None)
    plain = learn(new(tiny, 2), sequences, settings, seed=1)
    assert kept.final_loss == pytest.approx(plain.final_loss, rel=0.01)


def test_loss_that_is_no_number(tiny: Any, sequences: list[TokenSequence]) -> None:
    model = new(tiny)
    with torch.no_grad():
        next(p for p in model.parameters() if p.requires_grad).fill_(float("nan"))
    with pytest.raises(TrainingFailed, match="step 0"):
        learn(model, sequences, SETTINGS, seed=1)


def test_keeps_to_its_time(
    tiny: Any, sequences: list[TokenSequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))  # a second passes at every look
    steps: list[StepReport] = []
    settings = dataclasses.replace(SETTINGS, max_seconds=10.0, max_steps=10_000)
    report = learn(new(tiny), sequences, settings, seed=1, on_step=steps.append)
    assert 1 <= report.steps <= 10
    assert steps[-1].fraction > 0.5  # the schedule followed the clock
    assert settings.as_dict()["max_seconds"] == 10.0
    assert SETTINGS.as_dict()["max_seconds"] is None


def test_epochs_bound_the_steps(tiny: Any, sequences: list[TokenSequence]) -> None:
    settings = dataclasses.replace(SETTINGS, max_epochs=1.5)
    assert learn(new(tiny), sequences, settings, seed=1).steps == 3


def test_the_clock_leaves_out_what_a_step_was_suspended_for(
    tiny: Any, sequences: list[TokenSequence], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def on_step(step: StepReport) -> None:
        now[0] += 3_600.0 if step.step == 12 else 1.0  # the next step takes an hour: the lid was closed

    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    settings = dataclasses.replace(SETTINGS, max_steps=20, max_seconds=100.0)
    report = learn(new(tiny), sequences, settings, seed=1, on_step=on_step)
    assert report.steps == 20
    assert 19 <= report.seconds <= 25


def test_prompts_are_learned_from_too(tiny: Any, sequences: list[TokenSequence]) -> None:
    with_prompts = dataclasses.replace(SETTINGS, max_steps=4, prompt_weight=1.0)
    results = {}
    for name, settings in {
        "middles": dataclasses.replace(with_prompts, prompt_weight=0.0),
        "tails": dataclasses.replace(with_prompts, prompt_share=0.0),
        "prompts": with_prompts,
    }.items():
        model = new(tiny)
        losses: list[float] = []
        learn(model, sequences, settings, seed=1, on_step=lambda step: losses.append(step.loss))  # noqa: B023
        results[name] = losses[0]
    assert results["middles"] == results["tails"], "these prompts have no tails"
    assert results["prompts"] > 1.5 * results["middles"], "a second mean loss is added"
