"""A run that was cut short goes on from its checkpoint and ends as if nothing had been; a bad one costs time only."""

import dataclasses
import errno
import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open

from tailora_adapters.base.load import load_model
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.corpus.sequences import TokenSequence, encode
from tailora_adapters.methods import LoraSettings, attach, freeze_below
from tailora_adapters.training import checkpoint as module
from tailora_adapters.training import loop
from tailora_adapters.training.checkpoint import Checkpoint, Progress, key_of
from tailora_adapters.training.decoder import make_decoder
from tailora_adapters.training.loop import StepReport, TrainReport, TrainSettings, train

STEPS, CUT_SHORT = 8, 4
SETTINGS = TrainSettings(
    learning_rate=5e-3, batch_tokens=240, max_steps=STEPS, max_epochs=100, prompt_share=0.5
)


class Killed(Exception):
    """What the user, the kernel or a thunderstorm did."""


@pytest.fixture(autouse=True)
def after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_CHECKPOINT_EVERY_S", 0)


@pytest.fixture
def sequences(tokenizer: Any, training_examples: list[Any]) -> list[TokenSequence]:
    budget = PromptBudget(prefix=40, suffix=12, tail=0)
    return [encode(tokenizer, example, budget) for example in training_examples[:8]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "project" / "training.checkpoint"


def new(tiny: Any, first_layer: int = 0, rank: int = 4) -> Any:
    torch.manual_seed(5)
    model = attach(load_model(tiny.name).model, LoraSettings(rank=rank))
    freeze_below(model, first_layer)
    return model


def learn(
    model: Any,
    sequences: list[TokenSequence],
    checkpoint: Checkpoint | None,
    *,
    first_layer: int = 0,
    until: int = STEPS + 1,
) -> tuple[TrainReport | None, list[StepReport]]:
    """The report, None where the run was cut short; and its steps."""
    steps: list[StepReport] = []

    def on_step(step: StepReport) -> None:
        steps.append(step)
        if step.step == until:
            raise Killed

    settings = dataclasses.replace(SETTINGS, first_layer=first_layer)
    decoder = make_decoder(model, first_layer)
    try:
        return train(
            model, decoder, sequences, settings, seed=1, checkpoint=checkpoint, on_step=on_step
        ), steps
    except Killed:
        return None, steps


def trained(model: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def steps_of(model: Any, sequences: list[TokenSequence], path: Path, key: str = "key") -> int:
    """With how many steps done a run begins that is started again."""
    _, steps = learn(model, sequences, Checkpoint(path, key))
    return steps[0].step - 1


@pytest.mark.parametrize("first_layer", [0, 2])
def test_goes_on_to_the_same_end(
    tiny: Any, sequences: list[TokenSequence], path: Path, first_layer: int
) -> None:
    whole = new(tiny, first_layer)
    expected, _ = learn(whole, sequences, None, first_layer=first_layer)
    checkpoint = Checkpoint(path, "key")
    report, _ = learn(new(tiny, first_layer), sequences, checkpoint, first_layer=first_layer, until=CUT_SHORT)
    assert report is None
    resumed = new(tiny, first_layer)
    report, steps = learn(resumed, sequences, Checkpoint(path, "key"), first_layer=first_layer)
    assert [step.step for step in steps] == list(range(CUT_SHORT + 1, STEPS + 1))
    assert report is not None
    assert expected is not None
    assert (report.steps, report.tokens) == (expected.steps, expected.tokens)
    assert report.final_loss == pytest.approx(expected.final_loss, rel=1e-3)
    assert report.seconds >= steps[0].seconds > 0
    # Activations that are kept were computed in other batches, and rounded otherwise.
    tolerance = {"rtol": 0.0, "atol": 0.0} if first_layer == 0 else {"rtol": 0.05, "atol": 5e-3}
    for name, value in trained(whole).items():
        torch.testing.assert_close(trained(resumed)[name], value, **tolerance)
    checkpoint.remove()
    assert not path.exists()
    checkpoint.remove()


def test_what_does_not_fit_is_not_gone_on_from(
    tiny: Any, sequences: list[TokenSequence], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = new(tiny)
    start = trained(model)
    assert steps_of(model, sequences, path) == 0, "there is none"
    path.unlink()
    learn(new(tiny), sequences, Checkpoint(path, "key"), until=CUT_SHORT)
    good = path.read_bytes()
    assert steps_of(new(tiny), sequences, path, key="another key") == 0
    path.write_bytes(good)
    assert not caplog.records
    for damaged in (good[:-100], b"", b"no tensors at all", good[:8] + b"\0" * 100 + good[108:]):
        path.write_bytes(damaged)
        again = new(tiny)
        progress = Checkpoint(path, "key").load(
            dict(again.named_parameters()), torch.optim.AdamW(again.parameters())
        )
        assert progress == Progress()
        assert all(torch.equal(value, start[name]) for name, value in trained(again).items())
    assert "starts afresh" in caplog.text
    path.write_bytes(good)
    assert steps_of(new(tiny, rank=2), sequences, path) == 0, "of another shape"
    path.write_bytes(good)
    assert steps_of(new(tiny, first_layer=2), sequences, path) == 0, "of other parameters"
    path.write_bytes(good)
    assert steps_of(new(tiny), sequences, path) == CUT_SHORT


def test_the_key_changes_with_all_that_decides(sequences: list[TokenSequence]) -> None:
    keys = {
        key_of({"a": 1}, 1, "foundation", sequences),
        key_of({"a": 2}, 1, "foundation", sequences),
        key_of({"a": 1}, 2, "foundation", sequences),
        key_of({"a": 1}, 1, "other", sequences),
        key_of({"a": 1}, 1, "foundation", sequences[1:]),
        key_of({"a": 1}, 1, "foundation", sequences[::-1]),
    }
    assert len(keys) == 6
    assert key_of({"a": 1}, 1, "foundation", sequences) in keys


def test_nobody_elses_and_without_a_word_of_the_source(
    tiny: Any, sequences: list[TokenSequence], path: Path
) -> None:
    learn(new(tiny), sequences, Checkpoint(path, "key"), until=CUT_SHORT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    content = path.read_bytes().lower()
    assert b"shelf" not in content
    assert b"height" not in content
    with safe_open(path, framework="pt") as file:
        assert set(file.metadata()) == {"key", "progress"}
        names = {name.partition(":")[0] for name in file.keys()}  # noqa: SIM118 - not a mapping
    assert names == {"value", "step", "exp_avg", "exp_avg_sq"}


@pytest.mark.parametrize(
    "fault", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("os error 28")]
)
def test_a_full_disk_does_not_stop_training(
    tiny: Any,
    sequences: list[TokenSequence],
    path: Path,
    fault: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_state: object, target: Path, **_: object) -> None:
        target.write_bytes(b"half of it")
        raise fault

    monkeypatch.setattr(module, "save_file", full)
    report, steps = learn(new(tiny), sequences, Checkpoint(path, "key"))
    assert report is not None
    assert report.steps == len(steps) == STEPS
    assert list(path.parent.iterdir()) == []
    assert "no checkpoint could be kept" in caplog.text
