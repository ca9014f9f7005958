"""Cross-entropy through a frozen output matrix in bounded memory and, for training, over part of the vocabulary.

A vocabulary of 152,000 makes the logits of a few hundred labels the largest tensors of a training step, and their
product the largest part of its time. The matrix is not trained, so the gradient of the hidden states,
(softmax - one hot) W, is computed chunk by chunk in the forward pass, and no logits are kept. ``Vocabulary`` leaves
out the tokens that a repository's code never has: what probability the model gives them is far below that of the rest.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Vocabulary", "frozen_cross_entropy", "frozen_divergence"]

_CHUNK = 64
_FREQUENT = 8_192
"""Byte-pair vocabularies list tokens in the order in which they were merged: the first are the most frequent."""


class Vocabulary:
    """The rows of an output matrix that training looks at: frequent tokens, and all that are among the labels."""

    def __init__(self, weight: Tensor, labels: Iterable[int]) -> None:
        wanted = sorted({*range(min(_FREQUENT, len(weight))), *labels})
        self._ids = torch.tensor(wanted, device=weight.device)
        self.rows = weight.detach()[self._ids]  # (chosen, hidden), a copy

    def loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Mean negative log-likelihood among the chosen tokens. hidden (labels, width), labels (labels,)."""
        return frozen_cross_entropy(hidden, self.rows, torch.searchsorted(self._ids, labels))

    def divergence(self, hidden: Tensor, teacher: Tensor) -> Tensor:
        """Mean Kullback-Leibler divergence, nats, of what ``hidden`` predicts among the chosen tokens from what
        ``teacher`` does; both (labels, width)."""
        return frozen_divergence(hidden, self.rows, teacher)


def frozen_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood, nats, float32.

    hidden (labels, width), weight (vocabulary, width), labels (labels,).
    """
    assert not weight.requires_grad, "no gradient is computed for the matrix"
    loss: Tensor = _FrozenCrossEntropy.apply(hidden, weight, labels)  # type: ignore[no-untyped-call]
    return loss


def frozen_divergence(hidden: Tensor, weight: Tensor, teacher: Tensor) -> Tensor:
    """Mean of KL(teacher || hidden), nats, float32; hidden and teacher (labels, width), weight (vocabulary, width)."""
    assert not weight.requires_grad, "no gradient is computed for the matrix"
    result: Tensor = _FrozenDivergence.apply(hidden, weight, teacher)  # type: ignore[no-untyped-call]
    return result


class _Frozen(torch.autograd.Function):
    """A mean over labels whose gradient was computed on the way forward."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (gradients[0] / ctx.count).to(gradient.dtype), None, None


class _FrozenCrossEntropy(_Frozen):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        gradient = torch.empty_like(hidden)
        count = max(1, len(labels))
        for begin in range(0, len(labels), _CHUNK):
            part, target = hidden[begin : begin + _CHUNK], labels[begin : begin + _CHUNK, None]
            logits = (part.to(weight.dtype) @ weight.T).float()  # (chunk, vocabulary)
            norm = logits.logsumexp(-1, keepdim=True)
            total += (norm - logits.gather(1, target)).sum()
            probabilities = logits.sub_(norm).exp_()
            probabilities.scatter_add_(1, target, probabilities.new_full(target.shape, -1.0))
            gradient[begin : begin + _CHUNK] = (probabilities.to(weight.dtype) @ weight).to(hidden.dtype)
        ctx.save_for_backward(gradient)
        ctx.count = count
        return total / count


class _FrozenDivergence(_Frozen):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, teacher: Tensor) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        gradient = torch.empty_like(hidden)
        count = max(1, len(hidden))
        for begin in range(0, len(hidden), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            ours, theirs = (
                (states[part].to(weight.dtype) @ weight.T).float().log_softmax(-1)
                for states in (hidden, teacher)
            )  # (chunk, vocabulary)
            wanted = theirs.exp()
            total += (wanted * (theirs - ours)).sum()
            gradient[part] = (ours.exp_().sub_(wanted).to(weight.dtype) @ weight).to(hidden.dtype)
        ctx.save_for_backward(gradient)
        ctx.count = count
        return total / count
