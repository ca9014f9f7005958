"""The training loop: AdamW on an adapter's parameters, loss on middles and prompts, kept activations below the cut.

Deterministic for a seed on one machine and thread count. Knows nothing of files, projects or the gate.
"""

import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor

from tailora_adapters.corpus.sequences import TokenSequence
from tailora_adapters.errors import TrainingDiverged
from tailora_adapters.methods.allocation import Allocation
from tailora_adapters.methods.attached import Attached, attached
from tailora_adapters.training.batches import Batch, collate, predicting, shuffled_batches
from tailora_adapters.training.checkpoint import Checkpoint, Progress
from tailora_adapters.training.decoder import Decoder
from tailora_adapters.training.head import Vocabulary
from tailora_adapters.training.memory import give_back

_CHECKPOINT_EVERY_S = 20.0
_PART_TOKENS = 512
"""Half a batch at once: as fast, and 0.8 GB less at most than all of it (docs/experiments.md)."""
_USUAL_STEPS = 5
_SUSPENDED = 3.0
"""Times the median of the last steps."""

__all__ = ["Anchors", "Kept", "Learn", "StepReport", "TrainReport", "TrainSettings", "train"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Optimization of one run. Defaults as most published recipes for LoRA on small data agree on."""

    learning_rate: float = 2e-4
    warmup_share: float = 0.1
    final_share: float = 0.1
    """Learning rate at the end, as a share of the peak; cosine in between."""
    batch_tokens: int = 1_024
    max_steps: int = 120
    max_epochs: float = 3.0
    max_seconds: float = math.inf
    """The schedule follows the clock where this would end the run before ``max_steps`` do."""
    clip: float = 1.0
    weight_decay: float = 0.0
    prompt_weight: float = 1.0
    """Weight of the mean loss of tails and prompts beside that of the middles. A repository's names and idioms stand
    there, and the forward pass has been paid for."""
    prompt_share: float = 1.0
    """Share of the prompts' tokens that carry loss; the tails, part of the hole as much as the middle, always do."""
    end_times: int = 1
    """How often a middle's end is among its labels: one token of about fifteen, on which it hangs whether an answer is
    right."""
    anchor_weight: float = 20.0
    """Weight of the mean divergence from the answers that the anchors have, where a batch has anchors. With 3 a
    run still forgot (docs/experiments.md)."""
    first_layer: int = 0
    """Layers below it are not trained; where there are several epochs, their activations are kept."""

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


Learn = Callable[..., TrainReport]
"""Called as ``train`` is."""


def train(
    model: Attached | PeftModel,
    decoder: Decoder,
    sequences: Sequence[TokenSequence],
    settings: TrainSettings,
    *,
    seed: int,
    anchors: "Anchors | None" = None,
    allocation: Allocation | None = None,
    kept: "Kept | None" = None,
    checkpoint: Checkpoint | None = None,
    on_step: Callable[[StepReport], None] = lambda _: None,
) -> TrainReport:
    """Trains the adapter's parameters that require gradients, or the model's own where it has no adapter, in place;
    ``decoder`` computes it.

    ``anchors`` among the sequences have no labels: what the model makes of them is held to what it was. With a
    ``checkpoint`` a run goes on where an earlier one with the same key was; who calls removes it at the end. With an
    ``allocation`` ranks are pruned on the way. ``kept`` are activations below the cut that an earlier run over the same
    sequences left.

    Raises:
        TrainingDiverged: the loss is not a number any more.
    """
    torch.manual_seed(seed)
    adapter = attached(model)
    every = adapter.parameters() if adapter.parts else dict(adapter.base.named_parameters())
    named = {name: parameter for name, parameter in every.items() if parameter.requires_grad}
    optimizer = torch.optim.AdamW(
        named.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
    )
    before = checkpoint.load(named, optimizer) if checkpoint else Progress()
    per_epoch = sum(1 for _ in _batches(sequences, settings, seed, epochs=1))
    steps = max(1, min(settings.max_steps, round(per_epoch * settings.max_epochs)))
    if kept is None and settings.first_layer and settings.max_epochs > 1:
        kept = Kept(sequences)
    vocabulary = Vocabulary(decoder.head_weight, (token for sequence in sequences for token in sequence.ids))
    clock = _Clock(before.seconds)
    progress, saved = before, clock.seconds
    adapter.train()
    for indices in itertools.islice(_batches(sequences, settings, seed), before.step, steps):
        done = max(progress.step / steps, clock.seconds / settings.max_seconds)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(done, settings)
        rng = random.Random(f"{seed}:{progress.step}")  # so that a run that goes on draws the same
        parts = [
            collate(
                sequences,
                part,
                decoder.device,
                prompt_share=settings.prompt_share,
                rng=rng,
                anchors=anchors.indices if anchors else (),
                end_times=settings.end_times,
            )
            for part in _parts(sequences, indices)
        ]
        loss = 0.0
        for part_loss in _losses(decoder, parts, kept, vocabulary, anchors, settings):
            torch.autograd.backward(part_loss)
            loss += part_loss.item()
        if allocation is not None:
            torch.autograd.backward(allocation.penalty())
        if not math.isfinite(loss):
            raise TrainingDiverged(f"the loss became {loss} at step {progress.step}: lower the learning rate")
        torch.nn.utils.clip_grad_norm_(named.values(), settings.clip)
        optimizer.step()
        if allocation is not None:
            allocation.after_step(done)
        optimizer.zero_grad(set_to_none=True)
        clock.tick()
        tokens = sum(part.tokens for part in parts)
        progress = _after(progress, tokens, loss, clock.seconds)
        if checkpoint and clock.seconds - saved >= _CHECKPOINT_EVERY_S:
            checkpoint.save(named, optimizer, progress)
            saved = clock.seconds
        on_step(StepReport(progress.step, done, loss, progress.tokens, clock.seconds))
    if allocation is not None:
        allocation.finish()
    adapter.train(False)
    give_back()
    return TrainReport(progress.step, progress.tokens, clock.seconds, progress.smooth_loss)


def _batches(
    sequences: Sequence[TokenSequence], settings: TrainSettings, seed: int, *, epochs: int | None = None
) -> Iterator[list[int]]:
    """The same ones for a seed, so that a checkpoint need only know how many were taken."""
    rng = random.Random(seed)
    for _ in itertools.count() if epochs is None else range(epochs):
        yield from shuffled_batches(sequences, settings.batch_tokens, rng)


def _parts(sequences: Sequence[TokenSequence], indices: Sequence[int]) -> list[list[int]]:
    """A batch in parts whose activations are in memory one after the other."""
    parts: list[list[int]] = []
    size = 0
    for index in indices:
        length = len(sequences[index].ids)
        if not parts or size + length > _PART_TOKENS:
            parts.append([])
            size = 0
        parts[-1].append(index)
        size += length
    return parts


def _after(progress: Progress, tokens: int, loss: float, seconds: float) -> Progress:
    smooth = loss if progress.step == 0 else 0.9 * progress.smooth_loss + 0.1 * loss
    return Progress(progress.step + 1, progress.tokens + tokens, seconds, smooth)


class _Clock:
    """Seconds of training. A step that took far longer than those before it was suspended meanwhile, for completions or
    with the whole machine: it counts as a usual one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._steps: list[float] = []
        self._at = time.monotonic()

    def tick(self) -> None:
        """A step is done."""
        now = time.monotonic()
        step, self._at = now - self._at, now
        usual = statistics.median(self._steps) if len(self._steps) >= _USUAL_STEPS else step
        self._steps = [*self._steps[1 - _USUAL_STEPS * 4 :], step]
        self.seconds += min(step, _SUSPENDED * usual)


def _schedule(done: float, settings: TrainSettings) -> float:
    """Factor on the learning rate: linear warm-up, then cosine down to ``final_share``."""
    if done < settings.warmup_share:
        return max(0.02, done / settings.warmup_share)
    cosine = 0.5 * (1 + math.cos(math.pi * (done - settings.warmup_share) / (1 - settings.warmup_share)))
    return settings.final_share + (1 - settings.final_share) * cosine


def _losses(
    decoder: Decoder,
    parts: Sequence[Batch],
    kept: "Kept | None",
    vocabulary: Vocabulary,
    anchors: "Anchors | None",
    settings: TrainSettings,
) -> Iterator[Tensor]:
    """What each part has of the whole batch's loss, the mean over its labels."""
    labels = sum(len(part.labels) for part in parts)
    prompt_labels = sum(len(part.prompt_labels) for part in parts)
    anchored = sum(len(part.anchor_positions) for part in parts)
    for part in parts:
        below = kept.get(part, decoder) if kept else decoder.lower(part.ids, part.lengths)
        # Before what gradients go through, as it changes the values for a moment.
        teacher = anchors.states(part, below) if anchors else None
        hidden = decoder.upper(below, part.lengths)  # (tokens, hidden)
        loss = hidden.new_zeros(())
        if count := len(part.labels):
            loss = loss + count / labels * vocabulary.loss(hidden[part.positions], part.labels)
        if settings.prompt_weight and (count := len(part.prompt_labels)):
            weight = settings.prompt_weight * count / prompt_labels
            loss = loss + weight * vocabulary.loss(hidden[part.prompt_positions], part.prompt_labels)
        if teacher is not None and (count := len(part.anchor_positions)):
            weight = settings.anchor_weight * count / anchored
            loss = loss + weight * vocabulary.divergence(hidden[part.anchor_positions], teacher)
        yield loss


class Anchors:
    """Sequences of which the model's answers are to stay as they are with the values that ``holding`` puts in place (Li
    and Hoiem, "Learning without Forgetting", arXiv 1606.09282). Each is asked once, when it is first trained on."""

    def __init__(
        self,
        decoder: Decoder,
        sequences: Sequence[TokenSequence],
        indices: Collection[int],
        holding: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.indices = frozenset(indices)
        self._decoder = decoder
        self._sequences = sequences
        self._holding = holding
        self._known: dict[int, Tensor] = {}

    @torch.no_grad()
    def states(self, batch: Batch, below: Tensor) -> Tensor:
        """The last hidden states, (anchor labels, hidden), at the batch's ``anchor_positions``.

        ``below``: the batch's activations below the cut.
        """
        unknown = {
            index: part
            for index, part in zip(batch.indices, below.split_with_sizes(list(batch.lengths)), strict=True)
            if index in self.indices and index not in self._known
        }
        if unknown:
            lengths = [len(part) for part in unknown.values()]
            with self._holding():
                hidden = self._decoder.upper(torch.cat(list(unknown.values())), lengths)
            for index, part in zip(unknown, hidden.split_with_sizes(lengths), strict=True):
                self._known[index] = part[predicting(self._sequences[index])].to(torch.bfloat16)
        found = [self._known[index] for index in batch.indices if index in self.indices]
        return torch.cat(found) if found else below[:0]


class Kept:
    """Activations below the cut, computed once for each sequence: 2 bytes x hidden x tokens (1.8 KB a token at 896)."""

    def __init__(self, sequences: Sequence[TokenSequence]) -> None:
        self._sequences = sequences
        self._kept: dict[int, Tensor] = {}

    def get(self, batch: Batch, decoder: Decoder) -> Tensor:
        """(tokens, hidden), as ``batch.ids``; the decoder's lower half is the same every time."""
        if any(index not in self._kept for index in batch.indices):
            below = decoder.lower(batch.ids, batch.lengths)
            for index, part in zip(batch.indices, below.split_with_sizes(list(batch.lengths)), strict=True):
                self._kept[index] = part.to(torch.bfloat16, copy=True)
        return torch.cat([self._kept[index] for index in batch.indices])
