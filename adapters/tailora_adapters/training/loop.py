"""The training loop: AdamW on an adapter's parameters, loss on middles and prompts, kept activations below the cut.

Deterministic for a seed on one machine and thread count. Knows nothing of files, projects or the gate.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import TrainingFailed
from tailora_adapters.training.batches import Batch, collate, shuffled_batches
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.head import Vocabulary

__all__ = ["Kept", "StepReport", "TrainReport", "TrainSettings", "train"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Optimization of one run. Defaults as most published recipes for LoRA on small data agree on."""

    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    final_share: float = 0.1
    """Learning rate at the end, as a share of the peak; cosine in between."""
    batch_tokens: int = 1_280
    max_steps: int = 120
    max_epochs: float = 3.0
    max_seconds: float = math.inf
    """The schedule follows the clock where this would end the run before ``max_steps`` do."""
    clip: float = 1.0
    weight_decay: float = 0.0
    prompt_weight: float = 1.0
    """Weight of the prompts' own tokens: their mean loss counts so much beside that of the middles. A repository's names
    and idioms stand there, and the forward pass has been paid for."""
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
    decoder: Decoder,
    sequences: Sequence[TokenSequence],
    settings: TrainSettings,
    *,
    seed: int,
    on_step: Callable[[StepReport], None] = lambda _: None,
) -> TrainReport:
    """Trains the parameters of ``model`` that require gradients, in place; ``decoder`` computes it.

    Raises:
        TrainingFailed: the loss is not a number any more.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
    )
    per_epoch = len(list(shuffled_batches(sequences, settings.batch_tokens, random.Random(seed))))
    steps = max(1, min(settings.max_steps, round(per_epoch * settings.max_epochs)))
    kept = Kept(decoder, sequences) if settings.first_layer else None
    vocabulary = Vocabulary(decoder.head_weight, (token for sequence in sequences for token in sequence.ids))
    began = time.monotonic()
    model.train()
    step, tokens, smooth = 0, 0, 0.0
    while step < steps:
        for indices in shuffled_batches(sequences, settings.batch_tokens, rng):
            elapsed = time.monotonic() - began
            done = max(step / steps, elapsed / settings.max_seconds)
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _schedule(done, settings)
            batch = collate(sequences, indices, decoder.device)
            loss = _loss(decoder, batch, kept, vocabulary, settings.prompt_weight)
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
    decoder: Decoder, batch: Batch, kept: "Kept | None", vocabulary: Vocabulary, prompt_weight: float
) -> Tensor:
    below = kept.get(batch) if kept else decoder.lower(batch.ids, batch.lengths)
    hidden = decoder.upper(below, batch.lengths)  # (tokens, hidden)
    loss = vocabulary.loss(hidden[batch.positions], batch.labels)
    if prompt_weight and len(batch.prompt_labels):
        loss = loss + prompt_weight * vocabulary.loss(hidden[batch.prompt_positions], batch.prompt_labels)
    return loss


class Kept:
    """Activations below the cut, computed once for each sequence: 2 bytes x hidden x tokens (1.8 KB a token at 896)."""

    def __init__(self, decoder: Decoder, sequences: Sequence[TokenSequence]) -> None:
        self._decoder = decoder
        self._sequences = sequences
        self._kept: dict[int, Tensor] = {}

    def get(self, batch: Batch) -> Tensor:
        """(tokens, hidden), as ``batch.ids``."""
        if any(index not in self._kept for index in batch.indices):
            below = self._decoder.lower(batch.ids, batch.lengths)
            for index, part in zip(batch.indices, below.split(list(batch.lengths)), strict=True):
                self._kept[index] = part.to(torch.bfloat16, copy=True)
        return torch.cat([self._kept[index] for index in batch.indices])
