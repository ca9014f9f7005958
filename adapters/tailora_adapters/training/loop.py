"""The training loop: AdamW on an adapter's parameters, loss on the middles only, kept activations below the cut.

Deterministic for a seed on one machine and thread count. Knows nothing of files, projects or the gate.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from peft import PeftModel
from torch import Tensor

from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import TrainingFailed
from tailora_adapters.training.batches import Batch, collate, prompt_labels, shuffled_batches
from tailora_adapters.training.head import frozen_cross_entropy
from tailora_adapters.training.split import SplitDecoder

__all__ = ["Kept", "StepReport", "TrainReport", "TrainSettings", "train"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Optimization of one run. Defaults as most published recipes for LoRA on small data agree on."""

    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    final_share: float = 0.1
    """Learning rate at the end, as a share of the peak; cosine in between."""
    batch: int = 4
    max_steps: int = 120
    max_epochs: float = 3.0
    max_seconds: float = math.inf
    """The schedule follows the clock where this would end the run before ``max_steps`` do."""
    clip: float = 1.0
    weight_decay: float = 0.0
    prompt_labels: int = 0
    """Tokens of a batch's prompts that carry loss too, beside those of the tails: a repository's names and idioms stand
    there, and the forward pass has been paid for."""
    prompt_weight: float = 0.5
    """Weight of their mean loss beside that of the middles."""
    first_layer: int = 0
    """Layers below it are not trained; their activations are kept between epochs."""

    def as_dict(self) -> dict[str, Any]:
        """For a manifest."""
        values = asdict(self)
        if math.isinf(self.max_seconds):
            values["max_seconds"] = None
        return values


@dataclass(frozen=True, slots=True)
class StepReport:
    """After every optimizer step."""

    step: int
    fraction: float
    loss: float
    """Mean negative log-likelihood of a label, nats."""
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainReport:
    """Cost of a run."""

    steps: int
    tokens: int
    """Sequence positions trained on, repeated epochs included."""
    seconds: float
    final_loss: float


def train(
    model: PeftModel,
    sequences: Sequence[TokenSequence],
    settings: TrainSettings,
    *,
    seed: int,
    on_step: Callable[[StepReport], None] = lambda _: None,
) -> TrainReport:
    """Trains the parameters of ``model`` that require gradients, in place.

    Raises:
        TrainingFailed: the loss is not a number any more.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    decoder = SplitDecoder(model, settings.first_layer)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
    )
    per_epoch = math.ceil(len(sequences) / settings.batch)
    steps = max(1, min(settings.max_steps, round(per_epoch * settings.max_epochs)))
    kept = Kept(decoder, sequences) if settings.first_layer else None
    began = time.monotonic()
    model.train()
    step, tokens, smooth = 0, 0, 0.0
    while step < steps:
        for indices in shuffled_batches(sequences, settings.batch, rng):
            elapsed = time.monotonic() - began
            done = max(step / steps, elapsed / settings.max_seconds)
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _schedule(done, settings)
            batch = collate(sequences, indices, decoder.device)
            extra = prompt_labels(sequences, batch, settings.prompt_labels, rng)
            loss = _loss(decoder, batch, kept, extra, settings.prompt_weight)
            if not torch.isfinite(loss):
                raise TrainingFailed(f"the loss became {loss.item()} at step {step}: lower the learning rate")
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            tokens += batch.tokens
            smooth = loss.item() if step == 1 else 0.9 * smooth + 0.1 * loss.item()
            on_step(StepReport(step, done, loss.item(), tokens, time.monotonic() - began))
        else:
            continue
        break
    model.eval()
    return TrainReport(step, tokens, time.monotonic() - began, smooth)


def _schedule(done: float, settings: TrainSettings) -> float:
    """Factor on the learning rate: linear warm-up, then cosine down to ``final_share``."""
    if done < settings.warmup_share:
        return max(0.02, done / settings.warmup_share)
    cosine = 0.5 * (1 + math.cos(math.pi * (done - settings.warmup_share) / (1 - settings.warmup_share)))
    return settings.final_share + (1 - settings.final_share) * cosine


def _loss(
    decoder: SplitDecoder, batch: Batch, kept: "Kept | None", extra: tuple[Tensor, Tensor], weight: float
) -> Tensor:
    below = kept.get(batch) if kept else decoder.lower(batch.ids)
    with torch.autocast(below.device.type, torch.bfloat16, enabled=below.dtype == torch.bfloat16):
        hidden = decoder.upper(below).flatten(0, 1)  # (batch * seq, hidden)
    loss = _cross_entropy(decoder, hidden[batch.positions], batch.labels)
    positions, labels = extra
    if len(labels):
        loss = loss + weight * _cross_entropy(decoder, hidden[positions], labels)
    return loss


def _cross_entropy(decoder: SplitDecoder, hidden: Tensor, labels: Tensor) -> Tensor:
    if decoder.head_weight.requires_grad:  # full fine-tuning
        return F.cross_entropy(decoder.logits(hidden), labels)
    return frozen_cross_entropy(hidden, decoder.head_weight, labels)


class Kept:
    """Activations below the cut, computed once for each sequence: 2 bytes x hidden x tokens (1.8 KB a token at 896)."""

    def __init__(self, decoder: SplitDecoder, sequences: Sequence[TokenSequence]) -> None:
        self._decoder = decoder
        self._sequences = sequences
        self._kept: dict[int, Tensor] = {}

    def get(self, batch: Batch) -> Tensor:
        """(batch, seq, hidden), padded as ``batch.ids``."""
        if any(index not in self._kept for index in batch.indices):
            below = self._decoder.lower(batch.ids)
            for row, index in enumerate(batch.indices):
                self._kept[index] = below[row, : len(self._sequences[index].ids) - 1].clone()
            return below
        return torch.nn.utils.rnn.pad_sequence(
            [self._kept[index] for index in batch.indices], batch_first=True
        )
