"""Tailora's side of ``time_to_loss``: the loop, the decoder and the settings that a repository's run has.

Knows nothing of the other side. The held-out loss is measured in the arithmetic that trains (8 bits, where the
processor has them).
"""

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from tailora.bench.training_course import Course
from tailora.bench.training_job import Job, Trained
from tailora_adapters.methods import LoraSettings
from tailora_adapters.training.adapters import Session
from tailora_adapters.training.evaluate import Prompts, evaluate
from tailora_adapters.training.loop import StepReport, TrainSettings, train
from tailora_adapters.training.memory import bound_primitives, peak_rss_mb

__all__ = ["train_our_way"]


def train_our_way(job: Job, began: float, progress: Callable[[float, str], None]) -> Trained:
    """Trains, then measures.

    Args:
        began: When the process started, on the performance counter.

    Raises:
        ModelMissing, ModelCorrupt: the base model.
        TrainingFailed: the loss diverged.
    """
    bound_primitives()
    lora = LoraSettings(**job.lora)
    session = Session(job.model, None, shape=lora, lower_share=job.lower_share, seed=job.seed)
    evaluate(session.decoder, Prompts(job.held_out[:1]))  # what is compiled or allocated once
    loading_s = time.perf_counter() - began
    settings = replace(TrainSettings(**job.train), first_layer=session.first_layer)
    course = Course(job.measurements, session.values)

    def on_step(step: StepReport) -> None:
        course.after(step.step, step.fraction)
        progress(step.fraction, f"step {step.step}, loss {step.loss:.2f}")

    course.begin()
    report = train(session.model, session.decoder, job.training, settings, seed=job.seed, on_step=on_step)
    course.end()
    peak = peak_rss_mb()
    prompts = Prompts(job.held_out)
    measurements = []
    for copy in course.copies:
        session.put(copy.values)
        measurements.append(copy.measured(evaluate(session.decoder, prompts).nll))
        progress(1.0, f"measured {len(measurements)} of {len(course.copies)}")
    return Trained(
        tuple(measurements),
        steps=report.steps,
        seconds=course.seconds,
        tokens=report.tokens,
        labels=round(report.tokens * _labels_per_token(job, settings)),
        loading_s=loading_s,
        peak_rss_mb=peak,
        threads=torch.get_num_threads(),
    )


def _labels_per_token(job: Job, settings: TrainSettings) -> float:
    """Of all sequences together; a run that the clock ends has drawn from them at random."""
    labels = 0.0
    for one in job.training:
        labels += one.labels
        if settings.prompt_weight:
            labels += one.start - one.tail + settings.prompt_share * len(one.code)
    return labels / sum(len(one.ids) - 1 for one in job.training)
