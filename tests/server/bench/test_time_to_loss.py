"""Plain fine-tuning beside ours: what is printed, and a short run of both sides in processes of their own."""

import io
import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tailora.bench import time_to_loss
from tailora.bench.report import training_tables
from tailora.bench.time_to_loss import Plan, measure
from tailora.bench.training_course import Course
from tailora.bench.training_figures import Round, first_at, plot, summarise_training, target_of
from tailora.bench.training_job import Job, Measurement, Trained
from tailora.cli.bench import app
from tailora_adapters.base.prompt import PromptBudget
from tailora_adapters.corpus.sequences import encode
from tailora_adapters.errors import TailoraError
from tailora_adapters.training.data import DataSettings
from tailora_adapters.training.loop import TrainSettings
from tailora_adapters.training.run import RunSettings

SETTINGS = RunSettings(
    data=DataSettings(held_out=14, min_held_out=4, max_prompt=80),
    train=TrainSettings(learning_rate=5e-3, batch_tokens=256, max_steps=40, max_epochs=1.0),
)


def trained(*losses: float, pace: float = 10.0) -> Trained:
    """A run with a loss at its beginning and after each ``pace`` seconds."""
    measurements = tuple(Measurement(step, pace * step, loss) for step, loss in enumerate(losses))
    seconds = measurements[-1].seconds
    return Trained(measurements, len(losses) - 1, seconds, 1000, 100, 2.0, 500.0, 2)


PLAIN = trained(2.0, 1.6, 1.5, 1.5, 1.55, pace=100)


def document(*rounds: Round) -> dict[str, Any]:
    value: dict[str, Any] = summarise_training(rounds) | {
        "data": {"examples": 40, "tokens": 1000, "package": "attrs"},
        "settings": {"rounds": len(rounds)},
        "machine": dict.fromkeys(
            ("cpu", "threads", "memory_mb", "model", "torch", "transformers", "peft"), "this"
        ),
    }
    parsed: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    return parsed


def test_the_target_is_the_lowest_loss_where_it_was_first_measured() -> None:
    assert target_of(PLAIN) == Measurement(2, 200.0, 1.5)
    assert target_of(trained(2.0, math.nan, 1.9)) == Measurement(2, 20.0, 1.9)
    assert target_of(trained(2.0, 2.1, math.nan)) is None


def test_time_to_a_loss_is_as_measured_and_interpolated() -> None:
    ours = trained(2.0, 1.7, 1.3, 1.2).measurements
    assert first_at(ours, 1.5) == pytest.approx((20.0, 15.0))
    assert first_at(ours, 1.3) == pytest.approx((20.0, 20.0))
    assert first_at(ours, 1.1) is None
    assert first_at(ours, 2.5) == (10.0, 10.0), "before the first step nothing has been trained"


def test_ratios_are_medians_over_rounds() -> None:
    quick, slow = trained(2.0, 1.7, 1.3), trained(2.0, 1.7, 1.3, pace=30)
    value = document(
        *(Round(("plain", "ours"), PLAIN, ours) for ours in (quick, slow, trained(2.0, 1.9, 1.8)))
    )
    assert value["time_to_loss_ratio"] == 0.3
    assert value["spread"]["time_to_loss_ratio"] == [0.1, None], "one round never got there"
    assert value["time_to_loss_interpolated_ratio"] == pytest.approx(0.225)
    assert value["plain"]["time_to_loss_s"] == 200
    assert value["ours"]["tokens_per_second"] == pytest.approx(50)
    assert value["tokens_per_second_ratio"] == pytest.approx(20)
    assert value["rounds"][1]["ours"]["curve"] == [[0, 0, 2.0], [1, 30, 1.7], [2, 60, 1.3]]
    assert value["rounds"][2]["time_to_loss_ratio"] is None


@pytest.mark.parametrize(
    "plain, ours",
    [
        pytest.param(PLAIN, trained(2.0, 1.9, 1.51), id="not reached"),
        pytest.param(trained(2.0, 2.1, 2.2), trained(2.0, 1.9), id="plain fine-tuning gained nothing"),
        pytest.param(trained(2.0, math.nan), trained(2.0, 1.9), id="plain fine-tuning diverged"),
    ],
)
def test_there_is_no_ratio_where_there_is_nothing_to_compare(plain: Trained, ours: Trained) -> None:
    value = document(Round(("plain", "ours"), plain, ours))
    assert value["time_to_loss_ratio"] is None
    assert value["time_to_loss_interpolated_ratio"] is None
    assert value["ours"]["time_to_loss_s"] is None
    assert value["tokens_per_second_ratio"] is not None
    assert "-" in printed(value)
    ET.fromstring(plot(value))


def test_people_get_a_table_with_the_machine_and_a_picture() -> None:
    value = document(Round(("plain", "ours"), PLAIN, trained(2.0, 1.7, 1.3)))
    text = printed(value)
    for part in ("time to the plain way's loss", "0.10", "200 s", "1.300", "transformers this", "attrs"):
        assert part in text
    picture = plot(value)
    assert "Tailora" in picture
    assert "plain" in picture


def printed(value: dict[str, Any]) -> str:
    console = Console(width=160, file=io.StringIO())
    for table in training_tables(value):
        console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_the_clock_stands_still_while_copies_are_made() -> None:
    now = 0.0

    def copy() -> dict[str, float]:
        nonlocal now
        now += 100  # seconds
        return {"at": now}

    course = Course(2, copy, clock=lambda: now)
    now += 7  # until training begins
    course.begin()
    for step in range(1, 6):
        now += 1
        course.after(step, (step - 1) / 5)
    course.end()
    assert [(one.step, one.seconds) for one in course.copies] == [(0, 0.0), (4, 4.0), (5, 5.0)]
    course.end()
    assert len(course.copies) == 3, "the end is copied once"


def test_a_job_comes_back_as_it_was_written(
    tokenizer: Any, training_examples: list[Any], tmp_path: Path
) -> None:
    sequences = tuple(encode(tokenizer, example, PromptBudget()) for example in training_examples[:3])
    job = Job("m", {"max_seconds": math.inf}, {}, 0.5, 1e-3, 4, 1, sequences, sequences[:1])
    job.write(tmp_path / "job.json")
    again = Job.read(tmp_path / "job.json")
    assert again.train == job.train
    for before, after in zip(job.training, again.training, strict=True):
        assert replace(after, example=before.example) == before


@pytest.mark.timeout(600)
def test_both_sides_train_in_processes_of_their_own(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model learns a small package both ways."""
    monkeypatch.setattr(time_to_loss, "_HORIZON", 1e6)  # how fast the tests are must not matter
    told: list[str] = []
    plan = Plan(tiny.name, examples=24, plain_measurements=3, our_measurements=2, settings=SETTINGS)
    value = measure(plan, lambda _, text: told.append(text))
    value = json.loads(json.dumps(value, allow_nan=False))
    (only,) = value["rounds"]
    assert len(only["plain"]["curve"]) == 4
    assert len(only["ours"]["curve"]) == 3
    assert only["plain"]["steps"] == math.ceil(value["data"]["examples"] / 4)
    assert only["plain"]["tokens"] == value["data"]["tokens"]
    assert only["ours"]["start_loss"] == pytest.approx(only["plain"]["start_loss"], rel=0.02), (
        "the same adapter, the same holes"
    )
    for side in ("ours", "plain"):
        assert only[side]["final_loss"] < only[side]["start_loss"], "it learns"
        assert value[side]["tokens_per_second"] > 0
        assert value[side]["peak_rss_mb"] > 50
        assert value[side]["loading_s"] > 0
        assert any(text.startswith(f"round 1: {side}, step 1") for text in told)
    assert {"cpu", "torch", "transformers", "peft"} <= set(value["machine"])
    assert printed(value)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Job]]:
    """What the sides were given; they answer at once."""
    given: list[tuple[str, Job]] = []

    def train(side: str, job: Job, *_: Any) -> Trained:
        given.append((side, job))
        return PLAIN if side == "plain" else trained(2.0, 1.7, 1.3)

    monkeypatch.setattr(time_to_loss, "_train", train)
    return given


def test_sides_take_turns_with_the_same_data(tiny: Any, jobs: list[tuple[str, Job]]) -> None:
    plan = Plan(tiny.name, examples=24, rounds=2, plain_learning_rate=2e-4, settings=SETTINGS)
    value = measure(plan, lambda *_: None)
    assert [side for side, _ in jobs] == ["plain", "ours", "ours", "plain"]
    assert [tuple(row["order"]) for row in value["rounds"]] == [("plain", "ours"), ("ours", "plain")]
    plain, ours = jobs[0][1], jobs[1][1]
    assert ours.train["max_seconds"] == 100, "half of the time to the lowest loss"
    assert (plain.learning_rate, ours.learning_rate) == (2e-4, 5e-3)
    assert (plain.measurements, ours.measurements) == (4, 8)
    different = {"train": {}, "learning_rate": 0.0, "measurements": 0}
    assert replace(plain, **different) == replace(ours, **different)
    assert not set(plain.training) & set(plain.held_out)


@pytest.mark.timeout(600)
def test_a_side_that_fails_says_why(tmp_path: Path) -> None:
    job = Job("no-such-model", {}, {}, 0.5, 1e-3, 4, 1, (), ())
    with pytest.raises(TailoraError, match=r"(?s)training ours ended with code 1.*no-such-model"):
        time_to_loss._train("ours", job, tmp_path, lambda *_: None)


def test_a_quick_plan_is_smaller_in_everything() -> None:
    quick, whole = Plan("m").quickly(), Plan("m")
    assert quick.examples == 24
    assert quick.settings.data.held_out < whole.settings.data.held_out
    assert quick.plain_measurements < whole.plain_measurements
    assert quick.settings.train == whole.settings.train


def test_the_command_prints_one_document_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []

    def measured(plan: Plan, *_: Any) -> dict[str, Any]:
        plans.append(plan)
        return document(Round(("plain", "ours"), PLAIN, trained(2.0, 1.7, 1.3)))

    monkeypatch.setattr(time_to_loss, "measure", measured)
    picture = tmp_path / "loss.svg"
    arguments = [
        "training",
        "--model",
        "m",
        "--package",
        "attrs",
        "--quick",
        "--json",
        "--plot",
        str(picture),
    ]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["time_to_loss_ratio"] == 0.1
    assert plans == [Plan("m", package="attrs").quickly()]
    ET.fromstring(picture.read_text(encoding="utf-8"))
