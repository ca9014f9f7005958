"""The plain side of ``time_to_loss``: ``transformers.Trainer`` on a peft model in bfloat16, as documented.

All layers are trained, loss is on the middle and its end token, batches are of 4 padded sequences. Uses nothing of how
Tailora trains: only the same base model, the same adapter to start from and the same tokens.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments

from tailora.bench.training_course import Course
from tailora.bench.training_job import Job, Trained
from tailora_adapters import foundation
from tailora_adapters.base.device import default_device
from tailora_adapters.base.load import load_model
from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.methods import LoraSettings, attach, resume
from tailora_adapters.training.memory import peak_rss_mb

__all__ = ["train_plainly"]

_BATCH = 4
_IGNORED = -100
"""torch's and transformers' label of what carries no loss."""


def train_plainly(job: Job, began: float, folder: Path, progress: Callable[[float, str], None]) -> Trained:
    """Trains one epoch, then measures.

    Args:
        began: When the process started, on the performance counter.
        folder: For what the trainer may write.

    Raises:
        ModelMissing, ModelCorrupt: the base model.
    """
    model = _load(job)
    _held_out_loss(model, job.held_out[:1])  # what is allocated once
    loading_s = time.perf_counter() - began
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    course = Course(job.measurements, lambda: {name: p.detach().clone() for name, p in named.items()})
    trainer = Trainer(
        model=model,
        args=_arguments(job, folder),
        train_dataset=[_row(sequence) for sequence in job.training],
        data_collator=_padded,
        callbacks=[_Follower(course, progress)],
    )
    trainer.train()
    course.end()
    peak = peak_rss_mb()
    measurements = []
    for copy in course.copies:
        with torch.no_grad():
            for name, parameter in named.items():
                parameter.copy_(copy.values[name])
        measurements.append(copy.measured(_held_out_loss(model, job.held_out)))
        progress(1.0, f"measured {len(measurements)} of {len(course.copies)}")
    return Trained(
        tuple(measurements),
        steps=course.step,
        seconds=course.seconds,
        tokens=sum(len(sequence.ids) - 1 for sequence in job.training),
        labels=sum(sequence.labels for sequence in job.training),
        loading_s=loading_s,
        peak_rss_mb=peak,
        threads=torch.get_num_threads(),
    )


def _load(job: Job) -> PeftModel:
    """The base in bfloat16, the adapter in float32 as peft makes it; the same start as ours."""
    loaded = load_model(job.model, device=default_device())
    floor = foundation.find(loaded.record.name)
    torch.manual_seed(job.seed)
    return resume(loaded.model, floor.path) if floor else attach(loaded.model, LoraSettings(**job.lora))


def _arguments(job: Job, folder: Path) -> TrainingArguments:
    cuda = default_device() == "cuda"
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=_BATCH,
        num_train_epochs=1,
        learning_rate=job.learning_rate,
        warmup_steps=job.train["warmup_share"],
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": job.train["final_share"]},
        weight_decay=job.train["weight_decay"],
        max_grad_norm=job.train["clip"],
        bf16=not cuda or torch.cuda.is_bf16_supported(),
        use_cpu=not cuda,
        seed=job.seed,
        label_names=["labels"],
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )


class _Follower(TrainerCallback):  # type: ignore[misc] # transformers has no types
    """Reports to the course."""

    def __init__(self, course: Course[dict[str, Tensor]], progress: Callable[[float, str], None]) -> None:
        self._course = course
        self._progress = progress

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_more: Any) -> None:
        self._course.begin()

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_more: Any) -> None:
        done = state.global_step / state.max_steps
        self._course.after(state.global_step, done)
        self._progress(done, f"step {state.global_step} of {state.max_steps}")


def _row(sequence: TokenSequence) -> dict[str, list[int]]:
    """What is asked carries no loss, what is to be filled in does."""
    ids = list(sequence.ids)
    labels = [_IGNORED] * sequence.start + ids[sequence.start :]
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}


def _padded(rows: Sequence[dict[str, list[int]]]) -> dict[str, Tensor]:
    """(batch, longest) each, padded on the right."""
    fill = {"input_ids": 0, "attention_mask": 0, "labels": _IGNORED}
    return {
        name: torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row[name]) for row in rows], batch_first=True, padding_value=value
        )
        for name, value in fill.items()
    }


@torch.no_grad()
def _held_out_loss(model: PeftModel, sequences: Sequence[TokenSequence]) -> float:
    """Mean negative log-likelihood of a middle token, nats, by the forward pass that trains."""
    model.eval()
    total, tokens = 0.0, 0
    for sequence in sequences:
        middle = torch.tensor(sequence.ids[sequence.start : -1], device=model.device)
        ids = torch.tensor([sequence.ids[:-2]], device=model.device)
        with torch.autocast(model.device.type, torch.bfloat16):
            logits = model(input_ids=ids, logits_to_keep=len(middle)).logits[0]  # (middle, vocabulary)
        total += float(F.cross_entropy(logits.float(), middle, reduction="sum"))
        tokens += len(middle)
    return total / max(1, tokens)
